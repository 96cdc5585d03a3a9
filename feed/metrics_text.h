/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of metrics as Prometheus reads it: the text format, version 0.0.4.
 * Source: prometheus.io/docs/instrumenting/exposition_formats.
 *
 * All that stands in a label is ours or was found to be a name of a class or a
 * device, which are of letters, digits and "._:-": nothing is to be escaped.
 */
#ifndef FEED_METRICS_TEXT_H
#define FEED_METRICS_TEXT_H

#include "feed/scrape.h"
#include "feed/text.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* How far a page has been written; zeroed: nothing yet. */
struct metrics_place {
	size_t family;
	uint32_t row;
};

/* Adds what comes next of the page of S to OUT, some LEAST bytes and a row of
 * 16 KiB at most. True: there is more. */
bool metrics_text(const struct scrape *s, struct metrics_place *at,
	size_t least, struct text *out);

#endif
