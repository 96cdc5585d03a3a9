/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.seg as a file: one exclusive writer, readers that only read.
 */
#ifndef IO_SEGMENT_H
#define IO_SEGMENT_H

#include "core/err.h"
#include "core/meter_total.h"

#include <stdbool.h>

#define SEGMENT_FILE "meter/meter.seg" /* in the state directory */

struct segment {
	void *mem;   /* mapped shared */
	size_t size; /* bytes that may be read; the writer: METER_SIZE_MAX */
	int fd;
};

/*
 * Opens PATH for writing, made if missing (0640), and gives it the group of its
 * folder, where the process may. Every block is allocated
 * before a byte of it is touched: a sparse file on a full disk would be a
 * SIGBUS. All that the segment can grow to is mapped, so that nothing in it
 * ever moves; what lies beyond the file must not be touched. A second
 * writer: ERR_CONFLICT, with the pid that holds it. A file of another layout,
 * or not a segment, is set aside as PATH.old-<time> and said in *note ("" if
 * not). False: ERR_ENVIRONMENT with path and remedy. Counters in a good file
 * are kept. Release with segment_close.
 */
MUST bool segment_open_write(const char *path, struct segment *out, char *note,
	size_t note_cap, struct err *e);

/* Allocates a range of the file, which the writer may touch then. False: no
 * room on the disk; the segment is as it was. */
MUST bool segment_reserve(const struct segment *s, struct meter_range r);

/* False when the writer's file has fewer than SIZE bytes, or is no longer the
 * one at PATH: somebody has cut it or taken it away. */
bool segment_holds(const char *path, const struct segment *s, uint64_t size);

/* Opens another file in the place of one that segment_holds() no longer, as
 * segment_open_write: what is still at PATH is set aside, which *note says. OLD
 * stays open; its memory is the caller's until segment_close. */
MUST bool segment_replace(const char *path, const struct segment *old,
	struct segment *out, char *note, size_t note_cap, struct err *e);

/* Maps PATH read-only. ERR_NOT_FOUND: no file (no broker has run yet).
 * ERR_ENVIRONMENT: permission, or not a segment of this version. */
MUST bool segment_open_read(
	const char *path, struct segment *out, struct err *e);

/* The header of an open segment. */
struct meter_header *segment_header(const struct segment *s);

/* What may be read of it. */
struct meter_map segment_map(const struct segment *s);

/* A reader's look at what the writer has added since. What was lent of *S is
 * gone. False: it cannot be mapped, and *S is as it was. */
MUST bool segment_refresh(struct segment *s, struct err *e);

/* False when the file has been cut short since it was mapped: reading it would
 * be a SIGBUS. A reader asks before each look. */
bool segment_intact(const struct segment *s);

/* True while a writer holds the segment: the broker is alive, whatever the
 * heartbeat says. */
bool segment_writer_alive(const struct segment *s);

/* Unmaps, unlocks, closes; a zeroed *S is fine. */
void segment_close(struct segment *s);

#endif
