/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/allocations.h"

#include <stddef.h>

static unsigned long count;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	count++;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	count++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	count++;
	return __real_realloc(p, n);
}

unsigned long allocations(void)
{
	return count;
}
