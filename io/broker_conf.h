/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mosquitto.conf as Mosquitto 2.0 reads it: lines of a directive and its
 * value, in the order in which they take effect.
 *
 * Mosquitto's ways, which are kept: a comment is a line whose first byte is
 * '#'; blanks before a directive are skipped, a tab is part of the name; a
 * value is the rest of the line, trimmed. include_dir reads the *.conf of a
 * folder where it stands, sorted without regard to case; within an included
 * file it does nothing. A `listener` line begins a listener of its file: each
 * file begins at the default listener, and after an include_dir the including
 * file goes on with its own.
 */
#ifndef IO_BROKER_CONF_H
#define IO_BROKER_CONF_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKER_CONF_BYTES_MAX ((size_t)1 << 18) /* of one file */
#define BROKER_CONF_LINES_MAX 20000             /* directives in all */
#define BROKER_CONF_FILES_MAX 256

struct broker_line {
	uint32_t file;     /* index into files */
	uint32_t line;     /* from 1 */
	uint32_t listener; /* 0: the default one; else the nth `listener` */
	struct str name;   /* not empty */
	struct str value;  /* trimmed; may be empty */
};

/* Zeroed: empty. */
struct broker_conf {
	struct broker_line *lines;
	size_t n, cap;
	char **files; /* paths, in the order of reading */
	char **texts; /* what lines point into */
	size_t n_files;
	uint32_t n_listeners; /* `listener` lines */
};

/* Where the reading of a text is; zeroed: at its beginning. */
struct broker_cursor {
	size_t at;
	uint32_t line, listener;
	bool at_include;  /* the last line read is an include_dir */
	struct str value; /* of the last line read */
};

/*
 * Adds the lines of TEXT (borrowed, and kept by CONF's lines) as file number
 * FILE from where *C stands, up to and including the next include_dir line.
 * Reads no file. False: ERR_INPUT with its line (a control character, malformed
 * UTF-8, too many lines), ERR_ENVIRONMENT (memory).
 */
MUST bool broker_conf_parse(struct broker_conf *conf, uint32_t file,
	struct str text, struct broker_cursor *c, struct err *e);

/* Reads PATH and what it includes into *out (given: broker_conf_free). False:
 * ERR_ENVIRONMENT, a file or folder cannot be read; ERR_INPUT as above. The
 * error's place is the file. */
MUST bool broker_conf_load(
	const char *path, struct broker_conf *out, struct err *e);

void broker_conf_free(struct broker_conf *conf);

/* The first word of VALUE: all that Mosquitto reads of a number or a truth
 * value. */
struct str broker_word(struct str value);

#endif
