/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUGIN_HASH_H
#define PLUGIN_HASH_H

#include "core/str.h"

#include <stdint.h>

/* FNV-1a with its high half folded in: for tables of names that the registry
 * vouches for, or whose size is fixed. */
static inline uint64_t hash_text(struct str s)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325);

	for (size_t i = 0; i < s.n; i++) {
		h ^= (unsigned char)s.p[i];
		h *= UINT64_C(0x100000001B3);
	}
	return h ^ (h >> 32);
}

#endif
