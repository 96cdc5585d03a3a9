/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's attributes as JSON text: {"site": "leeds-3", "group": ["a", "b"]}.
 * The form of the registry's column, of imports and of exports.
 */
#ifndef IO_ATTRS_JSON_H
#define IO_ATTRS_JSON_H

#include "core/device.h"
#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

#define ATTRS_JSON_MAX 65536 /* bytes of text; every \u escape fits */

/*
 * TEXT (borrowed) as attributes, sorted by name, the values of one in the
 * order given. Strictly: one object whose names pass attr_name_valid() and
 * come once, each a string or an array of 1 to ATTR_VALUES_MAX distinct
 * strings that pass attr_value_valid(), DEVICE_ATTRS_MAX values in all, and
 * nothing but white space around it.
 * *attrs and *bytes (what attrs point into) are given: free() each; both NULL
 * when there is no attribute. False: ERR_INPUT, or ERR_ENVIRONMENT (memory).
 */
MUST bool attrs_json_parse(struct str text, struct attr **attrs, uint16_t *n,
	char **bytes, struct err *e);

/* The same of ROOT, a text that json_scan() accepted, read by cJSON. */
struct cJSON;
MUST bool attrs_json_read(const struct cJSON *root, struct attr **attrs,
	uint16_t *n, char **bytes, struct err *e);

/* The same of N_IN attributes (borrowed, in any order). */
MUST bool attrs_make(const struct attr *in, size_t n_in, struct attr **attrs,
	uint16_t *n, char **bytes, struct err *e);

/*
 * The N attributes (borrowed, in any order) as text that attrs_json_parse()
 * reads back: one form for equal attributes, so that texts can be compared.
 * *out is given: free(). False: as attrs_json_parse().
 */
MUST bool attrs_json_format(
	const struct attr *attrs, size_t n, char **out, struct err *e);

#endif
