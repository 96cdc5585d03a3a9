/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's text (JSON, docs/POLICY.md) through cJSON, strictly.
 */
#ifndef IO_POLICY_JSON_H
#define IO_POLICY_JSON_H

#include "core/err.h"
#include "core/policy.h"
#include "core/str.h"

#define POLICY_TEXT_MAX ((size_t)16 * 1024 * 1024) /* bytes */

/*
 * Parses and compiles TEXT (borrowed). *out is given: policy_free. False:
 * ERRS lists up to ERRS_MAX errors, syntax ones with line and column (then
 * there is one), the others with their place ("classes.meter.publish[1].max_qos").
 *
 * Refused: a byte order mark, bytes after the value, invalid UTF-8, `\u0000`, a
 * lone surrogate, a number that is not a whole number in range as written
 * (1e400, 1.5), a key twice, an unknown key (with the nearest known one), a
 * value of the wrong type, more than 32 levels of nesting, a text above
 * POLICY_TEXT_MAX; and what policy_compile() refuses. `comment` (a string) and, at
 * the top, `$schema` are allowed and ignored.
 */
MUST bool policy_json_parse(
	struct str text, struct policy **out, struct errs *errs);

#endif
