/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-feed: the daemon that tells what the meter counts, over HTTP.
 */
#include "feed/config.h"
#include "feed/feed.h"
#include "feed/log.h"
#include "feed/notify.h"
#include "feed/server.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: weir-feed [--state DIR] [--listen ADDRESS:PORT]\n";
static const char HELP[] =
	"Tells what the broker's meter counts, over HTTP: docs/FEED.md.\n"
	"\n"
	"  --state DIR             the state directory ($WEIR_STATE,\n"
	"                          " CONFIG_STATE ")\n"
	"  --listen ADDRESS:PORT   where to listen (" CONFIG_LISTEN ");\n"
	"                          port 0: one that is free\n"
	"  --version               print the version\n"
	"  --help                  print this\n"
	"\n"
	"It runs until SIGTERM or SIGINT. The log is on standard error, one\n"
	"JSON object a line; the line of event \"listening\" has the URL.\n"
	"\n"
	"Exit status: 0 stopped as asked, 2 usage or configuration, 3 "
	"environment.\n";

/* What the command line says beside the configuration. */
struct flags {
	bool help, version;
};

static int status_of(enum err_code code)
{
	return code == ERR_INPUT || code == ERR_CONFLICT ? 2 : 3;
}

static bool set_path(char *out, size_t cap, const char *value, const char *flag,
	struct err *e)
{
	int n = snprintf(out, cap, "%s", value);

	return (n > 0 && (size_t)n < cap) ||
	       err_set(e, ERR_INPUT, "%s takes a path of 1 to %zu bytes", flag,
		       cap - 1);
}

static bool take_flag(
	int flag, struct flags *out, struct feed_config *c, struct err *e)
{
	switch (flag) {
	case 's':
		return set_path(
			c->state, sizeof(c->state), optarg, "--state", e);
	case 'l':
		return config_listen_parse(str_from(optarg), &c->listen, e);
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

static bool take_flags(int argc, char **argv, struct flags *out,
	struct feed_config *c, struct err *e)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 's'},
		{"listen", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int flag;

	opterr = 0;
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!take_flag(flag, out, c, e))
			return false;
	}
	if (optind < argc)
		return err_set(e, ERR_INPUT,
			"'%.64s' is one word too many; see weir-feed --help",
			argv[optind]);
	return true;
}

/* Descriptors 0 to 2 must be open: a database opened as descriptor 2 would have
 * the log written into it. SIGTERM and SIGINT are read from a descriptor. */
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
	}
	server_close(&s);
	feed_close(&f);
	if (done)
		log_say(LOG_NOTICE, "stopped", "stopped as asked");
	return done;
}

int main(int argc, char **argv)
{
	static struct feed_config config;
	struct flags flags = {0};
	struct err e = {0};
	/* One thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *state = getenv("WEIR_STATE");

	config_default(&config);
	if (!prepare(&e) ||
		(state != NULL && state[0] != '\0' &&
			!set_path(config.state, sizeof(config.state), state,
				"$WEIR_STATE", &e)) ||
		!take_flags(argc, argv, &flags, &config, &e)) {
		(void)fprintf(stderr, "%sweir-feed: %s\n",
			e.code == ERR_INPUT ? USAGE : "", e.msg);
		return status_of(e.code);
	}
	if (flags.help || flags.version) {
		(void)printf("%s",
			flags.version ? "weir-feed " WEIR_VERSION "\n" : USAGE);
		if (flags.help)
			(void)printf("%s", HELP);
		return fflush(stdout) == 0 ? 0 : 3;
	}
	if (serve(&config, &e))
		return 0;
	log_err(LOG_ERROR, "failed", &e);
	return status_of(e.code);
}
