/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, in words that a person can act on.
 *
 * The one error convention of Weir: a function that can fail is
 * `MUST bool f(..., struct err *e)`; true means done; on false its outputs are
 * untouched and *e is filled. Lookups return a pointer or NULL, decisions an
 * enum. No function below cli/, certs/, plugin/ and feed/ prints.
 *
 * A message names the thing, the place and the remedy, and does not end in a
 * full stop: `class 'meter' is not in the policy; see weir policy show`.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST __attribute__((warn_unused_result))

/* What kind of failure, and so the exit status of a command (docs/CLI.md). */
enum err_code {
	ERR_NONE = 0,
	ERR_INPUT,     /* the caller's data is wrong: exit 2 */
	ERR_NOT_FOUND, /* there is no such thing: exit 1 */
	ERR_CONFLICT,  /* it exists already, or the state forbids it: exit 2 */
	ERR_ENVIRONMENT, /* file, permission, disk, lock: exit 3 */
};

#define ERR_PLACE_MAX 192
#define ERR_MSG_MAX   320
#define ERRS_MAX      20

struct err {
	enum err_code code;
	uint32_t line, col;        /* from 1; col in bytes; 0: not in a text */
	char place[ERR_PLACE_MAX]; /* "classes.meter.publish[1]", or "" */
	char msg[ERR_MSG_MAX];
};

/* The first ERRS_MAX errors of a text; more says that there were others. */
struct errs {
	size_t n;
	bool more;
	struct err e[ERRS_MAX];
};

/*
 * Fills *e (E may be NULL: nobody asks) with CODE and the formatted message;
 * place, line and col become empty. A message that is too long is cut.
 * Always returns false, so that a failure is one line: return err_set(...).
 */
bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets e->place, and returns false. E may be NULL. */
bool err_at(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The next free entry of *LIST, zeroed and counted, for err_set and err_at to
 * fill. When the list is full: sets more, and returns NULL, which both accept.
 */
struct err *errs_next(struct errs *list);

#endif
