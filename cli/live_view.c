/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live_view.h"

#include "io/values.h"

#include <stdlib.h>
#include <string.h>

#define READ_BATCH 4096

static bool add(void *ctx, const struct quarantine *q)
{
	struct live_view *v = ctx;

	/* Grown by doubling, from the powers of two that N comes to. */
	if ((v->n & (v->n - 1)) == 0) {
		struct quarantine *more =
			need_memory(v->n != 0 ? v->n * 2 : 1, sizeof(*more));

		if (v->n != 0)
			memcpy(more, v->q, v->n * sizeof(*more));
		free(v->q);
		v->q = more;
	}
	v->q[v->n++] = *q;
	return v->n < LIVE_QUARANTINES_MAX;
}

static bool read_rows(struct live *l, struct live_view *v, struct err *e)
{
	struct live_heads h;

	if (!live_heads(l, &h, e) ||
		!live_quarantines(l, "", LIVE_QUARANTINES_MAX, add, v, e))
		return false;
	v->change = h.newest;
	return true;
}

bool live_view_read(const struct cli *c, struct live_view *out, struct err *e)
{
	char path[CLI_PATH_MAX];
	struct live *l = NULL;
	struct err why;

	*out = (struct live_view){.now_s = c->now_s};
	if (!cli_state_path(c, LIVE_FILE, path, sizeof(path), e))
		return false;
	if (!live_open(path, LIVE_READ, &l, &why) ||
		(l != NULL && !read_rows(l, out, &why)))
		(void)snprintf(
			out->problem, sizeof(out->problem), "%s", why.msg);
	out->there = l != NULL || out->problem[0] != '\0';
	live_close(&l);
	return true;
}

bool live_view_need(const struct cli *c, struct live_view *out, struct err *e)
{
	if (!live_view_read(c, out, e))
		return false;
	if (out->problem[0] == '\0')
		return true;
	(void)err_set(e, ERR_ENVIRONMENT, "%s", out->problem);
	live_view_fini(out);
	return false;
}

void live_view_fini(struct live_view *v)
{
	free(v->q);
	v->q = NULL;
	v->n = 0;
}

void live_view_note(const struct live_view *v)
{
	if (v->problem[0] != '\0')
		print_note("whom weir-feed has in quarantine is not known: %s",
			v->problem);
}

static int by_id(const void *id, const void *q)
{
	return str_cmp(*(const struct str *)id,
		str_from(((const struct quarantine *)q)->device_id));
}

const struct quarantine *live_view_find(
	const struct live_view *v, struct str id)
{
	const struct quarantine *q =
		v->n != 0 ? bsearch(&id, v->q, v->n, sizeof(*v->q), by_id)
			  : NULL;

	return q != NULL && quarantine_holds(q, v->now_s) ? q : NULL;
}

int64_t live_view_count(const struct live_view *v)
{
	int64_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += quarantine_holds(&v->q[i], v->now_s);
	return n;
}

enum device_status live_status(
	const struct device *d, const struct quarantine *q, int64_t now_s)
{
	enum device_status s = device_effective(d, now_s);

	return s == DEVICE_ACTIVE && q != NULL ? DEVICE_QUARANTINED : s;
}

void live_json(cJSON *o, const struct device *d, const struct quarantine *q,
	int64_t now_s)
{
	cJSON *j;

	(void)cJSON_SetValuestring(
		cJSON_GetObjectItemCaseSensitive(o, "effective_status"),
		device_status_name(live_status(d, q, now_s)));
	if (q == NULL) {
		json_str(o, "feed_quarantine", NULL);
		return;
	}
	j = json_object(o, "feed_quarantine");
	json_int(j, "since_s", q->since_s);
	json_time(j, "until_s", q->until_s);
	json_str(j, "reason", q->reason[0] != '\0' ? q->reason : NULL);
	json_str(j, "actor", q->actor);
	json_int(j, "change", q->change);
}

void live_print(const struct quarantine *q)
{
	char since[TIME_TEXT], until[TIME_TEXT] = "";

	if (q == NULL)
		return;
	time_format(q->since_s, since);
	if (q->until_s != 0)
		time_format(q->until_s, until);
	print_field("weir-feed", "in quarantine since %s%s%s, by %s%s%s", since,
		until[0] != '\0' ? " until " : "", until, q->actor,
		q->reason[0] != '\0' ? ": " : "", q->reason);
}
