/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/id_set.h"

#include "cli/output.h"
#include "core/device.h"

#include <stdlib.h>
#include <string.h>

#define ID_BYTES    ((size_t)DEVICE_ID_MAX + 1)
#define SLOTS_FIRST ((size_t)1024)

/* FNV-1a. */
static size_t slot_of(const struct id_set *s, const char *id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ (h >> 32)) & (s->n_slots - 1);
}

static const char *id_at(const struct id_set *s, uint32_t number)
{
	return s->ids + (number - 1) * ID_BYTES;
}

/* Where ID is, or would be. */
static size_t find(const struct id_set *s, const char *id)
{
	size_t at = slot_of(s, id);

	while (s->slots[at] != 0 && strcmp(id_at(s, s->slots[at]), id) != 0)
		at = (at + 1) & (s->n_slots - 1);
	return at;
}

static void slots_grow(struct id_set *s)
{
	free(s->slots);
	s->n_slots = s->n_slots == 0 ? SLOTS_FIRST : 2 * s->n_slots;
	s->slots = need_memory(s->n_slots, sizeof(*s->slots));
	for (uint32_t i = 1; i <= s->n; i++)
		s->slots[find(s, id_at(s, i))] = i;
}

static void ids_grow(struct id_set *s)
{
	size_t room = s->room == 0 ? SLOTS_FIRST / 2 : 2 * s->room;
	char *ids = need_memory(room, ID_BYTES);

	if (s->n != 0)
		memcpy(ids, s->ids, s->n * ID_BYTES);
	free(s->ids);
	s->ids = ids;
	s->room = room;
}

bool id_set_has(const struct id_set *s, const char *id)
{
	return s->n_slots != 0 && s->slots[find(s, id)] != 0;
}

bool id_set_add(struct id_set *s, const char *id)
{
	if (id_set_has(s, id))
		return false;
	/* Never more than half full. */
	if (2 * (s->n + 1) > s->n_slots)
		slots_grow(s);
	if (s->n == s->room)
		ids_grow(s);
	memcpy(s->ids + s->n * ID_BYTES, id, strlen(id) + 1);
	s->n++;
	s->slots[find(s, id)] = (uint32_t)s->n;
	return true;
}

void id_set_clear(struct id_set *s)
{
	s->n = 0;
	if (s->n_slots != 0)
		memset(s->slots, 0, s->n_slots * sizeof(*s->slots));
}

void id_set_fini(struct id_set *s)
{
	free(s->ids);
	free(s->slots);
	memset(s, 0, sizeof(*s));
}
