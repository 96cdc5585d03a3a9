/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of weir-feed's log, as a file and as systemd's journal gets them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feed/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE 4096

/* What a line of LEVEL is when $JOURNAL_STREAM is STREAM (NULL: not set), in
 * which %own stands for the file that standard error is. */
static void say(enum log_level level, const char *stream, char out[static LINE])
{
	int before = dup(STDERR_FILENO), ends[2];
	char named[128], own[64];
	struct stat st;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fstat(ends[1], &st), 0);
	(void)snprintf(own, sizeof(own), "%" PRIuMAX ":%" PRIuMAX,
		(uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	(void)unsetenv("JOURNAL_STREAM");
	if (stream != NULL) {
		bool is_own = strcmp(stream, "%own") == 0;

		(void)snprintf(
			named, sizeof(named), "%s", is_own ? own : stream);
		/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
		assert_int_equal(setenv("JOURNAL_STREAM", named, 1), 0);
	}
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log_say(level, "here", "a \"word\"");
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	n = read(ends[0], out, LINE - 1);
	assert_true(n > 0);
	out[n] = '\0';
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(before);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	(void)unsetenv("JOURNAL_STREAM");
}

static void test_lines(void **state)
{
	static const struct {
		enum log_level level;
		const char *stream, *begins, *says;
	} rows[] = {
		{LOG_ERROR, NULL, "{\"t\":\"", "\"level\":\"error\""},
		{LOG_ERROR, "%own", "<3>{\"t\":\"", "\"level\":\"error\""},
		{LOG_WARNING, "%own", "<4>{\"t\":\"", "\"level\":\"warning\""},
		{LOG_NOTICE, "%own", "<5>{\"t\":\"", "\"level\":\"notice\""},
		/* The journal reads another file, as after 2>file. */
		{LOG_ERROR, "1:1", "{", "error"},
		{LOG_ERROR, "", "{", "error"},
		{LOG_ERROR, "nonsense", "{", "error"},
	};
	static const char end[] =
		"\"event\":\"here\",\"message\":\"a \\\"word\\\"\"}\n";
	char line[LINE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n;

		say(rows[i].level, rows[i].stream, line);
		n = strlen(line);
		if (strncmp(line, rows[i].begins, strlen(rows[i].begins)) !=
				0 ||
			strstr(line, rows[i].says) == NULL ||
			n < sizeof(end) - 1 ||
			strcmp(line + n - (sizeof(end) - 1), end) != 0)
			fail_msg("%zu: %s", i, line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
