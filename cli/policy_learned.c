/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_learn_cmd.h"

#include "cli/output.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>

#define EVIDENCE 200

static void evidence(const struct learned *x, char out[static EVIDENCE])
{
	char first[TIME_TEXT], last[TIME_TEXT];

	time_format(x->first_s, first);
	time_format(x->last_s, last);
	(void)snprintf(out, EVIDENCE,
		"learned: %zu device%s, %" PRIu64 " message%s, %s to %s",
		x->devices, x->devices == 1 ? "" : "s", x->messages,
		x->messages == 1 ? "" : "s", first, last);
}

static void add_rule(cJSON *list, const struct learned *x)
{
	cJSON *rule = json_new();
	char comment[EVIDENCE];

	json_str(rule, "topic", x->topic);
	if (x->action == ACTION_PUBLISH && x->qos == 2)
		json_int(rule, "max_qos", 2);
	if (x->action == ACTION_PUBLISH && x->retain)
		json_bool(rule, "retain", true);
	evidence(x, comment);
	json_str(rule, "comment", comment);
	json_push(list, rule);
}

/* The member KEY of O, made by MAKE when it is missing. */
static cJSON *member(
	cJSON *o, const char *key, cJSON *(*make)(cJSON *o, const char *key))
{
	cJSON *found = cJSON_GetObjectItemCaseSensitive(o, key);

	return found != NULL ? found : make(o, key);
}

char *learned_policy(
	struct str text, const char *class_name, const struct learned_set *set)
{
	cJSON *policy = cJSON_ParseWithLength(text.p, text.n), *class;
	char *out;

	if (policy == NULL)
		policy = json_new();
	class = member(member(policy, "classes", json_object), class_name,
		json_object);
	for (size_t i = 0; i < set->n_rules; i++)
		add_rule(member(class,
				 set->item[i].action == ACTION_PUBLISH
					 ? "publish"
					 : "subscribe",
				 json_array),
			&set->item[i]);
	out = cJSON_Print(policy);
	cJSON_Delete(policy);
	return out;
}
