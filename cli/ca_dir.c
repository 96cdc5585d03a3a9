/* SPDX-License-Identifier: Apache-2.0 */
/* realpath() is an XSI extension of POSIX. */
#define _XOPEN_SOURCE 700
#include "cli/ca_dir.h"

#include "cli/output.h"
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY "ca_dir"

/* *differs: the registry does not hold C's CA; *path is given then: free(). */
static bool compare(const struct cli *c, struct registry *r, char **path,
	bool *differs, struct err *e)
{
	char known[CLI_PATH_MAX];
	char *real = realpath(c->ca, NULL);

	if (real == NULL)
		return file_err(e, "find", c->ca, errno);
	if (!registry_meta(r, KEY, known, sizeof(known), e)) {
		free(real);
		return false;
	}
	*differs = strcmp(known, real) != 0;
	if (*differs)
		*path = real;
	else
		free(real);
	return true;
}

bool ca_dir_record(const struct cli *c, struct registry *r, struct err *e)
{
	bool differs = false, ok;
	char *path = NULL;

	if (!compare(c, r, &path, &differs, e))
		return false;
	ok = !differs || registry_meta_set(r, KEY, path, e);
	free(path);
	return ok;
}

static bool record(const struct cli *c, struct registry *r, struct err *e)
{
	bool differs = false, ok;
	char *path = NULL;
	int64_t seq;

	if (!compare(c, r, &path, &differs, e))
		return false;
	ok = !differs ||
	     (cli_begin(c, r, e) && registry_meta_set(r, KEY, path, e) &&
		     registry_commit(r, &seq, e));
	free(path);
	return ok;
}

void ca_dir_note(const struct cli *c)
{
	char path[CLI_PATH_MAX];
	struct registry *r = NULL;
	struct err e;

	/* The CA may well live where there is no registry. */
	if (!cli_state_path(c, REGISTRY_FILE, path, sizeof(path), NULL) ||
		access(path, W_OK) != 0)
		return;
	if (!registry_open(path, REGISTRY_WRITE, &r, &e) || !record(c, r, &e))
		print_note("warning: the registry does not know of this CA, so "
			   "the broker cannot warn when it can read its key: "
			   "%s",
			e.msg);
	registry_close(&r);
}
