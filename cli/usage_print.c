/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage_print.h"

#include "io/meter_text.h"

#include <inttypes.h>
#include <stdlib.h>

#define NUMBER_TEXT 24

void usage_counters_json(cJSON *o, const uint64_t counter[static COUNTERS])
{
	for (unsigned i = 0; i < COUNTERS; i++)
		json_int(o, counter_name((enum counter)i), (int64_t)counter[i]);
}

static const char *number(uint64_t n, char out[static NUMBER_TEXT])
{
	(void)snprintf(out, NUMBER_TEXT, "%" PRIu64, n);
	return out;
}

/* -------------------------------------------------------------------- split */

struct split {
	uint64_t wire, mqtt, payload;
};

/* Mosquitto 2.0 shows what it queues for a device, 2.1 what it sends. */
static struct split split_out(const uint64_t counter[static COUNTERS])
{
	bool sent = counter[COUNTER_MESSAGES_SENT] != 0;

	return (struct split){
		counter[COUNTER_WIRE_BYTES_OUT],
		counter[sent ? COUNTER_MQTT_BYTES_SENT
			     : COUNTER_MQTT_BYTES_QUEUED],
		counter[sent ? COUNTER_PAYLOAD_BYTES_SENT
			     : COUNTER_PAYLOAD_BYTES_QUEUED],
	};
}

/* "66 %"; "" without a whole. */
static const char *share(
	uint64_t part, uint64_t whole, char out[static NUMBER_TEXT])
{
	out[0] = '\0';
	if (whole != 0)
		(void)snprintf(out, NUMBER_TEXT, "%.1f %%",
			100.0 * (double)part / (double)whole);
	return out;
}

static void split_row(struct table *t, const char *what, uint64_t part[2],
	const uint64_t whole[2])
{
	char in[NUMBER_TEXT], out[NUMBER_TEXT], in_share[NUMBER_TEXT],
		out_share[NUMBER_TEXT];

	table_row(t, (const char *const[]){what, number(part[0], in),
			     share(part[0], whole[0], in_share),
			     number(part[1], out),
			     share(part[1], whole[1], out_share)});
}

/* The bytes of the TLS connections, of the PUBLISH packets in them, and of the
 * payloads in those. */
static void print_split(const uint64_t counter[static COUNTERS])
{
	static const char *const heads[] = {
		"BYTES", "IN", "OF WIRE", "OUT", "OF WIRE"};
	struct split in = {counter[COUNTER_WIRE_BYTES_IN],
		counter[COUNTER_MQTT_BYTES_IN],
		counter[COUNTER_PAYLOAD_BYTES_IN]};
	struct split out = split_out(counter);
	uint64_t wire[2] = {in.wire, out.wire};
	struct table *t = table_new(heads, 5);

	table_right(t, 1, 4);
	split_row(t, "wire", wire, wire);
	split_row(t, "MQTT", (uint64_t[]){in.mqtt, out.mqtt}, wire);
	split_row(t, "payload", (uint64_t[]){in.payload, out.payload}, wire);
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
}

/* ----------------------------------------------------------------- counters */

/* Those that are not zero for it and in the median both. */
static void print_counters(const uint64_t counter[static COUNTERS],
	const uint64_t median[static COUNTERS])
{
	static const char *const heads[] = {
		"COUNTER", "VALUE", "CLASS MEDIAN", "UNIT"};
	struct table *t = table_new(heads, 4);
	char value[NUMBER_TEXT], middle[NUMBER_TEXT];

	table_right(t, 1, 2);
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (counter[i] == 0 && median[i] == 0)
			continue;
		table_row(
			t, (const char *const[]){counter_name((enum counter)i),
				   number(counter[i], value),
				   number(median[i], middle),
				   counter_unit((enum counter)i)});
	}
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
}

/* ------------------------------------------------------------------- device */

static void print_reasons(const struct meter_device *d)
{
	static const char *const heads[] = {"REFUSED FOR", "TIMES", "MEANING"};
	struct table *t = table_new(heads, 3);
	char times[NUMBER_TEXT];

	table_right(t, 1, 1);
	for (int r = 0; r < REASON_COUNT; r++) {
		uint32_t at = meter_reason_index((enum reason)r);

		if (at >= METER_REASONS || d->reason[at] == 0)
			continue;
		table_row(t, (const char *const[]){reason_name((enum reason)r),
				     number(d->reason[at], times),
				     reason_text((enum reason)r)});
	}
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
}

void usage_device_print(
	const struct meter_watch *w, const struct meter_device *d)
{
	char class[CLASS_NAME_MAX + 1], when[TIME_TEXT], state[WATCH_TEXT];
	uint64_t median[COUNTERS];

	meter_class_text(w, d->class, class);
	meter_watch_text(w, state);
	print_field("device", "%s", d->id);
	print_field("class", "%s", class[0] != '\0' ? class : "none yet");
	print_field("broker", "%s", state);
	meter_device_print(w, d);
	if (d->first_seen_s == 0) {
		print_field("counted", "nothing: it has never been there");
		return;
	}
	time_format(d->first_seen_s, when);
	print_field("counted since", "%s", when);
	meter_medians(w, d->class, median);
	print_split(d->counter);
	print_counters(d->counter, median);
	print_reasons(d);
}

void usage_device_json(
	const struct meter_watch *w, const struct meter_device *d)
{
	char class[CLASS_NAME_MAX + 1], address[ADDRESS_TEXT];
	uint64_t median[COUNTERS] = {0};
	cJSON *o = json_new();

	meter_class_text(w, d->class, class);
	address_format(d->connect.address, address);
	json_mended(o, "device", str_from(d->id));
	if (class[0] != '\0')
		json_mended(o, "class", str_from(class));
	else
		json_str(o, "class", NULL);
	json_time(o, "first_seen_s", d->first_seen_s);
	json_time(o, "last_seen_s", d->last_seen_s);
	json_str(o, "last_address", address[0] != '\0' ? address : NULL);
	meter_device_json(o, w, d);
	usage_counters_json(o, d->counter);
	meter_reasons_json(o, d);
	if (class[0] != '\0')
		meter_medians(w, d->class, median);
	usage_counters_json(json_object(o, "class_median"), median);
	json_print(o);
}

/* -------------------------------------------------------------------- class */

static void print_refused(const struct meter_use *u)
{
	static const char *const heads[] = {
		"REFUSED", "FOR", "TIMES", "MEANING"};
	struct table *t = table_new(heads, 4);
	char times[NUMBER_TEXT];

	table_right(t, 2, 1);
	for (unsigned a = 0; a < METER_ALL_ACTIONS; a++) {
		for (int r = 0; r < REASON_COUNT; r++) {
			if (u->refused[a][r] == 0)
				continue;
			table_row(t, (const char *const[]){
					     action_name((enum action)(a + 1)),
					     reason_name((enum reason)r),
					     number(u->refused[a][r], times),
					     reason_text((enum reason)r)});
		}
	}
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
}

static const char *list_name(const struct meter_rule_use *r)
{
	return r->list == 0 ? "publish" : "subscribe";
}

/* *out is given: free(). */
static size_t rules_of(const struct meter_watch *w, uint32_t class,
	struct meter_rule_use **out)
{
	size_t n = meter_rule_uses(w, class, NULL, 0);

	*out = need_memory(n, sizeof(**out));
	return n != 0 ? meter_rule_uses(w, class, *out, n) : 0;
}

static void print_rules(const struct meter_watch *w, const struct meter_use *u)
{
	static const char *const heads[] = {
		"RULE OF", "MESSAGES", "MQTT BYTES", "PAYLOAD BYTES", "TOPIC"};
	struct table *t = table_new(heads, 5);
	char messages[NUMBER_TEXT], mqtt[NUMBER_TEXT], payload[NUMBER_TEXT];
	struct meter_rule_use *rules;
	size_t n = rules_of(w, u->index, &rules);

	table_right(t, 1, 3);
	for (size_t i = 0; i < n; i++) {
		const struct meter_rule_use *r = &rules[i];

		table_row(t,
			(const char *const[]){list_name(r),
				number(r->messages, messages),
				number(r->mqtt_bytes, mqtt),
				number(r->payload_bytes, payload),
				r->topic[0] != '\0' ? r->topic : "(no rule)"});
	}
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
	free(rules);
}

void usage_class_print(const struct meter_watch *w, const struct meter_use *u)
{
	char state[WATCH_TEXT];
	uint64_t median[COUNTERS];

	meter_watch_text(w, state);
	print_field("class", "%s", u->name);
	print_field("broker", "%s", state);
	print_field("devices",
		"%" PRIu32 " have been here, %" PRIu32 " connection%s now",
		u->devices, u->connections, u->connections != 1 ? "s" : "");
	meter_medians(w, u->index, median);
	print_split(u->counter);
	print_counters(u->counter, median);
	print_refused(u);
	print_rules(w, u);
}

static void refused_json(cJSON *o, const struct meter_use *u)
{
	cJSON *all = json_object(o, "refusals"), *of;

	for (unsigned a = 0; a < METER_ALL_ACTIONS; a++) {
		of = json_object(all, action_name((enum action)(a + 1)));
		for (int r = 0; r < REASON_COUNT; r++) {
			if (u->refused[a][r] != 0)
				json_int(of, reason_name((enum reason)r),
					(int64_t)u->refused[a][r]);
		}
	}
}

void usage_class_json(const struct meter_watch *w, const struct meter_use *u)
{
	struct meter_rule_use *rules;
	size_t n = rules_of(w, u->index, &rules);
	cJSON *o = json_new(), *list;

	if (u->name[0] != '\0')
		json_mended(o, "class", str_from(u->name));
	else
		json_str(o, "class", NULL);
	json_str(o, "broker", broker_state_name(w->state));
	json_int(o, "devices", u->devices);
	json_int(o, "connections", u->connections);
	usage_counters_json(o, u->counter);
	refused_json(o, u);
	list = json_array(o, "rules");
	for (size_t i = 0; i < n; i++) {
		cJSON *r = json_new();

		json_str(r, "list", list_name(&rules[i]));
		if (rules[i].topic[0] != '\0')
			json_mended(r, "topic", str_from(rules[i].topic));
		else
			json_str(r, "topic", NULL);
		json_int(r, "messages", (int64_t)rules[i].messages);
		json_int(r, "payload_bytes", (int64_t)rules[i].payload_bytes);
		json_int(r, "mqtt_bytes", (int64_t)rules[i].mqtt_bytes);
		json_push(list, r);
	}
	json_print(o);
	free(rules);
}
