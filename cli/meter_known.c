/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter_known.h"

#include "cli/policy_load.h"

bool meter_known_device(const struct cli *c, const struct meter_watch *w,
	struct str id, struct meter_device *out, struct err *e)
{
	struct device d = {.id_len = 0};
	struct registry *r = NULL;
	bool found = false, done;

	if (meter_device_find(w, id, out))
		return true;
	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = registry_device(r, id, &d, &found, e);
	device_fini(&d);
	registry_close(&r);
	if (!done || found)
		return done;
	return err_set(e, ERR_NOT_FOUND,
		"device '%.*s' is not registered and the meter has never seen "
		"it; see weir device list",
		STR_ARG(id));
}

bool meter_known_class(const struct cli *c, const struct meter_watch *w,
	const char *name, uint32_t *class, struct err *e)
{
	struct registry *r = NULL;
	struct policy *p = NULL;
	struct policy_row row = {0};
	bool done, found;

	*class = meter_class_find(w, str_from(name));
	if (*class != METER_NONE)
		return true;
	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = policy_load_revision(r, 0, &row, &p, e);
	found = done && policy_class_find(p, str_from(name)) != NULL;
	if (done)
		policy_row_fini(&row);
	policy_free(&p);
	registry_close(&r);
	if (!done || found)
		return done;
	return err_set(e, ERR_NOT_FOUND,
		"class '%.64s' is neither in the policy in force nor in the "
		"meter; see weir policy check",
		name);
}
