/* SPDX-License-Identifier: Apache-2.0 */
#include "io/meter_text.h"

#include <arpa/inet.h>
#include <stdio.h>

void address_format(const uint8_t a[static 16], char out[static ADDRESS_TEXT])
{
	static const uint8_t zero[16];
	/* RFC 4291 §2.5.5.2, "IPv4-Mapped IPv6 Address". */
	static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
	const char *done;

	out[0] = '\0';
	if (memcmp(a, zero, sizeof zero) == 0)
		return;
	if (memcmp(a, mapped, sizeof mapped) == 0)
		done = inet_ntop(AF_INET, a + 12, out, ADDRESS_TEXT);
	else
		done = inet_ntop(AF_INET6, a, out, ADDRESS_TEXT);
	if (done == NULL)
		out[0] = '\0';
}

void scaled_format(double n, char out[static SCALED_TEXT])
{
	static const char units[] = {'k', 'M', 'G', 'T', 'P', 'E'};
	size_t i = 0;

	/* Not a number is not at least 0. */
	if (!(n > 0))
		n = 0;
	if (n < 999.5) {
		(void)snprintf(out, SCALED_TEXT, "%.*f",
			n < 9.95 && n != (double)(int)n ? 1 : 0, n);
		return;
	}
	for (n /= 1000; n >= 999.5 && i + 1 < sizeof units; i++)
		n /= 1000;
	(void)snprintf(out, SCALED_TEXT, "%.*f%c",
		n < 9.995 ? 2 : (n < 99.95 ? 1 : 0), n < 9999 ? n : 9999.0,
		units[i]);
}

void time_ms_format(int64_t unix_ms, char out[static TIME_MS_TEXT])
{
	int64_t ms = unix_ms > 0 ? unix_ms : 0;
	char s[TIME_TEXT];

	time_format(ms / 1000, s);
	(void)snprintf(out, TIME_MS_TEXT, "%.19s.%03uZ", s,
		(unsigned)(ms % 1000) % 1000);
}

/* How many bytes a character that begins with C has, 0: none does. */
static size_t length(unsigned char c)
{
	if (c < 0x80)
		return c != 0 ? 1 : 0;
	if (c < 0xC2 || c > 0xF4)
		return 0;
	return c < 0xE0 ? 2 : (c < 0xF0 ? 3 : 4);
}

/* RFC 3629 §4: the second byte after some first ones is from a smaller range;
 * overlong forms, surrogates and what is above U+10FFFF fall out by that. */
static bool may_follow(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xE0:
		return second >= 0xA0;
	case 0xED:
		return second <= 0x9F;
	case 0xF0:
		return second >= 0x90;
	case 0xF4:
		return second <= 0x8F;
	default:
		return true;
	}
}

size_t text_character(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len = length(p[0]), i;

	for (i = 1; i < len && i < s.n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	}
	return len < 2 || s.n < 2 || may_follow(p[0], p[1]) ? len : 0;
}

char *text_mend(struct str s, char *out)
{
	static const char replacement[] = "\xEF\xBF\xBD";
	size_t k = 0;

	while (s.n != 0) {
		size_t len = text_character(s);

		if (len > s.n)
			break;
		if (len == 0) {
			memcpy(out + k, replacement, sizeof replacement - 1);
			k += sizeof replacement - 1;
			len = 1;
		} else {
			memcpy(out + k, s.p, len);
			k += len;
		}
		s.p += len;
		s.n -= len;
	}
	out[k] = '\0';
	return out;
}
