/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict look at a JSON text before cJSON reads it.
 *
 * cJSON 1.7.15 takes what it should not: invalid UTF-8, raw control characters
 * in strings, "01", "1.", "1e400", a key twice, a byte order mark, and by default
 * bytes after the value; and it cuts a string at `\u0000`. What passes json_scan()
 * is JSON that every parser reads the same way.
 *
 * Source: RFC 8259 (grammar; §4 "names within an object SHOULD be unique",
 * §8.1 "MUST NOT add a byte order mark"), RFC 7493 (I-JSON) §2.
 */
#ifndef IO_JSON_SCAN_H
#define IO_JSON_SCAN_H

#include "core/err.h"
#include "core/str.h"

#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX  32 /* objects and arrays within one another */
#define JSON_NUMBER_MAX (INT64_C(1) << 53) /* and its negative: a double's */

/*
 * True when TEXT (borrowed) is one JSON value of at most MAX_BYTES bytes,
 * exactly by the grammar of RFC 8259, and
 *   - is well-formed UTF-8 without a byte order mark
 *   - has no `\u0000` and no lone surrogate
 *   - has only whole numbers, written without fraction and exponent, in
 *     -JSON_NUMBER_MAX..JSON_NUMBER_MAX
 *   - nests at most JSON_DEPTH_MAX deep
 *   - has no key twice in one object, however it is escaped.
 *
 * False: ERR_INPUT with line and column of the first offending byte, and as
 * place the path of the value it lies in. Of a key that comes twice it is the
 * second, reported at the end of its object. ERR_ENVIRONMENT: out of memory.
 *
 * Allocates 16 bytes per key of the objects that are open; no recursion.
 * O(n log n).
 */
MUST bool json_scan(struct str text, size_t max_bytes, struct err *e);

#endif
