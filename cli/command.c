/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/meter_view.h"
#include "cli/output.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/weir"
#define CA_IN_HOME    ".weir/ca"

const struct opt CLI_OPTIONS[] = {
	{"state", '\0', OPT_VALUE, "DIR",
		"state directory ($WEIR_STATE, else " STATE_DEFAULT ")"},
	{"meter", '\0', OPT_VALUE, "FILE",
		"the broker's plugin_opt_meter ($WEIR_METER, else " SEGMENT_FILE
		" there)"},
	{"ca", '\0', OPT_VALUE, "DIR",
		"the CA's folder ($WEIR_CA, else ~/" CA_IN_HOME ")"},
	{"json", '\0', OPT_FLAG, NULL,
		"print JSON: one object, or one a line for lists"},
	{"show-ids", '\0', OPT_FLAG, NULL,
		"print SIM identifiers whole, not masked"},
	{"version", '\0', OPT_FLAG, NULL, "print the version and exit"},
	{"help", 'h', OPT_FLAG, NULL, "print help and exit"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

int cli_status(enum err_code code)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return 1;
	case ERR_INPUT:
	case ERR_CONFLICT:
		return 2;
	case ERR_NONE:
	case ERR_ENVIRONMENT:
		break;
	}
	return 3;
}

static bool join(
	const char *dir, const char *name, char *out, size_t cap, struct err *e)
{
	int n = snprintf(out, cap, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= cap)
		return err_set(e, ERR_INPUT, "the path %.80s…/%s is too long",
			dir, name);
	return true;
}

bool cli_state_path(const struct cli *c, const char *name, char *out,
	size_t cap, struct err *e)
{
	return join(c->state, name, out, cap, e);
}

bool cli_ca_path(const struct cli *c, const char *name, char *out, size_t cap,
	struct err *e)
{
	if (c->ca[0] == '\0')
		return err_set(e, ERR_INPUT,
			"no folder for the CA: there is no $HOME; give --ca "
			"DIR");
	return join(c->ca, name, out, cap, e);
}

bool cli_registry(const struct cli *c, enum registry_mode mode,
	struct registry **out, struct err *e)
{
	char path[CLI_PATH_MAX];

	return cli_state_path(c, REGISTRY_FILE, path, sizeof(path), e) &&
	       registry_open(path, mode, out, e);
}

/* In a transaction that has just begun. */
static bool mark_restored(
	const struct cli *c, struct registry *r, struct err *e)
{
	struct registry_heads heads;
	struct registry_seen seen;
	struct meter_view v;

	if (!registry_heads(r, &heads, e))
		return false;
	meter_view_read(c, &v);
	seen.revision = v.highest_revision;
	seen.change_seq = v.applied_change;
	/* What cannot be must not keep anybody from revoking. */
	if (!registry_seen_possible(&seen) ||
		(!heads.restored && heads.revision >= seen.revision))
		return true;
	print_note("warning: the registry went back, as a restored backup "
		   "does; the broker admits nobody until: weir registry "
		   "accept");
	return registry_note_restored(r, &seen, e);
}

bool cli_begin(const struct cli *c, struct registry *r, struct err *e)
{
	if (!registry_begin(r, c->actor, c->now_s, e))
		return false;
	if (mark_restored(c, r, e))
		return true;
	registry_rollback(r);
	return false;
}

bool cli_registry_begin(
	const struct cli *c, struct registry **out, struct err *e)
{
	struct registry *r = NULL;

	if (!cli_registry(c, REGISTRY_WRITE, &r, e))
		return false;
	if (!cli_begin(c, r, e)) {
		registry_close(&r);
		return false;
	}
	*out = r;
	return true;
}

bool cli_agreed(const struct cli *c, const char *question)
{
	char line[16] = "";

	if (args_has(c->args, "yes") || isatty(STDIN_FILENO) != 1)
		return true;
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s [y/N] ", question);
	return fgets(line, sizeof(line), stdin) != NULL &&
	       (line[0] == 'y' || line[0] == 'Y');
}

bool cli_confirmed(const struct cli *c, const char *question, const char *what,
	struct err *e)
{
	if (!args_has(c->args, "yes") && isatty(STDIN_FILENO) != 1)
		return err_set(e, ERR_INPUT, "%s wants a yes: add --yes", what);
	return cli_agreed(c, question) ||
	       err_set(e, ERR_INPUT, "%s was not agreed to; nothing was done",
		       what);
}

struct str cli_word(const struct cli *c, size_t i)
{
	return str_from(i < c->args->n_words ? c->args->words[i] : NULL);
}

/* ------------------------------------------------------------------ set up */

static bool set_path(
	char out[static CLI_PATH_MAX], const char *path, struct err *e)
{
	size_t n = strlen(path);

	if (n == 0)
		return err_set(e, ERR_INPUT,
			"the name of a file or directory is empty");
	if (n >= CLI_PATH_MAX)
		return err_set(
			e, ERR_INPUT, "the path %.80s… is too long", path);
	memcpy(out, path, n + 1);
	return true;
}

static bool set_paths(struct cli *c, const struct args *args, struct err *e)
{
	const char *state = args_get(args, "state");
	const char *meter = args_get(args, "meter");
	const char *ca = args_get(args, "ca");
	const char *home = environment("HOME");

	if (state == NULL)
		state = environment("WEIR_STATE");
	if (!set_path(c->state, state != NULL ? state : STATE_DEFAULT, e))
		return false;
	if (meter == NULL)
		meter = environment("WEIR_METER");
	if (meter != NULL ? !set_path(c->meter, meter, e)
			  : !cli_state_path(c, SEGMENT_FILE, c->meter,
				    sizeof(c->meter), e))
		return false;
	if (ca == NULL)
		ca = environment("WEIR_CA");
	if (ca != NULL)
		return set_path(c->ca, ca, e);
	if (home == NULL)
		return true;
	return join(home, CA_IN_HOME, c->ca, sizeof(c->ca), e);
}

/* A user name as the audit shall hold it. */
static bool set_actor(struct cli *c, const char *name)
{
	size_t n = name != NULL ? strlen(name) : 0;

	if (n == 0 || n >= sizeof(c->actor))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	}
	memcpy(c->actor, name, n + 1);
	return true;
}

static void find_actor(struct cli *c)
{
	struct passwd pw, *found = NULL;
	char buf[4096];
	uid_t uid = getuid();

	/* Anyone can set SUDO_USER; as root it is sudo's word. */
	if (uid == 0 && set_actor(c, environment("SUDO_USER")))
		return;
	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 &&
		found != NULL && set_actor(c, found->pw_name))
		return;
	(void)snprintf(
		c->actor, sizeof(c->actor), "uid %lu", (unsigned long)uid);
}

bool cli_init(struct cli *c, const struct args *args, struct err *e)
{
	*c = (struct cli){.args = args};
	c->json = args_has(args, "json");
	c->show_ids = args_has(args, "show-ids");
	c->now_s = (int64_t)time(NULL);
	find_actor(c);
	return set_paths(c, args, e);
}
