/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/args.h"

#include "io/meter_device.h"
#include "io/values.h"

#include <stdio.h>
#include <string.h>

#define CHOICES_TEXT 200

/* The argument's value; false when it is not given. */
static bool value_of(const struct ask *q, const char *name, struct str *out)
{
	*out = ask_arg(q, name);
	return out->p != NULL;
}

bool args_number(const struct ask *q, const char *name, int64_t low,
	int64_t high, int64_t *out, struct err *e)
{
	struct str v;

	return !value_of(q, name, &v) ||
	       number_parse(name, v, low, high, out, e) ||
	       err_at(e, "%s", name);
}

bool args_truth(const struct ask *q, const char *name, bool *given, bool *out,
	struct err *e)
{
	struct str v;

	*given = value_of(q, name, &v);
	if (!*given)
		return true;
	*out = str_eq(v, STR("true"));
	if (*out || str_eq(v, STR("false")))
		return true;
	(void)err_set(e, ERR_INPUT, "'%.*s' is neither true nor false",
		v.n < 40 ? (int)v.n : 40, v.p);
	return err_at(e, "%s", name);
}

bool args_choice(const struct ask *q, const char *name,
	const char *const *choices, size_t n, size_t *out, struct err *e)
{
	char all[CHOICES_TEXT] = "";
	size_t at = 0;
	struct str v;

	if (!value_of(q, name, &v))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (str_eq(v, str_from(choices[i]))) {
			*out = i;
			return true;
		}
	}
	for (size_t i = 0; i < n && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s",
			i == 0 ? "" : ", ", choices[i]);
	(void)err_set(e, ERR_INPUT, "'%.*s' is none of: %s",
		v.n < 40 ? (int)v.n : 40, v.p, all);
	return err_at(e, "%s", name);
}

static bool is_number(struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	}
	return v.n != 0;
}

#define TIME_MAX_S INT64_C(253402300799) /* the end of the year 9999 */

bool args_time(const struct ask *q, const char *name, int64_t now_s,
	int64_t *out, struct err *e)
{
	struct str v;
	struct err why;
	int64_t back;

	if (!value_of(q, name, &v))
		return true;
	if (is_number(v))
		return number_parse(name, v, 0, TIME_MAX_S, out, e) ||
		       err_at(e, "%s", name);
	if (duration_parse(v, &back, &why)) {
		*out = now_s > back ? now_s - back : 0;
		return true;
	}
	if (time_parse(v, out, &why))
		return true;
	(void)err_set(e, ERR_INPUT,
		"'%.*s' is no time: give Unix seconds, RFC 3339 "
		"(2026-11-22T12:39:40Z) or how long ago (30s 15m 2h 7d)",
		v.n < 40 ? (int)v.n : 40, v.p);
	return err_at(e, "%s", name);
}

bool args_id(const struct ask *q, const char *name,
	char out[static DEVICE_ID_MAX + 1], struct err *e)
{
	struct str v;

	out[0] = '\0';
	if (!value_of(q, name, &v))
		return true;
	if (!device_id_valid(v)) {
		(void)err_set(e, ERR_INPUT,
			"'%.*s' is no device id, nor the beginning of one: "
			"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
			v.n < 80 ? (int)v.n : 80, v.p);
		return err_at(e, "%s", name);
	}
	memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return true;
}

bool args_class(const struct ask *q, const char *name, bool *given,
	char out[static CLASS_NAME_MAX + 1], struct err *e)
{
	struct str v;

	*given = value_of(q, name, &v);
	out[0] = '\0';
	if (!*given)
		return true;
	if (!class_name_valid(v)) {
		(void)err_set(e, ERR_INPUT,
			"'%.*s' is no class's name: "
			"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
			v.n < 80 ? (int)v.n : 80, v.p);
		return err_at(e, "%s", name);
	}
	memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return true;
}

bool args_counter(
	const struct ask *q, const char *name, unsigned *out, struct err *e)
{
	struct str v;

	if (!value_of(q, name, &v))
		return true;
	for (unsigned i = 0; i < METER_COUNTS; i++) {
		if (str_eq(v, str_from(meter_count_name(i)))) {
			*out = i;
			return true;
		}
	}
	(void)err_set(e, ERR_INPUT,
		"'%.*s' is no counter; docs/METER.md names them",
		v.n < 40 ? (int)v.n : 40, v.p);
	return err_at(e, "%s", name);
}
