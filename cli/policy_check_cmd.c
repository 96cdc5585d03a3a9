/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_check_cmd.h"

#include "cli/class_text.h"
#include "cli/output.h"
#include "cli/policy_load.h"
#include "core/explain.h"
#include "io/file.h"
#include "io/policy_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Comparing every rule with every other: beyond this it takes minutes. */
#define REDUNDANT_RULES_MAX 4000
#define MISSING_MAX         20 /* classes named */

/* ------------------------------------------------------------------- warnings */

struct warning_sink {
	const struct policy *p;
	void (*each)(void *ctx, const char *place, const char *text);
	void *ctx;
};

static void redundant(void *ctx, uint32_t rule, uint32_t by)
{
	const struct warning_sink *s = ctx;
	char place[RULE_PLACE_MAX], other[RULE_PLACE_MAX], text[256];

	(void)policy_rule_place(s->p, rule, place);
	(void)policy_rule_place(s->p, by, other);
	(void)snprintf(text, sizeof(text),
		"adds nothing: %s covers all it allows", other);
	s->each(s->ctx, place, text);
}

static size_t count_rules(
	const struct policy *p, const struct policy_class *c, enum action a)
{
	size_t n = 0;
	uint32_t *rules = explain_rules(p, c, a, &n);

	free(rules);
	return n;
}

static size_t most_rules(const struct policy *p)
{
	size_t most = 0, i;

	for (i = 0; i < policy_n_classes(p); i++) {
		const struct policy_class *c = policy_class_at(p, i);
		size_t pub = count_rules(p, c, ACTION_PUBLISH);
		size_t sub = count_rules(p, c, ACTION_SUBSCRIBE);

		most = pub > most ? pub : most;
		most = sub > most ? sub : most;
	}
	return most;
}

/* Classes that devices have and the policy lacks. */
struct missing {
	const struct policy *p;
	size_t n;
	bool more;
	struct {
		char name[CLASS_NAME_MAX + 1];
		size_t devices;
	} class[MISSING_MAX];
};

static bool note_device(void *ctx, const struct device *d)
{
	struct missing *m = ctx;
	size_t i;

	if (d->status == DEVICE_RETIRED ||
		policy_class_find(m->p, str_from(d->class_name)) != NULL)
		return true;
	for (i = 0; i < m->n; i++)
		if (strcmp(m->class[i].name, d->class_name) == 0)
			break;
	if (i == MISSING_MAX) {
		m->more = true;
		return true;
	}
	if (i == m->n) {
		memcpy(m->class[i].name, d->class_name,
			sizeof(m->class[i].name));
		m->n++;
	}
	m->class[i].devices++;
	return true;
}

static bool warn_missing(
	struct warning_sink *s, struct registry *r, struct err *e)
{
	struct missing m = {.p = s->p};
	const struct device_filter all = {0};
	char place[CLASS_NAME_MAX + 16], text[128];
	size_t i;

	if (!registry_devices(r, &all, note_device, &m, e))
		return false;
	for (i = 0; i < m.n; i++) {
		(void)snprintf(
			place, sizeof(place), "classes.%s", m.class[i].name);
		(void)snprintf(text, sizeof(text),
			"is missing: the registry has %zu device%s of this "
			"class, refused without it",
			m.class[i].devices, m.class[i].devices == 1 ? "" : "s");
		s->each(s->ctx, place, text);
	}
	if (m.more)
		s->each(s->ctx, "classes", "and others are missing");
	return true;
}

static void warn_broker_observes(const struct warning_sink *s)
{
	if (!policy_observes(s->p, NULL))
		return;
	s->each(s->ctx, "mode",
		"observes: nothing is enforced but what was decided about "
		"single devices");
	if (policy_fallback(s->p) == FALLBACK_BROKER)
		s->each(s->ctx, "fallback",
			"leaves the rest to the broker's acl_file: without "
			"one, the broker refuses it");
	else
		s->each(s->ctx, "fallback",
			"lets every device do everything: no acl_file is "
			"asked");
}

static void warn_observe(const struct warning_sink *s)
{
	char place[CLASS_NAME_MAX + 16];
	size_t i;

	warn_broker_observes(s);

	for (i = 0; i < policy_n_classes(s->p); i++) {
		const struct policy_class *c = policy_class_at(s->p, i);

		if (!policy_class_observes(c))
			continue;
		(void)snprintf(place, sizeof(place), "classes.%.*s",
			STR_ARG(policy_class_name(c)));
		s->each(s->ctx, place,
			"observes: its devices can write where others read");
	}
}

bool policy_warnings(const struct policy *p, struct registry *r,
	void (*each)(void *ctx, const char *place, const char *text), void *ctx,
	struct err *e)
{
	struct warning_sink s = {p, each, ctx};

	if (most_rules(p) <= REDUNDANT_RULES_MAX)
		policy_redundant(p, redundant, &s);
	warn_observe(&s);
	return r == NULL || warn_missing(&s, r, e);
}

void policy_warning_print(void *ctx, const char *place, const char *text)
{
	(void)ctx;
	print_note("warning: %s %s", place, text);
}

/* --------------------------------------------------------------------- output */

struct check {
	const char *name; /* of the text */
	char *text;
	size_t len;
	struct registry *r; /* NULL: there is none to compare with */
	struct policy *policy;
	cJSON *warnings; /* JSON only */
};

static void push_warning(void *ctx, const char *place, const char *text)
{
	cJSON *o = json_new();

	json_str(o, "place", place);
	json_str(o, "message", text);
	json_push(ctx, o);
}

/* C is NULL for the quarantine. */
static void add_class(
	struct table *t, const struct policy *p, const struct policy_class *c)
{
	char name[CLASS_NAME_MAX + 1], pub[24], sub[24], worst[24] = "";
	char limits[CLASS_LIMITS_TEXT];
	bool observes = c != NULL && policy_class_observes(c);

	(void)snprintf(name, sizeof(name), "%.*s",
		STR_ARG(c != NULL ? policy_class_name(c)
				  : STR("(quarantine)")));
	(void)snprintf(
		pub, sizeof(pub), "%zu", count_rules(p, c, ACTION_PUBLISH));
	(void)snprintf(
		sub, sizeof(sub), "%zu", count_rules(p, c, ACTION_SUBSCRIBE));
	if (c != NULL)
		(void)snprintf(
			worst, sizeof(worst), "%u", policy_class_worst(c));
	class_limits_text(c, limits);
	table_row(t, (const char *const[]){name, pub, sub, worst,
			     mode_text(observes), limits});
}

static void print_classes(const struct policy *p)
{
	static const char *const heads[] = {
		"CLASS", "PUBLISH", "SUBSCRIBE", "NODES", "MODE", "LIMITS"};
	struct table *t = table_new(heads, 6);
	size_t i;

	for (i = 0; i < policy_n_classes(p); i++)
		add_class(t, p, policy_class_at(p, i));
	add_class(t, p, NULL);
	table_print(t);
	table_free(&t);
}

static void json_classes(cJSON *o, const struct policy *p)
{
	cJSON *list = json_array(o, "classes");
	size_t i;

	for (i = 0; i < policy_n_classes(p); i++) {
		const struct policy_class *c = policy_class_at(p, i);
		char name[CLASS_NAME_MAX + 1];
		cJSON *item = json_new();

		(void)snprintf(name, sizeof(name), "%.*s",
			STR_ARG(policy_class_name(c)));
		json_str(item, "class", name);
		json_int(item, "publish",
			(int64_t)count_rules(p, c, ACTION_PUBLISH));
		json_int(item, "subscribe",
			(int64_t)count_rules(p, c, ACTION_SUBSCRIBE));
		json_int(item, "worst_nodes", policy_class_worst(c));
		json_str(item, "mode", mode_text(policy_class_observes(c)));
		class_limits_json(item, c);
		json_push(list, item);
	}
}

static bool print_valid(const struct cli *c, struct check *k, struct err *e)
{
	cJSON *o;

	if (!c->json) {
		(void)printf("%s: valid; NODES of at most %d that one "
			     "decision may visit\n\n",
			k->name, POLICY_NODES_MAX);
		print_classes(k->policy);
		return policy_warnings(
			k->policy, k->r, policy_warning_print, NULL, e);
	}
	o = json_new();
	json_bool(o, "valid", true);
	(void)json_array(o, "errors");
	if (!policy_warnings(k->policy, k->r, push_warning,
		    json_array(o, "warnings"), e)) {
		cJSON_Delete(o);
		return false;
	}
	json_classes(o, k->policy);
	json_print(o);
	return true;
}

/* The errors as JSON, besides what standard error says. */
static void print_invalid(const struct errs *errs)
{
	cJSON *o = json_new(), *list, *item;
	size_t i;

	json_bool(o, "valid", false);
	list = json_array(o, "errors");
	for (i = 0; i < errs->n; i++) {
		item = json_new();
		json_str(item, "place", errs->e[i].place);
		json_int(item, "line", errs->e[i].line);
		json_int(item, "col", errs->e[i].col);
		json_str(item, "message", errs->e[i].msg);
		json_push(list, item);
	}
	json_bool(o, "more", errs->more);
	json_print(o);
}

static bool check(const struct cli *c, struct check *k, struct err *e)
{
	struct errs errs = {0};

	if (policy_json_parse((struct str){k->text, k->len}, &k->policy, &errs))
		return print_valid(c, k, e);
	if (c->json)
		print_invalid(&errs);
	return policy_errors(k->name, &errs, e);
}

/* The registry when there is one that can be read: a policy is checked where
 * it is written too. */
static bool open_registry(const struct cli *c, struct registry **r)
{
	char path[CLI_PATH_MAX];

	return cli_state_path(c, REGISTRY_FILE, path, sizeof(path), NULL) &&
	       access(path, R_OK) == 0 &&
	       registry_open(path, REGISTRY_READ, r, NULL);
}

static bool check_file(
	const struct cli *c, const char *path, struct check *k, struct err *e)
{
	bool ok;

	k->name = strcmp(path, "-") == 0 ? "standard input" : path;
	if (!file_read(path, POLICY_TEXT_MAX, &k->text, &k->len, e))
		return false;
	if (!open_registry(c, &k->r))
		k->r = NULL;
	ok = check(c, k, e);
	file_text_free(&k->text, k->len);
	return ok;
}

static bool check_in_force(const struct cli *c, struct check *k, struct err *e)
{
	struct policy_row row;
	char name[48];
	bool ok;

	if (!cli_registry(c, REGISTRY_READ, &k->r, e) ||
		!policy_load_revision(k->r, 0, &row, NULL, e))
		return false;
	(void)snprintf(
		name, sizeof(name), "policy revision %" PRId64, row.revision);
	k->name = name;
	k->text = row.text;
	k->len = row.text_len;
	ok = check(c, k, e);
	policy_row_fini(&row);
	return ok;
}

bool run_policy_check(struct cli *c, struct err *e)
{
	struct check k = {0};
	bool ok;

	if (c->args->n_words != 0)
		ok = check_file(c, c->args->words[0], &k, e);
	else
		ok = check_in_force(c, &k, e);
	policy_free(&k.policy);
	registry_close(&k.r);
	return ok;
}
