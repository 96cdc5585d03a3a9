/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How learning goes: learn.c makes the rows and looks the result over,
 * learn_level.c walks the levels.
 */
#ifndef CORE_LEARN_PRIVATE_H
#define CORE_LEARN_PRIVATE_H

#include "core/learn.h"
#include "core/level.h"
#include "core/policy.h"

/* An observation as a template; level: what of it is not looked at yet. */
struct row {
	const struct observation *o;
	char *text;
	struct levels rest;
	struct str level;
	uint32_t device; /* a number: rows are in its order */
};

struct learner {
	struct learn_options options;
	struct learned_set *out;
	size_t cap;
	size_t least; /* devices that make something usual */
	bool no_memory;
	struct row *spare; /* as many as there are rows; for a moment's use */
	uint32_t *mark;    /* by device: the last count that it was in */
	uint32_t counts;
	/* The rule at hand, up to the level that is looked at. */
	char topic[POLICY_TEMPLATE_MAX + 1];
};

/* True when LEVEL holds a variable, or what would read as one. */
static inline bool is_variable(struct str level)
{
	for (size_t i = 0; i + 1 < level.n; i++)
		if (level.p[i] == '$' && level.p[i + 1] == '{')
			return true;
	return false;
}

/* Moves the rows for which WANTED holds to the front, in order; returns how
 * many. SPARE: as many rows. */
size_t learn_pick(struct row *row, size_t n,
	bool (*wanted)(const struct row *r), struct row *spare);

/* The evidence of the N rows for TOPIC, as an item. NULL: no memory. */
struct learned *learn_note(struct learner *l, struct str topic,
	const struct row *row, size_t n, enum learn_why why);

/* Learns from the N rows, in the order of devices, whose templates begin with
 * the LEN bytes of l->topic, DEPTH levels. */
void learn_rows(struct learner *l, struct row *row, size_t n, size_t len,
	unsigned depth);

#endif
