/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/binding.h"

#include "io/registry.h"
#include "plugin/hash.h"

#include <stdlib.h>

#define CAP_MIN 64u

/* ------------------------------------------------------------------ lists */

static void list_append(struct binding_list *l, struct binding *b)
{
	b->prev = l->last;
	b->next = NULL;
	if (l->last != NULL)
		l->last->next = b;
	else
		l->first = b;
	l->last = b;
	l->n++;
}

static void list_remove(struct binding_list *l, struct binding *b)
{
	if (b->prev != NULL)
		b->prev->next = b->next;
	else
		l->first = b->next;
	if (b->next != NULL)
		b->next->prev = b->prev;
	else
		l->last = b->prev;
	b->prev = b->next = NULL;
	l->n--;
}

static struct binding_list *list_of(struct binding_table *t, unsigned state)
{
	switch (state) {
	case BINDING_CONNECTED:
		return &t->connected;
	case BINDING_ENDED:
		return &t->ended;
	case BINDING_OFFLINE:
		return &t->offline;
	case BINDING_GUEST:
		return &t->guests;
	default:
		return &t->husks;
	}
}

static void move(
	struct binding_table *t, struct binding *b, enum binding_state to)
{
	list_remove(list_of(t, b->state), b);
	b->state = (uint8_t)to;
	list_append(list_of(t, to), b);
}

/* ---------------------------------------------------------------- indexes */

enum key { BY_CLIENT, BY_DEVICE };

static uint64_t key_hash(const struct binding *b, enum key key)
{
	return key == BY_CLIENT ? b->client_hash : b->device_hash;
}

static void put(struct binding_index *x, struct binding *b, enum key key)
{
	size_t i = key_hash(b, key) & (x->cap - 1);

	while (x->slot[i] != NULL)
		i = (i + 1) & (x->cap - 1);
	x->slot[i] = b;
	x->n++;
}

/* Room for one more at a load of at most two thirds. */
static bool reserve(struct binding_index *x, enum key key)
{
	struct binding_index wide = {NULL, x->cap * 2, 0};

	if ((x->n + 1) * 3 <= x->cap * 2)
		return true;
	wide.slot = calloc(wide.cap, sizeof(struct binding *));
	if (wide.slot == NULL)
		return false;
	for (size_t i = 0; i < x->cap; i++) {
		if (x->slot[i] != NULL)
			put(&wide, x->slot[i], key);
	}
	free(x->slot);
	*x = wide;
	return true;
}

/* Empties slot I and moves later entries of the run into the gap, so that
 * look-ups need no tombstones. */
static void take_out(struct binding_index *x, size_t i, enum key key)
{
	size_t mask = x->cap - 1;

	for (size_t j = (i + 1) & mask; x->slot[j] != NULL;
		j = (j + 1) & mask) {
		size_t home = key_hash(x->slot[j], key) & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			x->slot[i] = x->slot[j];
			i = j;
		}
	}
	x->slot[i] = NULL;
	x->n--;
}

static size_t client_slot(const struct binding_table *t, const void *client)
{
	size_t mask = t->by_client.cap - 1;
	size_t i = binding_hash(client) & mask;

	while (t->by_client.slot[i]->client != client)
		i = (i + 1) & mask;
	return i;
}

/* The slot of the device's first binding, or the free one where it goes. */
static size_t device_slot(const struct binding_index *x, struct str id)
{
	size_t i = hash_text(id) & (x->cap - 1);

	while (x->slot[i] != NULL &&
		!str_eq(str_from(x->slot[i]->device_id), id))
		i = (i + 1) & (x->cap - 1);
	return i;
}

static void device_link(struct binding_table *t, struct binding *b)
{
	struct binding_index *x = &t->by_device;
	size_t i = device_slot(x, str_from(b->device_id));

	b->same_device = x->slot[i];
	if (x->slot[i] == NULL)
		x->n++;
	x->slot[i] = b;
}

static void device_unlink(struct binding_table *t, struct binding *b)
{
	struct binding_index *x = &t->by_device;
	size_t i = device_slot(x, str_from(b->device_id));
	struct binding **at = &x->slot[i];

	if (*at == b && b->same_device == NULL) {
		take_out(x, i, BY_DEVICE);
		return;
	}
	while (*at != b)
		at = &(*at)->same_device;
	*at = b->same_device;
}

/* --------------------------------------------------------------- bindings */

static char *copy_text(const char *z)
{
	size_t n = strlen(z) + 1;
	char *p = malloc(n);

	if (p != NULL)
		memcpy(p, z, n);
	return p;
}

struct binding *binding_new(
	const void *client, const char *client_id, const char *address)
{
	struct binding *b = calloc(1, sizeof *b);
	size_t n = strlen(address);

	if (b == NULL)
		return NULL;
	b->client = client;
	b->client_hash = binding_hash(client);
	b->badge = calloc(1, sizeof *b->badge);
	b->client_id = copy_text(client_id);
	memcpy(b->address, address, n < ADDRESS_MAX ? n : ADDRESS_MAX);
	if (b->badge == NULL || b->client_id == NULL)
		binding_free(&b);
	return b;
}

static void badge_free(struct binding *b)
{
	if (b->badge == NULL)
		return;
	device_fini(&b->badge->device);
	free(b->badge);
	b->badge = NULL;
}

void binding_free(struct binding **b)
{
	if (*b == NULL)
		return;
	badge_free(*b);
	free((*b)->client_id);
	free(*b);
	*b = NULL;
}

static bool index_init(struct binding_index *x)
{
	*x = (struct binding_index){
		calloc(CAP_MIN, sizeof(struct binding *)), CAP_MIN, 0};
	return x->slot != NULL;
}

bool bindings_init(
	struct binding_table *t, size_t offline_max, size_t husks_max)
{
	*t = (struct binding_table){0};
	t->offline_max = offline_max;
	t->husks_max = husks_max;
	if (index_init(&t->by_client) && index_init(&t->by_device))
		return true;
	bindings_fini(t);
	return false;
}

static void list_free(struct binding_list *l)
{
	struct binding *next;

	for (struct binding *b = l->first; b != NULL; b = next) {
		next = b->next;
		binding_free(&b);
	}
	*l = (struct binding_list){0};
}

void bindings_fini(struct binding_table *t)
{
	list_free(&t->connected);
	list_free(&t->ended);
	list_free(&t->offline);
	list_free(&t->husks);
	list_free(&t->guests);
	free(t->by_client.slot);
	free(t->by_device.slot);
	*t = (struct binding_table){0};
}

bool binding_add(struct binding_table *t, struct binding *b)
{
	if (!reserve(&t->by_client, BY_CLIENT) ||
		!reserve(&t->by_device, BY_DEVICE))
		return false;
	memcpy(b->device_id, b->badge->device.id, sizeof b->device_id);
	b->device_hash = hash_text(str_from(b->device_id));
	b->state = BINDING_CONNECTED;
	put(&t->by_client, b, BY_CLIENT);
	device_link(t, b);
	list_append(&t->connected, b);
	return true;
}

bool binding_add_guest(struct binding_table *t, struct binding *b)
{
	if (!reserve(&t->by_client, BY_CLIENT))
		return false;
	b->guest = true;
	b->state = BINDING_GUEST;
	put(&t->by_client, b, BY_CLIENT);
	list_append(&t->guests, b);
	return true;
}

void binding_remove(struct binding_table *t, struct binding *b)
{
	take_out(&t->by_client, client_slot(t, b->client), BY_CLIENT);
	if (!b->guest)
		device_unlink(t, b);
	list_remove(list_of(t, b->state), b);
	binding_free(&b);
}

void binding_disconnect(struct binding_table *t, struct binding *b, bool keep)
{
	move(t, b, keep ? BINDING_OFFLINE : BINDING_ENDED);
	while (t->offline.n > t->offline_max) {
		badge_free(t->offline.first);
		move(t, t->offline.first, BINDING_HUSK);
	}
	while (t->husks.n > t->husks_max)
		binding_remove(t, t->husks.first);
}

void binding_to_end(struct binding_table *t, struct binding *b)
{
	move(t, b, (enum binding_state)b->state);
}

void bindings_purge(struct binding_table *t)
{
	struct binding *next;

	for (struct binding *b = t->ended.first; b != NULL; b = next) {
		next = b->next;
		binding_remove(t, b);
	}
}

struct binding *binding_of_device(
	const struct binding_table *t, struct str device_id)
{
	return t->by_device.slot[device_slot(&t->by_device, device_id)];
}
