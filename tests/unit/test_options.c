/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options, durations, times, numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/help.h"
#include "cli/options.h"
#include "io/values.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ------------------------------------------------------------------- options */

static const struct opt GLOBAL[] = {
	{"state", '\0', OPT_VALUE, "DIR", ""},
	{"json", '\0', OPT_FLAG, NULL, ""},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};
static const struct opt OWN[] = {
	{"class", '\0', OPT_VALUE, "C", ""},
	{"attr", '\0', OPT_LIST, "K=V", ""},
	{"yes", 'y', OPT_FLAG, NULL, ""},
	{"lines", 'n', OPT_VALUE, "N", ""},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

#define ARGS_MAX 12

/* Reads LINE (NULL-terminated, without program name) as: one word, the rest. */
static bool read_line(struct args *a, const char *const *line,
	const char **word, struct err *e)
{
	/* argv is not const in C, but is only read. */
	static char copies[ARGS_MAX][64];
	static char *argv[ARGS_MAX];
	int argc = 0;

	argv[argc] = copies[argc];
	(void)snprintf(copies[argc++], sizeof(copies[0]), "weir");
	for (; line[argc - 1] != NULL; argc++) {
		(void)snprintf(
			copies[argc], sizeof(copies[0]), "%s", line[argc - 1]);
		argv[argc] = copies[argc];
	}
	assert_true(args_init(a, argc, argv, GLOBAL, e));
	return args_word(a, word, e) && args_rest(a, OWN, e);
}

struct good_line {
	const char *name;
	const char *line[ARGS_MAX];
	/* What comes out: the class, the state, the words after the first. */
	const char *class_name, *state, *words[4];
	bool json, yes;
	const char *attrs[4], *lines;
};

static const struct good_line GOOD[] = {
	{"nothing but a word", {"list"}, .words = {NULL}},
	{"value as the next argument", {"list", "--class", "a"},
		.class_name = "a"},
	{"value after =", {"list", "--class=a"}, .class_name = "a"},
	{"an = inside the value", {"list", "--attr", "k=v=w"},
		.attrs = {"k=v=w"}},
	{"an = inside the attached value", {"list", "--attr=k=v"},
		.attrs = {"k=v"}},
	{"empty values", {"list", "--class", "", "--state="}, .class_name = "",
		.state = ""},
	{"global before the word", {"--json", "--state", "d", "list"},
		.state = "d", .json = true},
	{"global after it", {"list", "x", "--json", "--state=d", "y"},
		.state = "d", .json = true, .words = {"x", "y"}},
	{"words between options", {"list", "x", "--class", "a", "y"},
		.class_name = "a", .words = {"x", "y"}},
	{"a list keeps its order",
		{"list", "--attr", "b=1", "--attr=a=2", "--attr", "b=3"},
		.attrs = {"b=1", "a=2", "b=3"}},
	{"-- ends options", {"list", "--class", "a", "--", "--json", "-n"},
		.class_name = "a", .words = {"--json", "-n"}},
	{"-- twice is a word", {"list", "--", "--"}, .words = {"--"}},
	{"- is a word", {"list", "-"}, .words = {"-"}},
	{"- is a value", {"list", "--class", "-"}, .class_name = "-"},
	{"a value that starts with --, attached", {"list", "--class=--yes"},
		.class_name = "--yes"},
	{"a value that starts with one -", {"list", "--class", "-a"},
		.class_name = "-a"},
	{"letters", {"list", "-n", "5", "-y"}, .yes = true, .lines = "5"},
	{"a letter with its value", {"list", "-n5"}, .lines = "5"},
	{"an empty word", {"list", ""}, .words = {""}},
};

static void same(const char *got, const char *want)
{
	assert_true((got == NULL) == (want == NULL));
	if (want != NULL)
		assert_string_equal(got, want);
}

static void good_line(const struct good_line *t)
{
	struct args a;
	struct err e = {.code = ERR_NONE};
	const char *word = NULL;
	size_t at = 0, n = 0;

	print_message("%s\n", t->name);
	assert_true(read_line(&a, t->line, &word, &e));
	assert_string_equal(word, "list");
	same(args_get(&a, "class"), t->class_name);
	same(args_get(&a, "state"), t->state);
	same(args_get(&a, "lines"), t->lines);
	assert_int_equal(args_has(&a, "json"), t->json);
	assert_int_equal(args_has(&a, "yes"), t->yes);
	for (size_t i = 0; i < COUNT(t->attrs); i++)
		same(args_each(&a, "attr", &at), t->attrs[i]);
	while (t->words[n] != NULL) {
		assert_true(n < a.n_words);
		assert_string_equal(a.words[n], t->words[n]);
		n++;
	}
	assert_int_equal(a.n_words, n);
	args_fini(&a);
}

static void test_good_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(GOOD); i++)
		good_line(&GOOD[i]);
}

static const struct {
	const char *name;
	const char *line[ARGS_MAX];
	const char *says; /* part of the message */
} BAD[] = {
	{"unknown", {"list", "--bogus"}, "unknown option --bogus; --help"},
	{"unknown, near one", {"list", "--clas", "x"}, "mean --class?"},
	{"unknown, near one, with value", {"list", "--calss=x"},
		"mean --class?"},
	{"unknown, near a global one", {"list", "--stat", "x"},
		"mean --state?"},
	{"a prefix is not the option", {"list", "--attrs", "a=b"},
		"mean --attr?"},
	{"another case is not the option", {"list", "--CLASS", "b"},
		"unknown option"},
	{"own before the word", {"--class", "a", "list"}, "unknown option"},
	{"unknown letter", {"list", "-q"}, "unknown option -q"},
	{"two letters at once", {"list", "-yn"}, "--yes takes no value"},
	{"flag with value", {"list", "--json=1"}, "--json takes no value"},
	{"flag with empty value", {"list", "--yes="}, "--yes takes no value"},
	{"no value at the end", {"list", "--class"}, "needs a value"},
	{"no value for a letter", {"list", "-n"}, "--lines needs a value"},
	{"an option where a value belongs", {"list", "--class", "--yes"},
		"needs a value"},
	{"-- where a value belongs", {"list", "--class", "--", "a"},
		"needs a value"},
	{"value twice", {"list", "--class", "a", "--class=b"}, "given twice"},
	{"flag twice", {"list", "--yes", "-y"}, "given twice"},
	{"global twice, before and after",
		{"--state", "a", "list", "--state=b"}, "given twice"},
	{"an empty name", {"list", "--=x"}, "unknown option"},
};

static void test_bad_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(BAD); i++) {
		struct args a;
		struct err e = {.code = ERR_NONE};
		const char *word;

		print_message("%s\n", BAD[i].name);
		assert_false(read_line(&a, BAD[i].line, &word, &e));
		assert_int_equal(e.code, ERR_INPUT);
		if (strstr(e.msg, BAD[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", e.msg, BAD[i].says);
		args_fini(&a);
	}
}

static void test_no_words(void **state)
{
	static const char *const line[] = {"--json", NULL};
	struct args a;
	struct err e;
	const char *word = "x";

	(void)state;
	assert_true(read_line(&a, line, &word, &e));
	assert_null(word);
	assert_true(args_has(&a, "json"));
	args_fini(&a);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {
		"device", NULL, "status", "suspend", "retire"};
	static const struct {
		const char *word, *want;
	} table[] = {
		{"devcie", "device"},
		{"stat", "status"},
		{"suspended", "suspend"},
		{"retier", "retire"},
		{"device", "device"},
		{"", NULL},
		{"x", NULL},
		{"zzzzzz", NULL},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		same(nearest_name(table[i].word, names, COUNT(names)),
			table[i].want);
}

/* ------------------------------------------------------------------ commands */

static const struct command ONE[] = {{.name = "status"}, {.name = NULL}};
static const struct command TWO[] = {
	{.name = "device add"}, {.name = "device list"}, {.name = NULL}};
static const struct command *const FAMILIES[] = {ONE, TWO};
static const struct commands ALL = {FAMILIES, COUNT(FAMILIES)};

static void test_find(void **state)
{
	static const struct {
		const char *first, *second;
		const struct command *want;
	} table[] = {
		{"status", NULL, &ONE[0]},
		{"device", "add", &TWO[0]},
		{"device", "list", &TWO[1]},
		{"device", NULL, NULL},
		{"device", "lis", NULL},
		{"device", "", NULL},
		{"devic", "add", NULL},
		{"statu", NULL, NULL},
		{"device add", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		assert_ptr_equal(
			command_find(&ALL, table[i].first, table[i].second),
			table[i].want);
	assert_true(command_is_group(&ALL, "device"));
	assert_false(command_is_group(&ALL, "status"));
	assert_false(command_is_group(&ALL, "dev"));
}

static void test_unknown_command(void **state)
{
	static const struct {
		const char *first, *second, *says;
	} table[] = {
		{"devices", NULL, "did you mean 'device'?"},
		{"sttaus", NULL, "did you mean 'status'?"},
		{"device", "lst", "did you mean 'device list'?"},
		{"device", NULL, "add, list"},
		{"xyzzy", NULL, "weir help lists"},
		{"device", "xyzzy", "weir help lists"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {.code = ERR_NONE};

		assert_false(command_unknown(
			&ALL, table[i].first, table[i].second, &e));
		assert_int_equal(e.code, ERR_INPUT);
		if (strstr(e.msg, table[i].says) == NULL)
			fail_msg(
				"'%s' does not say '%s'", e.msg, table[i].says);
	}
}

static void test_exit_status(void **state)
{
	(void)state;
	assert_int_equal(cli_status(ERR_NOT_FOUND), 1);
	assert_int_equal(cli_status(ERR_INPUT), 2);
	assert_int_equal(cli_status(ERR_CONFLICT), 2);
	assert_int_equal(cli_status(ERR_ENVIRONMENT), 3);
	/* A failure that nobody described is still one. */
	assert_int_equal(cli_status(ERR_NONE), 3);
}

/* -------------------------------------------------------------------- values */

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"30s", 30},
		{"15m", 900},
		{"2h", 7200},
		{"7d", 604800},
		{"0s", 0},
		{"007s", 7},
		{"36600d", DURATION_MAX_S},
		{"36601d", -1},
		{"9999999999s", -1},
		{"99999999999s", -1},
		{"99999999999999999999s", -1},
		{"", -1},
		{"s", -1},
		{"30", -1},
		{"30 s", -1},
		{" 30s", -1},
		{"30s ", -1},
		{"-30s", -1},
		{"+30s", -1},
		{"1.5h", -1},
		{"1h30m", -1},
		{"30S", -1},
		{"30w", -1},
		{"0x10s", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = duration_parse(str_from(table[i].text), &got, &e);

		print_message("'%s'\n", table[i].text);
		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
		assert_int_equal(e.code, done ? ERR_NONE : ERR_INPUT);
	}
}

static void test_time_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2000-02-29T12:00:00Z", 951825600},
		{"2026-11-22T12:39:40Z", 1795351180},
		{"2026-11-22t12:39:40z", 1795351180},
		{"2026-11-22 12:39:40Z", 1795351180},
		{"2026-11-22T12:39:40.999Z", 1795351180},
		{"2026-11-22T14:39:40+02:00", 1795351180},
		{"2026-11-22T07:09:40-05:30", 1795351180},
		{"2016-12-31T23:59:60Z", 1483228800},
		{"9999-12-31T23:59:59Z", 253402300799},
		{"2038-01-19T03:14:08Z", 2147483648},
		{"2100-03-01T00:00:00Z", 4107542400},
		{"2100-02-29T00:00:00Z", -1},
		{"2025-02-29T00:00:00Z", -1},
		{"1969-12-31T23:59:59Z", -1},
		{"1970-01-01T00:00:00+00:01", -1},
		{"9999-12-31T23:59:59-00:01", -1},
		{"2026-11-22T12:39:40", -1},
		{"2026-11-22", -1},
		{"2026-11-22T12:39Z", -1},
		{"2026-11-22T24:00:00Z", -1},
		{"2026-11-22T12:60:00Z", -1},
		{"2026-11-22T12:39:61Z", -1},
		{"2026-13-01T00:00:00Z", -1},
		{"2026-00-01T00:00:00Z", -1},
		{"2026-04-31T00:00:00Z", -1},
		{"2026-04-00T00:00:00Z", -1},
		{"2026-4-01T00:00:00Z", -1},
		{"26-04-01T00:00:00Z", -1},
		{"2026-11-22T12:39:40.Z", -1},
		{"2026-11-22T12:39:40+2:00", -1},
		{"2026-11-22T12:39:40+0200", -1},
		{"2026-11-22T12:39:40+24:00", -1},
		{"2026-11-22T12:39:40Zx", -1},
		{" 2026-11-22T12:39:40Z", -1},
		{"1795351180", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = time_parse(str_from(table[i].text), &got, &e);

		print_message("'%s'\n", table[i].text);
		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
		assert_int_equal(e.code, done ? ERR_NONE : ERR_INPUT);
	}
}

static void test_time_format(void **state)
{
	char text[TIME_TEXT];

	(void)state;
	time_format(951825600, text);
	assert_string_equal(text, "2000-02-29T12:00:00Z");
	time_format(-5, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	time_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	/* What is written is read back: a step that is prime to everything. */
	for (int64_t t = 0; t <= 253402300799; t += 86399 * 101 + 17) {
		int64_t back = -1;
		struct err e;

		time_format(t, text);
		assert_true(time_parse(str_from(text), &back, &e));
		assert_int_equal(back, t);
	}
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t s;
		const char *want;
	} table[] = {
		{0, "0s"},
		{-3, "0s"},
		{59, "59s"},
		{60, "1m"},
		{61, "1m1s"},
		{3600, "1h"},
		{3661, "1h1m"},
		{86400, "1d"},
		{90061, "1d1h"},
		{86401, "1d"},
	};
	char text[DURATION_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		duration_format(table[i].s, text);
		assert_string_equal(text, table[i].want);
	}
	duration_format(INT64_MAX, text);
	assert_non_null(strchr(text, 'd'));
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"1", 1},
		{"100", 100},
		{"007", 7},
		{"0", -1},
		{"101", -1},
		{"", -1},
		{"-1", -1},
		{"+1", -1},
		{"1 ", -1},
		{"1x", -1},
		{"0x1", -1},
		{"99999999999999999999999", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = number_parse(
			"-n", str_from(table[i].text), 1, 100, &got, &e);

		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_lines),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_unknown_command),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_time_parse),
		cmocka_unit_test(test_time_format),
		cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
