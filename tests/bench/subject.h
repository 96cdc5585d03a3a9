/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who and what the benches ask about: a device that publishes a topic of three
 * levels and 24 bytes, in a class of N rules. The rule that allows it is the
 * last of the list; the others differ from it in the last level, in the first,
 * or hold a '+', in turn.
 */
#ifndef TESTS_BENCH_SUBJECT_H
#define TESTS_BENCH_SUBJECT_H

#include "core/device.h"
#include "core/policy.h"

#define SUBJECT_NOW_S INT64_C(1800000000)
#define SUBJECT_TOPIC "pay/device-000001/status"

extern const struct device subject_device;

/* Given: policy_free. NULL when N is 0 or too many. */
struct policy *subject_policy(size_t n);

#endif
