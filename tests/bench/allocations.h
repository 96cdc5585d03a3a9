/* SPDX-License-Identifier: Apache-2.0 */
/* How often a program has allocated. Link with --wrap=malloc, calloc, realloc. */
#ifndef BENCH_ALLOCATIONS_H
#define BENCH_ALLOCATIONS_H

unsigned long allocations(void);

#endif
