/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_load.h"

#include "cli/output.h"
#include "io/file.h"
#include "io/policy_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_SHOWN 64 /* of a path: the rest of a place must fit too */

/* Sets E's place to NAME and what it was. */
static void place_in(const char *name, struct err *e)
{
	char place[ERR_PLACE_MAX];
	const char *slash = strrchr(name, '/');

	if (strlen(name) > NAME_SHOWN && slash != NULL)
		name = slash + 1;
	memcpy(place, e->place, sizeof(place));
	(void)err_at(e, "%.*s%s%s", NAME_SHOWN, name,
		place[0] != '\0' ? ": " : "", place);
}

bool policy_errors(const char *name, struct errs *errs, struct err *e)
{
	size_t i;

	for (i = 0; i < errs->n; i++)
		place_in(name, &errs->e[i]);
	for (i = 0; i + 1 < errs->n; i++)
		print_err(&errs->e[i]);
	if (errs->more)
		print_note("%s: there are more errors than these %d", name,
			ERRS_MAX);
	if (errs->n != 0)
		*e = errs->e[errs->n - 1];
	else
		(void)err_set(e, ERR_ENVIRONMENT, "out of memory");
	return false;
}

bool policy_load_text(
	const char *name, struct str text, struct policy **out, struct err *e)
{
	struct errs errs = {0};

	return policy_json_parse(text, out, &errs) ||
	       policy_errors(name, &errs, e);
}

bool policy_load_file(const char *path, struct policy **out, struct err *e)
{
	char *text;
	size_t len;
	bool ok;

	if (!file_read(path, POLICY_TEXT_MAX, &text, &len, e))
		return false;
	ok = policy_load_text(path, (struct str){text, len}, out, e);
	file_text_free(&text, len);
	return ok;
}

bool policy_load_revision(struct registry *r, int64_t revision,
	struct policy_row *row, struct policy **out, struct err *e)
{
	struct policy_row p = {0};
	char name[48];
	bool found = false;

	if (!registry_policy(r, revision, &p, &found, e))
		return false;
	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			"there is no policy revision %" PRId64
			"; see weir policy history",
			revision);
	(void)snprintf(
		name, sizeof(name), "policy revision %" PRId64, p.revision);
	if (out != NULL && !policy_load_text(name,
				   (struct str){p.text, p.text_len}, out, e)) {
		policy_row_fini(&p);
		return false;
	}
	*row = p;
	return true;
}
