/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_token.h"

#include "core/device.h"
#include "io/registry_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

_Static_assert(TOKEN_HASH == FINGERPRINT_LEN, "bound and read like one");
_Static_assert(TOKEN_NAME_MAX == CLASS_NAME_MAX, "the same rule");
_Static_assert(sizeof(TOKEN_PREFIX) + (TOKEN_RANDOM * 4 + 2) / 3 == TOKEN_TEXT,
	"base64 without padding");

/* Here, not in the schema: registries are older than tokens. */
static const char table_sql[] =
	"CREATE TABLE IF NOT EXISTS token ("
	" name TEXT PRIMARY KEY NOT NULL,"
	" hash BLOB UNIQUE NOT NULL,"
	" rights TEXT NOT NULL CHECK (rights IN ('read', 'act')),"
	" created_s INTEGER NOT NULL,"
	" expires_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL,"
	" revision INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID";

/* ------------------------------------------------------------------- words */

static const char *const right_names[] = {
	[TOKEN_READ] = "read",
	[TOKEN_ACT] = "act",
};

const char *token_right_name(enum token_right right)
{
	return right == TOKEN_READ || right == TOKEN_ACT ? right_names[right]
							 : "nothing";
}

enum token_right token_right_find(struct str name)
{
	for (int i = TOKEN_READ; i <= TOKEN_ACT; i++) {
		if (str_eq(name, str_from(right_names[i])))
			return (enum token_right)i;
	}
	return TOKEN_NOTHING;
}

const char *token_state_name(enum token_state state)
{
	switch (state) {
	case TOKEN_VALID:
		return "valid";
	case TOKEN_EXPIRED:
		return "expired";
	case TOKEN_REVOKED:
		return "revoked";
	case TOKEN_INVALID:
		break;
	}
	return "invalid";
}

enum token_state token_state(const struct token *t, int64_t now_s)
{
	if (t->right != TOKEN_READ && t->right != TOKEN_ACT)
		return TOKEN_INVALID;
	if (t->revoked_s != 0)
		return TOKEN_REVOKED;
	return t->expires_s != 0 && t->expires_s <= now_s ? TOKEN_EXPIRED
							  : TOKEN_VALID;
}

bool token_name_valid(struct str name)
{
	return class_name_valid(name);
}

/* ------------------------------------------------------------------ its text */

/* Source: RFC 4648 §5. */
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_";

void token_format(
	const uint8_t random[static TOKEN_RANDOM], char out[static TOKEN_TEXT])
{
	size_t n = sizeof(TOKEN_PREFIX) - 1;
	unsigned bits = 0, have = 0;

	memcpy(out, TOKEN_PREFIX, n);
	for (size_t i = 0; i < TOKEN_RANDOM; i++) {
		bits = (bits << 8 | random[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			out[n++] = base64url[bits >> (have - 6) & 63];
	}
	out[n++] = base64url[bits << (6 - have) & 63];
	out[n] = '\0';
}

bool token_hash(struct str text, uint8_t out[static TOKEN_HASH])
{
	static const size_t head = sizeof(TOKEN_PREFIX) - 1;

	if (text.n != TOKEN_TEXT - 1 || memcmp(text.p, TOKEN_PREFIX, head) != 0)
		return false;
	for (size_t i = head; i < text.n; i++) {
		if (memchr(base64url, text.p[i], sizeof(base64url) - 1) == NULL)
			return false;
	}
	return EVP_Digest(text.p, text.n, out, NULL, EVP_sha256(), NULL) == 1;
}

/* -------------------------------------------------------------------- read */

static bool read_token(
	struct registry *r, sqlite3_stmt *st, struct token *out, struct err *e)
{
	struct token t = {.right = TOKEN_NOTHING};
	struct str right;

	if (!col_copy(st, 0, t.name, sizeof(t.name)) ||
		!token_name_valid(str_from(t.name)) ||
		!col_text(st, 1, 16, &right) ||
		(t.right = token_right_find(right)) == TOKEN_NOTHING ||
		!col_int(st, 2, &t.created_s) ||
		!col_int(st, 3, &t.expires_s) ||
		!col_int(st, 4, &t.revoked_s) || !col_int(st, 5, &t.revision)) {
		(void)reg_damaged(r, e, "a token", "any");
		return false;
	}
	*out = t;
	return true;
}

/* *there: the registry has a table of tokens. */
static bool has_table(struct registry *r, bool *there, struct err *e)
{
	sqlite3_stmt *row;

	if (!reg_find(r, STMT_TOKEN_TABLE, NO_VALS, &row, e))
		return false;
	*there = row != NULL;
	reg_done(row);
	return true;
}

static bool trusted(struct registry *r, int64_t seen_revision, struct err *e)
{
	struct registry_heads heads;

	if (!registry_heads(r, &heads, e))
		return false;
	if (!heads.restored && heads.revision >= seen_revision)
		return true;
	return err_set(e, ERR_CONFLICT,
		"%s went back, as a restored backup does, and may hold tokens "
		"that were revoked since: none is valid until weir registry "
		"accept",
		r->path);
}

bool registry_token_find(struct registry *r,
	const uint8_t hash[static TOKEN_HASH], int64_t seen_revision,
	struct token *out, bool *found, struct err *e)
{
	uint8_t held[FINGERPRINT_LEN];
	sqlite3_stmt *row = NULL;
	bool there, ok;

	if (!has_table(r, &there, e) ||
		(there && !trusted(r, seen_revision, e)))
		return false;
	/* By an index of hashes: how long that takes tells of a hash's first
	 * bytes at most, and nobody can choose the hash of a token. */
	if (there && !reg_find(r, STMT_TOKEN, VALS(V_BLOB(hash)), &row, e))
		return false;
	if (row == NULL) {
		*found = false;
		return true;
	}
	ok = col_blob(row, 6, held) &&
			     CRYPTO_memcmp(held, hash, sizeof(held)) == 0
		     ? read_token(r, row, out, e)
		     : reg_damaged(r, e, "a token", "hash");
	reg_done(row);
	if (ok)
		*found = true;
	return ok;
}

bool registry_tokens(struct registry *r,
	bool (*each)(void *ctx, const struct token *t), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row, ok, there;

	if (!has_table(r, &there, e))
		return false;
	if (!there)
		return true;
	if (!reg_prepare(r, "SELECT " TOKEN_COLUMNS " FROM token ORDER BY name",
		    NO_VALS, &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		struct token t;

		ok = read_token(r, st, &t, e);
		if (!ok || !each(ctx, &t))
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}

struct search {
	int64_t now_s;
	bool found;
};

static bool valid_one(void *ctx, const struct token *t)
{
	struct search *s = ctx;

	s->found = token_state(t, s->now_s) == TOKEN_VALID;
	return !s->found;
}

bool registry_token_any(struct registry *r, int64_t now_s,
	int64_t seen_revision, bool *any, struct err *e)
{
	struct search s = {.now_s = now_s};
	bool there;

	if (!has_table(r, &there, e) ||
		(there && !trusted(r, seen_revision, e)) ||
		!registry_tokens(r, valid_one, &s, e))
		return false;
	*any = s.found;
	return true;
}

/* ------------------------------------------------------------------- write */

static bool check(const struct token *t, int64_t now_s, struct err *e)
{
	if (!token_name_valid(str_from(t->name)))
		return err_set(
			e, ERR_INPUT, "a token's name is " TOKEN_NAME_RULE);
	if (t->right != TOKEN_READ && t->right != TOKEN_ACT)
		return err_set(e, ERR_INPUT, "a token's right is read or act");
	if (t->expires_s != 0 && t->expires_s <= now_s)
		return err_set(
			e, ERR_INPUT, "the token's end has passed already");
	return true;
}

/* What NAME is. */
static bool by_name(struct registry *r, struct str name, struct token *out,
	bool *found, struct err *e)
{
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_TOKEN_NAME, VALS(V_TEXT(name)), &row, e))
		return false;
	*found = row != NULL;
	ok = row == NULL || read_token(r, row, out, e);
	reg_done(row);
	return ok;
}

static cJSON *detail_of(const struct token *t)
{
	cJSON *o = cJSON_CreateObject();

	if (cJSON_AddStringToObject(o, "name", t->name) != NULL &&
		cJSON_AddStringToObject(
			o, "rights", token_right_name(t->right)) != NULL &&
		(t->expires_s == 0 ? cJSON_AddNullToObject(o, "expires_s")
				   : cJSON_AddNumberToObject(o, "expires_s",
					     (double)t->expires_s)) != NULL)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static bool token_add(struct registry *r, const struct token *t,
	const uint8_t hash[static TOKEN_HASH], struct err *e)
{
	struct token old = {.right = TOKEN_NOTHING};
	bool taken = false;

	if (!reg_may_write(r, e) || !check(t, r->now_s, e))
		return false;
	if (sqlite3_exec(r->db, table_sql, NULL, NULL, NULL) != SQLITE_OK)
		return reg_fail(r, e);
	if (!by_name(r, str_from(t->name), &old, &taken, e))
		return false;
	if (taken)
		return err_set(e, ERR_CONFLICT,
			"there is a token '%s'%s; a name is given once, for "
			"logs speak of it: choose another",
			old.name, old.revoked_s != 0 ? ", revoked" : "");
	return reg_run(r, STMT_TOKEN_ADD,
		       VALS(V_TEXT(str_from(t->name)), V_BLOB(hash),
			       V_TEXT(str_from(token_right_name(t->right))),
			       V_INT(r->now_s), V_INT(t->expires_s),
			       V_INT(r->revision)),
		       e) &&
	       reg_audit(r, "token.add", NO_DEVICE, detail_of(t), e);
}

bool registry_token_add(struct registry *r, const struct token *t,
	const uint8_t hash[static TOKEN_HASH], struct err *e)
{
	return reg_wrote(r, token_add(r, t, hash, e));
}

static bool token_revoke(struct registry *r, struct str name, struct err *e)
{
	struct token t = {.right = TOKEN_NOTHING};
	bool found = false, there;

	if (!reg_may_write(r, e) || !has_table(r, &there, e) ||
		(there && !by_name(r, name, &t, &found, e)))
		return false;
	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			"there is no token '%.*s'; weir token list shows them",
			name.n < 64 ? (int)name.n : 64, name.p);
	if (t.revoked_s != 0)
		return err_set(e, ERR_CONFLICT, "token '%s' is revoked already",
			t.name);
	return reg_run(r, STMT_TOKEN_REVOKE,
		       VALS(V_TEXT(name), V_INT(r->now_s), V_INT(r->revision)),
		       e) &&
	       reg_audit(r, "token.revoke", NO_DEVICE, detail_of(&t), e);
}

bool registry_token_revoke(struct registry *r, struct str name, struct err *e)
{
	return reg_wrote(r, token_revoke(r, name, e));
}
