/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a cJSON tree into plain structs by tables of keys, gathering errors
 * with their place. For texts that json_scan() accepted: no key comes twice,
 * no string holds a NUL, numbers are whole.
 *
 * The functions return nothing: a value that is wrong is reported in errs and
 * leaves its field as it was; whoever started looks at errs in the end.
 */
#ifndef IO_JSON_READER_H
#define IO_JSON_READER_H

#include "core/err.h"
#include "core/str.h"
#include "io/json_path.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_READER_KEY_MAX 32 /* bytes of a key in a table */

struct json_block;

/* Zeroed but for errs (kept): ready. Strings lie in the tree. */
struct json_reader {
	struct errs *errs;
	struct json_path at;       /* the value being read */
	struct json_block *blocks; /* what json_reader_array gave */
	bool no_memory;            /* said already */
};

/* A key that an object may have; into is the struct being filled. */
struct json_key {
	const char *key;
	bool required;
	/* NULL: the key is known, and refused because of why. */
	void (*take)(struct json_reader *r, const cJSON *value, void *into);
	const char *why;
};

/* Lists an error at the value being read; the message as for err_set. */
void json_reader_fail(struct json_reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Lists "must be WANTED, not <what VALUE is>". */
void json_reader_wrong(
	struct json_reader *r, const char *wanted, const cJSON *value);

/* N zeroed elements of SIZE bytes, lent until json_reader_fini; NULL when N is
 * 0, and when there is no memory, which is listed once. */
void *json_reader_array(struct json_reader *r, size_t n, size_t size);
/* Frees all arrays. */
void json_reader_fini(struct json_reader *r);

/*
 * Calls take for each member of VALUE whose key is one of the N_KEYS; lists
 * an unknown key with the nearest known one, a refused key with why, and a
 * missing required one. WHAT names the object in messages: "a rule".
 */
void json_read_object(struct json_reader *r, const cJSON *value,
	const char *what, const struct json_key *keys, size_t n_keys,
	void *into);
/* A whole number from MIN to MAX, MAX at most 2^53. */
void json_read_number(struct json_reader *r, const cJSON *value, uint64_t min,
	uint64_t max, uint64_t *out);
void json_read_bool(struct json_reader *r, const cJSON *value, bool *out);
void json_read_string(
	struct json_reader *r, const cJSON *value, struct str *out);
/* An array of strings; each must pass VALID (NULL: any does), else WANTED is
 * listed. */
void json_read_strings(struct json_reader *r, const cJSON *value,
	bool (*valid)(struct str s), const char *wanted, const struct str **out,
	size_t *n);

#endif
