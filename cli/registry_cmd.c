/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir registry accept: a backup takes the place of a newer registry.
 */
#include "cli/meter_view.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "io/registry_token.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A device that lost a right in a change that the backup does not know. */
struct lost {
	char id[DEVICE_ID_MAX + 1];
	char status[16]; /* in the backup; "" : not in it */
};

struct acceptance {
	struct registry *r;
	struct meter_view seen;
	struct registry_heads heads;
	struct registry_restored was; /* the backup as it was put there */
	int64_t saved_s, newest_s;    /* its newest audit entry then, and now */
	struct lost *lost;            /* METER_OUTCOMES of them */
	size_t n_lost;
	int64_t lost_changes;
	char *tokens; /* names of those valid in it, each with its NUL */
	size_t tokens_len;
	struct err *e;
	bool failed;
};

/* ------------------------------------------------------------ what is known */

/* The meter's text is the broker's word: only an id goes further. */
static bool add_lost(void *ctx, int64_t change, const char *device_id)
{
	struct acceptance *a = ctx;
	struct lost *l = &a->lost[a->n_lost];
	struct device d;
	bool found = false;

	(void)change;
	for (size_t i = 0; i < a->n_lost; i++) {
		if (strcmp(a->lost[i].id, device_id) == 0)
			return true;
	}
	if (!device_id_valid(str_from(device_id)))
		return true;
	if (!registry_device(a->r, str_from(device_id), &d, &found, a->e)) {
		a->failed = true;
		return false;
	}
	(void)snprintf(l->id, sizeof(l->id), "%s", device_id);
	l->status[0] = '\0';
	if (found) {
		(void)snprintf(l->status, sizeof(l->status), "%s",
			device_status_name((enum device_status)d.status));
		device_fini(&d);
	}
	a->n_lost++;
	return true;
}

/* Entries made since it was found restored tell nothing of when it was
 * saved. */
static bool note_time(void *ctx, const struct audit_row *row)
{
	struct acceptance *a = ctx;

	if (a->was.restored && str_eq(row->action, STR("registry.restored")))
		a->saved_s = a->newest_s;
	a->newest_s = row->t_s;
	if (!a->was.restored)
		a->saved_s = row->t_s;
	return true;
}

struct named {
	int64_t now_s;
	FILE *out;
};

static bool add_token(void *ctx, const struct token *t)
{
	const struct named *x = ctx;

	if (token_state(t, x->now_s) == TOKEN_VALID)
		(void)fwrite(t->name, 1, strlen(t->name) + 1, x->out);
	return true;
}

/* Which of them were revoked since nobody can tell from here. */
static bool read_tokens(const struct cli *c, struct acceptance *a)
{
	struct named x = {.now_s = c->now_s};
	bool ok;

	x.out = need_stream(&a->tokens, &a->tokens_len);
	ok = registry_tokens(a->r, add_token, &x, a->e);
	need_stream_end(x.out);
	return ok;
}

static bool look(const struct cli *c, struct acceptance *a, struct err *e)
{
	if (!registry_heads(a->r, &a->heads, e) ||
		!registry_restored(a->r, &a->was, e))
		return false;
	meter_view_read(c, &a->seen);
	if (a->seen.state == BROKER_UNKNOWN)
		return err_set(e, ERR_ENVIRONMENT,
			"what the broker has seen of the registry is not "
			"known: %s",
			a->seen.problem);
	if (!a->was.restored) {
		a->was.revision = a->heads.revision;
		a->was.change_seq = a->heads.change_seq;
	}
	a->lost = need_memory(METER_OUTCOMES + 1, sizeof(*a->lost));
	a->lost_changes = a->seen.applied_change - a->was.change_seq;
	if (a->lost_changes < 0)
		a->lost_changes = 0;
	if (!registry_audit(a->r, 0, note_time, a, e) || !read_tokens(c, a))
		return false;
	meter_view_changes(c, a->was.change_seq, add_lost, a);
	return !a->failed;
}

static bool went_back(const struct acceptance *a)
{
	return a->heads.restored ||
	       a->heads.revision < a->seen.highest_revision;
}

/* ------------------------------------------------------------------ printing */

static void tell(const struct cli *c, const struct acceptance *a)
{
	char saved[TIME_TEXT];

	time_format(a->saved_s, saved);
	print_note("%s/" REGISTRY_FILE " is of %s, revision %" PRId64
		   "; the broker has seen revision %" PRId64
		   ": what was changed in between is lost",
		c->state, saved, a->was.revision, a->seen.highest_revision);
	for (size_t i = 0; i < a->n_lost; i++)
		print_note("warning: %s lost a right in a lost change; in this "
			   "registry it is %s",
			a->lost[i].id,
			a->lost[i].status[0] != '\0' ? a->lost[i].status
						     : "unknown");
	for (size_t i = 0; i < a->tokens_len; i += strlen(a->tokens + i) + 1)
		print_note("warning: token %s is valid in this registry; if it "
			   "was revoked since: weir token revoke %s",
			a->tokens + i, a->tokens + i);
	print_note("what cannot be known from here: certificates revoked or "
		   "issued, keys reported as compromised, devices added, "
		   "suspended, quarantined or retired, and policies applied "
		   "after %s%s; make up for them now, before or after this",
		saved,
		a->lost_changes > (int64_t)a->n_lost
			? " beyond what is named here"
			: "");
}

static void print_json(
	const struct acceptance *a, bool accepted, const struct wait_result *w)
{
	cJSON *o = json_new(), *lost, *tokens;

	json_bool(o, "accepted", accepted);
	json_int(o, "revision", a->heads.revision);
	json_int(o, "restored_revision", a->was.revision);
	json_int(o, "seen_revision", a->seen.highest_revision);
	json_time(o, "saved_s", a->saved_s);
	json_int(o, "lost_changes", a->lost_changes);
	lost = json_array(o, "devices");
	for (size_t i = 0; i < a->n_lost; i++) {
		cJSON *d = json_new();

		json_str(d, "device_id", a->lost[i].id);
		json_str(d, "status",
			a->lost[i].status[0] != '\0' ? a->lost[i].status
						     : NULL);
		json_push(lost, d);
	}
	tokens = json_array(o, "tokens");
	for (size_t i = 0; i < a->tokens_len; i += strlen(a->tokens + i) + 1)
		json_push(tokens, cJSON_CreateString(a->tokens + i));
	if (w != NULL)
		wait_json(o, w);
	json_print(o);
}

/* ------------------------------------------------------------------ the work */

static bool commit(const struct cli *c, struct acceptance *a, struct err *e)
{
	struct registry_seen seen = {
		a->seen.highest_revision, a->seen.applied_change};
	int64_t change;

	return registry_begin(a->r, c->actor, c->now_s, e) &&
	       registry_accept(a->r, &seen, e) &&
	       registry_commit(a->r, &change, e) &&
	       registry_heads(a->r, &a->heads, e);
}

static bool finish(const struct cli *c, struct acceptance *a, struct err *e)
{
	/* The newest change is above all that the broker had applied, so it
	 * is in force when every connection has been judged anew. */
	int64_t newest = a->heads.change_seq, wait_s = 0;
	struct change_range range = {newest - 1, newest};
	struct wait_result w = {.n = 0};
	bool wait = false, ok = true;

	if (!wait_option(c, &wait, &wait_s, e))
		return false;
	wait = wait && newest != 0;
	if (wait && !wait_changes(c, a->r, range, wait_s, &w, e))
		return false;
	if (c->json)
		print_json(a, true, wait ? &w : NULL);
	else
		(void)printf("registry accepted as revision %" PRId64
			     "; the broker admits devices again\n",
			a->heads.revision);
	if (wait)
		ok = wait_finish(&w, e);
	wait_fini(&w);
	return ok;
}

static bool accept(const struct cli *c, struct acceptance *a, struct err *e)
{
	if (!look(c, a, e))
		return false;
	if (!went_back(a)) {
		if (c->json)
			print_json(a, false, NULL);
		else
			(void)puts("nothing to accept: the registry has not "
				   "gone back");
		return true;
	}
	tell(c, a);
	return cli_confirmed(c, "Accept this registry?",
		       "accepting a restored registry", e) &&
	       commit(c, a, e) && finish(c, a, e);
}

static bool run_accept(struct cli *c, struct err *e)
{
	struct acceptance a = {.e = e};
	int64_t wait_s;
	bool wait, done;

	if (!wait_option(c, &wait, &wait_s, e) ||
		!cli_registry(c, REGISTRY_WRITE, &a.r, e))
		return false;
	done = accept(c, &a, e);
	registry_close(&a.r);
	free(a.lost);
	free(a.tokens);
	return done;
}

static const struct opt ACCEPT_OPTIONS[] = {
	YES_OPTION,
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command registry_commands[] = {
	{
		.name = "registry accept",
		.usage = "[--yes] [--wait DUR]",
		.summary = "Admit devices by a registry that was restored",
		.help = "A backup in the place of a newer registry may bring "
			"revoked devices back, so the\nbroker admits nobody "
			"once it sees one. This says what is known to be lost, "
			"and after\na yes lets the broker go on with the "
			"backup: live connections are judged anew.\nRepairs "
			"(weir cert revoke, weir suspend, weir policy apply) "
			"can be made before.\n\n"
			"  weir registry accept\n",
		.options = ACCEPT_OPTIONS,
		.run = run_accept,
	},
	{.name = NULL},
};
