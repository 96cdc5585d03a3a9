/* SPDX-License-Identifier: Apache-2.0 */
#include "core/siphash.h"

#include "core/token.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(struct state *s, int n)
{
	for (; n > 0; n--) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32) + s->v3;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

static void take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

uint64_t siphash(const struct siphash_key *key, struct str s)
{
	struct state x = {
		key->k0 ^ UINT64_C(0x736f6d6570736575),
		key->k1 ^ UINT64_C(0x646f72616e646f6d),
		key->k0 ^ UINT64_C(0x6c7967656e657261),
		key->k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t whole = s.n / 8 * 8, i;
	uint64_t last = (uint64_t)s.n << 56;

	for (i = 0; i < whole; i += 8)
		take(&x, load64(s.p + i));
	for (; i < s.n; i++)
		last |= (uint64_t)(unsigned char)s.p[i] << 8 * (i - whole);
	take(&x, last);
	x.v2 ^= 0xff;
	rounds(&x, 4);
	return x.v0 ^ x.v1 ^ x.v2 ^ x.v3;
}
