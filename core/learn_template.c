/* SPDX-License-Identifier: Apache-2.0 */
#include "core/learn_template.h"

#include "core/level.h"

#include <stdlib.h>

#define WIDEST 48u /* bytes of a variable: ${attr.NAME} */

_Static_assert(sizeof("${attr.}") + ATTR_NAME_MAX <= WIDEST, "room");

struct text {
	char *p;
	size_t n;
};

static void put(struct text *t, struct str s)
{
	if (s.n != 0)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
}

/* The variable that is the whole LEVEL; false: none. */
static bool put_whole(struct text *t, struct str level, const struct device *d)
{
	static const struct str sims[SIMID_KINDS] = {
		[SIMID_ICCID] = STR_INIT("${iccid}"),
		[SIMID_IMSI] = STR_INIT("${imsi}"),
		[SIMID_IMEI] = STR_INIT("${imei}"),
		[SIMID_EID] = STR_INIT("${eid}"),
	};

	if (level.n == 0)
		return false;
	if (str_eq(level, (struct str){d->id, d->id_len})) {
		put(t, STR("${device}"));
		return true;
	}
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++)
		if (d->sim[k].kind != SIMID_NONE &&
			str_eq(level, str_from(d->sim[k].digits))) {
			put(t, sims[k]);
			return true;
		}
	for (size_t i = 0; i < d->n_attrs; i++)
		if (str_eq(level, d->attrs[i].value)) {
			put(t, STR("${attr."));
			put(t, d->attrs[i].name);
			put(t, STR("}"));
			return true;
		}
	return false;
}

/* Where D's id stands in LEVEL; level.n: nowhere. */
static size_t find_id(struct str level, const struct device *d)
{
	size_t i;

	if (d->id_len < LEARN_ID_PART)
		return level.n;
	for (i = 0; i + d->id_len <= level.n; i++)
		if (memcmp(level.p + i, d->id, d->id_len) == 0)
			return i;
	return level.n;
}

static void put_level(struct text *t, struct str level, const struct device *d)
{
	size_t at;

	if (put_whole(t, level, d))
		return;
	at = find_id(level, d);
	put(t, (struct str){level.p, at});
	if (at == level.n)
		return;
	put(t, STR("${device}"));
	at += d->id_len;
	put(t, (struct str){level.p + at, level.n - at});
}

char *learn_template(struct str topic, const struct device *d)
{
	struct levels levels = levels_of(topic);
	struct text t = {NULL, 0};
	struct str level;

	t.p = malloc(topic.n + levels_count(topic) * WIDEST + 1);
	if (t.p == NULL)
		return NULL;
	for (bool first = true; levels_next(&levels, &level); first = false) {
		if (!first)
			put(&t, STR("/"));
		put_level(&t, level, d);
	}
	t.p[t.n] = '\0';
	return t.p;
}
