/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------- the nearest name */

#define NAME_MAX_LEN 40

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance of A and B, each at most NAME_MAX_LEN bytes. */
static size_t distance(struct str a, struct str b)
{
	size_t row[NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t above = row[j];
			size_t change = a.p[i - 1] == b.p[j - 1] ? 0 : 1;

			row[j] = min3(
				above + 1, row[j - 1] + 1, diagonal + change);
			diagonal = above;
		}
	}
	return row[b.n];
}

const char *nearest_name(const char *word, const char *const *names, size_t n)
{
	struct str w = str_from(word);
	const char *best = NULL;
	/* A third of the word may be wrong, at least two letters of it. */
	size_t limit = w.n / 3 < 2 ? 2 : w.n / 3;

	if (w.n == 0 || w.n > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct str name = str_from(names[i]);
		size_t d;

		if (name.n == 0 || name.n > NAME_MAX_LEN)
			continue;
		d = distance(w, name);
		if (d <= limit && d < w.n) {
			best = names[i];
			limit = d != 0 ? d - 1 : 0;
		}
	}
	return best;
}

/* ----------------------------------------------------------------- the tables */

/* The option of that name (N bytes) in TABLE, which may be NULL. */
static const struct opt *table_find(
	const struct opt *table, const char *name, size_t n)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
		if (str_eq(str_from(o->name), (struct str){name, n}))
			return o;
	}
	return NULL;
}

static const struct opt *table_letter(const struct opt *table, char letter)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
		if (o->letter == letter)
			return o;
	}
	return NULL;
}

#define OPTS_MAX 64

static size_t table_names(
	const struct opt *table, const char **names, size_t n, size_t max)
{
	for (const struct opt *o = table;
		o != NULL && o->name != NULL && n < max; o++)
		names[n++] = o->name;
	return n;
}

static bool unknown(const struct args *a, const char *arg, struct err *e)
{
	const char *names[OPTS_MAX];
	const char *name = arg + strspn(arg, "-");
	char word[NAME_MAX_LEN + 1];
	size_t n = strcspn(name, "=");
	const char *near = NULL;

	if (n <= NAME_MAX_LEN) {
		size_t n_names = table_names(a->own, names, 0, OPTS_MAX);

		memcpy(word, name, n);
		word[n] = '\0';
		n_names = table_names(a->global, names, n_names, OPTS_MAX);
		near = nearest_name(word, names, n_names);
	}
	if (near != NULL)
		return err_set(e, ERR_INPUT,
			"unknown option %s; did you mean --%s?", arg, near);
	return err_set(e, ERR_INPUT,
		"unknown option %s; --help lists what there is, and a word "
		"that starts with '-' goes after --",
		arg);
}

/* ------------------------------------------------------------------- reading */

bool args_init(struct args *a, int argc, char **argv, const struct opt *global,
	struct err *e)
{
	size_t n = argc > 0 ? (size_t)argc : 1;

	*a = (struct args){
		.argv = argv, .argc = argc, .at = 1, .global = global};
	a->words = calloc(n, sizeof(*a->words));
	a->opts = calloc(n, sizeof(*a->opts));
	if (a->words == NULL || a->opts == NULL) {
		args_fini(a);
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	}
	return true;
}

void args_fini(struct args *a)
{
	free(a->words);
	free(a->opts);
	*a = (struct args){.argc = 0};
}

static bool given(const struct args *a, const struct opt *o)
{
	for (size_t i = 0; i < a->n_opts; i++) {
		if (a->opts[i].opt == o)
			return true;
	}
	return false;
}

/* Notes option O with VALUE: NULL where none was attached, and then the next
 * argument is taken if O needs one. */
static bool take(
	struct args *a, const struct opt *o, const char *value, struct err *e)
{
	if (o->kind == OPT_FLAG && value != NULL)
		return err_set(
			e, ERR_INPUT, "option --%s takes no value", o->name);
	if (o->kind != OPT_LIST && given(a, o))
		return err_set(
			e, ERR_INPUT, "option --%s is given twice", o->name);
	if (o->kind != OPT_FLAG && value == NULL) {
		if (a->at >= a->argc || strncmp(a->argv[a->at], "--", 2) == 0)
			return err_set(e, ERR_INPUT,
				"option --%s needs a value: --%s %s", o->name,
				o->name, o->value);
		value = a->argv[a->at++];
	}
	a->opts[a->n_opts++] = (struct arg_opt){o, value != NULL ? value : ""};
	return true;
}

static bool take_long(struct args *a, const char *arg, struct err *e)
{
	const char *name = arg + 2;
	size_t n = strcspn(name, "=");
	const struct opt *o = table_find(a->own, name, n);

	if (o == NULL)
		o = table_find(a->global, name, n);
	if (o == NULL)
		return unknown(a, arg, e);
	return take(a, o, name[n] == '=' ? name + n + 1 : NULL, e);
}

static bool take_letter(struct args *a, const char *arg, struct err *e)
{
	const struct opt *o = table_letter(a->own, arg[1]);

	if (o == NULL)
		o = table_letter(a->global, arg[1]);
	if (o == NULL)
		return unknown(a, arg, e);
	return take(a, o, arg[2] != '\0' ? arg + 2 : NULL, e);
}

/* One argument. *word is it when it is a word, NULL when it was an option. */
static bool step(struct args *a, const char **word, struct err *e)
{
	const char *arg = a->argv[a->at++];

	*word = NULL;
	if (a->ended || arg[0] != '-' || arg[1] == '\0') {
		*word = arg;
		return true;
	}
	if (strcmp(arg, "--") == 0) {
		a->ended = true;
		return true;
	}
	return arg[1] == '-' ? take_long(a, arg, e) : take_letter(a, arg, e);
}

bool args_word(struct args *a, const char **word, struct err *e)
{
	const char *w = NULL;

	while (w == NULL && a->at < a->argc) {
		if (!step(a, &w, e))
			return false;
	}
	*word = w;
	return true;
}

bool args_rest(struct args *a, const struct opt *own, struct err *e)
{
	a->own = own;
	while (a->at < a->argc) {
		const char *w;

		if (!step(a, &w, e))
			return false;
		if (w != NULL)
			a->words[a->n_words++] = w;
	}
	return true;
}

/* ------------------------------------------------------------------- look-ups */

const char *args_each(const struct args *a, const char *name, size_t *at)
{
	assert(table_find(a->own, name, strlen(name)) != NULL ||
		table_find(a->global, name, strlen(name)) != NULL);
	while (*at < a->n_opts) {
		const struct arg_opt *o = &a->opts[(*at)++];

		if (strcmp(o->opt->name, name) == 0)
			return o->value;
	}
	return NULL;
}

const char *args_get(const struct args *a, const char *name)
{
	size_t at = 0;

	return args_each(a, name, &at);
}

bool args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}
