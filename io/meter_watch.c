/* SPDX-License-Identifier: Apache-2.0 */
#include "io/meter_watch.h"

#include "io/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *broker_state_name(enum broker_state s)
{
	static const char *const names[] = {
		[BROKER_UNKNOWN] = "unknown",
		[BROKER_NEVER_RAN] = "never_ran",
		[BROKER_STOPPED] = "stopped",
		[BROKER_RUNNING] = "running",
	};

	return names[s];
}

static void put_down(struct meter_watch *w)
{
	segment_close(&w->segment);
	w->device = w->inode = w->generation = 0;
}

/* True when the open file is still the one that the path leads to, and can be
 * read to its end. */
static bool still_there(const struct meter_watch *w)
{
	struct stat st;

	return stat(w->path, &st) == 0 && st.st_ino == w->inode &&
	       st.st_dev == w->device && segment_intact(&w->segment);
}

static bool pick_up(struct meter_watch *w)
{
	struct stat st;
	struct err why;

	if (!segment_open_read(w->path, &w->segment, &why)) {
		w->state = why.code == ERR_NOT_FOUND ? BROKER_NEVER_RAN
						     : BROKER_UNKNOWN;
		(void)snprintf(w->problem, sizeof(w->problem), "%s", why.msg);
		return false;
	}
	if (fstat(w->segment.fd, &st) == 0) {
		w->device = st.st_dev;
		w->inode = st.st_ino;
	}
	return true;
}

/* Maps what the broker has added. What cannot be mapped now is read at a later
 * look. */
static void grow(struct meter_watch *w)
{
	struct stat st;

	if (fstat(w->segment.fd, &st) == 0 &&
		st.st_size > (off_t)w->segment.size &&
		!segment_refresh(&w->segment, NULL))
		return;
}

static void read_state(struct meter_watch *w)
{
	const struct meter_header *h = segment_header(&w->segment);

	w->state = segment_writer_alive(&w->segment) ? BROKER_RUNNING
						     : BROKER_STOPPED;
	w->generation =
		atomic_load_explicit(&h->generation, memory_order_relaxed);
	w->pid = atomic_load_explicit(&h->pid, memory_order_relaxed);
	w->started_s =
		atomic_load_explicit(&h->started_s, memory_order_relaxed);
	w->heartbeat_s =
		atomic_load_explicit(&h->heartbeat_s, memory_order_relaxed);
}

bool meter_watch_moved(const struct meter_watch *w)
{
	return meter_watch_reads(w) && !still_there(w) &&
	       segment_intact(&w->segment);
}

enum watch_change meter_watch_look(struct meter_watch *w)
{
	enum broker_state state = w->state;
	uint64_t generation = w->generation;
	enum watch_change change = WATCH_SAME;

	if (meter_watch_reads(w) && !still_there(w)) {
		put_down(w);
		change = WATCH_FILE;
	}
	if (!meter_watch_reads(w)) {
		if (!pick_up(w))
			return change == WATCH_SAME && state != w->state
				       ? WATCH_BROKER
				       : change;
		change = WATCH_FILE;
	}
	grow(w);
	read_state(w);
	if (change == WATCH_SAME &&
		(state != w->state || generation != w->generation))
		change = WATCH_BROKER;
	return change;
}

bool meter_watch_open(const char *path, struct meter_watch *w, struct err *e)
{
	int n;

	memset(w, 0, sizeof(*w));
	n = snprintf(w->path, sizeof(w->path), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(w->path))
		return err_set(
			e, ERR_INPUT, "the path of the meter is too long");
	(void)meter_watch_look(w);
	return true;
}

void meter_watch_close(struct meter_watch *w)
{
	put_down(w);
	w->state = BROKER_UNKNOWN;
}

void meter_watch_text(const struct meter_watch *w, char out[static WATCH_TEXT])
{
	char when[TIME_TEXT];

	switch (w->state) {
	case BROKER_RUNNING:
		(void)snprintf(out, WATCH_TEXT,
			"running, pid %" PRId64 ", start %" PRIu64, w->pid,
			w->generation);
		return;
	case BROKER_STOPPED:
		time_format(w->heartbeat_s, when);
		(void)snprintf(out, WATCH_TEXT, "stopped, last seen %s", when);
		return;
	case BROKER_NEVER_RAN:
		(void)snprintf(out, WATCH_TEXT,
			"has not run with this state directory");
		return;
	case BROKER_UNKNOWN:
		break;
	}
	(void)snprintf(out, WATCH_TEXT, "unknown: %s", w->problem);
}
