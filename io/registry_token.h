/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: who may ask weir-feed, and what. The registry holds their hashes
 * alone; a token itself is seen once, by whoever makes it.
 *
 * Names are never given again: logs speak of who acted by them. A registry
 * from before there were tokens has none; the first one adds their table,
 * which older programs do not look at.
 */
#ifndef IO_REGISTRY_TOKEN_H
#define IO_REGISTRY_TOKEN_H

#include "io/registry.h"

#define TOKEN_PREFIX    "weir_"
#define TOKEN_RANDOM    32 /* bytes of it that nobody can guess */
#define TOKEN_TEXT      49 /* prefix, those bytes in base64url, NUL */
#define TOKEN_HASH      32 /* SHA-256 over the text */
#define TOKEN_NAME_MAX  64 /* bytes */
#define TOKEN_NAME_RULE "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

enum token_right {
	TOKEN_NOTHING = 0,
	TOKEN_READ,
	TOKEN_ACT, /* reading included */
};

struct token {
	char name[TOKEN_NAME_MAX + 1];
	enum token_right right;
	int64_t created_s;
	int64_t expires_s; /* 0: no end */
	int64_t revoked_s; /* 0: not revoked */
	int64_t revision;
};

enum token_state {
	TOKEN_INVALID = 0, /* no such row */
	TOKEN_VALID,
	TOKEN_EXPIRED,
	TOKEN_REVOKED,
};

/* "read", "act"; "nothing" for anything else. Static. */
const char *token_right_name(enum token_right right);
/* TOKEN_NOTHING when there is no such right. */
enum token_right token_right_find(struct str name);
/* "valid", "expired", "revoked"; "invalid" for anything else. Static. */
const char *token_state_name(enum token_state state);
enum token_state token_state(const struct token *t, int64_t now_s);
bool token_name_valid(struct str name);

/* RANDOM as a token. Wiping both is the caller's. */
void token_format(
	const uint8_t random[static TOKEN_RANDOM], char out[static TOKEN_TEXT]);
/* The hash of TEXT. False: it has not the form of a token. */
MUST bool token_hash(struct str text, uint8_t out[static TOKEN_HASH]);

/*
 * The token of that hash, revoked and expired ones too: see token_state().
 *
 * SEEN_REVISION is the highest revision that the broker's meter has seen, 0
 * when that is not known. A registry that lags behind it, or is marked as
 * restored, may bring revoked tokens back, so nobody has one until `weir
 * registry accept`: ERR_CONFLICT, which says so.
 */
MUST bool registry_token_find(struct registry *r,
	const uint8_t hash[static TOKEN_HASH], int64_t seen_revision,
	struct token *out, bool *found, struct err *e);

/* *any: some token is valid at NOW_S. The same refusals. */
MUST bool registry_token_any(struct registry *r, int64_t now_s,
	int64_t seen_revision, bool *any, struct err *e);

/* Calls EACH in the order of names until it returns false; whether the
 * registry went back counts nothing here. */
MUST bool registry_tokens(struct registry *r,
	bool (*each)(void *ctx, const struct token *t), void *ctx,
	struct err *e);

/* Adds T (name, right, expires_s) with its HASH. Audited as token.add, without
 * the hash. ERR_CONFLICT: the name was given before. ERR_INPUT: no name, no
 * right, or an end that has passed. */
MUST bool registry_token_add(struct registry *r, const struct token *t,
	const uint8_t hash[static TOKEN_HASH], struct err *e);
/* Audited as token.revoke. ERR_NOT_FOUND; ERR_CONFLICT: revoked already. */
MUST bool registry_token_revoke(
	struct registry *r, struct str name, struct err *e);

#endif
