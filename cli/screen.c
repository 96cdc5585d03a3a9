/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SIGWINCH, TIOCGWINSZ */
#include "cli/screen.h"

#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The other screen, no cursor, no line that goes on in the next. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
#define PLAIN "\x1b[0m"
#define HOME  "\x1b[H"
#define EOL   "\x1b[K\r\n"
#define REST  "\x1b[J"

/* For screen_abandon: a handler of signals has no argument of its own. */
static _Atomic(const struct screen *) taken;

bool screen_possible(void)
{
	const char *term = environment("TERM");

	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 &&
	       term != NULL && strcmp(term, "dumb") != 0;
}

static bool put(const char *p, size_t n)
{
	while (n != 0) {
		ssize_t k = write(STDOUT_FILENO, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* ------------------------------------------------------------- take and give */

static bool take(const struct screen *s)
{
	struct termios raw = s->before;

	/* Keys as they are typed, unseen; Ctrl-C and Ctrl-Z stay signals. */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 &&
	       put(ENTER, sizeof ENTER - 1);
}

static void give(const struct screen *s)
{
	(void)put(LEAVE, sizeof LEAVE - 1);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
}

void screen_abandon(void)
{
	const struct screen *s = atomic_load(&taken);

	if (s != NULL)
		give(s);
}

static void signals_of(sigset_t *set)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

	(void)sigemptyset(set);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		(void)sigaddset(set, signals[i]);
}

bool screen_open(struct screen *s, struct err *e)
{
	char text[ERRNO_TEXT];
	sigset_t set;

	memset(s, 0, sizeof(*s));
	signals_of(&set);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0 || tcgetattr(STDIN_FILENO, &s->before) != 0 ||
		pthread_sigmask(SIG_BLOCK, &set, &s->before_signals) != 0) {
		(void)err_set(e, ERR_ENVIRONMENT, "the terminal: %s",
			errno_text(errno, text));
		if (s->signals >= 0)
			(void)close(s->signals);
		return false;
	}
	atomic_store(&taken, s);
	if (take(s))
		return true;
	(void)err_set(e, ERR_ENVIRONMENT, "the terminal: %s",
		errno_text(errno, text));
	screen_close(s);
	return false;
}

void screen_close(struct screen *s)
{
	give(s);
	atomic_store(&taken, NULL);
	(void)close(s->signals);
	(void)pthread_sigmask(SIG_SETMASK, &s->before_signals, NULL);
}

void screen_die(const struct screen *s)
{
	if (s->ended_by == 0)
		return;
	(void)signal(s->ended_by, SIG_DFL);
	(void)raise(s->ended_by);
}

/* Stops as Ctrl-Z asks, with the terminal given back, until SIGCONT. */
static void stop(struct screen *s)
{
	sigset_t stop;

	give(s);
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTSTP);
	(void)raise(SIGTSTP);
	(void)pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* stops here */
	(void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
	(void)take(s);
}

/* -------------------------------------------------------------------- events */

static enum screen_event on_signal(struct screen *s)
{
	struct signalfd_siginfo got;

	if (read(s->signals, &got, sizeof got) != (ssize_t)sizeof got)
		return SCREEN_REDRAW;
	switch (got.ssi_signo) {
	case SIGTSTP:
		stop(s);
		return SCREEN_REDRAW;
	case SIGCONT: /* after a SIGSTOP somebody else had the terminal */
		(void)take(s);
		return SCREEN_REDRAW;
	case SIGWINCH:
		return SCREEN_REDRAW;
	default:
		s->ended_by = (int)got.ssi_signo;
		return SCREEN_END;
	}
}

enum screen_event screen_wait(struct screen *s, int timeout_ms,
	char keys[static SCREEN_KEYS_MAX], size_t *n)
{
	struct pollfd fds[2] = {{.fd = s->signals, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN}};
	int got = poll(fds, 2, timeout_ms > 0 ? timeout_ms : 0);
	ssize_t k;

	if (got < 0)
		return errno == EINTR ? SCREEN_REDRAW : SCREEN_END;
	if (fds[0].revents != 0)
		return on_signal(s);
	if (fds[1].revents == 0)
		return SCREEN_TIME;
	k = read(STDIN_FILENO, keys, SCREEN_KEYS_MAX);
	if (k <= 0)
		return k < 0 && errno == EINTR ? SCREEN_REDRAW : SCREEN_END;
	*n = (size_t)k;
	return SCREEN_KEYS;
}

void screen_size(size_t *rows, size_t *columns)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
		     size.ws_row != 0 && size.ws_col != 0;

	*rows = known ? size.ws_row : 24;
	*columns = known ? size.ws_col : 80;
}

bool screen_draw(const char *picture, size_t n)
{
	char *frame = NULL;
	size_t len = 0, rows, columns;
	FILE *f = open_memstream(&frame, &len);
	bool done;

	if (f == NULL)
		return false;
	screen_size(&rows, &columns);
	(void)fputs(HOME, f);
	for (size_t i = 0; i < n && rows != 0; i++) {
		if (picture[i] != '\n')
			(void)fputc(picture[i], f);
		/* After the last line it would scroll. */
		else if (--rows != 0 && i + 1 < n)
			(void)fputs(EOL, f);
	}
	(void)fputs(PLAIN "\x1b[K" REST, f);
	done = fclose(f) == 0 && put(frame, len);
	free(frame);
	return done;
}
