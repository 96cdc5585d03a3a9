/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/history_json.h"

#include "feed/device_json.h"
#include "feed/event_json.h"
#include "io/meter_text.h"

static void row_begin(struct text *t, const struct history_row *r)
{
	json_number(t, "from_s", r->from_s);
	json_number(t, "to_s", r->to_s);
	if (r->device[0] != '\0')
		json_name(t, "device", str_from(r->device));
	json_name(t, "class", str_from(r->class));
}

void history_row_json(struct text *t, const struct history_row *r)
{
	json_open(t, NULL, '{');
	row_begin(t, r);
	counters_json(t, r->counter);
	json_close(t, '}');
}

void history_row_members(struct text *t, const struct history_row *r)
{
	row_begin(t, r);
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (r->counter[i] != 0)
			json_count(t, counter_name((enum counter)i),
				json_exact(r->counter[i]));
	}
}

/* What only a refusal, or what would have been one, has. */
static void judgement_members(struct text *t, const struct history_event *x)
{
	json_name(t, "action", str_from(x->action));
	json_name(t, "reason", str_from(x->reason));
	if (x->reason[0] != '\0')
		json_number(t, "qos", x->qos);
	else
		json_null(t, "qos");
}

void history_event_members(struct text *t, const struct history_event *x)
{
	char address[ADDRESS_TEXT], text[3 * EVENT_TEXT + 1];
	struct str name = str_from(x->type);
	enum event_type type = event_find(name);
	uint64_t t_ms = x->t_ms > 0 ? json_exact((uint64_t)x->t_ms) : 0;

	json_count(t, "t_s", t_ms / 1000);
	json_count(t, "t_ms", t_ms);
	json_name(t, "type", name);
	if (str_eq(name, STR("lost"))) {
		json_count(t, "lost", json_exact(x->value));
		return;
	}
	address_format(x->address, address);
	json_name(t, "device", str_from(x->device));
	json_name(t, "class", str_from(x->class));
	json_name(t, "address", str_from(address));
	judgement_members(t, x);
	if (type != EVENT_NONE && event_value(type)[0] != '\0')
		json_count(t, "value", json_exact(x->value));
	else
		json_null(t, "value");
	json_text(t, "text",
		str_from(text_mend((struct str){x->text, x->text_len}, text)));
	json_count(t, "text_bytes", json_exact(x->text_bytes));
}

void history_reach_members(struct text *t, const struct history_head *head,
	const struct history_gap *gap, size_t n)
{
	json_time(t, "told_s", head->told_s);
	json_open(t, "gaps", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(t, NULL, '{');
		json_number(t, "from_s", gap[i].from_s);
		json_number(t, "to_s", gap[i].to_s);
		json_close(t, '}');
	}
	json_close(t, ']');
}
