/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir policy diff: what a change of policy would change.
 */
#include "cli/output.h"
#include "cli/policy_check_cmd.h"
#include "cli/policy_diff.h"
#include "cli/policy_load.h"
#include "io/values.h"

#include <string.h>

#define IN_FORCE "current"

/* NAME is a revision's number. A file of such a name is ./NAME. */
static bool is_number(const char *name)
{
	return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

static bool from_registry(const struct cli *c, const char *name,
	struct policy **out, struct err *e)
{
	struct policy_row row = {0};
	struct registry *r = NULL;
	int64_t revision = 0;
	bool ok;

	if (strcmp(name, IN_FORCE) != 0 &&
		!number_parse("the revision", str_from(name), 1, INT32_MAX,
			&revision, e))
		return false;
	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     policy_load_revision(r, revision, &row, out, e);
	registry_close(&r);
	policy_row_fini(&row);
	/* Status 1 says that they differ. */
	if (!ok && e->code == ERR_NOT_FOUND)
		e->code = ERR_INPUT;
	return ok;
}

/* A file, "-", a revision's number or "current". */
static bool load(const struct cli *c, const char *name, struct policy **out,
	struct err *e)
{
	if (is_number(name) || strcmp(name, IN_FORCE) == 0)
		return from_registry(c, name, out, e);
	return policy_load_file(name, out, e);
}

bool run_policy_diff(struct cli *c, struct err *e)
{
	const char *a = cli_word(c, 0).p, *b = cli_word(c, 1).p;
	struct policy *old = NULL, *new = NULL;
	struct policy_diff d = {.n = 0};
	cJSON *o;
	bool ok;

	if (strcmp(a, "-") == 0 && strcmp(b, "-") == 0)
		return err_set(e, ERR_INPUT,
			"only one of the two can be standard input");
	ok = load(c, a, &old, e) && load(c, b, &new, e);
	if (ok) {
		policy_diff_make(old, new, &d);
		c->answer_no = d.n != 0;
	}
	if (ok && c->json) {
		o = json_new();
		json_bool(o, "differs", d.n != 0);
		policy_diff_json(o, &d);
		json_print(o);
	} else if (ok) {
		policy_diff_print(&d);
	}
	policy_diff_fini(&d);
	policy_free(&old);
	policy_free(&new);
	return ok;
}
