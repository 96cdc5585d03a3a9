/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commands print: tables and fields for people, JSON for programs.
 *
 * Text from outside (reasons, subjects, attributes) never reaches a terminal
 * raw: control characters are written as \xNN. Out of memory ends the program
 * with status 3 here, so that callers need no second path for it; nothing is
 * committed half by that, a registry transaction simply does not happen.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "core/err.h"
#include "core/simid.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* malloc, zeroed, that does not return NULL. Given: free(). */
void *need_memory(size_t n, size_t size);
/* A copy of TEXT. Given: free(). */
char *need_copy(const char *text);

/* A stream into *text (given: free()) and *len, which are set by
 * need_stream_end. */
FILE *need_stream(char **text, size_t *len);
void need_stream_end(FILE *stream);

/* `weir: place: msg` on standard error; line and column follow the place. */
void print_err(const struct err *e);
/* `weir: …` on standard error: a note or a warning, not a failure. */
void print_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The environment variable NAME; NULL when it is unset or empty. */
const char *environment(const char *name);

/* What errno value NUMBER means, into OUT (lent back): "No space left …". */
#define ERRNO_TEXT 128
const char *errno_text(int number, char out[static ERRNO_TEXT]);

/* True while standard output takes what is printed. Loops over long lists
 * stop when it is false; main() turns it into exit status 3. */
bool output_ok(void);

/* TEXT on OUT, control characters and malformed UTF-8 as \xNN. */
void print_text(FILE *out, const char *text);

/* `label:  value` on standard output, values aligned. */
void print_field(const char *label, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------- tables */

struct table;

/* HEADS (kept) are the N column headings. Free with table_free. */
struct table *table_new(const char *const *heads, size_t n);
/* Numbers: N columns from FROM on are aligned at the right. */
void table_right(struct table *t, size_t from, size_t n);
/* Adds a row of as many CELLS (borrowed; NULL is empty). */
void table_row(struct table *t, const char *const *cells);
/* Prints headings and rows; nothing when there are no rows. */
void table_print(const struct table *t);
void table_free(struct table **t);

/* --------------------------------------------------------------------- JSON */

/* These never fail: see the top. A NULL text is null. Times are Unix seconds
 * under names that end in _s; 0 (no time) is null with json_time. */
cJSON *json_new(void);
cJSON *json_array(cJSON *o, const char *key);
cJSON *json_object(cJSON *o, const char *key);
void json_push(cJSON *array, cJSON *item); /* ITEM is taken */
void json_str(cJSON *o, const char *key, const char *value);
void json_int(cJSON *o, const char *key, int64_t value);
/* To the thousandth. */
void json_decimal(cJSON *o, const char *key, double value);
void json_time(cJSON *o, const char *key, int64_t unix_s);
void json_bool(cJSON *o, const char *key, bool value);
void json_simid(cJSON *o, const struct simid *id, enum simid_kind kind);
/* TEXT as JSON writes it, with its quotes. Given: free(). */
char *json_quoted(const char *text);
/* Prints O (taken) as one line. */
void json_print(cJSON *o);

/* ID for people: masked unless SHOW; "" when there is none. */
const char *simid_text(
	const struct simid *id, bool show, char out[static SIMID_MAX + 1]);

#endif
