/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter segment in memory, as large as one can grow to. Only what the writer
 * has asked to be allocated can be touched: all else is PROT_NONE, so that a
 * byte touched too early crashes, as it would on a full disk. For tests, which
 * may abort.
 */
#ifndef TESTS_SUPPORT_METER_FIXTURE_H
#define TESTS_SUPPORT_METER_FIXTURE_H

#include "core/meter_total.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* As segment_reserve(), of memory. */
static inline void meter_fixture_reserve(void *mem, struct meter_range r)
{
	if (r.len != 0 && mprotect((char *)mem + r.at, r.len,
				  PROT_READ | PROT_WRITE) != 0)
		abort();
}

static inline void *meter_fixture(void)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	void *mem = mmap(NULL, METER_SIZE_MAX, PROT_NONE, MAP_PRIVATE, fd, 0);

	if (fd < 0 || mem == MAP_FAILED)
		abort();
	(void)close(fd);
	meter_fixture_reserve(mem, (struct meter_range){0, METER_RULES_AT});
	meter_format(mem);
	return mem;
}

static inline void meter_fixture_free(void *mem)
{
	(void)munmap(mem, METER_SIZE_MAX);
}

/* What a reader sees of it: up to what has grown. */
static inline struct meter_map meter_fixture_map(const void *mem)
{
	const struct meter_header *h = mem;

	return (struct meter_map){mem, (size_t)h->size};
}

/* Takes a slot as the plugin does; METER_NONE as there. */
static inline uint32_t meter_fixture_slot(void *mem, struct str id)
{
	struct meter_range need[2];
	size_t n;

	if (!meter_slots_need(mem, need, &n))
		return METER_NONE;
	for (size_t i = 0; i < n; i++)
		meter_fixture_reserve(mem, need[i]);
	if (n != 0)
		meter_slots_grown(mem);
	return meter_slot_add(mem, id, 1000);
}

#endif
