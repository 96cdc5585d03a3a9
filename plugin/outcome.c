/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/outcome.h"

static struct outcome *at(struct outcomes *o, uint32_t i)
{
	return &o->ring[(o->first + i) & (OUTCOMES_MAX - 1)];
}

/* The changes are in order: binary search. */
static struct outcome *find(struct outcomes *o, int64_t change)
{
	uint32_t low = 0, high = o->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (at(o, mid)->change < change)
			low = mid + 1;
		else
			high = mid;
	}
	return low < o->n && at(o, low)->change == change ? at(o, low) : NULL;
}

uint32_t outcome_room(const struct outcomes *o)
{
	return OUTCOMES_MAX - o->n;
}

void outcome_begin(struct outcomes *o, int64_t change, struct str device)
{
	struct outcome *x = at(o, o->n++);

	*x = (struct outcome){.change = change};
	if (device.n > DEVICE_ID_MAX)
		device.n = DEVICE_ID_MAX;
	if (device.n != 0)
		memcpy(x->device, device.p, device.n);
}

void outcome_wait(struct outcomes *o, int64_t change)
{
	struct outcome *x = find(o, change);

	if (x != NULL)
		x->waiting++;
}

void outcome_done(struct outcomes *o, int64_t change, bool closed)
{
	struct outcome *x = find(o, change);

	if (x == NULL)
		return;
	x->waiting--;
	x->closed += closed;
}

bool outcome_take(struct outcomes *o, struct outcome *out)
{
	if (o->n == 0 || at(o, 0)->waiting != 0)
		return false;
	*out = *at(o, 0);
	o->first = (o->first + 1) & (OUTCOMES_MAX - 1);
	o->n--;
	return true;
}
