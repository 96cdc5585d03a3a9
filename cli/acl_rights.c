/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/acl_rights.h"

#include "cli/filter_meet.h"
#include "cli/output.h"
#include "core/level.h"
#include "core/template.h"
#include "core/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands for the device in topics that are being worked on: no valid filter
 * holds it, and a level with it is neither a wildcard nor starts with '$'. */
#define OWN       '\x01'
#define OWN_TEXT  "\x01"
#define WILD_TEXT "+"
/* Of more rules the needless ones stay: each is compared with each. */
#define TIDY_MAX 4096

/* A rule for one user. */
struct candidate {
	const struct acl_rule *rule;
	char *exact; /* with the user's name, or OWN where it is unknown */
	char *wide;  /* as exact, but '+' for a level with OWN */
	char *own;   /* OWN where the list says %c or %u */
	bool lost, covered;
};

struct maker {
	const struct acl *acl;
	struct rule_fate *fates;
	struct candidate *c;
	size_t n;
};

/* ------------------------------------------------------------------- topics */

/* TOPIC with %c and %u replaced by NAME, if it is a pattern. */
static char *expand(struct str topic, bool pattern, struct str name)
{
	size_t n = 0, step;
	char *out = need_memory(topic.n * (name.n + 1) + 1, 1);

	for (size_t i = 0; i < topic.n; i += step) {
		bool variable =
			pattern && i + 1 < topic.n && topic.p[i] == '%' &&
			(topic.p[i + 1] == 'c' || topic.p[i + 1] == 'u');

		step = variable ? 2 : 1;
		if (variable) {
			memcpy(out + n, name.p, name.n);
			n += name.n;
		} else {
			out[n++] = topic.p[i];
		}
	}
	return out;
}

/* TOPIC with every level that WANTED(level, arg) picks replaced by TO. */
static char *replace_levels(const char *topic,
	bool (*wanted)(struct str level, struct str arg), struct str arg,
	struct str to)
{
	struct levels cursor = levels_of(str_from(topic));
	char *out = need_memory(strlen(topic) * (to.n + 1) + to.n + 1, 1);
	struct str level;
	size_t n = 0;

	while (levels_next(&cursor, &level)) {
		if (n != 0 || level.p != topic)
			out[n++] = '/';
		if (wanted(level, arg))
			level = to;
		if (level.n != 0)
			memcpy(out + n, level.p, level.n);
		n += level.n;
	}
	return out;
}

static bool has_own(struct str level, struct str arg)
{
	(void)arg;
	return level.n != 0 && memchr(level.p, OWN, level.n) != NULL;
}

static bool is_name(struct str level, struct str name)
{
	return name.n != 0 && str_eq(level, name);
}

/* TOPIC as a policy writes it: OWN is ${device}. */
static char *template_of(const char *topic)
{
	const struct str device = STR("${device}");
	char *out = need_memory(strlen(topic) * device.n + 1, 1);
	size_t n = 0;

	for (const char *p = topic; *p != '\0'; p++) {
		if (*p != OWN) {
			out[n++] = *p;
			continue;
		}
		memcpy(out + n, device.p, device.n);
		n += device.n;
	}
	return out;
}

/* --------------------------------------------------------------- what is lost */

static void lose(struct maker *m, const struct candidate *c, size_t user,
	const struct acl_rule *by, const char *why)
{
	struct rule_fate *f = &m->fates[c->rule - m->acl->rules];

	if (f->users != 0 && f->last == user)
		return;
	f->last = user;
	if (f->users++ != 0)
		return;
	f->by = by;
	f->first = user;
	f->why = by == NULL ? need_copy(why) : NULL;
}

/* True when a policy can write C. */
static bool expressible(struct maker *m, const struct candidate *c, size_t user)
{
	struct err e = {0};
	char *t;
	bool ok;

	if (strstr(c->own, "${") != NULL) {
		lose(m, c, user, NULL,
			"'${' begins a variable in a policy, and there is no "
			"other way to write it");
		return false;
	}
	t = template_of(c->own);
	ok = template_check(str_from(t), &e);
	free(t);
	if (!ok)
		lose(m, c, user, NULL, e.msg);
	return ok;
}

/* Whether ACCESS is what D denies. */
static bool denies(const struct acl_rule *d, uint8_t access)
{
	return d->access == ACL_DENY &&
	       (d->denies == 0 || (d->denies & access) != 0);
}

/* A literal holds for its own text alone, and so only where C allows all that it
 * does; a pattern that begins with a wildcard is asked of '$…' too. */
static bool deny_touches(
	const struct candidate *d, const struct candidate *c, uint8_t access)
{
	struct str filter = str_from(c->wide), deny = str_from(d->wide);

	if (access != ACL_SUBSCRIBE)
		return filter_overlap(filter, deny);
	if (filter.p[0] == '$' && strchr("+#", deny.p[0]) != NULL &&
		deny.n != 0)
		return !d->rule->literal;
	if (d->rule->literal)
		return filter_covered(deny, &filter, 1);
	return filter_overlap(filter, deny);
}

/* Whether D leaves nothing of SUB. Denies of SUBSCRIBE hold one by one ("+" and
 * "+/+/#" let "+/#" pass), and for no filter that is wider. */
static bool ends_subscribe(
	const struct candidate *d, const struct candidate *sub)
{
	struct str deny = str_from(d->exact);

	if (!d->rule->literal)
		return filter_covered(str_from(sub->exact), &deny, 1);
	return strcmp(d->exact, sub->exact) == 0 &&
	       (sub->rule->literal || strpbrk(sub->exact, "+#") == NULL);
}

/* Judges C, about ACCESS, by the denies among the first N candidates; what is
 * lost is FROM's. */
static void judge(struct maker *m, struct candidate *c, uint8_t access,
	const struct candidate *from, size_t user)
{
	size_t limit = (size_t)(from - m->c), n = 0;
	struct str *by_text = need_memory(limit + 1, sizeof(*by_text));
	const struct acl_rule *by = NULL;

	for (size_t k = 0; k < limit; k++) {
		const struct candidate *d = &m->c[k];
		bool ends = access == ACL_SUBSCRIBE && ends_subscribe(d, from);

		if (!denies(d->rule, access) ||
			(!ends && !deny_touches(d, c, access)))
			continue;
		by_text[n] = str_from(d->exact);
		by = by == NULL ? d->rule : by;
		c->covered |= ends;
		n++;
	}
	if (access != ACL_SUBSCRIBE)
		c->covered = n != 0 &&
			     filter_covered(str_from(c->exact), by_text, n);
	c->lost = n != 0 && !c->covered;
	if (c->lost)
		lose(m, from, user, by, "");
	free(by_text);
}

/* Judges what one rule allows by itself. */
static void judge_rule(struct maker *m, struct candidate *c, size_t user)
{
	judge(m, c, c->rule->access, c, user);
	if (!c->lost && !c->covered)
		c->lost = !expressible(m, c, user);
}

/* -------------------------------------------------------------- one user */

/* The broker refuses to publish there, whatever its lists say, but for the
 * state of bridges, which are no devices. */
static bool never_written(const char *topic)
{
	return strncmp(topic, "$SYS", 4) == 0 &&
	       (topic[4] == '/' || topic[4] == '\0');
}

static int by_shared(const void *a, const void *b)
{
	const struct import_topic *x = a, *y = b;

	return strcmp(x->shared, y->shared);
}

static void topic_free(struct import_topic *t)
{
	free(t->shared);
	free(t->own);
}

static bool covers(const struct import_topic *by, const struct import_topic *t)
{
	struct str filter = str_from(by->shared);

	return filter_covered(str_from(t->shared), &filter, 1);
}

/* Another topic of T, with wildcards, allows all that topic I does. Of two that
 * allow the same, as "#" and "+/#", the first is needed. */
static bool needless(const struct import_topics *t, const bool *wild, size_t i)
{
	for (size_t k = 0; k < t->n; k++) {
		if (k != i && wild[k] && covers(&t->t[k], &t->t[i]) &&
			(k < i || !covers(&t->t[i], &t->t[k])))
			return true;
	}
	return false;
}

/* Sorts T, and drops what others of it allow too. */
static void topics_tidy(struct import_topics *t)
{
	struct import_topics kept = {.n = 0};
	bool *wild;
	size_t n = 0;

	if (t->n == 0)
		return;
	qsort(t->t, t->n, sizeof(*t->t), by_shared);
	for (size_t i = 0; i < t->n; i++) {
		if (n != 0 && strcmp(t->t[n - 1].shared, t->t[i].shared) == 0)
			topic_free(&t->t[i]);
		else
			t->t[n++] = t->t[i];
	}
	t->n = n;
	wild = need_memory(n, sizeof(*wild));
	kept.t = need_memory(n, sizeof(*kept.t));
	for (size_t i = 0; i < n; i++)
		wild[i] = strpbrk(t->t[i].shared, "+#") != NULL;
	for (size_t i = 0; i < n; i++) {
		if (n > TIDY_MAX || !needless(t, wild, i))
			kept.t[kept.n++] =
				(struct import_topic){need_copy(t->t[i].shared),
					need_copy(t->t[i].own)};
	}
	for (size_t i = 0; i < n; i++)
		topic_free(&t->t[i]);
	free(wild);
	free(t->t);
	*t = kept;
}

void topics_free(struct import_topics *t)
{
	for (size_t i = 0; i < t->n; i++)
		topic_free(&t->t[i]);
	free(t->t);
}

static void add_topic(
	struct import_topics *out, const char *own, struct str name)
{
	char *shared = replace_levels(own, is_name, name, STR(OWN_TEXT));

	out->t[out->n++] =
		(struct import_topic){template_of(shared), template_of(own)};
	free(shared);
}

/* The kept candidates that have ACCESS. */
static struct import_topics topics_of(
	const struct maker *m, uint8_t access, struct str name)
{
	struct import_topics out = {need_memory(m->n + 1, sizeof(*out.t)), 0};

	for (size_t i = 0; i < m->n; i++) {
		const struct candidate *c = &m->c[i];

		if ((c->rule->access & access) != 0 && !c->lost &&
			!c->covered &&
			(access != ACL_WRITE || !never_written(c->exact)))
			add_topic(&out, c->own, name);
	}
	topics_tidy(&out);
	return out;
}

/* ------------------------------------------ of dynamic-security: what is read */

/* What SUB lets subscribe to and READ lets through; NULL: nothing. */
static char *meet_rules(
	const struct candidate *sub, const struct candidate *read)
{
	const char *other = sub->rule->any ? read->exact : sub->exact;

	/* The defaults are for all topics but these. */
	if (sub->rule->any || read->rule->any)
		return strncmp(other, "$CONTROL", strlen("$CONTROL")) != 0
			       ? need_copy(other)
			       : NULL;
	/* A filter that begins with a wildcard is not of "$…", but a pattern
	 * allows such a filter. */
	if (sub->exact[0] == '$' && strchr("+#", read->exact[0]) != NULL)
		return NULL;
	if (read->exact[0] == '$' && sub->rule->literal &&
		strchr("+#", sub->exact[0]) != NULL)
		return NULL;
	return filter_meet(sub->exact, read->exact);
}

/* Whether TOPIC, of SUB and READ, is allowed by both and can be said. */
static bool both_allow(struct maker *m, char *topic,
	const struct candidate *sub, const struct candidate *read, size_t user)
{
	struct candidate c = {
		.rule = sub->rule, .exact = topic, .wide = topic, .own = topic};

	judge(m, &c, ACL_SUBSCRIBE, sub, user);
	if (c.lost || c.covered)
		return false;
	judge(m, &c, ACL_READ, read, user);
	return !c.lost && !c.covered && expressible(m, &c, user);
}

/* Room in T for one more. */
static void make_room(struct import_topics *t, size_t *cap)
{
	struct import_topic *more;

	if (t->n < *cap)
		return;
	*cap = *cap * 2 + 16;
	more = need_memory(*cap, sizeof(*more));
	if (t->n != 0)
		memcpy(more, t->t, t->n * sizeof(*more));
	free(t->t);
	t->t = more;
}

/* A message comes to who may subscribe to it and receive it. */
static struct import_topics delivered(
	struct maker *m, size_t user, struct str name)
{
	struct import_topics out = {NULL, 0};
	size_t cap = 0;

	for (size_t i = 0; i < m->n * m->n; i++) {
		const struct candidate *sub = &m->c[i / m->n];
		const struct candidate *read = &m->c[i % m->n];
		char *topic;

		if (sub->rule->access != ACL_SUBSCRIBE ||
			read->rule->access != ACL_READ)
			continue;
		topic = meet_rules(sub, read);
		if (topic != NULL && both_allow(m, topic, sub, read, user)) {
			make_room(&out, &cap);
			add_topic(&out, topic, name);
		}
		free(topic);
	}
	topics_tidy(&out);
	return out;
}

static void add_candidates(
	struct maker *m, size_t from, size_t n, struct str name)
{
	const struct acl *a = m->acl;

	for (size_t i = from; i < from + n; i++) {
		bool pattern = i >= a->first_pattern;
		const struct acl_rule *r = &a->rules[i];
		struct candidate *c = &m->c[m->n++];

		*c = (struct candidate){.rule = r};
		c->exact = expand(
			r->topic, pattern, name.n != 0 ? name : STR(OWN_TEXT));
		c->own = expand(r->topic, pattern, STR(OWN_TEXT));
		c->wide =
			replace_levels(c->exact, has_own, name, STR(WILD_TEXT));
	}
}

void rights_make(const struct acl *a, size_t user, struct rule_fate *fates,
	struct import_topics *write, struct import_topics *read)
{
	const struct acl_user *u = &a->users[user];
	size_t own = user != 0 ? u->n : 0;
	struct maker m = {.acl = a, .fates = fates};

	m.c = need_memory(own + (a->n - a->first_pattern) + 1, sizeof(*m.c));
	add_candidates(&m, u->first, own, u->name);
	add_candidates(&m, a->first_pattern, a->n - a->first_pattern, u->name);
	for (size_t i = 0; i < m.n; i++) {
		uint8_t access = m.c[i].rule->access;

		if (access == ACL_WRITE ||
			(access != ACL_DENY && a->places == NULL))
			judge_rule(&m, &m.c[i], user);
	}
	*write = topics_of(&m, ACL_WRITE, u->name);
	*read = a->places != NULL ? delivered(&m, user, u->name)
				  : topics_of(&m, ACL_READ, u->name);
	for (size_t i = 0; i < m.n; i++) {
		free(m.c[i].exact);
		free(m.c[i].wide);
		free(m.c[i].own);
	}
	free(m.c);
}
