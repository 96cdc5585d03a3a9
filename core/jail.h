/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom weir-feed has in quarantine, as far as somebody has read live.db.
 *
 * The ids are of whoever wrote that file. So they are kept sorted: a table by
 * hash could be filled with ids that all fall on one place.
 */
#ifndef CORE_JAIL_H
#define CORE_JAIL_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jailed {
	int64_t until_s; /* Unix time; 0: no end */
	uint32_t round;  /* the reading that it was seen in */
	uint8_t id_len;
	char id[]; /* a device id, NUL terminated */
};

/* Zeroed: empty. */
struct jail {
	struct jailed **at; /* by id */
	size_t n, cap;
};

void jail_fini(struct jail *j);

/* The entry of ID, ended or not, lent until the next change; or NULL.
 * O(log n). */
const struct jailed *jail_find(const struct jail *j, struct str id);

/* ID (at most 255 bytes) is in quarantine until UNTIL_S, seen in ROUND.
 * *changed: that is news. O(n), and O(log n) when ids come in order. False: no
 * memory, or there are MAX already. */
MUST bool jail_put(struct jail *j, struct str id, const struct jailed *as,
	size_t max, bool *changed);

/* True when ID was in it, and is no more. */
bool jail_remove(struct jail *j, struct str id);

/* Removes those that have ended at NOW_S. O(n). */
void jail_purge(struct jail *j, int64_t now_s);

/* Looks at most at LIMIT entries from *at on, which it moves; the first that
 * was seen in another round than ROUND, lent until the next change; NULL: none
 * of them. */
const struct jailed *jail_next_unseen(
	const struct jail *j, size_t *at, size_t limit, uint32_t round);

#endif
