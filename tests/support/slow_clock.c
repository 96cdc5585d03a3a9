/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be loaded before a program: each look at the monotonic clock takes a tenth
 * of a millisecond, by that clock. Whoever bounds work by time does little of
 * it then, on whatever machine.
 */
#define _GNU_SOURCE /* syscall */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS   100000
#define SECOND_NS 1000000000

/* The header's names for them are no program's. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
__attribute__((visibility("default"))) int clock_gettime(
	clockid_t id, struct timespec *t)
{
	static _Atomic long ahead_ns;
	long rc = syscall(SYS_clock_gettime, id, t), ns;

	if (rc != 0 || id != CLOCK_MONOTONIC)
		return (int)rc;
	ns = atomic_fetch_add(&ahead_ns, LOOK_NS) + t->tv_nsec;
	t->tv_sec += ns / SECOND_NS;
	t->tv_nsec = ns % SECOND_NS;
	return 0;
}
