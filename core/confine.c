/* SPDX-License-Identifier: Apache-2.0 */
#include "core/confine.h"

void confine(
	struct subject *who, struct device *d, int64_t until_s, int64_t now_s)
{
	if (d->status != DEVICE_ACTIVE || (until_s != 0 && now_s >= until_s))
		return;
	d->status = DEVICE_QUARANTINED;
	d->status_until_s = until_s;
	who->confined = true;
}

void confine_end(struct subject *who, struct device *d)
{
	if (!who->confined)
		return;
	d->status = DEVICE_ACTIVE;
	d->status_until_s = 0;
	who->confined = false;
}
