/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/action_body.h"

#include "core/utf8.h"
#include "io/json_reader.h"
#include "io/json_scan.h"

#include <stdio.h>
#include <strings.h>

#define JSON_TYPE "application/json" /* with or without parameters */

struct reading {
	int64_t now_s;
	struct action_body body;
	bool has_for, has_until;
};

/* ------------------------------------------------------------------- the keys */

static void take_reason(struct json_reader *r, const cJSON *value, void *into)
{
	struct reading *x = into;
	struct str s = {NULL, 0};

	json_read_string(r, value, &s);
	if (s.p == NULL)
		return;
	if (s.n > STATUS_REASON_MAX || !utf8_valid(s)) {
		json_reader_fail(r,
			"must be text of at most %d bytes without control "
			"characters",
			STATUS_REASON_MAX);
		return;
	}
	memcpy(x->body.reason, s.p, s.n);
	x->body.reason[s.n] = '\0';
}

static void take_for(struct json_reader *r, const cJSON *value, void *into)
{
	struct reading *x = into;
	uint64_t s = 0;

	x->has_for = true;
	json_read_number(r, value, 1, (uint64_t)ACTION_FOR_MAX, &s);
	x->body.until_s = x->now_s + (int64_t)s;
}

static void take_until(struct json_reader *r, const cJSON *value, void *into)
{
	struct reading *x = into;
	uint64_t s = 0;

	x->has_until = true;
	json_read_number(r, value, (uint64_t)x->now_s + 1,
		(uint64_t)(x->now_s + ACTION_FOR_MAX), &s);
	x->body.until_s = (int64_t)s;
}

/* ------------------------------------------------------------------- the body */

bool action_body_typed(const struct ask *q)
{
	struct str type = q->content_type;
	size_t n = sizeof(JSON_TYPE) - 1;

	return q->body.n == 0 ||
	       (type.n >= n && strncasecmp(type.p, JSON_TYPE, n) == 0 &&
		       (type.n == n || type.p[n] == ';' || type.p[n] == ' '));
}

static bool read_tree(const cJSON *tree, const struct json_key *keys,
	size_t n_keys, struct reading *x, struct err *e)
{
	struct errs errs = {.n = 0};
	struct json_reader r = {.errs = &errs};

	json_read_object(&r, tree, "an action", keys, n_keys, x);
	if (errs.n == 0 && x->has_for && x->has_until)
		json_reader_fail(&r, "give for_s or until_s, not both");
	json_reader_fini(&r);
	if (errs.n != 0 && e != NULL)
		*e = errs.e[0];
	return errs.n == 0;
}

/* Q's body as an object of KEYS; none is an empty one. */
static bool read_body(const struct ask *q, const struct json_key *keys,
	size_t n_keys, struct reading *x, struct err *e)
{
	cJSON *tree;
	bool done;

	if (q->body.n == 0)
		return true;
	if (!json_scan(q->body, ASK_BODY_MAX, e))
		return false;
	tree = cJSON_ParseWithLength(q->body.p, q->body.n);
	if (tree == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	done = read_tree(tree, keys, n_keys, x, e);
	cJSON_Delete(tree);
	return done;
}

bool action_body_read(const struct ask *q, int64_t now_s,
	struct action_body *out, struct err *e)
{
	static const struct json_key keys[] = {
		{"reason", false, take_reason, NULL},
		{"for_s", false, take_for, NULL},
		{"until_s", false, take_until, NULL},
	};
	struct reading x = {.now_s = now_s};

	if (!read_body(q, keys, sizeof(keys) / sizeof(keys[0]), &x, e))
		return false;
	*out = x.body;
	return true;
}

bool action_body_none(const struct ask *q, struct err *e)
{
	struct reading x = {.now_s = 0};

	return read_body(q, NULL, 0, &x, e);
}
