/* SPDX-License-Identifier: Apache-2.0 */
#include "io/broker_conf.h"

#include "core/utf8.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096

/* ------------------------------------------------------------------ one text */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct str trim(struct str s)
{
	while (s.n != 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n != 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str broker_word(struct str value)
{
	size_t n = 0;

	while (n < value.n && value.p[n] != ' ')
		n++;
	return (struct str){value.p, n};
}

/* The next free line, not counted yet; NULL: no memory. */
static struct broker_line *next_line(struct broker_conf *conf)
{
	size_t cap = conf->cap != 0 ? conf->cap * 2 : 128;
	struct broker_line *more;

	if (conf->lines != NULL && conf->n < conf->cap)
		return &conf->lines[conf->n];
	more = realloc(conf->lines, cap * sizeof(*more));
	if (more == NULL)
		return NULL;
	conf->lines = more;
	conf->cap = cap;
	return &more[conf->n];
}

static bool fail_line(struct err *e, const char *what, uint32_t line)
{
	(void)err_set(e, ERR_INPUT, "%s", what);
	if (e != NULL)
		e->line = line;
	return false;
}

/* The line from C on, without its end; C moves behind it. */
static struct str take_line(struct str text, struct broker_cursor *c)
{
	const char *p = text.p + c->at;
	size_t left = text.n - c->at;
	const char *end = memchr(p, '\n', left);
	struct str s = {p, end != NULL ? (size_t)(end - p) : left};

	c->at += end != NULL ? s.n + 1 : s.n;
	c->line++;
	while (s.n != 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* Text that reaches terminals and paths: what Mosquitto would refuse or cut
 * short is an error here. A tab is the one control character it lets pass. */
static bool check_text(struct str s, uint32_t line, struct err *e)
{
	while (s.n != 0) {
		size_t n = 0;

		while (n < s.n && s.p[n] != '\t')
			n++;
		if (!utf8_valid((struct str){s.p, n}))
			return fail_line(e,
				"this line holds a control character or "
				"malformed UTF-8; write it anew",
				line);
		n += n < s.n;
		s.p += n;
		s.n -= n;
	}
	return true;
}

static bool add_line(struct broker_conf *conf, uint32_t file, struct str s,
	struct broker_cursor *c, struct err *e)
{
	struct broker_line l = {.file = file, .line = c->line};
	struct broker_line *free_line;

	if (conf->n == BROKER_CONF_LINES_MAX)
		return fail_line(
			e, "more directives than any broker needs", c->line);
	free_line = next_line(conf);
	if (free_line == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	l.name = broker_word(s);
	l.value = trim((struct str){s.p + l.name.n, s.n - l.name.n});
	if (str_eq(l.name, STR("listener"))) {
		conf->n_listeners++;
		c->listener = conf->n_listeners;
	}
	l.listener = c->listener;
	c->at_include = str_eq(l.name, STR("include_dir"));
	c->value = l.value;
	*free_line = l;
	conf->n++;
	return true;
}

bool broker_conf_parse(struct broker_conf *conf, uint32_t file, struct str text,
	struct broker_cursor *c, struct err *e)
{
	c->at_include = false;
	while (c->at < text.n && !c->at_include) {
		struct str s = take_line(text, c);

		if (s.n != 0 && s.p[0] == '#')
			continue;
		while (s.n != 0 && s.p[0] == ' ') {
			s.p++;
			s.n--;
		}
		if (s.n == 0)
			continue;
		if (!check_text(s, c->line, e) ||
			!add_line(conf, file, s, c, e))
			return false;
	}
	return true;
}

/* --------------------------------------------------------------------- files */

/* PATH's text into CONF; *text is lent. */
static bool read_text(struct broker_conf *conf, const char *path,
	struct str *text, struct err *e)
{
	size_t n = conf->n_files, len = 0;
	char **files, **texts;

	if (n == BROKER_CONF_FILES_MAX)
		return err_set(e, ERR_INPUT, "more than %d files",
			BROKER_CONF_FILES_MAX);
	files = realloc(conf->files, (n + 1) * sizeof(*files));
	if (files != NULL)
		conf->files = files;
	texts = realloc(conf->texts, (n + 1) * sizeof(*texts));
	if (texts != NULL)
		conf->texts = texts;
	if (files == NULL || texts == NULL || (files[n] = strdup(path)) == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (!file_read(path, BROKER_CONF_BYTES_MAX, &texts[n], &len, e)) {
		free(files[n]);
		return false;
	}
	conf->n_files++;
	*text = (struct str){texts[n], len};
	return true;
}

static int upper(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'a' && u <= 'z' ? u - 'a' + 'A' : u;
}

/* As Mosquitto sorts: without regard to case first. */
static int by_name(const void *p, const void *q)
{
	const char *a = *(const char *const *)p, *b = *(const char *const *)q;

	for (; *a != '\0' && *b != '\0'; a++, b++) {
		if (upper(*a) != upper(*b))
			return upper(*a) - upper(*b);
		if (*a != *b)
			return *a - *b;
	}
	return *a - *b;
}

static bool is_conf(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".conf") == 0;
}

struct names {
	char *name[BROKER_CONF_FILES_MAX];
	size_t n;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names);
}

static bool add_name(struct names *names, const char *name, struct err *e)
{
	if (names->n == BROKER_CONF_FILES_MAX)
		return err_set(e, ERR_INPUT, "more than %d files",
			BROKER_CONF_FILES_MAX);
	names->name[names->n] = strdup(name);
	if (names->name[names->n] == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	names->n++;
	return true;
}

static bool list_dir(const char *dir, struct names *names, struct err *e)
{
	DIR *d = opendir(dir);
	const char *name = "";
	bool ok = true;

	if (d == NULL)
		return file_err(e, "open", dir, errno);
	while (ok && name != NULL) {
		ok = file_folder_next(d, dir, &name, e);
		if (ok && name != NULL && is_conf(name))
			ok = add_name(names, name, e);
	}
	(void)closedir(d);
	qsort(names->name, names->n, sizeof(names->name[0]), by_name);
	return ok;
}

static bool load_flat(struct broker_conf *conf, const char *path, struct err *e)
{
	struct broker_cursor c = {.at = 0};
	struct str text = {NULL, 0};

	if (!read_text(conf, path, &text, e))
		return false;
	/* An include_dir in here does nothing. */
	while (c.at < text.n) {
		if (!broker_conf_parse(
			    conf, (uint32_t)conf->n_files - 1, text, &c, e))
			return false;
	}
	return true;
}

/* DIR is the include_dir's value. */
static bool load_dir(struct broker_conf *conf, struct str dir, struct err *e)
{
	char folder[PATH_BYTES], path[PATH_BYTES];
	struct names *names = calloc(1, sizeof(*names));
	bool ok;

	if (names == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	ok = dir.n != 0 && dir.n < sizeof(folder) - 256;
	if (ok)
		(void)snprintf(
			folder, sizeof(folder), "%.*s", (int)dir.n, dir.p);
	ok = ok ? list_dir(folder, names, e)
		: err_set(e, ERR_INPUT, "include_dir names no folder");
	for (size_t i = 0; ok && i < names->n; i++) {
		int n = snprintf(
			path, sizeof(path), "%s/%s", folder, names->name[i]);

		ok = n > 0 && (size_t)n < sizeof(path)
			     ? load_flat(conf, path, e)
			     : err_set(e, ERR_INPUT, "a path is too long");
	}
	names_free(names);
	return ok;
}

/* The file that was being read gives the place. */
static bool failed_in(const struct broker_conf *conf, struct err *e)
{
	if (e != NULL && e->place[0] == '\0' && conf->n_files != 0)
		(void)err_at(e, "%.190s", conf->files[conf->n_files - 1]);
	return false;
}

static bool load_main(struct broker_conf *conf, const char *path, struct err *e)
{
	struct broker_cursor c = {.at = 0};
	struct str text = {NULL, 0};

	if (!read_text(conf, path, &text, e))
		return false;
	while (c.at < text.n) {
		if (!broker_conf_parse(conf, 0, text, &c, e))
			return failed_in(conf, e);
		if (c.at_include && !load_dir(conf, c.value, e))
			return failed_in(conf, e);
	}
	return true;
}

bool broker_conf_load(const char *path, struct broker_conf *out, struct err *e)
{
	struct broker_conf conf = {.n = 0};

	if (!load_main(&conf, path, e)) {
		broker_conf_free(&conf);
		return false;
	}
	*out = conf;
	return true;
}

void broker_conf_free(struct broker_conf *conf)
{
	for (size_t i = 0; i < conf->n_files; i++) {
		free(conf->files[i]);
		free(conf->texts[i]);
	}
	free(conf->files);
	free(conf->texts);
	free(conf->lines);
	*conf = (struct broker_conf){.n = 0};
}
