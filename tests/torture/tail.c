/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the tail while memory runs out: it gets all that it asked for, or
 * its connection ends, which it sees; never less without a word.
 */
#include "feed/tail.h"
#include "tests/support/check.h"
#include "tests/support/meter_fixture.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#define EVENTS 40

static struct {
	void *mem;
	struct watch watch;
	size_t whole; /* bytes that the client gets, with sound memory */
} fx;

static void wake(void *ctx)
{
	(void)ctx;
}

static bool busy(void *ctx)
{
	(void)ctx;
	return false;
}

/* Bytes that a client of all events gets; 0: it gets an end. */
static size_t get(struct tail *t)
{
	static const struct tail_socket socket = {wake, busy};
	const struct tail_filter all = {.types = UINT32_MAX, .last = EVENTS};
	const struct tail_now now = {1, 1};
	struct tail_client *c = tail_join(t, &all, now, &socket, NULL);
	struct text out = {0};
	size_t n = 0;

	if (c == NULL)
		return 0;
	while (tail_wake(t, now) != 0 && !out.failed)
		tail_next(c, now, &out);
	if (!out.failed)
		n = out.n;
	text_free(&out);
	tail_leave(&c);
	return n;
}

static void before(void)
{
	const struct tail_now now = {1, 1};
	struct tail *t = NULL;
	struct err why;
	struct event e = {.type = EVENT_REFUSAL,
		.device = STR("dev-1"),
		.text = STR("some/topic")};
	struct meter_map m;

	fx.mem = meter_fixture();
	for (unsigned i = 0; i < EVENTS; i++)
		event_store(fx.mem, &e);
	m = meter_fixture_map(fx.mem);
	fx.watch = (struct watch){.epoch = 1};
	fx.watch.meter.state = BROKER_RUNNING;
	fx.watch.meter.segment = (struct segment){fx.mem, m.size, -1};
	CHECK(tail_new(&fx.watch, &t, &why) && !tail_read(t, now));
	fx.whole = get(t);
	CHECK(fx.whole > (size_t)EVENTS * 100);
	tail_free(&t);
}

static void run(void)
{
	const struct tail_now now = {1, 1};
	struct tail *t = NULL;
	struct err e = {0};
	size_t n;

	if (!torture_done(tail_new(&fx.watch, &t, &e), &e)) {
		CHECK(t == NULL);
		return;
	}
	CHECK(!tail_read(t, now));
	n = get(t);
	CHECK(n == fx.whole || (n == 0 && alloc_fired()));
	tail_free(&t);
	CHECK(t == NULL);
}

static void after(void)
{
	meter_fixture_free(fx.mem);
}

const struct scenario TAIL = {"tail", before, run, after};
