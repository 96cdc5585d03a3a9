/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* renameat2 */
#include "certs/bundle.h"

#include "certs/bundle_private.h"
#include "certs/pem_file.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define NAME_FORMAT "bundle-%06" PRIu32
#define NUMBER_MAX  UINT32_C(999999)
#define BUFFER      ((size_t)1024 * 1024)

struct bundle {
	const char *dir;
	uint32_t next;         /* the number of the next to be written */
	char *name, *name_new; /* of the one being written; NULL: none */
	int fd;                /* -1: closed, or none */
	size_t used;
	char buffer[BUFFER]; /* holds keys */
};

static bool out_of_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

/* ------------------------------------------------------------------- lines */

static size_t count_ends(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static char *put(char *at, struct str s)
{
	memcpy(at, s.p, s.n);
	return at + s.n;
}

/* PEM within a string of JSON: its line ends are all that needs an escape. */
static char *put_pem(char *at, struct str s)
{
	while (s.n != 0) {
		const char *end = memchr(s.p, '\n', s.n);
		size_t n = end != NULL ? (size_t)(end - s.p) : s.n;

		at = put(at, (struct str){s.p, n});
		if (end != NULL)
			at = put(at, STR("\\n"));
		n += end != NULL;
		s.p += n;
		s.n -= n;
	}
	return at;
}

bool bundle_line(const char *id, struct str certificate, struct str key,
	char **line, size_t *n, struct err *e)
{
	const struct str head = STR("{\"id\":\""),
			 mid = STR("\",\"certificate\":\""),
			 last = STR("\",\"key\":\""), end = STR("\"}\n");
	size_t size = head.n + strlen(id) + mid.n + certificate.n +
		      count_ends(certificate) + last.n + key.n +
		      count_ends(key) + end.n;
	char *text = malloc(size), *at;

	if (text == NULL)
		return out_of_memory(e);
	at = put(text, head);
	at = put(at, str_from(id));
	at = put(at, mid);
	at = put_pem(at, certificate);
	if (key.n != 0) {
		at = put(at, last);
		at = put_pem(at, key);
	}
	at = put(at, end);
	*line = text;
	*n = (size_t)(at - text);
	return true;
}

/* ------------------------------------------------------------------ writing */

static bool write_error(const struct bundle *b, int error, struct err *e)
{
	return file_err(e, "write", b->name_new, error);
}

static bool flush(struct bundle *b, struct err *e)
{
	size_t at = 0;

	while (at < b->used) {
		ssize_t n = write(b->fd, b->buffer + at, b->used - at);

		if (n < 0 && errno != EINTR)
			return write_error(b, errno, e);
		if (n > 0)
			at += (size_t)n;
	}
	b->used = 0;
	return true;
}

static void forget_names(struct bundle *b)
{
	free(b->name);
	free(b->name_new);
	b->name = NULL;
	b->name_new = NULL;
}

void bundle_drop(struct bundle *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	b->fd = -1;
	if (b->name_new != NULL)
		(void)unlink(b->name_new);
	forget_names(b);
	OPENSSL_cleanse(b->buffer, sizeof(b->buffer));
	b->used = 0;
}

/* DIR/bundle-NUMBER.jsonl, and with .new behind it. */
static bool names_make(struct bundle *b, uint32_t number, struct err *e)
{
	char name[32];

	(void)snprintf(name, sizeof(name), NAME_FORMAT, number);
	b->name = path_join(b->dir, name, ".jsonl");
	b->name_new = path_join(b->dir, name, ".jsonl.new");
	return (b->name != NULL && b->name_new != NULL) || out_of_memory(e);
}

static bool start(struct bundle *b, struct err *e)
{
	if (b->next > NUMBER_MAX)
		return err_set(e, ERR_ENVIRONMENT,
			"%.200s is full of bundles; choose another folder",
			b->dir);
	if (!names_make(b, b->next, e))
		return false;
	b->fd = open(b->name_new,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return b->fd >= 0 || file_err(e, "create", b->name_new, errno);
}

bool bundle_add(struct bundle *b, struct str line, struct err *e)
{
	if (b->name == NULL && !start(b, e)) {
		forget_names(b);
		return false;
	}
	while (line.n != 0) {
		size_t room = sizeof(b->buffer) - b->used;
		size_t n = line.n < room ? line.n : room;

		memcpy(b->buffer + b->used, line.p, n);
		b->used += n;
		line.p += n;
		line.n -= n;
		if (b->used == sizeof(b->buffer) && !flush(b, e)) {
			bundle_drop(b);
			return false;
		}
	}
	return true;
}

bool bundle_sync(struct bundle *b, struct err *e)
{
	bool done;
	int fd = b->fd, error;

	if (b->name == NULL)
		return true;
	done = flush(b, e) && (fsync(fd) == 0 || write_error(b, errno, e));
	b->fd = -1;
	error = close(fd) != 0 ? errno : 0;
	if (done && error != 0)
		done = write_error(b, error, e);
	if (done && !file_folder_sync(b->name_new))
		done = write_error(b, errno, e);
	if (!done)
		bundle_drop(b);
	return done;
}

static bool name_give(const char *from, const char *to, struct err *e)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno == EEXIST)
		return file_taken(e, to);
	return file_err(e, "create", to, errno);
}

bool bundle_publish(struct bundle *b, struct err *e)
{
	bool done;

	if (b->name == NULL)
		return true;
	done = name_give(b->name_new, b->name, e);
	/* Where it got no name it stays .new, and the next run gives it. */
	bundle_leave(b);
	return done;
}

void bundle_leave(struct bundle *b)
{
	if (b->name == NULL)
		return;
	b->next++;
	forget_names(b);
}

/* ------------------------------------------------------------------- folder */

/* NAME is that of a bundle, with SUFFIX. */
static bool is_bundle(const char *name, const char *suffix, uint32_t *number)
{
	char again[48];
	uint32_t n = 0;

	if (strncmp(name, "bundle-", 7) != 0)
		return false;
	for (const char *p = name + 7; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint32_t)(*p - '0');
		if (n > NUMBER_MAX)
			return false;
	}
	(void)snprintf(again, sizeof(again), NAME_FORMAT ".jsonl%s", n, suffix);
	if (strcmp(name, again) != 0)
		return false;
	*number = n;
	return true;
}

/* The .new one of NUMBER: it was registered whole, or is waste. */
static bool take_up(struct bundle *b, uint32_t number, bundle_seen *seen,
	void *ctx, struct err *e)
{
	struct err why = {.code = ERR_NONE};
	uint64_t registered = 0;
	bool done;

	if (!names_make(b, number, e)) {
		forget_names(b);
		return false;
	}
	done = bundle_read(b->name_new, seen, ctx, &registered, &why);
	if (registered != 0 && done)
		done = name_give(b->name_new, b->name, &why);
	else if (registered == 0 && (done || why.code == ERR_INPUT))
		done = unlink(b->name_new) == 0 ||
		       file_err(&why, "remove", b->name_new, errno);
	forget_names(b);
	if (!done)
		*e = why;
	return done;
}

static bool named(struct bundle *b, const char *name, bundle_seen *seen,
	void *ctx, struct err *e)
{
	char *path = path_join(b->dir, name, "");
	uint64_t registered = 0;
	bool done = path != NULL ? bundle_read(path, seen, ctx, &registered, e)
				 : out_of_memory(e);

	free(path);
	return done;
}

static bool each(struct bundle *b, const char *name, bundle_seen *seen,
	void *ctx, struct err *e)
{
	uint32_t number = 0;
	bool done = true;

	if (is_bundle(name, "", &number))
		done = named(b, name, seen, ctx, e);
	else if (is_bundle(name, ".new", &number))
		done = take_up(b, number, seen, ctx, e);
	if (number >= b->next)
		b->next = number + 1;
	return done;
}

static bool walk(struct bundle *b, bundle_seen *seen, void *ctx, struct err *e)
{
	DIR *d = opendir(b->dir);
	const char *name = "";
	bool done = true;

	if (d == NULL)
		return file_err(e, "read", b->dir, errno);
	while (done && name != NULL) {
		done = file_folder_next(d, b->dir, &name, e);
		if (done && name != NULL)
			done = each(b, name, seen, ctx, e);
	}
	(void)closedir(d);
	return done;
}

bool bundle_open(const char *dir, bundle_seen *seen, void *ctx,
	struct bundle **out, struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return out_of_memory(e);
	b->dir = dir;
	b->next = 1;
	b->fd = -1;
	if (walk(b, seen, ctx, e)) {
		*out = b;
		return true;
	}
	bundle_close(&b);
	return false;
}

void bundle_close(struct bundle **b)
{
	if (*b == NULL)
		return;
	bundle_drop(*b);
	free(*b);
	*b = NULL;
}

static enum bundle_kind kind_of(const char *name)
{
	const char *dot = strchr(name, '.');
	uint32_t number;

	if (is_bundle(name, "", &number) || is_bundle(name, ".new", &number))
		return BUNDLE_LINES;
	for (; dot != NULL; dot = strchr(dot + 1, '.')) {
		if (strcmp(dot, ".crt") == 0 || strcmp(dot, ".crt.new") == 0)
			return BUNDLE_FILES;
	}
	return BUNDLE_NONE;
}

bool bundle_look(const char *dir, enum bundle_kind *found, struct err *e)
{
	DIR *d = opendir(dir);
	enum bundle_kind kind = BUNDLE_NONE;
	const char *name = "";
	bool done = true;

	if (d == NULL)
		return file_err(e, "read", dir, errno);
	while (done && kind == BUNDLE_NONE && name != NULL) {
		done = file_folder_next(d, dir, &name, e);
		if (done && name != NULL)
			kind = kind_of(name);
	}
	(void)closedir(d);
	if (done)
		*found = kind;
	return done;
}
