/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds, as text: numbers, addresses, times, and strings that
 * may be cut or hold anything. Pure.
 */
#ifndef IO_METER_TEXT_H
#define IO_METER_TEXT_H

#include "core/str.h"
#include "io/values.h"

#include <stdint.h>

/* A as "10.1.2.3" (also when mapped into IPv6) or as IPv6; "" when it is all
 * zero: not known. */
#define ADDRESS_TEXT 46
void address_format(const uint8_t a[static 16], char out[static ADDRESS_TEXT]);

/* N, at least 0, in at most five columns: "7", "0.5", "12.3k", "1.20M". */
#define SCALED_TEXT 16
void scaled_format(double n, char out[static SCALED_TEXT]);

/* UNIX_MS as "2026-11-22T12:39:40.123Z". */
#define TIME_MS_TEXT 25
void time_ms_format(int64_t unix_ms, char out[static TIME_MS_TEXT]);

/* Bytes of the well-formed UTF-8 character that S, not empty, begins with: 0
 * when it is none, or NUL; more than S.n when S ends inside one.
 * Source: RFC 3629 §4. */
size_t text_character(struct str s);

/*
 * The well-formed text that S was cut from, as JSON may hold it: a character
 * cut off at the end is left out, any other malformed byte and NUL become
 * U+FFFD. OUT takes 3 * S.n + 1 bytes. Returns OUT.
 */
char *text_mend(struct str s, char *out);

#endif
