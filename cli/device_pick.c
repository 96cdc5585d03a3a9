/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/device_pick.h"

#include "cli/device_cmd.h"

bool device_pick_read(
	const struct cli *c, struct device_pick *out, struct err *e)
{
	struct device_pick p = {.by_mode = false};
	const char *status = args_get(c->args, "status");

	p.filter.class_name = args_get(c->args, "class");
	if (status != NULL) {
		p.status = device_status_find(str_from(status));
		if (p.status == DEVICE_NONE)
			return err_set(e, ERR_INPUT,
				"--status '%.40s' is not active, suspended, "
				"quarantined or retired",
				status);
	}
	if (!device_read_mode(c, &p.observe, &p.by_mode, e))
		return false;
	/* A suspended device may be active again, its time being over. */
	if (p.status != DEVICE_ACTIVE)
		p.filter.status = p.status;
	*out = p;
	return true;
}

bool device_picked(
	const struct device_pick *p, const struct device *d, int64_t now_s)
{
	return (p->status == DEVICE_NONE ||
		       p->status == device_effective(d, now_s)) &&
	       (!p->by_mode || p->observe == d->observe);
}
