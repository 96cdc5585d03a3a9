/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in a JSON text something stands, in words safe to print:
 * `classes.meter.publish[1].max_qos`. A key that is not made of ASCII letters,
 * digits, '_', '.', ':', '-' and '$' is quoted and escaped, so that nothing
 * in a hostile text reaches a terminal or a log as it is: `classes["a\u001b"]`.
 */
#ifndef IO_JSON_PATH_H
#define IO_JSON_PATH_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_PATH_KEY_MAX 64 /* characters of a key that are shown */

/* Zeroed: the top, an empty text. What does not fit is left out. */
struct json_path {
	size_t n;
	char text[ERR_PLACE_MAX]; /* NUL terminated */
};

/* How the bytes of a key are written. */
enum json_form {
	JSON_DECODED = 0, /* the string's value, UTF-8 */
	JSON_RAW,         /* the source between the quotes, escapes and all */
};

/* Appends a member's key, or an element's index. To go back up, the caller
 * keeps n from before and calls json_path_cut. */
void json_path_key(struct json_path *path, struct str key, enum json_form form);
void json_path_index(struct json_path *path, size_t index);
void json_path_cut(struct json_path *path, size_t n);

/*
 * Takes the next character off TEXT into *C and returns true; false at its
 * end. TEXT is well formed in its form (json_scan() saw to that): what is not
 * yields U+FFFD, one per byte, and never reads past the end.
 */
bool json_char_next(struct str *text, enum json_form form, uint32_t *c);

#endif
