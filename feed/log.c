/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/log.h"

#include "io/meter_text.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pipe that can take something takes this much at once (POSIX). */
#define LINE_MAX_BYTES 4096u

/* Standard error is the process's, and so is what it did not take. */
static _Atomic uint64_t dropped;

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARNING:
		return "warning";
	case LOG_NOTICE:
		break;
	}
	return "notice";
}

/* True when the journal reads standard error: it says which file that is.
 * Source: systemd.exec(5), $JOURNAL_STREAM. */
static bool is_journal(void)
{
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *named = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (named == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(own, sizeof(own), "%" PRIuMAX ":%" PRIuMAX,
		(uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(named, own) == 0;
}

/* What the journal takes off a line and files it by. Source: sd-daemon(3). */
static const char *priority(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "<3>";
	case LOG_WARNING:
		return "<4>";
	case LOG_NOTICE:
		break;
	}
	return "<5>";
}

void log_begin(struct text *t, enum log_level level, const char *event)
{
	char when[TIME_MS_TEXT];
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	time_ms_format(
		(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, when);
	if (is_journal())
		text_add(t, str_from(priority(level)));
	json_open(t, NULL, '{');
	json_text(t, "t", str_from(when));
	json_text(t, "level", str_from(level_name(level)));
	json_text(t, "event", str_from(event));
}

static bool can_take(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

void log_end(struct text *t)
{
	uint64_t lost = atomic_exchange(&dropped, 0);

	if (lost != 0)
		json_count(t, "dropped_lines", lost);
	json_close(t, '}');
	json_line_end(t);
	if (t->failed || t->n > LINE_MAX_BYTES || !can_take() ||
		write(STDERR_FILENO, t->p, t->n) != (ssize_t)t->n)
		(void)atomic_fetch_add(&dropped, lost + 1);
	text_free(t);
}

void log_say(enum log_level level, const char *event, const char *fmt, ...)
{
	char message[ERR_PLACE_MAX + ERR_MSG_MAX];
	struct text t = {0};
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	log_begin(&t, level, event);
	json_text(&t, "message", str_from(message));
	log_end(&t);
}

void log_err(enum log_level level, const char *event, const struct err *e)
{
	struct text t = {0};

	log_begin(&t, level, event);
	if (e->place[0] != '\0')
		json_text(&t, "place", str_from(e->place));
	if (e->line != 0) {
		json_number(&t, "line", e->line);
		json_number(&t, "column", e->col);
	}
	json_text(&t, "message", str_from(e->msg));
	log_end(&t);
}
