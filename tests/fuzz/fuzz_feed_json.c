/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the feed takes in and what it writes, by the first byte modulo 4:
 *
 * 0  a cursor's text, bound to the next 4 bytes. Oracle: what is taken is
 *    written the same; and the bytes as a place come back.
 * 1  a meter's device, of any bytes, as JSON
 * 2  a row and an event of the history, of any bytes, as JSON
 *    Oracle of both: another reader of JSON takes it, and no name comes twice.
 * 3  arguments, as a query. Oracle: values are within their bounds, a refusal
 *    names the argument, and the order of arguments does not matter to cursors.
 */
#include "feed/args.h"
#include "feed/cursor.h"
#include "feed/device_json.h"
#include "feed/history_json.h"
#include "tests/support/check.h"
#include "tests/support/json_oracle.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------ cursors */

static void check_cursor(const uint8_t *p, size_t n)
{
	uint8_t place[CURSOR_MAX], again[CURSOR_MAX];
	char text[CURSOR_TEXT];
	size_t len = 0, back = 0;
	uint32_t bind;
	struct err e;

	if (n < 4)
		return;
	memcpy(&bind, p, 4);
	p += 4;
	n -= 4;
	if (cursor_parse(
		    (struct str){(const char *)p, n}, bind, place, &len, &e)) {
		cursor_format(bind, place, len, text);
		CHECK(strlen(text) == n && memcmp(text, p, n) == 0);
	} else {
		CHECK(e.code == ERR_INPUT && strcmp(e.place, "cursor") == 0);
	}
	if (n > CURSOR_MAX)
		return;
	cursor_format(bind, p, n, text);
	CHECK(strlen(text) < CURSOR_TEXT);
	CHECK(cursor_parse(str_from(text), bind, again, &back, &e));
	CHECK(back == n && memcmp(again, p, n) == 0);
	CHECK(!cursor_parse(str_from(text), bind ^ 1, again, &back, &e));
}

/* --------------------------------------------------------------------- JSON */

/* As many bytes as there are; the rest stays zero. */
static void fill(void *out, size_t cap, const uint8_t *p, size_t n)
{
	memcpy(out, p, n < cap ? n : cap);
}

static void check_json(struct text *t)
{
	struct str got = {t->p, t->n};

	CHECK(!t->failed);
	if (got.n <= JSON_ORACLE_MAX)
		CHECK(json_oracle_check(got));
	text_clear(t);
}

static void check_device(const uint8_t *p, size_t n)
{
	static const struct meter_watch none;
	static const struct meter_use zero;
	struct meter_rule_use rule = {0};
	struct meter_device d = {0};
	struct meter_use use = zero;
	struct text t = {0};

	fill(&d, sizeof(d), p, n);
	fill(&rule, sizeof(rule), p, n);
	fill(&use, offsetof(struct meter_use, refused) + 64, p, n);
	d.id[DEVICE_ID_MAX] = d.refusal.topic[METER_TOPIC] = '\0';
	rule.topic[METER_RULE_TOPIC] = use.name[CLASS_NAME_MAX] = '\0';
	usage_json(&t, NULL, &none, &d, NULL);
	check_json(&t);
	use_json_begin(&t, NULL, &none, &use);
	json_open(&t, "rules", '[');
	rule_json(&t, &rule);
	json_close(&t, ']');
	json_close(&t, '}');
	check_json(&t);
	text_free(&t);
}

static void end(char *text, size_t cap)
{
	text[cap - 1] = '\0';
}

static void check_history(const uint8_t *p, size_t n)
{
	struct history_row r = {0};
	struct history_event x = {0};
	struct text t = {0};

	fill(&r, sizeof(r), p, n);
	fill(&x, sizeof(x), p, n);
	end(r.device, sizeof(r.device));
	end(r.class, sizeof(r.class));
	end(x.type, sizeof(x.type));
	end(x.device, sizeof(x.device));
	end(x.class, sizeof(x.class));
	end(x.action, sizeof(x.action));
	end(x.reason, sizeof(x.reason));
	end(x.text, sizeof(x.text));
	x.text_len %= EVENT_TEXT + 1;
	/* Of the file's keys, so never beyond what a number of JSON holds. */
	r.from_s = (int64_t)((uint64_t)r.from_s >> 12);
	r.to_s = (int64_t)((uint64_t)r.to_s >> 12);
	history_row_json(&t, &r);
	check_json(&t);
	json_open(&t, NULL, '{');
	history_row_members(&t, &r);
	json_close(&t, '}');
	check_json(&t);
	json_open(&t, NULL, '{');
	history_event_members(&t, &x);
	json_close(&t, '}');
	check_json(&t);
	text_free(&t);
}

/* ---------------------------------------------------------------- arguments */

static void refused(const struct err *e, const char *name)
{
	CHECK(e->code == ERR_INPUT && strcmp(e->place, name) == 0);
	CHECK(e->msg[0] != '\0');
}

static void check_values(const struct ask *q)
{
	static const char *const choices[] = {"asc", "desc"};
	char id[DEVICE_ID_MAX + 1], class[CLASS_NAME_MAX + 1];
	int64_t n = 7, t = 7;
	unsigned what = 0;
	size_t choice = 0;
	bool given, yes = false;
	struct err e;

	if (!args_number(q, "n", 1, 1000, &n, &e))
		refused(&e, "n");
	CHECK(n >= 1 && n <= 1000);
	if (!args_time(q, "t", 1700000000, &t, &e))
		refused(&e, "t");
	CHECK(t >= 0 && t <= INT64_C(253402300799));
	if (!args_choice(q, "o", choices, 2, &choice, &e))
		refused(&e, "o");
	CHECK(choice < 2);
	if (!args_counter(q, "s", &what, &e))
		refused(&e, "s");
	CHECK(what < METER_COUNTS);
	if (!args_truth(q, "b", &given, &yes, &e))
		refused(&e, "b");
	if (!args_id(q, "i", id, &e))
		refused(&e, "i");
	else
		CHECK(id[0] == '\0' || device_id_valid(str_from(id)));
	if (!args_class(q, "c", &given, class, &e))
		refused(&e, "c");
	else
		CHECK(!given || class_name_valid(str_from(class)));
}

static void check_args(const uint8_t *p, size_t n)
{
	static struct ask q, turned;
	char target[ASK_TARGET_MAX + 1] = "/x?";
	struct err e;

	if (n > sizeof(target) - 4)
		return;
	memcpy(target + 3, p, n);
	if (!ask_parse((struct str){target, n + 3}, &q, &e))
		return;
	check_values(&q);
	turned = q;
	for (size_t i = 0; i < q.n_args; i++)
		turned.arg[i] = q.arg[q.n_args - 1 - i];
	CHECK(cursor_bind(&turned) == cursor_bind(&q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const check[])(const uint8_t *p, size_t n) = {
		check_cursor, check_device, check_history, check_args};

	if (size != 0)
		check[data[0] % 4](data + 1, size - 1);
	return 0;
}
