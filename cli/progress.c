/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "io/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define EVERY_MS 200

static int64_t now_ms(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_start(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what, .on = isatty(STDERR_FILENO) == 1};
	p->start_ms = p->last_ms = now_ms();
}

int64_t progress_ms(const struct progress *p)
{
	return now_ms() - p->start_ms;
}

void progress_show(struct progress *p, uint64_t n, const struct fleet_file *f)
{
	char left[DURATION_TEXT] = "";
	uint64_t at, size;
	int64_t now, ms;

	if (!p->on)
		return;
	now = now_ms();
	if (now - p->last_ms < EVERY_MS)
		return;
	p->last_ms = now;
	ms = now - p->start_ms;
	fleet_position(f, &at, &size);
	if (size != 0 && at != 0 && at <= size)
		duration_format((int64_t)((double)ms / 1000.0 *
					  (double)(size - at) / (double)at),
			left);
	(void)fprintf(stderr, "\r\033[K%" PRIu64 " %s, %" PRIu64 "/s%s%s", n,
		p->what, n * 1000 / (uint64_t)ms,
		left[0] != '\0' ? ", time left " : "", left);
	(void)fflush(stderr);
	p->shown = true;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		(void)fputs("\r\033[K", stderr);
	p->shown = false;
}
