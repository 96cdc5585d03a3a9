/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

#include <stdint.h>

/* Continuation bytes after LEAD, or -1. C0, C1 and F5..FF start nothing. */
static int continuations(unsigned char lead)
{
	if (lead < 0x80)
		return 0;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 1;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 2;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 3;
	return -1;
}

static bool admitted(uint32_t c, int more)
{
	static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};

	if (c < LEAST[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return false; /* overlong, beyond Unicode, surrogate */
	if (c < 0x20 || (c >= 0x7F && c <= 0x9F))
		return false; /* control */
	return (c & 0xFFFE) != 0xFFFE && (c < 0xFDD0 || c > 0xFDEF);
}

bool utf8_valid(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		unsigned char lead = (unsigned char)s.p[i++];
		int more = continuations(lead);
		uint32_t c;

		if (more < 0 || s.n - i < (size_t)more)
			return false;
		/* 7, 5, 4 or 3 bits of the lead byte are payload. */
		c = more == 0 ? lead : lead & (0x3Fu >> more);
		for (int k = 0; k < more; k++) {
			unsigned char b = (unsigned char)s.p[i++];

			if ((b & 0xC0) != 0x80)
				return false;
			c = c << 6 | (b & 0x3Fu);
		}
		if (!admitted(c, more))
			return false;
	}
	return true;
}
