/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-feed: the daemon that tells what the meter counts, over HTTP.
 */
#include "feed/config.h"
#include "feed/feed.h"
#include "feed/log.h"
#include "feed/notify.h"
#include "feed/server.h"
#include "io/file.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char USAGE[] = "usage: weir-feed [--config FILE] [--state DIR] "
			    "[--listen ADDRESS:PORT]\n"
			    "                 [--check-config]\n";
static const char HELP[] =
	"Tells what the broker's meter counts, over HTTP: docs/FEED.md.\n"
	"\n"
	"  --config FILE           the configuration (" CONFIG_FILE ",\n"
	"                          if it is there)\n"
	"  --state DIR             the state directory ($WEIR_STATE,\n"
	"                          " CONFIG_STATE ")\n"
	"  --meter FILE            the broker's plugin_opt_meter "
	"($WEIR_METER,\n"
	"                          else meter/meter.seg there)\n"
	"  --listen ADDRESS:PORT   where to listen (" CONFIG_LISTEN ");\n"
	"                          port 0: one that is free\n"
	"  --check-config          read the configuration, say what is wrong\n"
	"                          with it, and end\n"
	"  --version               print the version\n"
	"  --help                  print this\n"
	"\n"
	"A flag counts more than the configuration, and that more than a\n"
	"variable of the environment.\n"
	"\n"
	"It runs until SIGTERM or SIGINT; at SIGHUP it reads the files of TLS\n"
	"anew. The log is on standard error, one\n"
	"JSON object a line; the line of event \"listening\" has the URL.\n"
	"\n"
	"Exit status: 0 stopped as asked, 2 usage or configuration, 3 "
	"environment.\n";

/* What the command line says beside the configuration. */
struct flags {
	bool help, version, check;
	const char *config, *state, *meter; /* NULL: not given */
	bool listens;
	struct config_listen listen;
};

/* As people read it: the log begins when it serves. */
static void say_err(const char *file, const struct err *e)
{
	(void)fprintf(stderr, "weir-feed: ");
	if (file != NULL && e->code == ERR_INPUT)
		(void)fprintf(stderr, "%s:%s", file, e->line == 0 ? " " : "");
	if (file != NULL && e->line != 0)
		(void)fprintf(
			stderr, "%" PRIu32 ":%" PRIu32 ": ", e->line, e->col);
	(void)fprintf(stderr, "%s%s%s\n", e->place,
		e->place[0] != '\0' ? ": " : "", e->msg);
}

static bool take_flag(int flag, struct flags *out, struct err *e)
{
	switch (flag) {
	case 'c':
		out->config = optarg;
		return true;
	case 's':
		out->state = optarg;
		return true;
	case 'm':
		out->meter = optarg;
		return true;
	case 'l':
		out->listens = true;
		return config_listen_parse(str_from(optarg), &out->listen, e);
	case 'k':
		out->check = true;
		return true;
	case 'v':
		out->version = true;
		return true;
	case 'h':
		out->help = true;
		return true;
	default:
		return err_set(e, ERR_INPUT,
			"unknown option, or one without its value; see "
			"weir-feed --help");
	}
}

static bool take_flags(int argc, char **argv, struct flags *out, struct err *e)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"state", required_argument, NULL, 's'},
		{"meter", required_argument, NULL, 'm'},
		{"listen", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int flag;

	opterr = 0;
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!take_flag(flag, out, e))
			return false;
	}
	if (optind < argc)
		return err_set(e, ERR_INPUT,
			"'%.64s' is one word too many; see weir-feed --help",
			argv[optind]);
	return true;
}

/* Descriptors 0 to 2 must be open: a database opened as descriptor 2 would have
 * the log written into it. SIGTERM, SIGINT and SIGHUP are read from a
 * descriptor. */
static bool prepare(struct err *e)
{
	sigset_t ends;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd)
			return err_set(
				e, ERR_ENVIRONMENT, "cannot open /dev/null");
	}
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGHUP);
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0 ||
		signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_set(e, ERR_ENVIRONMENT, "cannot set signals");
	return true;
}

static void say_listening(const struct feed *f, const struct server *s)
{
	struct text t = {0};

	log_begin(&t, LOG_NOTICE, "listening");
	json_text(&t, "url", str_from(server_url(s)));
	json_text(&t, "version", STR(WEIR_VERSION));
	json_text(&t, "state", str_from(f->config.state));
	json_number(&t, "pid", (int64_t)getpid());
	log_end(&t);
}

static bool serve(const struct feed_config *c, struct err *e)
{
	struct feed *f = NULL;
	struct server *s = NULL;
	bool done = false;

	if (!feed_open(c, &f, e))
		return false;
	if (server_open(f, &s, e)) {
		say_listening(f, s);
		notify_manager("READY=1");
		done = server_run(s, e);
		feed_finish(f);
	}
	server_close(&s);
	feed_close(&f);
	if (done)
		log_say(LOG_NOTICE, "stopped", "stopped as asked");
	return done;
}

/* ------------------------------------------------------------- configuration */

static bool set_path(char out[static CONFIG_PATH_MAX], const char *value,
	const char *from, struct err *e)
{
	int n;

	if (value == NULL)
		return true;
	n = snprintf(out, CONFIG_PATH_MAX, "%s", value);
	return (n > 0 && (unsigned)n < CONFIG_PATH_MAX) ||
	       err_set(e, ERR_INPUT, "%s takes a path of 1 to %u bytes", from,
		       CONFIG_PATH_MAX - 1);
}

/* The variable NAME; NULL when it is unset or empty. */
static const char *environment(const char *name)
{
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Says all that is wrong with the file, but for the last, which *e gets. */
static bool say_errors(const char *path, const struct errs *errs, struct err *e)
{
	for (size_t i = 0; i + 1 < errs->n; i++)
		say_err(path, &errs->e[i]);
	*e = errs->e[errs->n - 1];
	return false;
}

static bool read_file(const char *path, struct feed_config *c, struct err *e)
{
	struct errs errs = {0};
	char *text = NULL;
	size_t n = 0;
	bool done;

	if (!file_read(path, CONFIG_TEXT_MAX, &text, &n, e))
		return false;
	done = config_parse((struct str){text, n}, c, &errs);
	file_text_free(&text, n);
	return done || say_errors(path, &errs, e);
}

/* Reads what *f asks for over the defaults; *path is the file that was read, or
 * NULL. */
static bool configure(const struct flags *f, struct feed_config *c,
	const char **path, struct err *e)
{
	config_default(c);
	if (!set_path(c->state, environment("WEIR_STATE"), "$WEIR_STATE", e) ||
		!set_path(
			c->meter, environment("WEIR_METER"), "$WEIR_METER", e))
		return false;
	*path = f->config;
	if (*path == NULL && access(CONFIG_FILE, F_OK) == 0)
		*path = CONFIG_FILE;
	if (*path != NULL && !read_file(*path, c, e))
		return false;
	if (!set_path(c->state, f->state, "--state", e) ||
		!set_path(c->meter, f->meter, "--meter", e))
		return false;
	if (f->listens)
		c->listen = f->listen;
	return config_complete(c, e) && config_check(c, e);
}

/* 2 is what trying again does not help. */
static int status_of(const struct err *e)
{
	return e->code == ERR_INPUT ? 2 : 3;
}

static int end(const char *path, const struct err *e)
{
	say_err(path, e);
	return status_of(e);
}

static int say_help(bool version)
{
	if (version)
		(void)puts("weir-feed " WEIR_VERSION);
	else
		(void)printf("%s%s", USAGE, HELP);
	return fflush(stdout) == 0 ? 0 : 3;
}

int main(int argc, char **argv)
{
	static struct feed_config config;
	struct flags flags = {0};
	const char *path = NULL;
	struct err e = {0};

	if (!prepare(&e) || !take_flags(argc, argv, &flags, &e)) {
		(void)fputs(e.code == ERR_INPUT ? USAGE : "", stderr);
		return end(NULL, &e);
	}
	if (flags.help || flags.version)
		return say_help(flags.version);
	if (!configure(&flags, &config, &path, &e))
		return end(path, &e);
	if (flags.check)
		return 0;
	if (serve(&config, &e))
		return 0;
	log_err(LOG_ERROR, "failed", &e);
	return status_of(&e);
}
