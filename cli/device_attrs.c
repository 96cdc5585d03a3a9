/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/device_attrs.h"

#include <string.h>

/* "K=V" of --attr; an empty value is allowed if REMOVING. */
static bool split_attr(
	const char *text, bool removing, struct attr *out, struct err *e)
{
	const char *eq = strchr(text, '=');
	struct attr a;

	if (eq == NULL)
		return err_set(e, ERR_INPUT,
			"--attr '%.80s' has no '='; write --attr NAME=VALUE",
			text);
	a.name = (struct str){text, (size_t)(eq - text)};
	a.value = str_from(eq + 1);
	if (!attr_name_valid(a.name))
		return err_set(e, ERR_INPUT,
			"--attr: '%.80s' has no attribute's name before '=': a "
			"letter, then up to 31 of letters, digits, '_' and '-'",
			text);
	if (!(removing && a.value.n == 0) && !attr_value_valid(a.value))
		return err_set(e, ERR_INPUT,
			"--attr %.*s: the value is not 1 to %d bytes of text "
			"without '/', '+', '#', control characters or a "
			"leading '$': it could not stand in a topic",
			STR_ARG(a.name), ATTR_VALUE_MAX);
	*out = a;
	return true;
}

/* Puts A behind the last attribute that does not sort after its name. */
static bool insert_attr(struct attrs *list, struct attr a, struct err *e)
{
	size_t at = list->n;

	if (list->n == DEVICE_ATTRS_MAX)
		return err_set(e, ERR_INPUT,
			"more than %d attribute values for one device",
			DEVICE_ATTRS_MAX);
	while (at > 0 && str_cmp(list->a[at - 1].name, a.name) > 0) {
		list->a[at] = list->a[at - 1];
		at--;
	}
	list->a[at] = a;
	list->n++;
	return true;
}

/* How many values NAME has; *same: VALUE is one of them. */
static size_t count_values(const struct attrs *list, struct attr a, bool *same)
{
	size_t n = 0;

	*same = false;
	for (size_t i = 0; i < list->n; i++) {
		if (!str_eq(list->a[i].name, a.name))
			continue;
		n++;
		*same = *same || str_eq(list->a[i].value, a.value);
	}
	return n;
}

/* Adds A, unless the attribute has that value, or as many as it may. */
static bool add_attr(struct attrs *list, struct attr a, struct err *e)
{
	bool same;
	size_t n = count_values(list, a, &same);

	if (same)
		return err_set(e, ERR_INPUT,
			"--attr %.*s is given the same value twice",
			STR_ARG(a.name));
	if (n == ATTR_VALUES_MAX)
		return err_set(e, ERR_INPUT, "--attr %.*s: more than %d values",
			STR_ARG(a.name), ATTR_VALUES_MAX);
	return insert_attr(list, a, e);
}

bool attrs_read(const struct cli *c, bool removing, struct attrs *given,
	struct attrs *gone, struct err *e)
{
	const char *text;
	size_t at = 0;
	bool same;

	while ((text = args_each(c->args, "attr", &at)) != NULL) {
		struct attr a = {.name = {NULL, 0}};

		if (!split_attr(text, removing, &a, e) ||
			!add_attr(a.value.n != 0 ? given : gone, a, e))
			return false;
	}
	for (size_t i = 0; i < gone->n; i++) {
		if (count_values(given, gone->a[i], &same) != 0)
			return err_set(e, ERR_INPUT,
				"--attr %.*s= removes what another --attr "
				"sets; leave it out",
				STR_ARG(gone->a[i].name));
	}
	return true;
}

bool attrs_merge(const struct device *old, const struct attrs *given,
	const struct attrs *gone, struct attrs *out, struct err *e)
{
	bool same;

	*out = *given;
	for (size_t i = 0; i < old->n_attrs; i++) {
		struct attr a = old->attrs[i];

		if (count_values(given, a, &same) == 0 &&
			count_values(gone, a, &same) == 0 &&
			!insert_attr(out, a, e))
			return false;
	}
	return true;
}
