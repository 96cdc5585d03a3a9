/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An acl_file as classes: who shares one, what its rules are, and what is
 * lost. That decisions stay the same is asked of a real broker in
 * tests/integration/test_import_acl.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/acl_import.h"
#include "io/acl_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_topics(FILE *out, const struct import_class *c, char mark,
	const struct import_topics *t)
{
	for (size_t i = 0; i < t->n; i++)
		(void)fprintf(
			out, " %c%s", mark, import_topic_text(c, &t->t[i]));
}

/* "till=till-7,till-8 >written <read", a line each; then "!line" of losses. */
static char *describe(const struct import *imp)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	for (size_t i = 0; i < imp->n_classes; i++) {
		const struct import_class *c = &imp->classes[i];
		const struct import_user *u = &imp->users[c->first];

		(void)fprintf(out, "%s=", c->name);
		for (size_t k = 0; k < c->n; k++) {
			struct str name =
				u[k].user != 0 ? imp->acl->users[u[k].user].name
					       : STR("*");

			(void)fprintf(out, "%s%.*s", k != 0 ? "," : "",
				STR_ARG(name));
		}
		put_topics(out, c, '>', &u->write);
		put_topics(out, c, '<', &u->read);
		(void)fputc('\n', out);
	}
	for (size_t i = 0; i < imp->n_losses; i++)
		(void)fprintf(out, "!%" PRIu32 "\n", imp->losses[i].line);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void check(const char *list, const char *expect)
{
	struct acl acl;
	struct import imp;
	struct err e = {0};
	char *said;

	if (!acl_file_parse(str_from(list), &acl, &e))
		fail_msg("%s", e.msg);
	import_make(&acl, &imp);
	said = describe(&imp);
	assert_string_equal(said, expect);
	free(said);
	import_free(&imp);
	acl_free(&acl);
}

#define TILL(n)                                                                \
	"user till-" n "\ntopic write pay/till-" n "/status\n"                 \
	"topic read pay/till-" n "/cmd/#\n"

static void test_classes(void **state)
{
	(void)state;
	check("", "");
	check("user ledger", "ledger=ledger\n");
	/* Alone, a user's rules stay as they are. */
	check(TILL("7"),
		"till-7=till-7 >pay/till-7/status <pay/till-7/cmd/#\n");
	check(TILL("7") TILL("8"), "till=till-7,till-8 >pay/${device}/status "
				   "<pay/${device}/cmd/#\n");
	check(TILL("7") "user x\ntopic a\n" TILL("8"),
		"till=till-7,till-8 >pay/${device}/status "
		"<pay/${device}/cmd/#\nclass-2=x >a <a\n");
	/* One more right is another class; the name of another is no own. */
	check(TILL("7") TILL("8") "topic read a\n",
		"till-7=till-7 >pay/till-7/status <pay/till-7/cmd/#\n"
		"till-8=till-8 >pay/till-8/status <a <pay/till-8/cmd/#\n");
	check("user aa\ntopic x/bb\nuser bb\ntopic x/aa\n",
		"aa=aa >x/bb <x/bb\nbb=bb >x/aa <x/aa\n");
	/* Only a whole level is the name. */
	check("user aa\ntopic read x-aa\nuser bb\ntopic read x-bb\n",
		"aa=aa <x-aa\nbb=bb <x-bb\n");
	/* Whoever has only patterns is like those who are not listed. */
	check("pattern read n/%c/%u\nuser aa\nuser bb\ntopic read n/bb/bb\n",
		"others=*,aa,bb <n/${device}/${device}\n");
	check("user a:1\ntopic read q\nuser a:2\ntopic read q\n",
		"class-1=a:1,a:2 <q\n");
	check("user class-2\ntopic read q\nuser x\ntopic read r\n",
		"class-2=class-2 <q\nclass-3=x <r\n");
}

static void test_tidies(void **state)
{
	(void)state;
	check("user aa\ntopic read a\ntopic read a\ntopic read a/#\n"
	      "topic write a\n",
		"aa=aa >a <a/#\n");
	check("user aa\ntopic read +/b\ntopic read a/+\ntopic read a/b\n",
		"aa=aa <+/b <a/+\n");
	/* Two that allow the same are not both dropped. */
	check("user aa\ntopic read #\ntopic read +/#\ntopic read a\n",
		"aa=aa <#\n");
	/* The broker refuses to publish there whatever a list says. */
	check("user aa\ntopic $SYS/#\ntopic $SYSTEM\n",
		"aa=aa >$SYSTEM <$SYS/# <$SYSTEM\n");
}

static void test_denies(void **state)
{
	(void)state;
	/* Covered, apart, cut into. */
	check("user aa\ntopic a/b\ntopic deny a/#\n", "aa=aa\n");
	check("user aa\ntopic a/b\ntopic deny a/+/c\n", "aa=aa >a/b <a/b\n");
	check("user aa\ntopic a/#\ntopic deny a/b\n", "aa=aa\n!2\n");
	check("user aa\ntopic a/+\ntopic deny a/b\ntopic read c\n",
		"aa=aa <c\n!2\n");
	/* Two denies together cover. */
	check("user aa\ntopic +/#\ntopic deny +\ntopic deny +/+/#\n",
		"aa=aa\n");
	/* A user's deny holds for patterns; a pattern's not for its topics. */
	check("user aa\ntopic deny a/aa\npattern read a/%u\nuser bb\n",
		"aa=aa\nothers=*,bb <a/${device}\n");
	check("user aa\ntopic read a/x\npattern deny a/#\n", "aa=aa <a/x\n"
							     "others=*\n");
	/* Another's name is not what the pattern means; of somebody who is not
	 * listed it may be. */
	check("user aa\npattern read a/%u/#\npattern deny a/bb/x\n",
		"aa=aa <a/${device}/#\n"
		"others=*\n!2\n");
	check("pattern read a/%u\npattern deny b/%u\npattern deny +\n",
		"others=* <a/${device}\n");
	/* '$…' is out of reach for a wildcard in front. */
	check("user aa\ntopic read $SYS/#\ntopic deny #\n", "aa=aa <$SYS/#\n");
	check("user aa\ntopic read #\ntopic deny $SYS/#\n", "aa=aa <#\n");
}

static void test_losses(void **state)
{
	(void)state;
	check("topic read a\ntopic deny b\n", "!1\n");
	check("user b b\ntopic read a\n", "!1\n");
	check("user +\nuser #\nuser a/b\nuser $x\n", "!1\n!2\n!3\n!4\n");
	check("user aa\ntopic read $share/g/x\n", "aa=aa\n!2\n");
	check("user aa\ntopic read ${device}\n", "aa=aa\n!2\n");
	check("user aa\ntopic read a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/"
	      "w/x/y/z/1/2/3/4/5/6/7\n",
		"aa=aa\n!2\n");
	/* In the order of the list, each line once. */
	check("user z z\ntopic read q\nuser aa\nuser bb\ntopic deny p/q\n"
	      "pattern p/#\ntopic read a\n",
		"others=*,aa >p/# <p/#\nbb=bb <a\n!1\n!6\n");
}

static void test_rename(void **state)
{
	static const struct {
		const char *user, *to;
		enum err_code code;
	} cases[] = {
		{"till-8", "terminal", ERR_NONE},
		{"till-7", "terminal", ERR_NONE},
		{"x", "other.1", ERR_NONE},
		{"x", "terminal", ERR_INPUT},
		{"till-7", "other.1", ERR_INPUT},
		{"x", "", ERR_INPUT},
		{"x", "a b", ERR_INPUT},
		{"till-9", "y", ERR_NOT_FOUND},
		{"", "y", ERR_NOT_FOUND},
		{"till", "y", ERR_NOT_FOUND},
	};
	struct acl acl;
	struct import imp;
	struct err e = {0};

	(void)state;
	assert_true(acl_file_parse(
		STR(TILL("7") TILL("8") "user x\npattern read a/%u\n"), &acl,
		&e));
	import_make(&acl, &imp);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		e.code = ERR_NONE;
		(void)(import_rename(&imp, str_from(cases[i].user),
			       str_from(cases[i].to), &e) ||
			e.code != ERR_NONE);
		if (e.code != cases[i].code)
			fail_msg("%zu: %s", i, e.msg);
	}
	assert_string_equal(imp.classes[0].name, "terminal");
	assert_string_equal(imp.classes[1].name, "other.1");
	import_free(&imp);
	acl_free(&acl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_tidies),
		cmocka_unit_test(test_denies),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
