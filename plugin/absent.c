/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/absent.h"

#include "plugin/guard.h"
#include "plugin/hash.h"
#include "plugin/judge.h"

#include <stdlib.h>

static void slot_free(struct badge **b)
{
	if (*b == NULL)
		return;
	device_fini(&(*b)->device);
	free(*b);
	*b = NULL;
}

void absent_fini(struct absent *a)
{
	for (size_t i = 0; i < ABSENT_SLOTS; i++)
		slot_free(&a->slot[i]);
}

static struct badge *look_up(struct guard *g, struct str id)
{
	struct badge *b = calloc(1, sizeof *b);
	bool found = false;

	if (b == NULL)
		return NULL;
	if (!registry_device(g->registry, id, &b->device, &found, NULL) ||
		!found) {
		free(b);
		return NULL;
	}
	b->subject = (struct subject){
		.device = &b->device,
		.credential = CREDENTIAL_NONE,
		.barred = REASON_ALLOWED,
	};
	gauge_device(g, b);
	return b;
}

struct badge *absent_find(struct guard *g, struct str id)
{
	struct absent *a = &g->absent;
	struct badge **at = &a->slot[hash_text(id) & (ABSENT_SLOTS - 1)];

	if (!g->admitting || !live_admits(&g->live) || g->registry == NULL ||
		!device_id_valid(id))
		return NULL;
	if (a->revision != g->follow.revision) {
		absent_fini(a);
		a->revision = g->follow.revision;
	}
	if (*at == NULL || !str_eq(str_from((*at)->device.id), id)) {
		if (a->left == 0)
			return NULL;
		a->left--;
		slot_free(at);
		*at = look_up(g, id);
	}
	if (*at != NULL) {
		judge_status(g, *at);
		judge_class(g, *at);
	}
	return *at;
}
