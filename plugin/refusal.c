/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/refusal.h"

#include "plugin/hash.h"

#include <stdarg.h>
#include <stdio.h>

#define VALUE_MAX 128u /* bytes of a value, escaped */

struct line {
	char *out;
	size_t n;
};

static void add(struct line *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->out + l->n, REFUSAL_LINE - l->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n += (size_t)n;
	if (l->n >= REFUSAL_LINE)
		l->n = REFUSAL_LINE - 1;
}

/* Writes S so that no byte of it can end the value or the line. */
static void add_escaped(struct line *l, struct str s)
{
	size_t end = l->n + VALUE_MAX;

	if (s.n == 0)
		add(l, "-");
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = c > ' ' && c < 0x7F && c != '\\';

		/* Room for this byte and, if it is not the last, the dots. */
		if (l->n + (plain ? 1 : 4) + (i + 1 < s.n ? 3 : 0) > end) {
			add(l, "...");
			return;
		}
		if (plain)
			add(l, "%c", c);
		else
			add(l, "\\x%02X", c);
	}
}

static void add_value(struct line *l, const char *key, const char *value)
{
	add(l, " %s=", key);
	add_escaped(l, str_from(value));
}

size_t refusal_format(const struct refusal *r, uint32_t suppressed,
	char out[static REFUSAL_LINE])
{
	struct line l = {out, 0};

	add(&l, "weir: %s %s", r->observed ? "observed" : "refused",
		action_name(r->action));
	add_value(&l, "device", r->device);
	add_value(&l, "class", r->class_name);
	add_value(&l, "client_id", r->client_id);
	add_value(&l, "address", r->address);
	add(&l, " reason=%s", reason_name(r->reason));
	add_value(&l, "rule", r->place);
	if (r->has_message)
		add(&l, " qos=%u retain=%u bytes=%u", (unsigned)r->qos,
			(unsigned)r->retain, (unsigned)r->bytes);
	if (r->note != NULL)
		add(&l, " %s", r->note);
	if (suppressed != 0)
		add(&l, " suppressed=%u", (unsigned)suppressed);
	if (r->topic.n != 0) {
		add(&l, " topic=");
		add_escaped(&l, r->topic);
	}
	return l.n;
}

/* Gives back what time has earned. */
static void refill(struct refusal_bucket *b, uint32_t every_ms, uint64_t now_ms)
{
	uint64_t earned = (now_ms - b->at_ms) / every_ms;

	if (earned >= b->spent) {
		b->spent = 0;
		b->at_ms = now_ms;
		return;
	}
	b->spent -= (uint32_t)earned;
	b->at_ms += earned * every_ms;
}

static uint64_t kind_of(const struct refusal *r)
{
	const char *who = r->device != NULL ? r->device : r->address;
	uint64_t h = hash_text(str_from(who));

	h = (h ^ (uint64_t)r->action) * UINT64_C(0x100000001B3);
	h = (h ^ (uint64_t)r->reason) * UINT64_C(0x100000001B3);
	return h ^ (h >> 32);
}

bool refusal_admit(struct refusal_log *log, const struct refusal *r,
	uint64_t now_ms, uint32_t *suppressed)
{
	uint64_t kind = kind_of(r);
	struct refusal_bucket *b = &log->bucket[kind & (REFUSAL_SLOTS - 1)];

	if (now_ms - log->total_at_ms >= 1000) {
		log->total_at_ms = now_ms;
		log->total = 0;
	}
	refill(b, log->rate.every_ms, now_ms);
	/* An unspent bucket is nobody's: its kind has been quiet. */
	if (b->kind != kind && b->spent == 0) {
		b->kind = kind;
		b->suppressed = 0;
	}
	if (b->spent >= log->rate.burst ||
		log->total >= log->rate.total_per_s) {
		if (b->suppressed != UINT32_MAX)
			b->suppressed++;
		return false;
	}
	b->spent++;
	log->total++;
	*suppressed = b->suppressed;
	b->suppressed = 0;
	return true;
}
