/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_import_cmd.h"

#include "cli/acl_import.h"
#include "cli/output.h"
#include "cli/policy_load.h"
#include "io/acl_file.h"
#include "io/dynsec_json.h"
#include "io/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USERS_NAMED 20 /* of a class, in comments and notes */

const struct opt POLICY_IMPORT_OPTIONS[] = {
	{"class", '\0', OPT_LIST, "USER=NAME",
		"the class that USER falls into is called NAME"},
	{"devices", '\0', OPT_VALUE, "FILE",
		"write the users there, as weir device import reads them"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

/* ---------------------------------------------------------------- the policy */

/* TEXT in quotes. */
static void put_string(FILE *out, const char *text)
{
	char *quoted = json_quoted(text);

	(void)fputs(quoted, out);
	free(quoted);
}

/* "till-7, till-8 and 3 more". Given. */
static char *class_users(const struct import *imp, const struct import_class *c)
{
	char *text = NULL;
	size_t len = 0, n = 0, users = c->n - (c->others ? 1 : 0);
	FILE *out = need_stream(&text, &len);

	for (size_t i = c->first; i < c->first + c->n && n < USERS_NAMED; i++) {
		size_t u = imp->users[i].user;

		if (u == 0)
			continue;
		(void)fprintf(out, "%s%.*s", n != 0 ? ", " : "",
			STR_ARG(imp->acl->users[u].name));
		n++;
	}
	if (n < users)
		(void)fprintf(out, " and %zu more", users - n);
	if (c->others)
		(void)fprintf(out, "%swhoever has no line of its own",
			n != 0 ? ", and " : "");
	need_stream_end(out);
	return text;
}

static void put_topics(FILE *out, const struct import_class *c, const char *key,
	const struct import_topics *t, const char *limits)
{
	(void)fprintf(out, ",\n      \"%s\": [", key);
	for (size_t i = 0; i < t->n; i++) {
		(void)fputs(i != 0 ? ",\n        " : "\n        ", out);
		(void)fputs(limits[0] != '\0' ? "{\"topic\": " : "", out);
		put_string(out, import_topic_text(c, &t->t[i]));
		(void)fputs(limits, out);
	}
	(void)fputs(t->n != 0 ? "\n      ]" : "]", out);
}

/*
 * Mosquitto's lists say nothing of QoS and of retained messages: all are
 * allowed.
 */
static char *policy_text(const struct import *imp)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = need_stream(&text, &len);

	(void)fputs("{\n  \"version\": 1,\n  \"classes\": {", out);
	for (size_t i = 0; i < imp->n_classes; i++) {
		const struct import_class *c = &imp->classes[i];
		const struct import_user *u = &imp->users[c->first];
		char *users = class_users(imp, c);

		(void)fputs(i != 0 ? ",\n    " : "\n    ", out);
		put_string(out, c->name);
		(void)fputs(": {\n      \"comment\": ", out);
		put_string(out, users);
		put_topics(out, c, "publish", &u->write,
			", \"max_qos\": 2, \"retain\": true}");
		put_topics(out, c, "subscribe", &u->read, "");
		(void)fputs("\n    }", out);
		free(users);
	}
	(void)fputs(imp->n_classes != 0 ? "\n  }\n}\n" : "}\n}\n", out);
	need_stream_end(out);
	return text;
}

/* --------------------------------------------------------------- the devices */

/* An id and a class's name need no quotes in CSV. */
static bool put_devices(FILE *out, const struct import *imp)
{
	bool ok = fputs("id,class\n", out) != EOF;

	for (size_t i = 0; ok && i < imp->n_users; i++) {
		const struct import_user *u = &imp->users[i];

		if (u->user != 0)
			ok = fprintf(out, "%.*s,%s\n",
				     STR_ARG(imp->acl->users[u->user].name),
				     imp->classes[u->class_index].name) > 0;
	}
	return ok;
}

static bool write_devices(
	const struct import *imp, const char *path, struct err *e)
{
	FILE *out = fopen(path, "wx");
	bool ok;

	if (out == NULL)
		return errno == EEXIST ? file_taken(e, path)
				       : file_err(e, "write", path, errno);
	ok = put_devices(out, imp);
	if (fclose(out) == 0 && ok)
		return true;
	(void)file_err(e, "write", path, errno);
	(void)unlink(path);
	return false;
}

/* -------------------------------------------------------------------- report */

static const char *const NOTES[] = {
	"note: Mosquitto's acl_file lets every SUBSCRIBE pass and holds back "
	"what may not be read; Weir refuses a filter that is wider than the "
	"rules, so such clients must subscribe to less",
	"note: every rule allows QoS 2 and retained messages, as the list did; "
	"tighten max_qos, retain and max_bytes",
	"note: %c and %u both became ${device}: a client id other than the "
	"username is not admitted, unless client_ids allows it",
	"note: what may be written to $SYS is left out: the broker refuses "
	"that whatever the list says",
	"note: Mosquitto lets SUBSCRIBE pass by its subscribe rules and holds "
	"back what may not be received; Weir refuses a filter that is wider "
	"than both allow, so such clients must subscribe to less",
	"note: a client id that is not the username is not admitted, unless "
	"client_ids allows it",
	"note: the defaults of dynamic-security are also for topics that begin "
	"with '$', a policy's \"#\" is not: list those that are needed",
};

static bool has_pattern_c(const struct acl *a)
{
	for (size_t k = a->first_pattern; k < a->n; k++) {
		struct str t = a->rules[k].topic;

		for (size_t at = 0; at + 1 < t.n; at++) {
			if (t.p[at] == '%' && t.p[at + 1] == 'c')
				return true;
		}
	}
	return false;
}

static bool has_sys_write(const struct acl *a)
{
	for (size_t k = 0; k < a->n; k++) {
		if ((a->rules[k].access & ACL_WRITE) != 0 &&
			a->rules[k].topic.n >= 4 &&
			memcmp(a->rules[k].topic.p, "$SYS", 4) == 0)
			return true;
	}
	return false;
}

static bool has_default(const struct acl *a)
{
	for (size_t k = 0; k < a->n; k++) {
		if (a->rules[k].any)
			return true;
	}
	return false;
}

/* Whether note I is about this list. */
static bool note_fits(const struct acl *a, size_t i)
{
	switch (i) {
	case 0:
		return a->places == NULL;
	case 1:
		return true;
	case 2:
		return has_pattern_c(a);
	case 3:
		return has_sys_write(a);
	case 4:
		return a->places != NULL;
	case 5:
		return a->client_ids;
	default:
		return has_default(a);
	}
}

static void report(const struct import *imp, const char *name)
{
	for (size_t i = 0; i < imp->n_classes; i++) {
		char *users = class_users(imp, &imp->classes[i]);

		print_note("class %s: %s", imp->classes[i].name, users);
		free(users);
	}
	for (size_t i = 0; i < sizeof(NOTES) / sizeof(NOTES[0]); i++) {
		if (note_fits(imp->acl, i))
			print_note("%s", NOTES[i]);
	}
	for (size_t i = 0; i < imp->n_losses; i++) {
		const struct import_loss *l = &imp->losses[i];

		if (l->place != NULL)
			print_note("%s: %s: %s", name, l->place, l->text);
		else
			print_note(
				"%s:%" PRIu32 ": %s", name, l->line, l->text);
	}
	if (imp->n_losses != 0)
		print_note("%zu lines could not be expressed: what they allow "
			   "is refused",
			imp->n_losses);
}

static void add_class(
	cJSON *list, const struct import *imp, const struct import_class *c)
{
	cJSON *o = json_new();
	cJSON *users;

	json_str(o, "class", c->name);
	json_bool(o, "others", c->others);
	users = json_array(o, "users");
	for (size_t i = c->first; i < c->first + c->n; i++) {
		struct str name = imp->acl->users[imp->users[i].user].name;
		char id[DEVICE_ID_MAX + 1];

		if (imp->users[i].user == 0)
			continue;
		(void)snprintf(id, sizeof(id), "%.*s", STR_ARG(name));
		json_push(users, cJSON_CreateString(id));
	}
	json_push(list, o);
}

static void print_import_json(const struct import *imp, const char *text)
{
	cJSON *o = json_new();
	cJSON *list = json_array(o, "classes");

	for (size_t i = 0; i < imp->n_classes; i++)
		add_class(list, imp, &imp->classes[i]);
	list = json_array(o, "notes");
	for (size_t i = 0; i < sizeof(NOTES) / sizeof(NOTES[0]); i++) {
		if (note_fits(imp->acl, i))
			json_push(list, cJSON_CreateString(
						NOTES[i] + strlen("note: ")));
	}
	list = json_array(o, "lost");
	for (size_t i = 0; i < imp->n_losses; i++) {
		cJSON *l = json_new();

		if (imp->losses[i].place != NULL)
			json_str(l, "place", imp->losses[i].place);
		else
			json_int(l, "line", imp->losses[i].line);
		json_str(l, "text", imp->losses[i].text);
		json_push(list, l);
	}
	json_str(o, "policy", text);
	json_print(o);
}

/* ---------------------------------------------------------------------- main */

static bool rename_classes(
	const struct cli *c, struct import *imp, struct err *e)
{
	const char *value;
	size_t at = 0;

	while ((value = args_each(c->args, "class", &at)) != NULL) {
		const char *equals = strchr(value, '=');

		if (equals == NULL)
			return err_set(e, ERR_INPUT,
				"--class takes USER=NAME, not '%s'", value);
		if (!import_rename(imp,
			    (struct str){value, (size_t)(equals - value)},
			    str_from(equals + 1), e))
			return false;
	}
	return true;
}

/* A policy beyond the limits (classes, nodes a decision) is refused here, not
 * when it is applied. */
static bool print_policy(struct cli *c, const struct import *imp,
	const char *name, struct err *e)
{
	char *text = policy_text(imp);
	struct policy *policy = NULL;
	const char *devices = args_get(c->args, "devices");
	bool ok;

	ok = policy_load_text(
		     "the policy made of it", str_from(text), &policy, e) &&
	     (devices == NULL || write_devices(imp, devices, e));
	if (ok && c->json) {
		print_import_json(imp, text);
	} else if (ok) {
		(void)fputs(text, stdout);
		report(imp, name);
	}
	c->answer_no = ok && imp->n_losses != 0;
	policy_free(&policy);
	free(text);
	return ok;
}

/* Reads TEXT, of whichever kind it is. */
static bool read_list(
	struct str text, const char *name, struct acl *acl, struct err *e)
{
	struct errs errs = {.n = 0};

	if (dynsec_json_is(text))
		return dynsec_json_parse(text, acl, &errs) ||
		       policy_errors(name, &errs, e);
	if (acl_file_parse(text, acl, e))
		return true;
	return err_at(e, "%s", name);
}

bool run_policy_import(struct cli *c, struct err *e)
{
	const char *path = c->args->words[0];
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	struct acl acl = {.n = 0};
	struct import imp = {.acl = NULL};
	char *text = NULL;
	size_t len = 0;
	bool ok;

	if (!file_read(path, ACL_BYTES_MAX, &text, &len, e))
		return false;
	ok = read_list((struct str){text, len}, name, &acl, e);
	if (ok) {
		import_make(&acl, &imp);
		ok = rename_classes(c, &imp, e) &&
		     print_policy(c, &imp, name, e);
		import_free(&imp);
	}
	acl_free(&acl);
	file_text_free(&text, len);
	return ok;
}
