/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that end where memory ends: a parser that reads one byte too far
 * crashes, sanitizer or not. For inputs of tests, which may assert.
 *
 *     | capacity bytes .............. INPUT | PROT_NONE page |
 *                                           ^ reading here is SIGSEGV
 */
#ifndef TESTS_SUPPORT_GUARD_H
#define TESTS_SUPPORT_GUARD_H

#include "core/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
	char *map;
	size_t capacity; /* readable bytes before the guard page */
	size_t page;
};

/* Room for inputs of up to MAX bytes; aborts when there is no memory. */
static inline void guard_init(struct guard *g, size_t max)
{
	int fd = open("/dev/zero", O_RDWR);
	void *map;

	g->page = (size_t)sysconf(_SC_PAGESIZE);
	g->capacity = (max / g->page + 1) * g->page;
	map = mmap(NULL, g->capacity + g->page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE, fd, 0);
	if (fd < 0 || map == MAP_FAILED)
		abort();
	(void)close(fd);
	g->map = map;
	if (mprotect(g->map + g->capacity, g->page, PROT_NONE) != 0)
		abort();
}

/* A copy of S that ends at the guard page, lent until the next guard_put;
 * aborts when S is too long. */
static inline struct str guard_put(struct guard *g, struct str s)
{
	char *at = g->map + g->capacity - s.n;

	if (s.n > g->capacity)
		abort();
	if (s.n != 0)
		memmove(at, s.p, s.n);
	return (struct str){at, s.n};
}

static inline void guard_fini(struct guard *g)
{
	(void)munmap(g->map, g->capacity + g->page);
	g->map = NULL;
}

#endif
