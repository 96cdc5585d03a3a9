/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

static const char *remedy(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "; check owner and mode of it and of its folder";
	case ENOSPC:
	case EDQUOT:
		return "; free some space and try again";
	case EROFS:
		return "; choose a folder that can be written to";
	default:
		return "";
	}
}

bool file_err(struct err *e, const char *what, const char *path, int error)
{
	char text[128];

	if (strerror_r(error, text, sizeof(text)) != 0)
		text[0] = '\0';
	/* What a variable of a script's is that was never set. */
	if (path[0] == '\0')
		path = "'' (an empty name)";
	return err_set(e, ERR_ENVIRONMENT, "cannot %s %.160s: %s%s", what, path,
		text, remedy(error));
}

/* Up to CAP bytes of FD; -1 with errno set. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, buf + n, cap - n);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -1;
		if (got > 0)
			n += (size_t)got;
	}
	return (ssize_t)n;
}

static bool fd_read(int fd, const char *path, size_t max, char **text,
	size_t *len, struct err *e)
{
	/* One byte more tells too much from just enough; it becomes the NUL. */
	char *buf = malloc(max + 1);
	ssize_t n;

	if (buf == NULL)
		return file_err(e, "read", path, ENOMEM);
	n = read_all(fd, buf, max + 1);
	if (n >= 0 && (size_t)n <= max) {
		buf[n] = '\0';
		*text = buf;
		*len = (size_t)n;
		return true;
	}
	if (n < 0)
		(void)file_err(e, "read", path, errno);
	else
		(void)err_set(e, ERR_INPUT,
			"%.160s holds more than %zu bytes; is it the right "
			"file?",
			path, max);
	OPENSSL_cleanse(buf, max + 1);
	free(buf);
	return false;
}

bool file_read(
	const char *path, size_t max, char **text, size_t *len, struct err *e)
{
	bool done;
	int fd;

	if (strcmp(path, "-") == 0)
		return fd_read(
			STDIN_FILENO, "standard input", max, text, len, e);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return file_err(e, "read", path, errno);
	done = fd_read(fd, path, max, text, len, e);
	(void)close(fd);
	return done;
}

void file_text_free(char **text, size_t len)
{
	if (*text == NULL)
		return;
	OPENSSL_cleanse(*text, len);
	free(*text);
	*text = NULL;
}

/* ------------------------------------------------------------------ new files */

bool file_folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	char *dir = n == 0 ? strdup(".") : strndup(path, n);
	bool done = false;
	int error;
	int fd;

	if (dir == NULL)
		return false;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0)
		return false;
	/* Some file systems cannot sync a folder, and say EINVAL. */
	done = fsync(fd) == 0 || errno == EINVAL;
	error = errno;
	(void)close(fd);
	errno = error;
	return done;
}

bool file_folder_next(
	DIR *d, const char *path, const char **name, struct err *e)
{
	const struct dirent *entry;

	errno = 0;
	/* Of a stream that no other thread has.
	 * NOLINTNEXTLINE(concurrency-mt-unsafe) */
	entry = readdir(d);
	if (entry == NULL && errno != 0)
		return file_err(e, "read the folder", path, errno);
	*name = entry != NULL ? entry->d_name : NULL;
	return true;
}

bool file_taken(struct err *e, const char *path)
{
	return err_set(e, ERR_CONFLICT,
		"%.200s exists already and is not overwritten; move it away or "
		"choose another folder",
		path);
}

bool file_publish(const char *temporary, const char *path, struct err *e)
{
	if (link(temporary, path) != 0)
		return errno == EEXIST ? file_taken(e, path)
				       : file_err(e, "create", path, errno);
	if (!file_folder_sync(path)) {
		int error = errno;

		(void)unlink(path);
		return file_err(e, "create", path, error);
	}
	return true;
}
