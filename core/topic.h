/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MQTT topics and topic filters: validity, matching, containment.
 *
 * These are the definitions, written to be read beside the standard. The
 * policy's trie (core/policy.h) gives the same answers faster; property tests
 * hold the two together. `weir policy check` uses filter_covered() to find
 * rules that add nothing.
 *
 * Source: MQTT 5.0 §4.7 (MQTT 3.1.1 §4.7 says the same), §4.8.2 ($share).
 */
#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H

#include "core/str.h"

#define TOPIC_MAX 65535u /* bytes: MQTT 5.0 §1.5.4 */

/*
 * True when T can be published to: 1..TOPIC_MAX bytes of valid UTF-8 without
 * a wildcard.  [MQTT-4.7.1-1] "wildcard characters … MUST NOT be used within
 * a Topic Name"; [MQTT-4.7.3-1] "at least one character long".
 */
bool topic_valid(struct str t);

/*
 * True when F can be subscribed to: 1..TOPIC_MAX bytes of valid UTF-8, '#'
 * only as the whole last level, '+' only as a whole level. `$share` is not
 * looked at: see share_split().
 */
bool filter_valid(struct str f);

/*
 * True when FILTER matches TOPIC, both valid. [MQTT-4.7.2-1] "The Server MUST
 * NOT match Topic Filters starting with a wildcard character (# or +) with
 * Topic Names beginning with a $ character". O(length).
 */
bool topic_match(struct str filter, struct str topic);

/*
 * True when every topic that FILTER can match is matched by at least one of
 * the N valid filters RULES. Exact, for the union.
 *
 * Let g_n be FILTER with each '+' replaced by one fresh level (in no rule,
 * not empty, no '$'), and a trailing '#' by fresh levels so that n levels
 * result. Without '#': covered iff some rule matches g_p, p its levels. With
 * '#' (p levels before it), M the most levels in FILTER or RULES: covered iff
 * for every n from max(p, 1) to M + 1 some rule matches g_n, the empty topic
 * (g_1 of "/#") skipped. A fresh level stands for every value no rule names,
 * and a rule that matches it matches any other value too, so g_n is the
 * hardest topic of its length; beyond M only '#' rules match, and those that
 * match n = M + 1 match all above.
 *
 * O(N × M × length): for checks, not for traffic.
 */
bool filter_covered(struct str filter, const struct str *rules, size_t n);

/* True when some topic is matched by both A and B, valid filters; of "+" and "/#"
 * too, which only the empty topic would match. O(length). */
bool filter_overlap(struct str a, struct str b);

/*
 * Where it is not so: the least n for which no rule matches g_n, so that g_n
 * is a topic that FILTER matches and none of RULES does. 0: all are covered.
 */
size_t filter_gap(struct str filter, const struct str *rules, size_t n);

/*
 * Splits `$share/GROUP/REST`: sets *group and *rest, parts of F. A filter that
 * does not start with `$share/` has no group: *group is empty, *rest is F.
 * False when it starts so but is malformed: no or empty GROUP, a wildcard in
 * it, no or empty REST.  Source: MQTT 5.0 §4.8.2 [MQTT-4.8.2-1], [-2].
 */
bool share_split(struct str f, struct str *group, struct str *rest);

#endif
