/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device.h"

#include "core/utf8.h"

static const char *const STATUSES[] = {
	[DEVICE_NONE] = "none",
	[DEVICE_ACTIVE] = "active",
	[DEVICE_SUSPENDED] = "suspended",
	[DEVICE_QUARANTINED] = "quarantined",
	[DEVICE_RETIRED] = "retired",
};

const char *device_status_name(enum device_status s)
{
	return (unsigned)s <= DEVICE_RETIRED ? STATUSES[s]
					     : STATUSES[DEVICE_NONE];
}

enum device_status device_status_find(struct str name)
{
	for (unsigned s = DEVICE_NONE + 1; s <= DEVICE_RETIRED; s++) {
		if (str_eq(name, str_from(STATUSES[s])))
			return (enum device_status)s;
	}
	return DEVICE_NONE;
}

/* isalnum() asks the locale. */
static bool letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool one_of(char c, struct str set)
{
	return memchr(set.p, c, set.n) != NULL;
}

/* True for 1..MAX bytes: a letter (or, with DIGIT_FIRST, a digit), then
 * letters, digits and bytes of OTHERS. */
static bool name_valid(
	struct str s, size_t max, bool digit_first, struct str others)
{
	if (s.n == 0 || s.n > max)
		return false;
	if (!letter(s.p[0]) && !(digit_first && digit(s.p[0])))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (!letter(s.p[i]) && !digit(s.p[i]) &&
			!one_of(s.p[i], others))
			return false;
	}
	return true;
}

enum device_status device_status_now(
	enum device_status s, int64_t until_s, int64_t now_s)
{
	bool held = s == DEVICE_SUSPENDED || s == DEVICE_QUARANTINED;

	return held && until_s != 0 && now_s >= until_s ? DEVICE_ACTIVE : s;
}

enum device_status device_effective(const struct device *d, int64_t now_s)
{
	return device_status_now(
		(enum device_status)d->status, d->status_until_s, now_s);
}

bool device_id_valid(struct str id)
{
	return name_valid(id, DEVICE_ID_MAX, true, STR("._:-"));
}

bool class_name_valid(struct str name)
{
	return name_valid(name, CLASS_NAME_MAX, true, STR("._-"));
}

bool attr_name_valid(struct str name)
{
	return name_valid(name, ATTR_NAME_MAX, false, STR("_-"));
}

bool attr_value_valid(struct str v)
{
	if (v.n == 0 || v.n > ATTR_VALUE_MAX || v.p[0] == '$')
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (one_of(v.p[i], STR("/+#")))
			return false;
	}
	return utf8_valid(v);
}
