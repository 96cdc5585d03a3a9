/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options and commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/help.h"
#include "cli/options.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
