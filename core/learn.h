/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the devices of a class were seen to do, the smallest sensible
 * allowlist for them.
 *
 * In each topic the levels that are the device's own (its id, SIM identifiers,
 * attributes) become variables. Then, level by level, what
 * follows the same beginning is looked at:
 *
 *   - a value that enough devices use (`share_pct` of those seen, and never a
 *     single one of several) stays literal;
 *   - of the others, and of those that less than half of the devices use,
 *     `many` or more different ones become `+`: if half of the devices use
 *     them and a tenth of the messages have them, so that the slips of a few,
 *     or one device that floods, open nothing;
 *   - the rest are outliers: listed apart, not allowed.
 *
 * `#` is never made up, and one that devices subscribe to is kept when asked
 * only. Source of the numbers: docs/BENCH.md, Learning.
 */
#ifndef CORE_LEARN_H
#define CORE_LEARN_H

#include "core/device.h"
#include "core/err.h"
#include "core/request.h"

#include <stdbool.h>
#include <stdint.h>

#define LEARN_MANY      8u /* different values of a level that become `+` */
#define LEARN_SHARE_PCT 5u /* of the devices, that make a value usual */

/* What one device did, as often as it did. Everything is borrowed; the same
 * device has the same pointer. */
struct observation {
	const struct device *device;
	enum action action; /* publish or subscribe */
	enum reason reason;
	struct str topic; /* or filter, or a pattern made of several topics */
	uint8_t qos;      /* the highest */
	bool retain;
	bool folded; /* topic is such a pattern */
	uint64_t messages, largest;
	int64_t first_s, last_s;
};

struct learn_options {
	unsigned many, share_pct;
	bool hash; /* keep `#` that devices subscribe to */
};

/* Zero is a rule; the others say why it is none. */
enum learn_why {
	LEARN_RULE = 0,
	LEARN_FEW,    /* too few devices */
	LEARN_HASH,   /* ends in `#`, which was not asked for */
	LEARN_RETAIN, /* too few devices set the retain flag */
	LEARN_BROKER, /* a topic of the broker's own, or a shared group */
	LEARN_ODD,    /* no rule can say it: too deep, or a literal "${" */
};

/* "few", …; "rule". Static. */
const char *learn_why_name(enum learn_why w);

struct learned {
	enum learn_why why;
	enum action action;
	char *topic; /* a rule's template */
	uint8_t qos;
	bool retain;
	size_t devices;
	uint64_t messages, largest; /* bytes */
	int64_t first_s, last_s;
};

struct learned_set {
	struct learned *item; /* rules first, then outliers */
	size_t n, n_rules;
	size_t devices; /* seen */
};

/*
 * Learns from the N observations. *out is given: learned_fini. False: no
 * memory. O(n log n × levels). The result does not depend on their order.
 */
MUST bool learn(const struct observation *o, size_t n,
	const struct learn_options *options, struct learned_set *out,
	struct err *e);
void learned_fini(struct learned_set *s);

#endif
