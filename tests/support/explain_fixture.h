/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device and one-class policies for the tests of core/explain.h. Asserts
 * with CMocka.
 */
#ifndef TESTS_SUPPORT_EXPLAIN_FIXTURE_H
#define TESTS_SUPPORT_EXPLAIN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/explain.h"

static struct attr attrs[] = {
	{{"site", 4}, {"s9", 2}},
	{{"zone", 4}, {"north", 5}},
	{{"zone", 4}, {"south", 5}},
};
static const struct device till = {
	.id = "till-7",
	.id_len = 6,
	.class_name = "till",
	.status = DEVICE_ACTIVE,
	.sim = {[SIMID_IMSI] = {SIMID_IMSI, 15, "234150123456789"},
		[SIMID_IMEI] = {SIMID_IMEI, 15, "356638061234511"},
		[SIMID_EID] = {SIMID_EID, 32,
			"89049032123451234512345678901235"}},
	.n_attrs = 3,
	.attrs = attrs,
};

static inline struct rule_spec rule(const char *topic)
{
	return (struct rule_spec){
		str_from(topic), 1, false, POLICY_BYTES_MAX, NULL, 0};
}

static inline struct policy *compile(const struct rule_spec *publish,
	size_t n_publish, const struct rule_spec *subscribe, size_t n_subscribe)
{
	const struct class_spec class = {
		.name = STR("till"),
		.publish = publish,
		.n_publish = n_publish,
		.subscribe = subscribe,
		.n_subscribe = n_subscribe,
	};
	const struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct policy *p = NULL;
	struct errs errs = {0};

	if (!policy_compile(&spec, &p, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	return p;
}

static inline struct subject who_is(const struct policy *p)
{
	return (struct subject){.device = &till,
		.class = policy_class_find(p, STR("till")),
		.barred = REASON_ALLOWED};
}

#endif
