/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's text. Oracle: what is refused is refused with 1 to ERRS_MAX
 * reports that are fit to be shown; what is accepted is accepted again after
 * cJSON has printed it in its own way, and means the same: classes, includes,
 * client ids, rules with their places, templates and limits.
 */
#include "core/explain.h"
#include "io/policy_json.h"
#include "tests/support/check.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define TEXT_MAX  65536 /* bytes; what is larger only costs time */
#define NAMES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_rule(FILE *f, const struct policy *p, uint32_t rule)
{
	char place[RULE_PLACE_MAX];
	char json[8192];
	struct str topic = policy_rule_topic(p, rule);
	size_t n = policy_rule_place(p, rule, place);

	CHECK(n > 0 && n < sizeof(place) && strlen(place) == n);
	CHECK(topic.n > 0 && topic.n <= POLICY_TEMPLATE_MAX);
	(void)explain_rule_json(p, rule, json, sizeof(json));
	(void)fprintf(f, "%s %.*s %s\n", place, STR_ARG(topic), json);
}

/* The rules by which C, or the quarantine, judges ACTION. */
static void say_rules(FILE *f, const struct policy *p,
	const struct policy_class *c, enum action action)
{
	size_t n = 0;
	uint32_t *rules = explain_rules(p, c, action, &n);

	CHECK(rules != NULL || n == 0);
	(void)fprintf(f, "%s: %zu rules\n", action_name(action), n);
	for (size_t i = 0; i < n; i++) {
		CHECK(i == 0 || rules[i - 1] < rules[i]);
		(void)fprintf(f, " %u", rules[i]);
	}
	(void)fputc('\n', f);
	free(rules);
}

static void say_class(
	FILE *f, const struct policy *p, const struct policy_class *c)
{
	struct device d = {.id = "dev-1", .id_len = 5};
	struct str name = policy_class_name(c);
	const struct limits *limits = policy_class_limits(c);
	char id[512];

	CHECK(policy_class_find(p, name) == c);
	CHECK(class_name_valid(name));
	CHECK(policy_class_worst(c) <= POLICY_NODES_MAX);
	(void)fprintf(f, "class %.*s %d %d %d %u %u\n", STR_ARG(name),
		(int)policy_class_on_deny(c), (int)policy_class_qos2(c),
		(int)policy_class_observes(c), policy_class_worst(c),
		explain_sim_require(c));
	for (int l = 0; limits != NULL && l < LIMITS; l++) {
		CHECK(limits->max[l] <= limit_most((enum limit)l));
		(void)fprintf(f, " %llu", (unsigned long long)limits->max[l]);
	}
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (explain_client_id(c, i, &d, id, sizeof(id)) == 0)
			break;
		(void)fprintf(f, "client id %s\n", id);
	}
	say_rules(f, p, c, ACTION_PUBLISH);
	say_rules(f, p, c, ACTION_SUBSCRIBE);
}

/* All that P says, as text; given: free(). */
static char *say(const struct policy *p, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	uint32_t rule = 0;

	CHECK(f != NULL);
	for (size_t i = 0; i < policy_n_classes(p); i++)
		say_class(f, p, policy_class_at(p, i));
	say_rules(f, p, NULL, ACTION_PUBLISH);
	say_rules(f, p, NULL, ACTION_SUBSCRIBE);
	while (explain_rule(p, rule) != NULL)
		say_rule(f, p, rule++);
	CHECK(fclose(f) == 0);
	return text;
}

static void check_refusal(const struct errs *errs)
{
	CHECK(errs->n >= 1 && errs->n <= ERRS_MAX);
	for (size_t i = 0; i < errs->n; i++) {
		CHECK(check_report(&errs->e[i]));
		CHECK(errs->e[i].code == ERR_INPUT);
		CHECK((errs->e[i].line == 0) == (errs->e[i].col == 0));
	}
}

/* TEXT as cJSON prints it: other blanks, other escapes. */
static char *reprint(struct str text)
{
	cJSON *tree = cJSON_ParseWithLength(text.p, text.n);
	char *out;

	CHECK(tree != NULL);
	out = cJSON_PrintUnformatted(tree);
	CHECK(out != NULL);
	cJSON_Delete(tree);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct policy *first = NULL, *again = NULL;
	char *printed, *a, *b;
	size_t a_len, b_len;
	struct errs errs;

	if (size > TEXT_MAX)
		return 0;
	if (!policy_json_parse(text, &first, &errs)) {
		CHECK(first == NULL);
		check_refusal(&errs);
		return 0;
	}
	CHECK(errs.n == 0);
	printed = reprint(text);
	/* cJSON writes 10^15 with an exponent, which no policy may. */
	if (strstr(printed, "1e+15") != NULL) {
		free(printed);
		policy_free(&first);
		return 0;
	}
	CHECK(policy_json_parse(str_from(printed), &again, &errs));
	a = say(first, &a_len);
	b = say(again, &b_len);
	CHECK(str_eq((struct str){a, a_len}, (struct str){b, b_len}));
	free(a);
	free(b);
	free(printed);
	policy_free(&first);
	policy_free(&again);
	return 0;
}
