/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: words and options, by table.
 *
 * `--name V`, `--name=V`, `--flag`, and where a letter is given `-n V` or
 * `-nV`. `--` ends the options; `-` alone is a word. Options and words may
 * stand in any order. An option that takes one value is refused when given
 * twice, and its value may start with `--` only as `--name=--v`, so that a
 * forgotten value does not swallow the next option.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_kind {
	OPT_FLAG = 0,
	OPT_VALUE, /* one value, at most once */
	OPT_LIST,  /* one value each time, any number of times */
};

/* One option; a table of them ends with name NULL. */
struct opt {
	const char *name; /* without "--" */
	char letter;      /* '\0': none */
	enum opt_kind kind;
	const char *value; /* what help calls the value, "DIR" */
	const char *help;  /* one line */
};

struct arg_opt {
	const struct opt *opt;
	const char *value; /* "" for a flag */
};

/* A command line being read. All strings are argv's (kept). */
struct args {
	char **argv;
	int argc, at;
	bool ended; /* "--" was seen */
	const struct opt *global, *own;
	const char **words;
	size_t n_words;
	struct arg_opt *opts;
	size_t n_opts;
};

/* Starts reading ARGV after its program name; GLOBAL options are understood
 * everywhere. Release with args_fini. */
MUST bool args_init(struct args *a, int argc, char **argv,
	const struct opt *global, struct err *e);
void args_fini(struct args *a);

/* The next word, past any global options; NULL at the end. It does not count
 * among a->words: it is part of the command's name. */
MUST bool args_word(struct args *a, const char **word, struct err *e);

/* Reads the rest with the options of OWN (NULL: none) too. ERR_INPUT: unknown
 * option (names the nearest), missing or needless value, given twice. */
MUST bool args_rest(struct args *a, const struct opt *own, struct err *e);

/* The value of option NAME; NULL when it was not given. NAME must be in one
 * of the tables. */
const char *args_get(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);

/* The next value of a list option NAME from position *AT (start with 0), or
 * NULL. */
const char *args_each(const struct args *a, const char *name, size_t *at);

/* Of the N names, the one that differs least from WORD, or NULL when none is
 * near enough to be what was meant. Names may be NULL (skipped). */
const char *nearest_name(const char *word, const char *const *names, size_t n);

#endif
