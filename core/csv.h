/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of a CSV text: fields between commas, a field with a comma, a quote
 * or a line break in quotes, a quote in it doubled; records end in CRLF, LF or
 * the end of the text.
 *
 * Stricter than most: a quote within an unquoted field, bytes behind a closing
 * quote and a lone CR are errors, since programs disagree about them.
 *
 * Source: RFC 4180 §2, with LF as a line end too.
 */
#ifndef CORE_CSV_H
#define CORE_CSV_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>

enum csv_end {
	CSV_BAD = 0, /* it is no CSV */
	CSV_MORE,    /* TEXT ends within the record */
	CSV_RECORD,
};

/*
 * How long the record at the start of TEXT (borrowed) is, its line end
 * included; LAST: nothing follows TEXT, which then ends the record too. O(n).
 */
enum csv_end csv_record(struct str text, bool last, size_t *len, struct err *e);

/*
 * Splits the record of N bytes at P (of csv_record, with or without its line
 * end), unquoting in place; fields are lent while P's bytes are. At most MAX
 * fields. *n_fields is at least 1: an empty line is one empty field. ERR_INPUT.
 */
MUST bool csv_split(char *p, size_t n, struct str *fields, size_t max,
	size_t *n_fields, struct err *e);

/* VALUE as a field, quoted where it must be, into OUT, which has room for
 * CSV_FIELD_MAX(VALUE.n) bytes. Returns the length; no NUL. */
#define CSV_FIELD_MAX(n) (2 * (n) + 2)
size_t csv_field(struct str value, char *out);

#endif
