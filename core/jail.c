/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jail.h"

#include <stdlib.h>

#define FIRST_CAP 64

void jail_fini(struct jail *j)
{
	for (size_t i = 0; i < j->n; i++)
		free(j->at[i]);
	free(j->at);
	*j = (struct jail){NULL, 0, 0};
}

static struct str id_of(const struct jailed *x)
{
	return (struct str){x->id, x->id_len};
}

/* Where ID is, or would be. */
static size_t place(const struct jail *j, struct str id)
{
	size_t low = 0, high = j->n;

	/* A whole reading comes in order. */
	if (j->n != 0 && str_cmp(id_of(j->at[j->n - 1]), id) < 0)
		return j->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (str_cmp(id_of(j->at[mid]), id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct jail *j, size_t i, struct str id)
{
	return i < j->n && str_eq(id_of(j->at[i]), id);
}

const struct jailed *jail_find(const struct jail *j, struct str id)
{
	size_t i = j->n != 0 ? place(j, id) : 0;

	return is_at(j, i, id) ? j->at[i] : NULL;
}

static bool grow(struct jail *j)
{
	size_t cap = j->cap != 0 ? j->cap * 2 : FIRST_CAP;
	struct jailed **at;

	if (j->n < j->cap)
		return true;
	at = realloc(j->at, cap * sizeof(struct jailed *));
	if (at == NULL)
		return false;
	j->at = at;
	j->cap = cap;
	return true;
}

static struct jailed *copy(struct str id, const struct jailed *as)
{
	struct jailed *x = malloc(sizeof(*x) + id.n + 1);

	if (x == NULL)
		return NULL;
	*x = *as;
	x->id_len = (uint8_t)id.n;
	memcpy(x->id, id.p, id.n);
	x->id[id.n] = '\0';
	return x;
}

bool jail_put(struct jail *j, struct str id, const struct jailed *as,
	size_t max, bool *changed)
{
	size_t i = place(j, id);
	struct jailed *x;

	if (is_at(j, i, id)) {
		x = j->at[i];
		*changed = x->until_s != as->until_s;
		x->until_s = as->until_s;
		x->round = as->round;
		return true;
	}
	if (j->n >= max || id.n == 0 || id.n > UINT8_MAX || !grow(j))
		return false;
	x = copy(id, as);
	if (x == NULL)
		return false;
	memmove(&j->at[i + 1], &j->at[i], (j->n - i) * sizeof(struct jailed *));
	j->at[i] = x;
	j->n++;
	*changed = true;
	return true;
}

bool jail_remove(struct jail *j, struct str id)
{
	size_t i = j->n != 0 ? place(j, id) : 0;

	if (!is_at(j, i, id))
		return false;
	free(j->at[i]);
	j->n--;
	memmove(&j->at[i], &j->at[i + 1], (j->n - i) * sizeof(struct jailed *));
	return true;
}

void jail_purge(struct jail *j, int64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->n; i++) {
		struct jailed *x = j->at[i];

		if (x->until_s != 0 && x->until_s <= now_s)
			free(x);
		else
			j->at[kept++] = x;
	}
	j->n = kept;
}

const struct jailed *jail_next_unseen(
	const struct jail *j, size_t *at, size_t limit, uint32_t round)
{
	for (; limit > 0 && *at < j->n; limit--, ++*at) {
		if (j->at[*at]->round != round)
			return j->at[*at];
	}
	return NULL;
}
