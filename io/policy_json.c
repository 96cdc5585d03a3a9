/* SPDX-License-Identifier: Apache-2.0 */
#include "io/policy_json.h"

#include "core/device.h"
#include "core/simid.h"
#include "core/utf8.h"
#include "io/json_reader.h"
#include "io/json_scan.h"
#include "io/policy_keys.h"

#define CLASS_NAME_WANTED                                                      \
	"a class name has 1 to 64 ASCII letters, digits, '.', '_' and '-', "   \
	"and starts with a letter or digit"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The rows of a struct json_key table. */
#define TAKEN(name, must, function)                                            \
	{.key = (name), .required = (must), .take = (function)},
#define REFUSED(name, because) {.key = (name), .why = (because)},

#define TEXT_WANTED "holds a control character, which no MQTT string may"

static void take_comment(struct json_reader *r, const cJSON *v, void *into)
{
	struct str ignored;

	(void)into;
	json_read_string(r, v, &ignored);
}

/* ------------------------------------------------------------------- rules */

/* Control characters are refused here already: the errors of
 * policy_compile() quote a part of the text as it is. */
static void read_topic(
	struct json_reader *r, const cJSON *v, struct rule_spec *rule)
{
	json_read_string(r, v, &rule->topic);
	if (!utf8_valid(rule->topic))
		json_reader_fail(r, TEXT_WANTED);
}

static void take_topic(struct json_reader *r, const cJSON *v, void *into)
{
	struct rule_spec *rule = into;

	read_topic(r, v, rule);
}

static void take_max_qos(struct json_reader *r, const cJSON *v, void *into)
{
	struct rule_spec *rule = into;
	uint64_t qos = rule->max_qos;

	json_read_number(r, v, 0, 2, &qos);
	rule->max_qos = (uint8_t)qos;
}

static void take_retain(struct json_reader *r, const cJSON *v, void *into)
{
	struct rule_spec *rule = into;

	json_read_bool(r, v, &rule->retain);
}

static void take_max_bytes(struct json_reader *r, const cJSON *v, void *into)
{
	struct rule_spec *rule = into;
	uint64_t bytes = rule->max_bytes;

	json_read_number(r, v, 0, POLICY_BYTES_MAX, &bytes);
	rule->max_bytes = (uint32_t)bytes;
}

static void take_shared(struct json_reader *r, const cJSON *v, void *into)
{
	struct rule_spec *rule = into;

	if (cJSON_IsArray(v) && v->child == NULL)
		json_reader_fail(r, "lists no group; name one, or remove the "
				    "key to serve none");
	json_read_strings(
		r, v, utf8_valid, TEXT_WANTED, &rule->shared, &rule->n_shared);
}

static const struct json_key PUBLISH_KEYS[] = {
	POLICY_PUBLISH_KEYS(TAKEN) POLICY_PUBLISH_REFUSED(REFUSED)};
static const struct json_key SUBSCRIBE_KEYS[] = {
	POLICY_SUBSCRIBE_KEYS(TAKEN) POLICY_SUBSCRIBE_REFUSED(REFUSED)};

static void read_rule(struct json_reader *r, const cJSON *v, bool publish,
	struct rule_spec *rule)
{
	rule->max_qos = publish ? 1 : 2;
	rule->max_bytes = POLICY_BYTES_MAX;
	if (cJSON_IsString(v))
		read_topic(r, v, rule);
	else if (!cJSON_IsObject(v))
		json_reader_wrong(
			r, "a rule: a topic (a string) or an object", v);
	else if (publish)
		json_read_object(r, v, "a publish rule", PUBLISH_KEYS,
			COUNT(PUBLISH_KEYS), rule);
	else
		json_read_object(r, v, "a subscribe rule", SUBSCRIBE_KEYS,
			COUNT(SUBSCRIBE_KEYS), rule);
}

static void read_rules(struct json_reader *r, const cJSON *v, bool publish,
	const struct rule_spec **out, size_t *n)
{
	size_t up = r->at.n, count, i = 0;
	const cJSON *element;
	struct rule_spec *rules;

	if (!cJSON_IsArray(v)) {
		json_reader_wrong(r, "an array of rules", v);
		return;
	}
	count = (size_t)cJSON_GetArraySize(v);
	rules = json_reader_array(r, count, sizeof(*rules));
	if (rules == NULL)
		return;
	cJSON_ArrayForEach (element, v) {
		json_path_index(&r->at, i);
		read_rule(r, element, publish, &rules[i]);
		json_path_cut(&r->at, up);
		i++;
	}
	*out = rules;
	*n = count;
}

static void take_publish(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;

	read_rules(r, v, true, &c->publish, &c->n_publish);
}

static void take_subscribe(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;

	read_rules(r, v, false, &c->subscribe, &c->n_subscribe);
}

/* ----------------------------------------------------------------- classes */

static void take_client_ids(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;

	/* Empty would mean the default, which is not what it says. */
	if (cJSON_IsArray(v) && v->child == NULL)
		json_reader_fail(r, "lists no client id; name one, or remove "
				    "the key to allow ${device} alone");
	json_read_strings(r, v, utf8_valid, TEXT_WANTED, &c->client_ids,
		&c->n_client_ids);
}

static void take_include(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;

	json_read_strings(r, v, class_name_valid, CLASS_NAME_WANTED,
		&c->include, &c->n_include);
}

static void take_require(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;
	const struct str *names = NULL;
	size_t up = r->at.n, n = 0;

	json_read_strings(r, v, NULL, "", &names, &n);
	for (size_t i = 0; i < n; i++) {
		enum simid_kind kind = simid_kind_find(names[i]);
		uint8_t bit = (uint8_t)(1u << kind);

		json_path_index(&r->at, i);
		/* Empty as well where the element is no string: said already. */
		if (kind == SIMID_NONE && names[i].p != NULL)
			json_reader_fail(r, "must be iccid, imsi, imei or eid");
		else if ((c->sim_require & bit) != 0)
			json_reader_fail(
				r, "%s is listed twice", simid_name(kind));
		else if (kind != SIMID_NONE)
			c->sim_require |= bit;
		json_path_cut(&r->at, up);
	}
}

static const struct json_key SIM_KEYS[] = {
	POLICY_SIM_KEYS(TAKEN) POLICY_SIM_REFUSED(REFUSED)};

static void take_sim(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "sim", SIM_KEYS, COUNT(SIM_KEYS), into);
}

static void take_on_deny(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;
	struct str word = {NULL, 0};

	json_read_string(r, v, &word);
	if (str_eq(word, STR("disconnect")))
		c->on_deny = ON_DENY_DISCONNECT;
	else if (str_eq(word, STR("drop")))
		c->on_deny = ON_DENY_DROP;
	else if (word.p != NULL)
		json_reader_fail(r, "must be \"drop\" or \"disconnect\"");
}

/* True: one of the two; *first says whether it is FIRST. */
static bool read_word(struct json_reader *r, const cJSON *v, struct str first,
	struct str second, bool *is_first)
{
	struct str word = {NULL, 0};

	json_read_string(r, v, &word);
	*is_first = str_eq(word, first);
	if (*is_first || str_eq(word, second))
		return true;
	if (word.p != NULL)
		json_reader_fail(r, "must be \"%.*s\" or \"%.*s\"",
			STR_ARG(second), STR_ARG(first));
	return false;
}

static void take_mode(struct json_reader *r, const cJSON *v, void *into)
{
	struct class_spec *c = into;

	if (read_word(r, v, STR("observe"), STR("enforce"), &c->observe))
		c->enforce = !c->observe;
}

static void take_limit(
	struct json_reader *r, const cJSON *v, void *into, enum limit l)
{
	struct class_spec *c = into;

	json_read_number(r, v, 1, limit_most(l), &c->limits.max[l]);
}

/* take_messages_per_s and so on: one for each limit. */
#define TAKE_LIMIT(constant, key, text)                                        \
	static void take_##key(                                                \
		struct json_reader *r, const cJSON *v, void *into)             \
	{                                                                      \
		take_limit(r, v, into, LIMIT_##constant);                      \
	}
LIMITS_TABLE(TAKE_LIMIT)
#undef TAKE_LIMIT

static const struct json_key LIMITS_KEYS[] = {POLICY_LIMITS_KEYS(TAKEN)};

static void take_limits(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "limits", LIMITS_KEYS, COUNT(LIMITS_KEYS), into);
}

static const struct json_key CLASS_KEYS[] = {POLICY_CLASS_KEYS(TAKEN)};
static const struct json_key QUARANTINE_KEYS[] = {
	POLICY_QUARANTINE_KEYS(TAKEN) POLICY_QUARANTINE_REFUSED(REFUSED)};

/* --------------------------------------------------------------------- top */

static void take_version(struct json_reader *r, const cJSON *v, void *into)
{
	(void)into;
	if (!cJSON_IsNumber(v))
		json_reader_wrong(r, "1", v);
	else if (v->valuedouble < 1 || v->valuedouble > 1)
		json_reader_fail(r,
			"must be 1, not %.0f: this version of Weir reads "
			"version 1",
			v->valuedouble);
}

static void take_classes(struct json_reader *r, const cJSON *v, void *into)
{
	struct policy_spec *spec = into;
	struct class_spec *classes;
	size_t up = r->at.n, count, i = 0;
	const cJSON *member;

	if (!cJSON_IsObject(v)) {
		json_reader_wrong(r, "an object of classes by name", v);
		return;
	}
	count = (size_t)cJSON_GetArraySize(v);
	classes = json_reader_array(r, count, sizeof(*classes));
	if (classes == NULL)
		return;
	cJSON_ArrayForEach (member, v) {
		struct class_spec *c = &classes[i++];

		c->name = str_from(member->string);
		json_path_key(&r->at, c->name, JSON_DECODED);
		if (!class_name_valid(c->name))
			json_reader_fail(r, CLASS_NAME_WANTED);
		else
			json_read_object(r, member, "a class", CLASS_KEYS,
				COUNT(CLASS_KEYS), c);
		json_path_cut(&r->at, up);
	}
	spec->classes = classes;
	spec->n_classes = count;
}

static void take_quarantine(struct json_reader *r, const cJSON *v, void *into)
{
	struct policy_spec *spec = into;

	json_read_object(r, v, "quarantine", QUARANTINE_KEYS,
		COUNT(QUARANTINE_KEYS), &spec->quarantine);
}

static void take_broker_mode(struct json_reader *r, const cJSON *v, void *into)
{
	struct policy_spec *spec = into;

	(void)read_word(r, v, STR("observe"), STR("enforce"), &spec->observe);
}

static void take_fallback(struct json_reader *r, const cJSON *v, void *into)
{
	struct policy_spec *spec = into;
	bool allow = false;

	spec->has_fallback =
		read_word(r, v, STR("allow"), STR("broker"), &allow);
	spec->fallback = allow ? FALLBACK_ALLOW : FALLBACK_BROKER;
}

static void take_unknown_class(
	struct json_reader *r, const cJSON *v, void *into)
{
	struct policy_spec *spec = into;

	json_read_string(r, v, &spec->unknown);
	if (spec->unknown.p != NULL && !class_name_valid(spec->unknown))
		json_reader_fail(r, CLASS_NAME_WANTED);
}

/* The one way there is to name a device that the registry does not know. */
static void take_unknown_id(struct json_reader *r, const cJSON *v, void *into)
{
	struct str word = {NULL, 0};

	(void)into;
	json_read_string(r, v, &word);
	if (word.p != NULL && !str_eq(word, STR("cn")))
		json_reader_fail(r, "must be \"cn\"");
}

static const struct json_key UNKNOWN_KEYS[] = {POLICY_UNKNOWN_KEYS(TAKEN)};

static void take_unknown(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(
		r, v, "unknown", UNKNOWN_KEYS, COUNT(UNKNOWN_KEYS), into);
}

static const struct json_key TOP_KEYS[] = {POLICY_TOP_KEYS(TAKEN)};

/* ------------------------------------------------------------------- entry */

static bool compile(
	const struct policy_spec *spec, struct policy **out, struct errs *errs)
{
	if (policy_compile(spec, out, errs))
		return true;
	if (errs->n == 0)
		(void)err_set(errs_next(errs), ERR_ENVIRONMENT,
			"out of memory while compiling the policy");
	return false;
}

bool policy_json_parse(struct str text, struct policy **out, struct errs *errs)
{
	struct policy_spec spec = {0};
	struct json_reader r = {.errs = errs};
	struct err e;
	cJSON *tree;
	bool ok = false;

	errs->n = 0;
	errs->more = false;
	if (!json_scan(text, POLICY_TEXT_MAX, &e)) {
		*errs_next(errs) = e;
		return false;
	}
	tree = cJSON_ParseWithLength(text.p, text.n);
	if (tree == NULL)
		return err_set(errs_next(errs), ERR_ENVIRONMENT,
			"out of memory while reading the policy");
	json_read_object(
		&r, tree, "a policy", TOP_KEYS, COUNT(TOP_KEYS), &spec);
	if (errs->n == 0)
		ok = compile(&spec, out, errs);
	json_reader_fini(&r);
	cJSON_Delete(tree);
	return ok;
}
