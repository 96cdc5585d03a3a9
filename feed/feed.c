/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/feed.h"

#include "feed/access.h"
#include "feed/log.h"

#include <stdlib.h>
#include <time.h>

/* What is made and sent for those who tail in a ms, or less. */
#define BEAT_BYTES_A_MS 65536u

static void say_broker(const struct meter_watch *w)
{
	char text[WATCH_TEXT];

	meter_watch_text(w, text);
	log_say(w->state == BROKER_UNKNOWN ? LOG_WARNING : LOG_NOTICE, "broker",
		"%s", text);
}

bool feed_open(
	const struct feed_config *config, struct feed **out, struct err *e)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	f->config = *config;
	f->started_s = (int64_t)time(NULL);
	if (!watch_open(config->meter, config->metrics.top, &f->watch, e) ||
		!roster_open(config->state, &f->roster, e) ||
		!held_open(config->state, &f->held, e) ||
		!access_open(config, &f->access, e) ||
		!detector_open(&f->config.findings, &f->detector, e) ||
		!tail_new(f->watch, &f->tail, e) ||
		!recorder_open(
			config->state, &config->history, &f->recorder, e)) {
		feed_close(&f);
		return false;
	}
	say_broker(&f->watch->meter);
	*out = f;
	return true;
}

void feed_close(struct feed **f)
{
	if (*f == NULL)
		return;
	tail_free(&(*f)->tail);
	detector_close(&(*f)->detector);
	recorder_close(&(*f)->recorder);
	watch_close(&(*f)->watch);
	roster_close(&(*f)->roster);
	held_close(&(*f)->held);
	access_close(&(*f)->access);
	free(*f);
	*f = NULL;
}

void feed_second(struct feed *f, int64_t now_s, int64_t now_ms)
{
	enum broker_state before = f->watch->meter.state;

	roster_look(f->roster);
	held_look(f->held);
	/* The meter may be replaced: what was written last into it is read. */
	(void)tail_read(f->tail, (struct tail_now){now_s, now_ms});
	if (meter_watch_moved(&f->watch->meter) &&
		!recorder_leave(f->recorder, f->watch, now_s, now_ms))
		return;
	if (watch_look(f->watch, now_s, now_ms) != WATCH_SAME ||
		f->watch->meter.state != before)
		say_broker(&f->watch->meter);
	detector_second(f->detector, f->watch);
	credentials_second(&f->credentials, now_s, now_ms);
	recorder_second(f->recorder, f->watch, now_s, now_ms);
}

bool feed_step(struct feed *f)
{
	return watch_step(f->watch) || detector_step(f->detector, f->watch) ||
	       credentials_step(&f->credentials, f->roster) ||
	       recorder_step(f->recorder, f->watch);
}

static void tell_all(struct feed *f, struct tail_now now)
{
	while (!recorder_leave(f->recorder, f->watch, now.s, now.ms))
		(void)recorder_step(f->recorder, f->watch);
}

void feed_finish(struct feed *f)
{
	struct tail_now now = feed_now();

	/* The meter may have come since the last look. */
	while (watch_step(f->watch))
		;
	if (meter_watch_moved(&f->watch->meter))
		tell_all(f, now);
	(void)watch_look(f->watch, now.s, now.ms);
	tell_all(f, now);
}

struct tail_now feed_now(void)
{
	struct timespec s = {0, 0}, ms = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &s);
	(void)clock_gettime(CLOCK_MONOTONIC, &ms);
	return (struct tail_now){(int64_t)s.tv_sec,
		(int64_t)ms.tv_sec * 1000 + ms.tv_nsec / 1000000};
}

unsigned feed_beat(struct feed *f)
{
	struct tail *t = f->tail;
	struct tail_now now = feed_now();
	size_t given = t->given;
	int64_t wait_ms;
	bool more = false;

	/* Not more often: what came meanwhile goes to each client at once. */
	if (now.ms - t->read_ms >= TAIL_BEAT_MS)
		more = tail_read(t, now);
	/* Others have their turns too: after much, all the longer. */
	if (tail_wake(t, now) != 0 || more)
		return 1 + (unsigned)(given / BEAT_BYTES_A_MS);
	if (t->clients == NULL)
		return 1000;
	wait_ms = t->read_ms + TAIL_BEAT_MS - now.ms;
	return wait_ms > 0 ? (unsigned)wait_ms : 1;
}
