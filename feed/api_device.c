/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_device.h"

#include "feed/class_median.h"
#include "feed/device_json.h"

#include <stdlib.h>
#include <time.h>

#define PREFIX "/api/v1/devices/"

/* Certificates that are listed: the oldest of a device that has more are not.
 * A device that is given a new one each day has fewer in a year. */
#define CREDENTIALS 500

struct one {
	struct feed *f;
	struct meter_device seen;
	struct class_median median;
};

struct list {
	struct text *out;
	unsigned n;
};

static bool add_credential(void *ctx, const struct credential *c)
{
	struct list *l = ctx;

	credential_json(l->out, c);
	return ++l->n < CREDENTIALS;
}

/* "device": the record, or null when ID is not registered. */
static bool add_record(const struct one *x, struct registry *r, struct str id,
	struct text *out, bool *found, struct err *e)
{
	struct credential_filter of = {0};
	struct list l = {.out = out};
	struct device d;
	struct quarantine q;
	int64_t now_s = (int64_t)time(NULL);
	bool held, done;

	if (!registry_device(r, id, &d, found, e))
		return false;
	if (!*found) {
		json_null(out, "device");
		return true;
	}
	held = held_read(x->f->held, str_from(d.id), now_s, &q);
	device_json_begin(out, "device", &d, held ? &q : NULL, now_s);
	device_json_seen(out, &x->f->watch->meter, &x->seen);
	json_open(out, "credentials", '[');
	of.device_id = d.id;
	done = registry_credentials(r, &of, add_credential, &l, e);
	json_close(out, ']');
	json_close(out, '}');
	device_fini(&d);
	return done;
}

static void add_usage(struct one *x, struct text *out)
{
	uint64_t median[COUNTERS];

	class_median_get(&x->median, median);
	usage_json(out, "usage", &x->f->watch->meter, &x->seen, median);
	json_close(out, '}');
	json_line_end(out);
}

static enum answer_more more(struct answer *a)
{
	struct one *x = a->ctx;

	if (class_median_step(&x->median, x->f, turn_begin()))
		return ANSWER_MORE;
	/* Another meter meanwhile: its classes have other places. */
	if (x->median.epoch != x->f->watch->epoch)
		return ANSWER_BROKEN;
	a->body.comma = true; /* behind the record */
	add_usage(x, &a->body);
	return ANSWER_END;
}

/* The record into OUT. What the registry gave before it failed is dropped. */
static bool begin(struct one *x, struct registry *r, struct str id,
	struct text *out, struct err *e)
{
	bool metered = meter_device_find(&x->f->watch->meter, id, &x->seen);
	bool found = false;

	text_clear(out);
	json_open(out, NULL, '{');
	if (r == NULL || !add_record(x, r, id, out, &found, e))
		return false;
	if (!found && !metered)
		return err_set(e, ERR_NOT_FOUND,
			"device '%.*s' is not registered and the meter has "
			"never seen it",
			id.n < 64 ? (int)id.n : 64, id.p);
	/* Who was never there is of no class yet. */
	class_median_init(&x->median, x->f,
		metered && x->seen.class != 0 ? x->seen.class : METER_NONE);
	return true;
}

void api_device(struct feed *f, const struct ask *q, struct answer *a)
{
	struct one *x = calloc(1, sizeof(*x));
	struct str rest, id = ask_segment(q, PREFIX, &rest);
	struct err e;

	a->ctx = x;
	a->drop = free;
	if (x == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return;
	}
	x->f = f;
	if (!ask_only(q, NULL, 0, &e) ||
		(!begin(x, roster_get(f->roster, &e), id, &a->body, &e) &&
			(e.code != ERR_ENVIRONMENT ||
				!begin(x, roster_retry(f->roster, &e), id,
					&a->body, &e)))) {
		answer_err(a, &e);
		return;
	}
	/* Small fleets in one piece. */
	if (class_median_step(&x->median, f, turn_begin()))
		a->more = more;
	else
		add_usage(x, &a->body);
}
