/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture that weir top shows: what is the matter, all devices as one, and
 * those that come first.
 */
#ifndef CLI_TOP_DRAW_H
#define CLI_TOP_DRAW_H

#include "cli/top_look.h"

#include <stdio.h>

struct top_frame {
	size_t columns; /* of the terminal */
	bool ansi;      /* bold and the like */
	bool colour;
	int64_t now_s;
	const char *bottom; /* the last line; NULL: none */
};

#define TOP_HEAD_LINES 5 /* before the first device */

/* Draws T, after top_find, on OUT. */
void top_draw(const struct top *t, const struct top_frame *f, FILE *out);

#endif
