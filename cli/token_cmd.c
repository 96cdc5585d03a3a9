/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir token: who may ask weir-feed. A token is printed once, and then known
 * to nobody but whom it was made for.
 */
#include "cli/command.h"
#include "cli/output.h"
#include "io/registry_token.h"
#include "io/values.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#define DAY_S    INT64_C(86400)
#define DAYS_MAX 36500

/* ---------------------------------------------------------------------- add */

/* A token while it is there in the open. */
struct secret {
	uint8_t random[TOKEN_RANDOM];
	char text[TOKEN_TEXT];
	char line[512]; /* what is printed */
};

static bool read_args(const struct cli *c, struct token *t, struct err *e)
{
	const char *days = args_get(c->args, "days");
	const char *rights = args_get(c->args, "rights");
	struct str name = cli_word(c, 0);
	int64_t n = 0;

	if (!token_name_valid(name))
		return err_set(e, ERR_INPUT,
			"'%.80s' is no name for a token: " TOKEN_NAME_RULE,
			name.p);
	memcpy(t->name, name.p, name.n + 1);
	t->right = rights == NULL ? TOKEN_READ
				  : token_right_find(str_from(rights));
	if (t->right == TOKEN_NOTHING)
		return err_set(e, ERR_INPUT,
			"--rights '%.40s' is not read or act", rights);
	if (days != NULL &&
		!number_parse("--days", str_from(days), 1, DAYS_MAX, &n, e))
		return false;
	t->created_s = c->now_s;
	t->expires_s = n != 0 ? c->now_s + n * DAY_S : 0;
	return true;
}

static bool store(const struct cli *c, const struct token *t,
	const uint8_t hash[static TOKEN_HASH], struct err *e)
{
	struct registry *r = NULL;
	int64_t change;
	bool done;

	done = cli_registry_begin(c, &r, e) &&
	       registry_token_add(r, t, hash, e) &&
	       registry_commit(r, &change, e);
	registry_close(&r);
	return done;
}

/* What is printed of T, in S->line. Its bytes: printf's only on the way. */
static size_t render(
	const struct cli *c, const struct token *t, struct secret *s)
{
	char expires[24] = "null";
	int n;

	if (t->expires_s != 0)
		(void)snprintf(
			expires, sizeof(expires), "%" PRId64, t->expires_s);
	if (!c->json)
		n = snprintf(s->line, sizeof(s->line), "%s\n", s->text);
	else /* name and text need no escaping */
		n = snprintf(s->line, sizeof(s->line),
			"{\"name\":\"%s\",\"rights\":\"%s\",\"created_s\":"
			"%" PRId64 ",\"expires_s\":%s,\"token\":\"%s\"}\n",
			t->name, token_right_name(t->right), t->created_s,
			expires, s->text);
	return n > 0 && (size_t)n < sizeof(s->line) ? (size_t)n : 0;
}

/* Not through stdout, whose buffer nobody wipes. */
static bool print_secret(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool add(
	const struct cli *c, struct token *t, struct secret *s, struct err *e)
{
	uint8_t hash[TOKEN_HASH];
	char why[ERRNO_TEXT];

	if (RAND_priv_bytes(s->random, sizeof(s->random)) != 1)
		return err_set(e, ERR_ENVIRONMENT,
			"OpenSSL has no random numbers to make a token of");
	token_format(s->random, s->text);
	if (!token_hash(str_from(s->text), hash))
		return err_set(e, ERR_ENVIRONMENT, "OpenSSL has no SHA-256");
	if (!store(c, t, hash, e))
		return false;
	if (print_secret(s->line, render(c, t, s)))
		return true;
	return err_set(e, ERR_ENVIRONMENT,
		"standard output: %s; token '%s' is committed, and nobody has "
		"seen it: weir token revoke %s",
		errno_text(errno, why), t->name, t->name);
}

static bool run_add(struct cli *c, struct err *e)
{
	struct token t = {.right = TOKEN_NOTHING};
	struct secret s;
	bool done;

	if (!read_args(c, &t, e))
		return false;
	done = add(c, &t, &s, e);
	OPENSSL_cleanse(&s, sizeof(s));
	return done;
}

/* --------------------------------------------------------------------- list */

struct listing {
	const struct cli *c;
	struct table *table;
};

static bool add_row(void *ctx, const struct token *t)
{
	const struct listing *l = ctx;
	const char *state = token_state_name(token_state(t, l->c->now_s));
	char created[TIME_TEXT], end[TIME_TEXT] = "";
	cJSON *o;

	if (l->c->json) {
		o = json_new();
		json_str(o, "name", t->name);
		json_str(o, "rights", token_right_name(t->right));
		json_str(o, "state", state);
		json_int(o, "created_s", t->created_s);
		json_time(o, "expires_s", t->expires_s);
		json_time(o, "revoked_s", t->revoked_s);
		json_int(o, "revision", t->revision);
		json_print(o);
		return output_ok();
	}
	time_format(t->created_s, created);
	if (t->revoked_s != 0 || t->expires_s != 0)
		time_format(
			t->revoked_s != 0 ? t->revoked_s : t->expires_s, end);
	table_row(l->table,
		(const char *const[]){t->name, token_right_name(t->right),
			state, created, end});
	return output_ok();
}

static bool run_list(struct cli *c, struct err *e)
{
	static const char *const heads[] = {
		"NAME", "RIGHTS", "STATE", "CREATED", "END"};
	struct listing l = {.c = c, .table = table_new(heads, 5)};
	struct registry *r = NULL;
	bool ok;

	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     registry_tokens(r, add_row, &l, e);
	if (ok)
		table_print(l.table);
	table_free(&l.table);
	registry_close(&r);
	return ok;
}

/* ------------------------------------------------------------------- revoke */

static bool run_revoke(struct cli *c, struct err *e)
{
	struct str name = cli_word(c, 0);
	struct registry *r = NULL;
	int64_t change;
	cJSON *o;
	bool done;

	done = cli_registry_begin(c, &r, e) &&
	       registry_token_revoke(r, name, e) &&
	       registry_commit(r, &change, e);
	registry_close(&r);
	if (!done)
		return false;
	if (!c->json) {
		(void)printf("token %s revoked\n", name.p);
		return true;
	}
	o = json_new();
	json_str(o, "name", name.p);
	json_int(o, "revoked_s", c->now_s);
	json_print(o);
	return true;
}

/* -------------------------------------------------------------------- table */

static const struct opt ADD_OPTIONS[] = {
	{"rights", '\0', OPT_VALUE, "R", "read (without), or act: read too"},
	{"days", '\0', OPT_VALUE, "N", "valid for N days (without end)"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command token_commands[] = {
	{
		.name = "token add",
		.usage = "NAME [--rights read|act] [--days N]",
		.summary = "Make a token for weir-feed and print it, once",
		.help = "Who sends it to weir-feed (Authorization: Bearer "
			"TOKEN) may read what it tells,\nwith --rights act "
			"also quarantine devices. The registry keeps its "
			"SHA-256 only:\nfor a token that is lost, make another "
			"and revoke it. A name is given once.\n"
			"Standard output has the token alone, for a file that "
			"only its owner reads:\n\n"
			"  weir token add prometheus | install -m 600 "
			"/dev/stdin prometheus.token\n",
		.options = ADD_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_add,
	},
	{
		.name = "token list",
		.usage = "",
		.summary = "List the tokens for weir-feed",
		.help = "Revoked and expired ones too; END is when a token was "
			"revoked, or ends.\n\n"
			"  weir token list\n",
		.run = run_list,
	},
	{
		.name = "token revoke",
		.usage = "NAME",
		.summary = "End a token for good",
		.help = "weir-feed refuses it from its next request on.\n\n"
			"  weir token revoke prometheus\n",
		.words_min = 1,
		.words_max = 1,
		.run = run_revoke,
	},
	{.name = NULL},
};
