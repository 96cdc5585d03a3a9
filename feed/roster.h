/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry as the feed reads it: the file at its path, whatever is moved
 * there or copied over it while the feed runs. Reading never waits: a file that
 * is locked, as for the moment in which a command ends, is an error at once,
 * and whoever asked may ask again.
 */
#ifndef FEED_ROSTER_H
#define FEED_ROSTER_H

#include "io/registry.h"

struct roster;

/* For the registry of state directory STATE. *out is given: roster_close. A
 * registry that cannot be opened is no failure: see roster_get. False: no
 * memory, or the path is too long. */
MUST bool roster_open(const char *state, struct roster **out, struct err *e);
/* *x may be NULL; becomes NULL. */
void roster_close(struct roster **x);

/* Each second: is the file that is open the one at the path? The open one
 * would be read for ever. What was lent is gone. */
void roster_look(struct roster *x);

/* The registry; lent until roster_look or roster_retry. NULL: it cannot be
 * opened, and *e says why (ERR_ENVIRONMENT). */
struct registry *roster_get(struct roster *x, struct err *e);

/* A read of it failed: opens it anew, and says as roster_get whether that
 * went. What fails a second time is no lock of a moment. */
struct registry *roster_retry(struct roster *x, struct err *e);

#endif
