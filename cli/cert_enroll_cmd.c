/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert enroll: certificates that were taken in while observing become
 * registered devices, in one change.
 *
 * What the record says is the broker's word: a broker that was broken into
 * could name any certificate. Nothing is enrolled that a person did not ask
 * for, by class, issuer or id, and everything is shown.
 */
#include "cli/output.h"
#include "cli/policy_load.h"
#include "cli/seen_view.h"
#include "io/registry_import.h"
#include "io/values.h"
#include "io/x509.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum result {
	RESULT_ENROLLED = 0, /* the device and its certificate */
	RESULT_ADDED,        /* another certificate of a device enrolled here */
	RESULT_REGISTERED,   /* is registered already: nothing to do */
	RESULT_TAKEN,        /* its id is registered, with other certificates */
	RESULT_REFUSED,      /* why says it */
};

static const char *result_name(enum result r)
{
	static const char *const names[] = {
		[RESULT_ENROLLED] = "enrolled",
		[RESULT_ADDED] = "added",
		[RESULT_REGISTERED] = "registered",
		[RESULT_TAKEN] = "id_taken",
		[RESULT_REFUSED] = "refused",
	};

	return names[r];
}

struct enrolling {
	const char *class_name, *glob;
	bool by_issuer;
	uint8_t issuer[FINGERPRINT_LEN];
	int64_t since_s;
	struct registry *r;
	int64_t devices, credentials;
	size_t left_out; /* whose issuer is not known, or another */
	struct table *table;
	cJSON *list;
	/* Devices that were enrolled here: ids, sorted as the list is. */
	const char *last;
};

static bool read_enroll(const struct cli *c, struct enrolling *x, struct err *e)
{
	const char *issuer = args_get(c->args, "issuer");

	x->class_name = args_get(c->args, "class");
	x->glob = args_get(c->args, "id");
	if (!args_has(c->args, "seen"))
		return err_set(e, ERR_INPUT,
			"say what to enroll: --seen, what was taken in while "
			"observing");
	if (x->class_name == NULL || !class_name_valid(str_from(x->class_name)))
		return err_set(e, ERR_INPUT,
			"name the class of the devices: --class C");
	x->by_issuer = issuer != NULL;
	return seen_since(c, &x->since_s, e) &&
	       (issuer == NULL ||
		       fingerprint_parse(str_from(issuer), x->issuer, e));
}

/* True when S is one of those that are asked for. */
static bool is_wanted(struct enrolling *x, const struct seen_credential *s)
{
	if (s->last_s < x->since_s ||
		(x->glob != NULL &&
			fnmatch(x->glob, s->credential.device_id, 0) != 0))
		return false;
	if (!x->by_issuer ||
		(s->issuer_known && memcmp(s->issuer_fingerprint, x->issuer,
					    FINGERPRINT_LEN) == 0))
		return true;
	x->left_out++;
	return false;
}

static void tell(struct enrolling *x, const struct seen_credential *s,
	enum result result, const char *why)
{
	const struct credential *c = &s->credential;
	char hex[FINGERPRINT_HEX], issuer[FINGERPRINT_HEX];
	cJSON *j = json_new();

	fingerprint_format(c->fingerprint, hex);
	fingerprint_format(s->issuer_fingerprint, issuer);
	json_str(j, "device_id", c->device_id);
	json_str(j, "fingerprint", hex);
	json_str(j, "issuer", c->issuer);
	json_str(j, "issuer_fingerprint", s->issuer_known ? issuer : NULL);
	json_int(j, "connects", (int64_t)s->connects);
	json_time(j, "first_s", s->first_s);
	json_time(j, "last_s", s->last_s);
	json_str(j, "result", result_name(result));
	json_str(j, "why", why);
	json_push(x->list, j);
	table_row(x->table,
		(const char *const[]){c->device_id, result_name(result),
			c->issuer, why != NULL ? why : hex});
}

/* Adds the device of S, unless this very run has. *other: it is registered
 * otherwise. */
static bool add_device(struct enrolling *x, const struct seen_credential *s,
	bool *added, bool *other, struct err *e)
{
	struct device d = {.status = DEVICE_ACTIVE}, old = {.id_len = 0};
	const char *id = s->credential.device_id;

	*added = *other = false;
	if (x->last != NULL && strcmp(x->last, id) == 0)
		return true;
	if (!registry_device(x->r, str_from(id), &old, other, e))
		return false;
	device_fini(&old);
	if (*other)
		return true;
	memcpy(d.id, id, strlen(id));
	d.id_len = (uint8_t)strlen(id);
	memcpy(d.class_name, x->class_name, strlen(x->class_name));
	*added = registry_device_add(x->r, &d, e);
	return *added;
}

/* Why S cannot be registered though nothing is wrong with the registry; NULL:
 * it can. Asked before, for a write that fails ends the transaction. */
static bool obstacle(struct enrolling *x, const struct cli *c,
	const struct seen_credential *s, const char **why, struct err *e)
{
	bool barred = false;

	*why = NULL;
	if (!registry_key_barred(x->r, s->credential.spki, &barred, e))
		return false;
	if (barred)
		*why = "its key was revoked as compromised";
	else if (s->credential.not_after_s < c->now_s)
		*why = "it has expired";
	return true;
}

static bool enroll(struct enrolling *x, const struct cli *c,
	const struct seen_credential *s, struct err *e)
{
	struct credential old;
	bool found = false, added, other;
	const char *why;

	if (!registry_credential(
		    x->r, s->credential.fingerprint, &old, &found, e))
		return false;
	if (found) {
		tell(x, s, RESULT_REGISTERED, NULL);
		return true;
	}
	if (!obstacle(x, c, s, &why, e))
		return false;
	if (why != NULL) {
		tell(x, s, RESULT_REFUSED, why);
		return true;
	}
	if (!add_device(x, s, &added, &other, e))
		return false;
	if (other) {
		tell(x, s, RESULT_TAKEN,
			"a device of that id is registered; weir cert add");
		return true;
	}
	if (!registry_credential_add(x->r, &s->credential, e))
		return false;
	x->last = s->credential.device_id;
	x->devices += added;
	x->credentials++;
	tell(x, s, added ? RESULT_ENROLLED : RESULT_ADDED, NULL);
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct seen_credential *x = a, *y = b;
	int order = strcmp(x->credential.device_id, y->credential.device_id);

	if (order != 0)
		return order;
	return memcmp(x->credential.fingerprint, y->credential.fingerprint,
		FINGERPRINT_LEN);
}

/* The wanted ones by id; given: free(). */
static bool load_certs(const struct cli *c, struct enrolling *x,
	struct seen_credential **out, size_t *n, struct err *e)
{
	struct seen_file file = {NULL, -1};
	uint32_t most;

	if (!seen_open(c, &file, e))
		return false;
	most = seen_certs(file.mem);
	*out = need_memory((size_t)most + 1, sizeof(**out));
	*n = 0;
	for (uint32_t i = 0; i < most; i++)
		*n += seen_cert_load(file.mem, i, &(*out)[*n]) &&
		      is_wanted(x, &(*out)[*n]);
	seen_file_close(&file);
	qsort(*out, *n, sizeof(**out), by_id);
	return true;
}

/* A class that the policy lacks admits nobody when it enforces. */
static void warn_class(const struct enrolling *x)
{
	struct policy_row row = {.revision = 0};
	struct policy *p = NULL;
	struct err e;

	if (policy_load_revision(x->r, 0, &row, &p, &e) &&
		policy_class_find(p, str_from(x->class_name)) == NULL)
		print_note("warning: the policy in force has no class '%s' yet",
			x->class_name);
	policy_free(&p);
	policy_row_fini(&row);
}

static void print_enrolled(const struct cli *c, struct enrolling *x)
{
	cJSON *o;

	if (c->json) {
		o = json_new();
		json_int(o, "devices", x->devices);
		json_int(o, "credentials", x->credentials);
		json_int(o, "left_out", (int64_t)x->left_out);
		(void)cJSON_AddItemToObject(o, "certificates", x->list);
		x->list = NULL;
		json_print(o);
		return;
	}
	table_print(x->table);
	(void)printf("%" PRId64 " device%s and %" PRId64
		     " certificate%s registered as class %s\n",
		x->devices, x->devices == 1 ? "" : "s", x->credentials,
		x->credentials == 1 ? "" : "s", x->class_name);
	if (x->left_out != 0)
		print_note("%zu certificate%s of another issuer, or whose "
			   "issuer the broker did not see, left out",
			x->left_out, x->left_out == 1 ? "" : "s");
}

static bool enroll_all(const struct cli *c, struct enrolling *x,
	const struct seen_credential *s, size_t n, struct err *e)
{
	struct bulk_audit audit = {.action = "cert.enroll"};
	int64_t seq;

	if (!cli_registry_begin(c, &x->r, e) || !registry_bulk_begin(x->r, e))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!enroll(x, c, &s[i], e))
			return false;
	audit.devices = x->devices;
	audit.credentials = x->credentials;
	if (!registry_bulk_end(x->r, &audit, e) ||
		!registry_commit(x->r, &seq, e))
		return false;
	warn_class(x);
	print_enrolled(c, x);
	return true;
}

static bool run_enroll(struct cli *c, struct err *e)
{
	static const char *const heads[] = {
		"DEVICE", "RESULT", "ISSUER", "CERTIFICATE"};
	struct enrolling x = {.class_name = NULL};
	struct seen_credential *s = NULL;
	size_t n = 0;
	bool ok;

	if (!read_enroll(c, &x, e) || !load_certs(c, &x, &s, &n, e))
		return false;
	x.table = table_new(heads, 4);
	x.list = cJSON_CreateArray();
	ok = enroll_all(c, &x, s, n, e);
	cJSON_Delete(x.list);
	table_free(&x.table);
	free(s);
	registry_close(&x.r);
	return ok;
}

static const struct opt ENROLL_OPTIONS[] = {
	{"seen", '\0', OPT_FLAG, NULL, "what was taken in while observing"},
	{"class", '\0', OPT_VALUE, "C", "the class of the devices"},
	{"issuer", '\0', OPT_VALUE, "FP",
		"only those of the CA with this SHA-256 fingerprint"},
	{"id", '\0', OPT_VALUE, "GLOB", "only ids like this: 'meter-*'"},
	{"since", '\0', OPT_VALUE, "DUR", "only those seen in the last DUR"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command enroll_commands[] = {
	{
		.name = "cert enroll",
		.usage = "--seen --class C [--issuer FP] [--id GLOB] [--since "
			 "DUR]",
		.summary = "Register certificates that were taken in while "
			   "observing",
		.help = "Each becomes a device of class C whose id is its CN, "
			"all in one change. What is\nregistered already, or "
			"whose id is, stays as it is.\n\n"
			"  weir cert enroll --seen --class meter --id "
			"'meter-*'\n",
		.options = ENROLL_OPTIONS,
		.run = run_enroll,
	},
	{.name = NULL},
};
