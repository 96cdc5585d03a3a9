/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocators that fail on demand: malloc and its kin as Weir's objects call
 * them (the linker's --wrap), and those of SQLite, cJSON and OpenSSL (their
 * own hooks). One thread.
 */
#ifndef TESTS_TORTURE_ALLOC_H
#define TESTS_TORTURE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero: nothing fails. */
enum alloc_failure {
	ALLOC_NEVER = 0,
	ALLOC_ONCE, /* the k-th; the next succeeds again */
	ALLOC_ON,   /* the k-th and all after it */
};

/* Sets the hooks; before anything else uses these libraries. Aborts when one
 * refuses. */
void alloc_install(void);

/* From now on allocations are counted from 1, and fail as HOW and K say. */
void alloc_arm(enum alloc_failure how, uint64_t k);
/* Nothing fails any more. Returns how many were counted. */
uint64_t alloc_disarm(void);
/* True when one has failed since alloc_arm. */
bool alloc_fired(void);
/* How many were counted since alloc_arm. */
uint64_t alloc_count(void);

/* Blocks that Weir, SQLite and cJSON hold. OpenSSL keeps caches of its own:
 * what is lost there, the leak sanitizer tells. */
int64_t alloc_live(void);

#endif
