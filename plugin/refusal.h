/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of refusals: one line each, key=value, bounded per device and kind
 * and in total because the broker writes its log synchronously.
 *
 *     weir: refused publish device=pump-1 class=pump client_id=pump-1
 *     address=192.0.2.7 reason=no_rule rule=classes.pump.publish[0]
 *     qos=1 retain=0 bytes=12 suppressed=3 topic=pump-2/state
 *
 * (on one line). A value that is not known is `-`. Bytes other than visible
 * ASCII, and `\`, are written \xNN; a value is cut at 128 bytes, which three
 * dots show. `suppressed`, when there, counts refusals like it since the last
 * line. The topic is last.
 */
#ifndef PLUGIN_REFUSAL_H
#define PLUGIN_REFUSAL_H

#include "core/decide.h"

#include <stdint.h>

#define REFUSAL_LINE 960 /* bytes; the broker cuts a line at 1,000 */

struct refusal {
	enum action action;
	enum reason reason;
	bool observed; /* let pass: the line begins `weir: observed` */
	const char *device, *class_name, *client_id, *address; /* NULL: - */
	const char *place; /* of the nearest rule; "" or NULL: - */
	const char *note;  /* key=value, in clear; NULL: none */
	bool has_message;  /* qos, retain and bytes mean something */
	uint8_t qos;
	bool retain, v5;
	uint32_t bytes;
	struct str topic; /* empty: none */
};

/* Writes the line; returns its length. */
size_t refusal_format(const struct refusal *r, uint32_t suppressed,
	char out[static REFUSAL_LINE]);

#define REFUSAL_SLOTS 4096u /* kinds limited apart; a power of two */

/* How many of a kind are told at once, and then one in every so many ms; and
 * how many of all kinds a second. */
struct refusal_rate {
	uint32_t burst, every_ms, total_per_s;
};

/* Of lines, which the broker writes synchronously, and of events, which cost
 * their bytes copied. */
#define REFUSAL_LINES  ((struct refusal_rate){5, 10000, 100})
#define REFUSAL_EVENTS ((struct refusal_rate){50, 1000, UINT32_MAX})

struct refusal_bucket {
	uint64_t kind;  /* hash of device or address, action, reason */
	uint64_t at_ms; /* spent was right then */
	uint32_t spent; /* lines, of the burst; zeroed: none */
	uint32_t suppressed;
};

struct refusal_log {
	struct refusal_rate rate;
	struct refusal_bucket bucket[REFUSAL_SLOTS];
	uint64_t total_at_ms;
	uint32_t total;
};

/*
 * True when R may be told at NOW_MS; *suppressed is then how many
 * like it were not told since the last one. Alike are refusals of the same
 * action for the same reason to the same device (address, when it has none):
 * so a flood of one kind hides no other. Kinds whose hashes fall together
 * share a bucket while both are busy.
 */
bool refusal_admit(struct refusal_log *log, const struct refusal *r,
	uint64_t now_ms, uint32_t *suppressed);

#endif
