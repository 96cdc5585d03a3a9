/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer, for its own files: what it knows of the file without asking. A
 * transaction that did not happen makes it stale, to be read again.
 */
#ifndef IO_HISTORY_WRITER_PRIVATE_H
#define IO_HISTORY_WRITER_PRIVATE_H

#include "io/history_private.h"
#include "io/history_writer.h"

struct history_writer {
	struct history_db d;
	bool stale;
	int64_t last_no[BOOKS], last_event;
	/* Of each book: what there is, and of the bucket that is being made,
	 * which begins at reach.rolled_s, up to where: numbers below are. */
	struct history_reach reach[BOOKS];
	int64_t rolled_no[BOOKS][HISTORY_LEVELS];
};

/* Reads numbers, cursors and marks. */
MUST bool writer_load(struct history_writer *w, struct err *e);

/* The mark WHAT of B and L, here and in the file. */
MUST bool writer_mark(struct history_writer *w, const char *what,
	enum history_book b, enum history_level l, int64_t value,
	struct err *e);

/* Writes a row in the place of what may be there. */
MUST bool writer_put(struct history_writer *w, enum history_book b,
	enum history_level l, const struct val key_class[static 2],
	const uint64_t counter[static COUNTERS], struct err *e);

#endif
