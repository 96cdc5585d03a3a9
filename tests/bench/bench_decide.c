/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_decide RULES N: N decisions about one publish that a class of RULES
 * rules allows. Counted by callgrind inside decide() (tests/bench/run.sh). It
 * fails when a decision allocates.
 */
#include "core/decide.h"
#include "tests/bench/allocations.h"
#include "tests/bench/subject.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
	struct certificate certificate = {.not_after_s = SUBJECT_NOW_S + 1};
	struct request what = {.action = ACTION_PUBLISH,
		.qos = 1,
		.payload_len = 64,
		.topic = STR(SUBJECT_TOPIC),
		.now_s = SUBJECT_NOW_S};
	struct subject who = {.device = &subject_device,
		.certificate = &certificate,
		.barred = REASON_ALLOWED};
	size_t rules = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long calls = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long allowed = 0, before, i;
	struct policy *policy = subject_policy(rules);

	if (policy == NULL)
		return 2;
	who.class = policy_class_find(policy, STR("terminal"));
	before = allocations();
	for (i = 0; i < calls; i++)
		allowed +=
			decide(policy, &who, &what).verdict == VERDICT_ALLOWED;
	if (before == 0 || allocations() != before)
		return 3;
	policy_free(&policy);
	return allowed == calls ? 0 : 1;
}
