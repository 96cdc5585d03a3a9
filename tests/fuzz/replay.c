/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of a folder, without a fuzzer, so that
 * every compiler and every test run replays the corpus. Each input ends at a
 * guard page.
 */
#include "tests/support/guard.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX ((size_t)1024 * 1024) /* bytes of a corpus file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False when the file cannot be read whole. */
static bool replay(int folder, const char *name, struct guard *g)
{
	static char buffer[INPUT_MAX];
	int fd = openat(folder, name, O_RDONLY);
	FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
	struct str input = {buffer, 0};
	bool whole;

	if (f == NULL)
		return false;
	input.n = fread(buffer, 1, sizeof(buffer), f);
	whole = ferror(f) == 0 && fgetc(f) == EOF;
	(void)fclose(f);
	input = guard_put(g, input);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)input.p, input.n);
	return whole;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	struct guard g;
	size_t n = 0, unread = 0;

	if (dir == NULL) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return EXIT_FAILURE;
	}
	guard_init(&g, INPUT_MAX);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		if (!replay(dirfd(dir), entry->d_name, &g)) {
			(void)fprintf(stderr, "%s: unread\n", entry->d_name);
			unread++;
		}
	}
	guard_fini(&g);
	(void)closedir(dir);
	(void)printf("%zu inputs\n", n);
	return n > 0 && unread == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
