/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/event_json.h"

#include "core/reason.h"
#include "core/request.h"
#include "feed/device_json.h"
#include "io/meter_text.h"

/* What only a refusal has. */
static void judgement_json(struct text *t, const struct event *e)
{
	if (e->type != EVENT_REFUSAL && e->type != EVENT_OBSERVED) {
		json_null(t, "action");
		json_null(t, "reason");
		json_null(t, "qos");
		return;
	}
	json_text(t, "action", str_from(action_name((enum action)e->action)));
	json_text(t, "reason", str_from(reason_name((enum reason)e->reason)));
	json_number(t, "qos", e->qos);
}

void event_json(struct text *t, const char *key, const struct event_copy *x,
	struct str class)
{
	char address[ADDRESS_TEXT], text[3 * EVENT_TEXT + 1];
	const struct event *e = &x->e;
	uint64_t t_ms = e->t_ms > 0 ? json_exact((uint64_t)e->t_ms) : 0;

	address_format(e->address, address);
	json_open(t, key, '{');
	json_count(t, "t_s", t_ms / 1000);
	json_count(t, "t_ms", t_ms);
	json_text(t, "type", str_from(event_name(e->type)));
	json_name(t, "device", e->device);
	json_name(t, "class", class);
	json_name(t, "address", str_from(address));
	judgement_json(t, e);
	if (event_value(e->type)[0] != '\0')
		json_count(t, "value", json_exact(e->value));
	else
		json_null(t, "value");
	json_text(t, "text", str_from(text_mend(e->text, text)));
	json_count(t, "text_bytes", json_exact(x->text_len));
	json_close(t, '}');
}
