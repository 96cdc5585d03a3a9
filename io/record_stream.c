/* SPDX-License-Identifier: Apache-2.0 */
#include "io/record_stream.h"

#include "core/csv.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define BUFFER (2 * RECORD_MAX)

struct record_stream {
	const char *name; /* for messages */
	char *path;
	int fd;
	bool json;
	bool last; /* the buffer holds all that is left */
	bool lost; /* after an error there is no next record */
	uint32_t line;
	uint64_t taken, size; /* bytes; size 0: not known */
	size_t at, n;         /* of buf: what is not taken yet */
	EVP_MD_CTX *md;
	char buf[BUFFER];
};

/* ------------------------------------------------------------------- bytes */

/* Moves what is left to the front and reads until the buffer is full or there
 * is no more. */
static bool fill(struct record_stream *s, struct err *e)
{
	memmove(s->buf, s->buf + s->at, s->n);
	s->at = 0;
	while (!s->last && s->n < BUFFER) {
		ssize_t got = read(s->fd, s->buf + s->n, BUFFER - s->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_err(e, "read", s->name, errno);
		if (got == 0)
			s->last = true;
		else if (EVP_DigestUpdate(s->md, s->buf + s->n, (size_t)got) !=
			 1)
			return err_set(e, ERR_ENVIRONMENT,
				"OpenSSL cannot digest %.160s", s->name);
		s->n += (size_t)got;
	}
	return true;
}

static void drop(struct record_stream *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->line += s->buf[s->at + i] == '\n';
	s->at += n;
	s->n -= n;
	s->taken += n;
}

static struct str rest(const struct record_stream *s)
{
	return (struct str){s->buf + s->at, s->n};
}

/* -------------------------------------------------------------- open, close */

/* What is neither form has other bytes first; of what people have, each is told
 * by its name. AT: where the text begins. */
static bool is_form(const struct record_stream *s, size_t at, struct err *e)
{
	struct str text = rest(s);

	if (text.n >= 2 && (memcmp(text.p, "\xff\xfe", 2) == 0 ||
				   memcmp(text.p, "\xfe\xff", 2) == 0))
		return err_set(e, ERR_INPUT,
			"%.160s is UTF-16; save it as UTF-8", s->name);
	if (at < text.n && text.p[at] == '[')
		return err_set(e, ERR_INPUT,
			"%.160s is one list in JSON; write an object a line "
			"(jq -c '.[]')",
			s->name);
	return at == text.n || (unsigned char)text.p[at] >= ' ' ||
	       err_set(e, ERR_INPUT, "%.160s is neither CSV nor JSON Lines",
		       s->name);
}

static bool look(struct record_stream *s, struct err *e)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t i = 0;

	if (!fill(s, e))
		return false;
	if (s->n >= 3 && memcmp(s->buf, mark, 3) == 0)
		drop(s, 3);
	while (i < s->n && strchr(" \t\r\n", s->buf[s->at + i]) != NULL &&
		s->buf[s->at + i] != '\0')
		i++;
	s->json = i < s->n && s->buf[s->at + i] == '{';
	return is_form(s, i, e);
}

static bool open_file(struct record_stream *s, const char *path, struct err *e)
{
	struct stat st;

	s->fd = -1;
	s->md = EVP_MD_CTX_new();
	s->path = strdup(path);
	if (s->md == NULL || s->path == NULL ||
		EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	s->name = strcmp(path, "-") == 0 ? "standard input" : s->path;
	s->line = 1;
	s->fd = strcmp(path, "-") == 0
			? dup(STDIN_FILENO)
			: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (s->fd < 0)
		return file_err(e, "read", s->name, errno);
	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
		s->size = (uint64_t)st.st_size;
	return look(s, e);
}

bool record_open(const char *path, struct record_stream **out, struct err *e)
{
	struct record_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (!open_file(s, path, e)) {
		record_close(&s);
		return false;
	}
	*out = s;
	return true;
}

void record_close(struct record_stream **s)
{
	struct record_stream *x = *s;

	if (x == NULL)
		return;
	*s = NULL;
	if (x->fd >= 0)
		(void)close(x->fd);
	EVP_MD_CTX_free(x->md);
	free(x->path);
	OPENSSL_cleanse(x, sizeof(*x));
	free(x);
}

bool record_is_json(const struct record_stream *s)
{
	return s->json;
}

/* ----------------------------------------------------------------- records */

static bool at_line(struct record_stream *s, struct err *e)
{
	s->lost = true;
	if (e != NULL)
		e->line = s->line;
	return false;
}

static enum csv_end line_record(struct str text, bool last, size_t *len)
{
	const char *end = text.n != 0 ? memchr(text.p, '\n', text.n) : NULL;

	if (end == NULL && !last)
		return CSV_MORE;
	*len = end != NULL ? (size_t)(end - text.p) + 1 : text.n;
	return CSV_RECORD;
}

/* How long the next record is; reads on where it must. */
static bool measure(struct record_stream *s, size_t *len, struct err *e)
{
	for (;;) {
		enum csv_end end =
			s->json ? line_record(rest(s), s->last, len)
				: csv_record(rest(s), s->last, len, e);

		if (end == CSV_BAD)
			return at_line(s, e);
		if (end == CSV_RECORD && *len <= RECORD_MAX)
			return true;
		if (end == CSV_RECORD || s->n > RECORD_MAX) {
			(void)err_set(e, ERR_INPUT,
				"longer than %zu bytes: no device needs that",
				RECORD_MAX);
			return at_line(s, e);
		}
		if (!fill(s, e)) {
			s->lost = true;
			return false;
		}
	}
}

static bool blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' && p[i] != '\n')
			return false;
	}
	return true;
}

bool record_next(
	struct record_stream *s, struct record *out, bool *end, struct err *e)
{
	*end = false;
	for (;;) {
		struct record r = {.line = s->line};

		if (s->n == 0 && !s->last && !s->lost && !fill(s, e)) {
			s->lost = true;
			return false;
		}
		if (s->lost || s->n == 0) {
			*end = true;
			return true;
		}
		if (!measure(s, &r.n, e))
			return false;
		r.p = s->buf + s->at;
		drop(s, r.n);
		if (blank(r.p, r.n))
			continue;
		while (s->json && r.n != 0 &&
			(r.p[r.n - 1] == '\n' || r.p[r.n - 1] == '\r'))
			r.n--;
		*out = r;
		return true;
	}
}

void record_position(
	const struct record_stream *s, uint64_t *at, uint64_t *size)
{
	*at = s->taken;
	*size = s->size;
}

bool record_digest(
	struct record_stream *s, uint8_t out[static 32], struct err *e)
{
	return EVP_DigestFinal_ex(s->md, out, NULL) == 1 ||
	       err_set(e, ERR_ENVIRONMENT, "OpenSSL cannot digest %.160s",
		       s->name);
}
