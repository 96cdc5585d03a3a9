/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/subject.h"

#include <stdio.h>

#define RULES_MAX 4096

_Static_assert(sizeof(SUBJECT_TOPIC) - 1 == 24, "24 bytes");

const struct device subject_device = {.id = "device-000001",
	.class_name = "terminal",
	.id_len = 13,
	.status = DEVICE_ACTIVE};

/* The I-th of the rules that do not match. */
static struct rule_spec other_rule(char *text, size_t size, size_t i)
{
	int n = i % 3 == 0 ? snprintf(text, size, "pay/${device}/other-%zu", i)
		: i % 3 == 1
			? snprintf(text, size, "area-%zu/${device}/status", i)
			: snprintf(text, size, "notice-%zu/+/status", i);

	return (struct rule_spec){.topic = {text, (size_t)n},
		.max_qos = 1,
		.max_bytes = POLICY_BYTES_MAX};
}

struct policy *subject_policy(size_t n)
{
	static char text[RULES_MAX][48];
	static struct rule_spec rules[RULES_MAX];
	struct class_spec class = {
		.name = STR("terminal"), .publish = rules, .n_publish = n};
	struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct policy *policy = NULL;
	static struct errs errs;
	size_t i;

	if (n < 1 || n > RULES_MAX)
		return NULL;
	for (i = 0; i + 1 < n; i++)
		rules[i] = other_rule(text[i], sizeof(text[i]), i);
	rules[i] = (struct rule_spec){.topic = STR("pay/${device}/status"),
		.max_qos = 1,
		.max_bytes = POLICY_BYTES_MAX};
	return policy_compile(&spec, &policy, &errs) ? policy : NULL;
}
