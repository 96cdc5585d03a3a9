/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: every change, chained by hashes, so that an entry that was
 * altered, removed or moved is found.
 */
#include "io/registry_private.h"
#include "io/x509.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT_COLUMNS "seq, t_s, actor, action, device_id, detail, prev, hash"

/* ----------------------------------------------------------------- hashing */

static bool add_number(EVP_MD_CTX *md, uint64_t v)
{
	uint8_t b[8];

	for (int i = 7; i >= 0; i--, v >>= 8)
		b[i] = (uint8_t)v;
	return EVP_DigestUpdate(md, b, sizeof(b)) == 1;
}

static bool add_text(EVP_MD_CTX *md, struct str s)
{
	if (s.p == NULL)
		return add_number(md, UINT64_MAX);
	return add_number(md, s.n) && EVP_DigestUpdate(md, s.p, s.n) == 1;
}

/* A's hash behind PREV. A->hash is not looked at. */
static bool hash_entry(const struct audit_row *a,
	const uint8_t prev[static FINGERPRINT_LEN],
	uint8_t out[static FINGERPRINT_LEN], struct err *e)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	ok = ok && add_number(md, (uint64_t)a->seq) &&
	     add_number(md, (uint64_t)a->t_s) && add_text(md, a->actor) &&
	     add_text(md, a->action) && add_text(md, a->device_id) &&
	     add_text(md, a->detail) &&
	     EVP_DigestUpdate(md, prev, FINGERPRINT_LEN) == 1 &&
	     EVP_DigestFinal_ex(md, out, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok || err_set(e, ERR_ENVIRONMENT, "OpenSSL has no SHA-256");
}

/* -------------------------------------------------------------------- head */

bool reg_audit_head(struct registry *r, int64_t *seq,
	uint8_t hash[static FINGERPRINT_LEN], bool *valid, struct err *e)
{
	char text[128];
	const char *colon;

	if (!registry_meta(r, "audit_head", text, sizeof(text), e))
		return false;
	colon = strchr(text, ':');
	*valid = colon != NULL &&
		 reg_number((struct str){text, (size_t)(colon - text)}, seq) &&
		 fingerprint_parse(str_from(colon + 1), hash, NULL);
	return true;
}

bool reg_audit_head_put(struct registry *r, struct err *e)
{
	char hex[FINGERPRINT_HEX];
	char text[FINGERPRINT_HEX + 32];

	fingerprint_format(r->audit_hash, hex);
	(void)snprintf(
		text, sizeof(text), "%lld:%s", (long long)r->audit_seq, hex);
	return reg_meta_put(r, "audit_head", text, e);
}

/* ------------------------------------------------------------------ append */

static bool append(struct registry *r, struct audit_row *a, struct err *e)
{
	a->seq = r->audit_seq + 1;
	a->t_s = r->now_s;
	a->actor = str_from(r->actor);
	if (!hash_entry(a, r->audit_hash, a->hash, e) ||
		!reg_run(r, STMT_AUDIT_ADD,
			VALS(V_INT(a->seq), V_INT(a->t_s), V_TEXT(a->actor),
				V_TEXT(a->action),
				{.kind = a->device_id.p != NULL ? VAL_TEXT
								: VAL_NULL,
					.s = a->device_id},
				V_TEXT(a->detail), V_BLOB(r->audit_hash),
				V_BLOB(a->hash)),
			e))
		return false;
	memcpy(r->audit_hash, a->hash, FINGERPRINT_LEN);
	r->audit_seq = a->seq;
	r->wrote = true;
	return true;
}

bool reg_audit(struct registry *r, const char *action, struct str device_id,
	cJSON *detail, struct err *e)
{
	struct audit_row a = {
		.action = str_from(action), .device_id = device_id};
	char *text = NULL;
	bool ok;

	if (r->bulk) {
		/* One entry tells of all: registry_bulk_end. */
		cJSON_Delete(detail);
		r->wrote = r->bulk_wrote = true;
		return true;
	}
	if (cJSON_AddNumberToObject(detail, "revision", (double)r->revision) !=
		NULL)
		text = cJSON_PrintUnformatted(detail);
	cJSON_Delete(detail);
	if (text == NULL)
		return reg_no_memory(e);
	a.detail = str_from(text);
	ok = append(r, &a, e);
	free(text);
	return ok;
}

/* -------------------------------------------------------------------- read */

/* ST's row; false: it is none that the registry wrote. */
static bool read_row(sqlite3_stmt *st, struct audit_row *a,
	uint8_t prev[static FINGERPRINT_LEN])
{
	a->device_id = NO_DEVICE;
	return col_int(st, 0, &a->seq) && col_int(st, 1, &a->t_s) &&
	       col_text(st, 2, REGISTRY_ACTOR_MAX, &a->actor) &&
	       col_text(st, 3, 64, &a->action) &&
	       (sqlite3_column_type(st, 4) == SQLITE_NULL ||
		       col_text(st, 4, DEVICE_ID_MAX, &a->device_id)) &&
	       col_text(st, 5, REGISTRY_TEXT_MAX, &a->detail) &&
	       col_blob(st, 6, prev) && col_blob(st, 7, a->hash);
}

bool registry_audit(struct registry *r, int64_t after_seq,
	bool (*each)(void *ctx, const struct audit_row *a), void *ctx,
	struct err *e)
{
	uint8_t prev[FINGERPRINT_LEN];
	sqlite3_stmt *st;
	bool row, ok;

	if (!reg_prepare(r,
		    "SELECT " AUDIT_COLUMNS
		    " FROM audit WHERE seq > ?1 ORDER BY seq",
		    VALS(V_INT(after_seq)), &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		struct audit_row a = {0};

		if (!read_row(st, &a, prev)) {
			ok = reg_damaged(r, e, "an audit entry", "any");
			break;
		}
		if (!each(ctx, &a))
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}

/* The chain as far as it was walked. */
struct walk {
	int64_t seq; /* of the last entry that fits */
	int64_t n;
	int64_t bad_seq;
	uint8_t hash[FINGERPRINT_LEN];
};

/* One row more. False: no answer (memory). */
static bool walk_row(struct walk *w, sqlite3_stmt *st, struct err *e)
{
	struct audit_row a = {0};
	uint8_t prev[FINGERPRINT_LEN], hash[FINGERPRINT_LEN];
	bool whole;

	w->n++;
	if (w->bad_seq != 0)
		return true;
	whole = read_row(st, &a, prev);
	if (!whole && db_starved(sqlite3_db_handle(st)))
		return reg_no_memory(e);
	if (!whole || a.seq != w->seq + 1 ||
		memcmp(prev, w->hash, sizeof(prev)) != 0) {
		w->bad_seq = w->seq + 1;
		return true;
	}
	if (!hash_entry(&a, prev, hash, e))
		return false;
	if (memcmp(hash, a.hash, sizeof(hash)) != 0) {
		w->bad_seq = a.seq;
		return true;
	}
	memcpy(w->hash, hash, sizeof(hash));
	w->seq = a.seq;
	return true;
}

/* 0 when a sound chain ends in the head that meta has, SEQ and HEAD. */
static int64_t bad_end(const struct walk *w, bool valid, int64_t seq,
	const uint8_t head[static FINGERPRINT_LEN])
{
	if (!valid || seq > w->seq)
		return w->seq + 1; /* cut off */
	if (seq < w->seq)
		return seq + 1; /* put behind */
	return memcmp(head, w->hash, FINGERPRINT_LEN) != 0 ? seq : 0;
}

/* All of the chain, and that it ends where meta says. */
static bool walk_all(struct registry *r, struct walk *w, struct err *e)
{
	uint8_t head[FINGERPRINT_LEN];
	sqlite3_stmt *st;
	int64_t seq = 0;
	bool row, ok, valid = false;

	if (!reg_audit_head(r, &seq, head, &valid, e) ||
		!reg_prepare(r,
			"SELECT " AUDIT_COLUMNS " FROM audit ORDER BY seq",
			NO_VALS, &st, e))
		return false;
	do {
		ok = reg_step(r, st, &row, e) && (!row || walk_row(w, st, e));
	} while (ok && row);
	(void)sqlite3_finalize(st);
	if (ok && w->bad_seq == 0)
		w->bad_seq = bad_end(w, valid, seq, head);
	return ok;
}

bool registry_audit_verify(struct registry *r, int64_t *bad_seq, int64_t *n,
	uint8_t head[static 32], struct err *e)
{
	struct walk w = {0};
	bool ok;

	/* Not in a change: its entries are not in meta's head yet. */
	if (!registry_snapshot(r, e))
		return false;
	ok = walk_all(r, &w, e);
	registry_snapshot_end(r);
	if (!ok)
		return false;
	*bad_seq = w.bad_seq;
	*n = w.n;
	memcpy(head, w.hash, FINGERPRINT_LEN);
	return true;
}
