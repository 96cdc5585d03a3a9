/* SPDX-License-Identifier: Apache-2.0 */
#include "io/values.h"

#include <inttypes.h>
#include <stdio.h>

#define DAY_S           INT64_C(86400)
#define YEAR_9999_END_S INT64_C(253402300799)

/* Reads decimal digits from *AT on, at most MAX of them. */
static bool digits(struct str s, size_t *at, size_t max, int64_t *out)
{
	int64_t v = 0;
	size_t n = 0;

	while (n < max && *at + n < s.n && s.p[*at + n] >= '0' &&
		s.p[*at + n] <= '9') {
		v = v * 10 + (s.p[*at + n] - '0');
		n++;
	}
	if (n == 0)
		return false;
	*at += n;
	*out = v;
	return true;
}

bool duration_parse(struct str text, int64_t *seconds, struct err *e)
{
	static const struct {
		char letter;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}};
	size_t at = 0;
	int64_t v;

	if (!digits(text, &at, 10, &v) || at + 1 != text.n)
		goto bad;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (text.p[at] == units[i].letter &&
			v <= DURATION_MAX_S / units[i].s) {
			*seconds = v * units[i].s;
			return true;
		}
	}
bad:
	return err_set(e, ERR_INPUT,
		"'%.*s' is not a duration; write 30s, 15m, 2h or 7d, at most "
		"a century",
		STR_ARG(text));
}

bool number_parse(const char *what, struct str text, int64_t low, int64_t high,
	int64_t *out, struct err *e)
{
	size_t at = 0;
	int64_t v;

	if (!digits(text, &at, 18, &v) || at != text.n || v < low || v > high)
		return err_set(e, ERR_INPUT,
			"%s '%.*s' is not a whole number from %" PRId64
			" to %" PRId64,
			what, STR_ARG(text), low, high);
	*out = v;
	return true;
}

/* ---------------------------------------------------------------------- times */

static bool leap_year(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t month_days(int64_t y, int64_t m)
{
	static const uint8_t days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && leap_year(y) ? 29 : days[m - 1];
}

/* Days from 1970-01-01 to Y-01-01; Y at least 1970. */
static int64_t year_days(int64_t y)
{
	int64_t p = y - 1;

	return (y - 1970) * 365 + (p / 4 - p / 100 + p / 400) -
	       (1969 / 4 - 1969 / 100 + 1969 / 400);
}

/* Exactly N digits at *AT, then the character END ('\0': whatever). */
static bool fixed(struct str s, size_t *at, size_t n, char end, int64_t *out)
{
	size_t start = *at;

	if (!digits(s, at, n, out) || *at != start + n)
		return false;
	if (end == '\0')
		return true;
	if (*at >= s.n || s.p[*at] != end)
		return false;
	(*at)++;
	return true;
}

/* "YYYY-MM-DD" as days since 1970. */
static bool date_read(struct str s, size_t *at, int64_t *days)
{
	int64_t y, m, d;

	if (!fixed(s, at, 4, '-', &y) || !fixed(s, at, 2, '-', &m) ||
		!fixed(s, at, 2, '\0', &d))
		return false;
	if (y < 1970 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
		return false;
	*days = year_days(y) + d - 1;
	for (int64_t i = 1; i < m; i++)
		*days += month_days(y, i);
	return true;
}

/* "hh:mm:ss" and a fraction, as seconds of the day. */
static bool clock_read(struct str s, size_t *at, int64_t *seconds)
{
	int64_t h, m, sec, fraction;

	if (!fixed(s, at, 2, ':', &h) || !fixed(s, at, 2, ':', &m) ||
		!fixed(s, at, 2, '\0', &sec))
		return false;
	/* RFC 3339 §5.6: "00-58, 00-59, 00-60 based on leap second rules". */
	if (h > 23 || m > 59 || sec > 60)
		return false;
	if (*at < s.n && s.p[*at] == '.') {
		(*at)++;
		if (!digits(s, at, 9, &fraction))
			return false;
	}
	*seconds = h * 3600 + m * 60 + sec;
	return true;
}

/* 'Z' or "+hh:mm", in seconds east. */
static bool zone_read(struct str s, size_t *at, int64_t *east)
{
	int64_t h, m, sign;

	if (*at >= s.n)
		return false;
	sign = s.p[*at] == '-' ? -1 : 1;
	if (s.p[*at] == 'Z' || s.p[*at] == 'z') {
		(*at)++;
		*east = 0;
		return true;
	}
	if (s.p[*at] != '+' && s.p[*at] != '-')
		return false;
	(*at)++;
	if (!fixed(s, at, 2, ':', &h) || !fixed(s, at, 2, '\0', &m))
		return false;
	if (h > 23 || m > 59)
		return false;
	*east = sign * (h * 3600 + m * 60);
	return true;
}

static bool separator(struct str s, size_t *at)
{
	if (*at >= s.n ||
		(s.p[*at] != 'T' && s.p[*at] != 't' && s.p[*at] != ' '))
		return false;
	(*at)++;
	return true;
}

bool time_parse(struct str text, int64_t *unix_s, struct err *e)
{
	size_t at = 0;
	int64_t days, seconds, east, t;

	if (!date_read(text, &at, &days) || !separator(text, &at) ||
		!clock_read(text, &at, &seconds) ||
		!zone_read(text, &at, &east) || at != text.n)
		goto bad;
	t = days * DAY_S + seconds - east;
	if (t < 0 || t > YEAR_9999_END_S)
		goto bad;
	*unix_s = t;
	return true;
bad:
	return err_set(e, ERR_INPUT,
		"'%.*s' is not a time; write it as 2026-11-22T12:39:40Z "
		"(RFC 3339)",
		STR_ARG(text));
}

void time_format(int64_t unix_s, char out[static TIME_TEXT])
{
	int64_t t = unix_s < 0 ? 0 : unix_s;
	int64_t days, s, y, m = 1;

	if (t > YEAR_9999_END_S)
		t = YEAR_9999_END_S;
	days = t / DAY_S;
	s = t % DAY_S;
	y = 1970 + days / 366;
	while (year_days(y + 1) <= days)
		y++;
	days -= year_days(y);
	while (days >= month_days(y, m))
		days -= month_days(y, m++);
	(void)snprintf(out, TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ",
		(unsigned)y % 10000, (unsigned)m % 100,
		(unsigned)(days + 1) % 100, (unsigned)(s / 3600) % 100,
		(unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

void duration_format(int64_t seconds, char out[static DURATION_TEXT])
{
	static const struct {
		char letter;
		int64_t s;
	} units[] = {{'d', DAY_S}, {'h', 3600}, {'m', 60}, {'s', 1}};
	int64_t s = seconds < 0 ? 0 : seconds;
	size_t i = 0;

	while (i < 3 && s < units[i].s)
		i++;
	if (i == 3 || s % units[i].s / units[i + 1].s == 0)
		(void)snprintf(out, DURATION_TEXT, "%" PRId64 "%c",
			s / units[i].s, units[i].letter);
	else
		(void)snprintf(out, DURATION_TEXT, "%" PRId64 "%c%" PRId64 "%c",
			s / units[i].s, units[i].letter,
			s % units[i].s / units[i + 1].s, units[i + 1].letter);
}
