/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second opinion on a JSON text, written from RFC 8259 and not from
 * io/json_scan.c: recursive descent for the grammar, strtoll for numbers, and
 * every pair of keys compared. Slow; for texts of a few KiB.
 */
#ifndef TESTS_SUPPORT_JSON_ORACLE_H
#define TESTS_SUPPORT_JSON_ORACLE_H

#include "core/str.h"

#include <stdbool.h>

#define JSON_ORACLE_MAX 4096 /* bytes of a text */

/* True when json_scan() should accept TEXT. Aborts above JSON_ORACLE_MAX. */
bool json_oracle(struct str text);

/*
 * Aborts unless json_scan() and the oracle agree about TEXT, and what they
 * accept cJSON parses, and what cJSON then prints is accepted again and, parsed
 * once more, prints the same. Returns what they said.
 */
bool json_oracle_check(struct str text);

#endif
