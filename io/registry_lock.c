/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* flock */
#include "io/registry_private.h"

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NAP_MS 2 /* commands that follow one another leave short gaps */

/*
 * Writers share the folder; who replaces the file has it alone. SQLite's own
 * locks lie in the files that are replaced, so they cannot keep a writer out
 * of that moment.
 */
bool reg_lock(int fd, bool alone, const char *path, struct err *e)
{
	const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};

	for (int waited = 0; flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB);
		waited += NAP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return file_err(e, "lock the folder of", path, errno);
		if (waited >= REGISTRY_BUSY_MS)
			return err_set(e, ERR_ENVIRONMENT,
				"%s is in use by another weir command; try "
				"again when that is done",
				path);
		(void)nanosleep(&nap, NULL);
	}
	return true;
}

bool reg_folder(const char *path, int *fd, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	char *dir = n == 0 ? strdup(".") : strndup(path, n);

	if (dir == NULL)
		return reg_no_memory(e);
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	return *fd >= 0 || file_err(e, "open the folder of", path, errno);
}
