/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4: a hash of texts that strangers choose, by a key that they do not
 * know. Without the key nobody finds two texts of one hash.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 */
#ifndef CORE_SIPHASH_H
#define CORE_SIPHASH_H

#include "core/str.h"

#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1; /* random; of 16 bytes, the low one of each first */
};

/* O(S.n). */
uint64_t siphash(const struct siphash_key *key, struct str s);

#endif
