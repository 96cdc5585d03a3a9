/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/metrics.h"

#include "feed/feed.h"
#include "feed/metrics_text.h"
#include "feed/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A page that is being sent. */
struct page {
	struct feed *feed;
	struct scrape *scrape;
	struct metrics_place at;
	uint64_t us; /* what it has taken so far */
};

static uint64_t now_us(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --------------------------------------------------------------- feed's own */

static uint64_t time_us(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void take_process(struct scrape *s, const struct feed *f)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	long page = sysconf(_SC_PAGESIZE);
	unsigned long resident;
	struct rusage used;

	scrape_set(s, SCRAPE_STARTED, (uint64_t)f->started_s);
	if (getrusage(RUSAGE_SELF, &used) == 0)
		scrape_set(s, SCRAPE_CPU_US,
			time_us(used.ru_utime) + time_us(used.ru_stime));
	if (statm == NULL)
		return;
	/* The kernel's numbers. NOLINTNEXTLINE(cert-err34-c) */
	if (fscanf(statm, "%*u %lu", &resident) == 1 && page > 0)
		scrape_set(s, SCRAPE_RESIDENT, resident * (uint64_t)page);
	(void)fclose(statm);
}

static void take_credentials(struct scrape *s, const struct credentials *c)
{
	if (c->tried)
		scrape_set(s, SCRAPE_REGISTRY_UP, c->up ? 1 : 0);
	if (!c->known)
		return;
	scrape_set(s, SCRAPE_CREDENTIALS, (uint64_t)c->found.active);
	scrape_set(s, SCRAPE_EXPIRED, (uint64_t)c->found.expired);
	scrape_pair(s, SCRAPE_EXPIRING_7D, (uint64_t)c->found.in_7d);
	scrape_pair(s, SCRAPE_EXPIRING_30D, (uint64_t)c->found.in_30d);
}

static void take_history(
	struct scrape *s, const struct recorder *r, int64_t now_s)
{
	struct recorder_state h;

	recorder_state(r, &h);
	scrape_set(s, SCRAPE_HISTORY_ERROR, h.well ? 0 : 1);
	scrape_set(s, SCRAPE_HISTORY_BYTES, h.bytes);
	scrape_set(s, SCRAPE_EVENTS_LOST, h.lost);
	/* Before the first time it is not known. */
	if (h.looked_s > 0)
		scrape_set(s, SCRAPE_HISTORY_LAG,
			h.looked_s < now_s ? (uint64_t)(now_s - h.looked_s)
					   : 0);
}

static void take_findings(struct scrape *s, const struct detector *d)
{
	/* Before the first look it is not known. */
	for (unsigned k = 0; d->looked_s != 0 && k < FINDING_KINDS; k++)
		scrape_pair(s, SCRAPE_FINDINGS + k, d->open_of[k]);
}

static void take_own(struct scrape *s, const struct feed *f, int64_t now_s)
{
	struct server_clients n;

	take_process(s, f);
	take_credentials(s, &f->credentials);
	take_findings(s, f->detector);
	take_history(s, f->recorder, now_s);
	if (f->metrics.last_us != 0)
		scrape_set(s, SCRAPE_SCRAPE_US, f->metrics.last_us);
	if (f->server == NULL)
		return;
	n = server_clients(f->server);
	scrape_pair(s, SCRAPE_CLIENTS_HTTP, n.http);
	scrape_pair(s, SCRAPE_CLIENTS_WEBSOCKET, n.websocket);
}

/* ------------------------------------------------------------------- the page */

static void drop(void *ctx)
{
	struct page *p = ctx;

	p->feed->metrics.open--;
	scrape_free(&p->scrape);
	free(p);
}

static enum answer_more go_on(struct answer *a)
{
	struct page *p = a->ctx;
	uint64_t begin = now_us();
	bool more =
		metrics_text(p->scrape, &p->at, ANSWER_STEP_BYTES, &a->body);

	p->us += now_us() - begin;
	if (a->body.failed)
		return ANSWER_BROKEN;
	if (more)
		return ANSWER_MORE;
	p->feed->metrics.last_us = p->us;
	return ANSWER_END;
}

/* NULL: there is no memory. */
static struct page *begin_page(struct feed *f, struct err *e)
{
	struct page *p = calloc(1, sizeof(*p));
	int64_t now_s = (int64_t)time(NULL);
	uint64_t begin = now_us();

	if (p == NULL) {
		(void)err_set(
			e, ERR_ENVIRONMENT, "no memory for a page of metrics");
		return NULL;
	}
	p->feed = f;
	if (!scrape_take(f->watch, &f->config.metrics, now_s, &p->scrape, e)) {
		free(p);
		return NULL;
	}
	take_own(p->scrape, f, now_s);
	f->metrics.open++;
	p->us = now_us() - begin;
	return p;
}

void metrics_answer(struct feed *f, const struct ask *q, struct answer *a)
{
	struct page *p;
	struct err e;

	if (!ask_only(q, NULL, 0, &e)) {
		answer_err(a, &e);
		return;
	}
	if (f->metrics.open >= METRICS_PAGES) {
		answer_problem(a, 503,
			"%u pages of metrics are being sent already; ask again "
			"when one of them is there",
			METRICS_PAGES);
		a->retry_after_s = 1;
		return;
	}
	p = begin_page(f, &e);
	if (p == NULL) {
		answer_err(a, &e);
		return;
	}
	a->ctx = p;
	a->drop = drop;
	switch (go_on(a)) {
	case ANSWER_MORE:
		a->more = go_on;
		break;
	case ANSWER_END:
		break;
	case ANSWER_BROKEN:
		answer_problem(a, 503, "no memory for a page of metrics");
		return;
	}
	a->content_type = METRICS_TYPE;
}
