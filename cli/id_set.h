/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of device ids, for telling whether one has been there: it grows as
 * need be, and costs 80 bytes an id.
 */
#ifndef CLI_ID_SET_H
#define CLI_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty. */
struct id_set {
	char *ids; /* one behind the other, each of DEVICE_ID_MAX + 1 bytes */
	size_t n, room;
	uint32_t *slots; /* 0: free; else the number of an id, from 1 */
	size_t n_slots;  /* a power of two */
};

/* False: ID, a device id, was in it already. */
bool id_set_add(struct id_set *s, const char *id);
bool id_set_has(const struct id_set *s, const char *id);
/* Empties it, and keeps its memory. */
void id_set_clear(struct id_set *s);
void id_set_fini(struct id_set *s);

#endif
