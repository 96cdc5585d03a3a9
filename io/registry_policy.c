/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy revisions: text in, text out. What it means is core/policy.h's.
 */
#include "io/registry_private.h"
#include "io/x509.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(((struct policy_row *)0)->hash) == FINGERPRINT_HEX,
	"a policy's hash is SHA-256 in hex");

static bool hash_text(
	struct str text, char out[static FINGERPRINT_HEX], struct err *e)
{
	uint8_t hash[FINGERPRINT_LEN];

	if (EVP_Digest(text.p, text.n, hash, NULL, EVP_sha256(), NULL) != 1)
		return err_set(e, ERR_ENVIRONMENT, "OpenSSL has no SHA-256");
	fingerprint_format(hash, out);
	return true;
}

void policy_row_fini(struct policy_row *p)
{
	free(p->text);
	memset(p, 0, sizeof(*p));
}

/* Columns 0 to 3. */
static bool read_row(sqlite3_stmt *st, struct policy_row *p)
{
	return col_int(st, 0, &p->revision) && col_int(st, 1, &p->t_s) &&
	       col_copy(st, 2, p->actor, sizeof(p->actor)) &&
	       col_copy(st, 3, p->hash, sizeof(p->hash));
}

/* *p is given on success. */
static bool read_policy(struct registry *r, sqlite3_stmt *st,
	struct policy_row *p, struct err *e)
{
	char hash[FINGERPRINT_HEX];
	struct str text;

	if (!read_row(st, p) || !col_text(st, 4, REGISTRY_TEXT_MAX, &text))
		return reg_damaged(r, e, "a policy", "any");
	if (!hash_text(text, hash, e))
		return false;
	if (strcmp(hash, p->hash) != 0)
		return reg_damaged(r, e, "a policy", "hash");
	p->text = malloc(text.n + 1);
	if (p->text == NULL)
		return reg_no_memory(e);
	memcpy(p->text, text.p, text.n);
	p->text[text.n] = '\0';
	p->text_len = text.n;
	return true;
}

bool registry_policy(struct registry *r, int64_t revision,
	struct policy_row *out, bool *found, struct err *e)
{
	struct policy_row p = {0};
	sqlite3_stmt *row;
	bool ok = revision == 0
			  ? reg_find(r, STMT_POLICY_NEWEST, NO_VALS, &row, e)
			  : reg_find(r, STMT_POLICY, VALS(V_INT(revision)),
				    &row, e);

	if (!ok)
		return false;
	if (row == NULL) {
		*found = false;
		return true;
	}
	ok = read_policy(r, row, &p, e);
	reg_done(row);
	if (!ok)
		return false;
	*out = p;
	*found = true;
	return true;
}

bool registry_policies(struct registry *r,
	bool (*each)(void *ctx, const struct policy_row *p), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row, ok;

	if (!reg_prepare(r,
		    "SELECT revision, t_s, actor, hash, "
		    "length(CAST(text AS BLOB)) FROM policy "
		    "ORDER BY revision DESC",
		    NO_VALS, &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		struct policy_row p = {0};
		int64_t len;

		if (!read_row(st, &p) || !col_int(st, 4, &len)) {
			ok = reg_damaged(r, e, "a policy", "any");
			break;
		}
		p.text_len = (size_t)len;
		if (!each(ctx, &p))
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}

static bool policy_put(
	struct registry *r, struct str text, const char *action, struct err *e)
{
	char hash[FINGERPRINT_HEX];
	cJSON *detail;

	if (!reg_may_write(r, e))
		return false;
	if (text.n == 0 || text.n > REGISTRY_TEXT_MAX ||
		memchr(text.p, '\0', text.n) != NULL)
		return err_set(e, ERR_INPUT,
			"a policy is 1 to %d bytes of text, without NUL",
			REGISTRY_TEXT_MAX);
	if (!hash_text(text, hash, e) ||
		!reg_run(r, STMT_POLICY_ADD,
			VALS(V_INT(r->revision), V_INT(r->now_s),
				V_TEXT(str_from(r->actor)), V_TEXT(text),
				V_TEXT(str_from(hash))),
			e))
		return false;
	detail = cJSON_CreateObject();
	if (cJSON_AddStringToObject(detail, "hash", hash) == NULL) {
		cJSON_Delete(detail);
		return reg_no_memory(e);
	}
	return reg_audit(r, action, NO_DEVICE, detail, e);
}

bool registry_policy_put(struct registry *r, struct str text,
	const char *action, int64_t *revision, struct err *e)
{
	if (!reg_wrote(r, policy_put(r, text, action, e)))
		return false;
	*revision = r->revision;
	return true;
}
