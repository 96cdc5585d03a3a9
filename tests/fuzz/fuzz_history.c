/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the history out of any bytes. Oracle: a second decoder, which reads
 * each number as a whole by 128-bit arithmetic and judges its form afterwards;
 * and what is decoded encodes to the same bytes.
 */
#include "core/history.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many bytes V takes, by division. */
static size_t length_of(uint64_t v)
{
	size_t n = 1;

	while ((v /= 128) != 0)
		n++;
	return n;
}

/* The number that begins at P; its length, or 0 when it is none. */
static size_t number_at(const uint8_t *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t len = 0;

	while (len < n && p[len] >= 128)
		len++;
	if (len == n || len >= 10)
		return 0;
	for (size_t i = len + 1; i-- != 0;) {
		if (v > UINT64_MAX / 128)
			return 0;
		v = v * 128 + p[i] % 128;
	}
	*out = v;
	return length_of(v) == len + 1 ? len + 1 : 0;
}

static bool definition(
	const uint8_t *p, size_t n, uint64_t out[static COUNTERS])
{
	uint64_t mask = 0;
	size_t at = number_at(p, n, &mask);

	memset(out, 0, COUNTERS * sizeof(out[0]));
	if (at == 0)
		return false;
	for (unsigned i = 0; i < 64; i++) {
		size_t len;

		if (mask / (UINT64_C(1) << i) % 2 == 0)
			continue;
		if (i >= COUNTERS)
			return false;
		len = number_at(p + at, n - at, &out[i]);
		if (len == 0 || out[i] == 0)
			return false;
		at += len;
	}
	return at == n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t got[COUNTERS] = {1, 2, 3}, before[COUNTERS], want[COUNTERS];
	uint8_t again[HISTORY_ROW_MAX];
	bool so = definition(data, size, want);

	memcpy(before, got, sizeof(got));
	CHECK(history_decode(data, size, got) == so);
	CHECK(memcmp(got, so ? want : before, sizeof(got)) == 0);
	if (!so)
		return 0;
	CHECK(history_encode(got, again) == size);
	CHECK(memcmp(again, data, size) == 0);
	return 0;
}
