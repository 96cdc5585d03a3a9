/* SPDX-License-Identifier: Apache-2.0 */
/* getgrouplist() and realpath(). */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "cli/account.h"

#include "cli/output.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOKUP_BYTES 16384

static void fill(struct account *out, const struct passwd *pw)
{
	*out = (struct account){.uid = pw->pw_uid};
	(void)snprintf(out->name, sizeof(out->name), "%s", pw->pw_name);
	out->n_groups = ACCOUNT_GROUPS_MAX;
	/* Of more groups the first are known: less access, never more. */
	if (getgrouplist(pw->pw_name, pw->pw_gid, out->groups, &out->n_groups) <
		0)
		out->n_groups = ACCOUNT_GROUPS_MAX;
}

bool account_by_id(uid_t uid, struct account *out, struct err *e)
{
	struct passwd pw, *found = NULL;
	char buf[LOOKUP_BYTES];

	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) != 0 ||
		found == NULL)
		return err_set(e, ERR_INPUT, "there is no user %lu",
			(unsigned long)uid);
	fill(out, found);
	return true;
}

bool account_by_name(const char *name, struct account *out, struct err *e)
{
	struct passwd pw, *found = NULL;
	char buf[LOOKUP_BYTES];

	if (getpwnam_r(name, &pw, buf, sizeof(buf), &found) != 0 ||
		found == NULL)
		return err_set(e, ERR_INPUT, "there is no user '%.60s'", name);
	fill(out, found);
	return true;
}

static unsigned bits(const struct account *a, const struct stat *st)
{
	if (a->uid == st->st_uid)
		return (unsigned)(st->st_mode >> 6) & 7;
	for (int i = 0; i < a->n_groups; i++) {
		if (a->groups[i] == st->st_gid)
			return (unsigned)(st->st_mode >> 3) & 7;
	}
	return (unsigned)st->st_mode & 7;
}

/* REAL is changed for the look, and put back. */
static bool passes(const struct account *a, char *real)
{
	struct stat st;
	bool may = true;

	for (size_t i = 1; may && real[i] != '\0'; i++) {
		if (real[i] != '/')
			continue;
		real[i] = '\0';
		may = stat(real, &st) == 0 &&
		      (bits(a, &st) & ACCOUNT_ENTER) != 0;
		real[i] = '/';
	}
	return may;
}

bool account_may(const struct account *a, const char *path, unsigned access)
{
	char *real = realpath(path, NULL);
	struct stat st;
	bool may;

	if (real == NULL || stat(real, &st) != 0) {
		free(real);
		return false;
	}
	may = a->uid == 0 ||
	      (passes(a, real) && (bits(a, &st) & access) == access);
	free(real);
	return may;
}
