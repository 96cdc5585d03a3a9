/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal as a full screen: taken, drawn on, and given back however the
 * command ends, stops or goes on.
 *
 * Plain ANSI sequences that every terminal has that is not "dumb", and no
 * colour that carries a meaning alone. Signals come as events, by signalfd: no
 * handler, so nothing is done in one.
 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "core/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct screen {
	struct termios before;
	sigset_t before_signals;
	int signals;  /* a signalfd */
	int ended_by; /* the signal that ended it; 0: none */
};

/* True when standard input and output are a terminal that can do it. */
bool screen_possible(void);

/* Takes the terminal. False: it is as it was. Give it back with
 * screen_close. */
MUST bool screen_open(struct screen *s, struct err *e);

/* Gives the terminal back. */
void screen_close(struct screen *s);

/* Gives the terminal back where one is taken, for a process that ends here and
 * now. Fine in a signal's handler. */
void screen_abandon(void);

/* After screen_close: a screen that a signal ended ends the process by it, as
 * the shell expects. */
void screen_die(const struct screen *s);

enum screen_event {
	SCREEN_TIME = 0, /* the time is over */
	SCREEN_KEYS,     /* keys[] has *n bytes */
	SCREEN_REDRAW,   /* the size may be another, or the screen was lost */
	SCREEN_END,      /* a signal, or the terminal is gone */
};
#define SCREEN_KEYS_MAX 64

/* Waits for something to happen, at most TIMEOUT_MS. */
enum screen_event screen_wait(struct screen *s, int timeout_ms,
	char keys[static SCREEN_KEYS_MAX], size_t *n);

/* The terminal's size, in characters; 24 by 80 when it does not say. */
void screen_size(size_t *rows, size_t *columns);

/* Puts PICTURE, N bytes, lines ended by \n, at the top left, the rest of each
 * line and of the screen cleared, and what has no room left out. False: the terminal is gone. */
MUST bool screen_draw(const char *picture, size_t n);

#endif
