/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mosquitto.conf, read as the broker reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/broker_conf.h"
#include "tests/support/guard.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct guard guard;

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, 3 * (size_t)BROKER_CONF_LINES_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

static bool parse(struct str text, struct broker_conf *conf, struct err *e)
{
	struct broker_cursor c = {.at = 0};

	*conf = (struct broker_conf){.n = 0};
	text = guard_put(&guard, text);
	while (c.at < text.n) {
		if (!broker_conf_parse(conf, 0, text, &c, e))
			return false;
	}
	return true;
}

/* "name|value|line|listener" of every line, with ';' between. */
static void describe(const struct broker_conf *conf, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < conf->n; i++) {
		const struct broker_line *l = &conf->lines[i];
		int n = snprintf(out + used, cap - used, "%s%.*s|%.*s|%u|%u",
			i == 0 ? "" : ";", STR_ARG(l->name), STR_ARG(l->value),
			l->line, l->listener);

		assert_true(n > 0 && (size_t)n < cap - used);
		used += (size_t)n;
	}
}

static void test_reads(void **state)
{
	static const struct {
		struct str text;
		const char *expect;
	} cases[] = {
		{STR_INIT(""), ""},
		{STR_INIT("\n\r\n\n"), ""},
		{STR_INIT("#user root"), ""},
		{STR_INIT("user mosquitto"), "user|mosquitto|1|0"},
		{STR_INIT("user mosquitto\n"), "user|mosquitto|1|0"},
		{STR_INIT("user mosquitto\r\n"), "user|mosquitto|1|0"},
		{STR_INIT("\n  user   a b \t\n"), "user|a b|2|0"},
		{STR_INIT("user"), "user||1|0"},
		{STR_INIT("user "), "user||1|0"},
		/* Not a comment: Mosquitto takes '#' in the first column. */
		{STR_INIT(" # x"), "#|x|1|0"},
		{STR_INIT("user a # b"), "user|a # b|1|0"},
		/* A tab is part of a name. */
		{STR_INIT("\tuser a"), "\tuser|a|1|0"},
		{STR_INIT("user\ta"), "user\ta||1|0"},
		{STR_INIT("user \t a"), "user|a|1|0"},
		{STR_INIT("\t"), "\t||1|0"},
		{STR_INIT("max_qos 1\nlistener 1\nmax_qos 2\nlistener 2\nport "
			  "3"),
			"max_qos|1|1|0;listener|1|2|1;max_qos|2|3|1;"
			"listener|2|4|2;port|3|5|2"},
		{STR_INIT("include_dir /x\nuser a"),
			"include_dir|/x|1|0;user|a|2|0"},
		{STR_INIT("log_dest \xc3\xa9"), "log_dest|\xc3\xa9|1|0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct broker_conf conf;
		struct err e = {0};
		char got[1024];

		if (!parse(cases[i].text, &conf, &e))
			fail_msg("case %zu: %s", i, e.msg);
		describe(&conf, got, sizeof(got));
		assert_string_equal(got, cases[i].expect);
		broker_conf_free(&conf);
	}
}

static void test_refuses(void **state)
{
	static const struct {
		struct str text;
		uint32_t line;
	} cases[] = {
		{STR_INIT("\0"), 1},
		{STR_INIT("a\nuser \0x"), 2},
		{STR_INIT("user a\rb"), 1},
		{STR_INIT("user \x1b[2J"), 1},
		{STR_INIT("user \x7f"), 1},
		{STR_INIT("\n\nuser \xc3"), 3},
		{STR_INIT("\xff\xfeu\0s\0"), 1},
		{STR_INIT("\xc0\x80 x"), 1},
		{STR_INIT("user \xc2\x85"), 1},
		{STR_INIT("user a\tb\x01"), 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct broker_conf conf;
		struct err e = {0};

		if (parse(cases[i].text, &conf, &e))
			fail_msg("case %zu is taken", i);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(e.line, cases[i].line);
		broker_conf_free(&conf);
	}
}

/* Whatever the bytes: no read beyond them, and lines lie within. */
static void test_any_bytes(void **state)
{
	static const char alphabet[] =
		" \t\n\r#a\xc3\xa9\0listener include_dir";
	uint32_t x = 12345;
	char text[64];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct broker_conf conf;
		struct err e;
		size_t n = (size_t)round % sizeof(text);

		for (size_t i = 0; i < n; i++) {
			x = x * 1664525u + 1013904223u;
			text[i] = alphabet[(x >> 16) % (sizeof(alphabet) - 1)];
		}
		if (parse((struct str){text, n}, &conf, &e)) {
			for (size_t i = 0; i < conf.n; i++)
				assert_true(
					conf.lines[i].name.n > 0 &&
					conf.lines[i].name.n +
							conf.lines[i].value.n <=
						n);
		}
		broker_conf_free(&conf);
	}
}

static void test_too_many(void **state)
{
	struct broker_conf conf;
	struct err e;
	static char text[2 * BROKER_CONF_LINES_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 2)
		text[i] = 'a';
	for (size_t i = 1; i < sizeof(text); i += 2)
		text[i] = '\n';
	assert_false(parse((struct str){text, sizeof(text)}, &conf, &e));
	assert_int_equal(e.line, BROKER_CONF_LINES_MAX + 1);
	broker_conf_free(&conf);
	assert_true(parse((struct str){text, sizeof(text) - 2}, &conf, &e));
	assert_int_equal(conf.n, BROKER_CONF_LINES_MAX);
	broker_conf_free(&conf);
}

/* --------------------------------------------------------------------- files */

static char dir[64];

static void write_file(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make_dir(void **state)
{
	char d[96];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/weir-conf-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(d, sizeof(d), "%s/conf.d", dir);
	return mkdir(d, 0700);
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"conf.d/b.conf", "conf.d/A.conf",
		"conf.d/c.conf.off", "conf.d/.conf", "main.conf", "conf.d", ""};
	char path[160];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	return 0;
}

static void test_includes(void **state)
{
	struct broker_conf conf;
	char text[256], path[128], got[1024];
	struct err e = {0};

	(void)state;
	(void)snprintf(text, sizeof(text),
		"listener 1\ninclude_dir %s/conf.d\nmax_qos 1\n", dir);
	write_file("main.conf", text);
	write_file("conf.d/b.conf", "listener 3\nuser b\n");
	write_file("conf.d/A.conf", "user a\ninclude_dir /nowhere\nlistener 2");
	write_file("conf.d/c.conf.off", "user c\n");
	write_file("conf.d/.conf", "user hidden\n"); /* too short a name */
	(void)snprintf(path, sizeof(path), "%s/main.conf", dir);
	if (!broker_conf_load(path, &conf, &e))
		fail_msg("%s: %s", e.place, e.msg);
	describe(&conf, got, sizeof(got));
	(void)snprintf(text, sizeof(text),
		"listener|1|1|1;include_dir|%s/conf.d|2|1;user|a|1|0;"
		"include_dir|/nowhere|2|0;listener|2|3|2;listener|3|1|3;"
		"user|b|2|3;max_qos|1|3|1",
		dir);
	assert_string_equal(got, text);
	assert_int_equal(conf.n_files, 3);
	assert_int_equal(conf.lines[2].file, 1);
	broker_conf_free(&conf);
}

static void test_load_refuses(void **state)
{
	static const struct {
		const char *text; /* NULL: no file */
		enum err_code code;
		const char *says;
	} cases[] = {
		{NULL, ERR_ENVIRONMENT, "main.conf"},
		{"include_dir /nowhere/at/all\n", ERR_ENVIRONMENT, "/nowhere"},
		{"include_dir\n", ERR_INPUT, "names no folder"},
		{"user \x01\n", ERR_INPUT, "control character"},
	};
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/main.conf", dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct broker_conf conf = {.n = 7};
		struct err e = {0};

		if (cases[i].text != NULL)
			write_file("main.conf", cases[i].text);
		assert_false(broker_conf_load(path, &conf, &e));
		assert_int_equal(conf.n, 7);
		assert_int_equal(e.code, cases[i].code);
		assert_non_null(strstr(e.msg, cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_any_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_includes, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			test_load_refuses, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
