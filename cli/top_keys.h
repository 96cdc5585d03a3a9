/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keys do in weir top. Pure but for the picture's text.
 */
#ifndef CLI_TOP_KEYS_H
#define CLI_TOP_KEYS_H

#include "cli/top_look.h"

#include <stdio.h>

/* Zeroed: nothing typed yet. */
struct top_keys {
	bool quit, paused, help;
	char asked;                     /* 'c', '/': a text is typed; 0: none */
	char typed[DEVICE_ID_MAX + 1];  /* of it */
	char told[64 + CLASS_NAME_MAX]; /* until the next key */
};

/* Does what the N bytes KEYS ask for to *K and T's view. */
void top_keys_take(
	struct top_keys *k, struct top *t, const char *keys, size_t n);

/* The last line of the screen: keys, or what is being typed. */
#define TOP_BOTTOM 256
void top_keys_bottom(const struct top_keys *k, const struct top *t,
	char out[static TOP_BOTTOM]);

/* What each key does, a line each. */
void top_keys_help(FILE *out);

#endif
