/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile meter segment. The first two bytes say how large the file is, the
 * third whether it starts as a good segment or as zeros; then come patches of
 * { offset 2, length 1, bytes }, so that a short input reaches any byte. Oracle: plain reads of the same memory, no sequence protocol.
 */
#include "core/meter.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) unsigned char segment[METER_SIZE_MIN];

static size_t u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static void patch(const uint8_t *p, size_t n)
{
	while (n >= 3) {
		size_t at = u16(p), len = p[2];

		p += 3;
		n -= 3;
		if (len > n)
			len = n;
		if (at < METER_SIZE_MIN) {
			size_t room = METER_SIZE_MIN - at;

			memcpy(segment + at, p, len < room ? len : room);
		}
		p += len;
		n -= len;
	}
}

/* What meter_problem should find. */
static bool good(size_t size)
{
	struct meter_header h;

	memcpy(&h, segment, sizeof(h));
	return size >= METER_SIZE_MIN && h.magic == METER_MAGIC &&
	       h.version == METER_VERSION && h.header_size == sizeof(h) &&
	       h.size == METER_SIZE_MIN;
}

static void check_text(void)
{
	const struct meter_header *h = (const void *)segment;
	char out[METER_TEXT + 1];
	struct meter_text raw;
	size_t n, want;

	memset(out, 0x5A, sizeof(out));
	memcpy(&raw, &h->load_error, sizeof(raw));
	want = raw.len < METER_TEXT ? raw.len : METER_TEXT;
	if (raw.seq % 2 == 1)
		want = 0;
	n = meter_text_load(&h->load_error, out);
	CHECK(n == want);
	CHECK(out[n] == '\0');
	CHECK(memcmp(out, raw.word, n) == 0);
}

static void check_outcome(int64_t change)
{
	uint32_t closed = 0x5A5A5A5A;
	struct meter_outcome o;
	bool found = meter_outcome_load(segment, change, &closed);

	memcpy(&o,
		segment + METER_OUTCOMES_AT +
			((uint64_t)change % METER_OUTCOMES) * sizeof(o),
		sizeof(o));
	CHECK(found == (change > 0 && o.seq % 2 == 0 && o.change == change));
	CHECK(closed == (found ? o.closed : 0x5A5A5A5A));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *problem;
	size_t claimed;

	if (size < 3)
		return 0;
	memset(segment, 0, sizeof(segment));
	if (data[2] % 2 == 0)
		meter_format(segment);
	patch(data + 3, size - 3);
	claimed = u16(data) < 0x8000 ? METER_SIZE_MIN : u16(data) - 0x8000;
	problem = meter_problem(segment, claimed);
	CHECK((problem == NULL) == good(claimed));
	if (problem != NULL) {
		CHECK(problem[0] != '\0');
		return 0;
	}
	check_text();
	for (int64_t i = 0; i < METER_OUTCOMES; i++) {
		struct meter_outcome o;

		memcpy(&o, segment + METER_OUTCOMES_AT + (size_t)i * sizeof(o),
			sizeof(o));
		check_outcome(i);
		check_outcome(o.change);
	}
	check_outcome(-1);
	check_outcome(INT64_MIN);
	check_outcome(INT64_MAX);
	return 0;
}
