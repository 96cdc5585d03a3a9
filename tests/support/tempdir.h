/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of one test's own, and what became of the files in it. Asserts
 * with CMocka.
 */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct tempdir {
	char path[64];
	char at[512]; /* lent by tempdir_at until its next call */
};

static inline void tempdir_make(struct tempdir *t)
{
	(void)snprintf(t->path, sizeof(t->path), "/tmp/weir-test.XXXXXX");
	assert_non_null(mkdtemp(t->path));
}

static inline const char *tempdir_at(struct tempdir *t, const char *name)
{
	(void)snprintf(t->at, sizeof(t->at), "%s/%s", t->path, name);
	return t->at;
}

/* The permission bits of NAME, or -1 when there is no such file. */
static inline int tempdir_mode(struct tempdir *t, const char *name)
{
	struct stat st;

	if (stat(tempdir_at(t, name), &st) != 0)
		return -1;
	return (int)(st.st_mode & 07777u);
}

static inline void tempdir_write(
	struct tempdir *t, const char *name, const void *p, size_t n)
{
	FILE *f = fopen(tempdir_at(t, name), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* How many names it holds; REMOVE: files, no folders, and then itself. */
static inline size_t tempdir_walk(struct tempdir *t, int remove)
{
	DIR *d = opendir(t->path);
	const struct dirent *entry;
	size_t n = 0;

	assert_non_null(d);
	/* One thread reads this stream. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		if (remove)
			assert_int_equal(
				unlink(tempdir_at(t, entry->d_name)), 0);
	}
	assert_int_equal(closedir(d), 0);
	if (remove)
		assert_int_equal(rmdir(t->path), 0);
	return n;
}

#endif
