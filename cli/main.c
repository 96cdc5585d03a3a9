/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir: the command that people type. Finds the command, reads its options,
 * runs it, and turns the result into an exit status.
 */
#include "certs/wipe.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/help_forms.h"
#include "cli/output.h"
#include "cli/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command *const FAMILIES[] = {
	init_commands,
	status_commands,
	doctor_commands,
	backup_commands,
	registry_commands,
	device_commands,
	status_change_commands,
	ca_commands,
	cert_commands,
	enroll_commands,
	policy_commands,
	learn_commands,
	explain_commands,
	top_commands,
	usage_commands,
	tail_commands,
	token_commands,
	audit_commands,
};
static const struct commands ALL = {
	FAMILIES, sizeof(FAMILIES) / sizeof(FAMILIES[0])};

/*
 * Descriptors 0 to 2 must be open: a registry opened as descriptor 1 would
 * have the command's output written into it. Opened for reading only, so that
 * output to what was closed fails and is noticed.
 */
static bool standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) == -1 &&
			open("/dev/null", O_RDONLY) != fd)
			return false;
	}
	return true;
}

/* Output that did not arrive is a failure, even if the work is DONE: then it
 * must not be taken for one that changed nothing. */
static int finish(int status, bool done)
{
	char text[ERRNO_TEXT];

	errno = 0;
	if (fflush(stdout) == 0 && output_ok())
		return status;
	print_note("standard output: %s; the output is not complete%s",
		errno != 0 ? errno_text(errno, text) : "a write failed",
		done ? "; if the command changes anything, it is committed"
		     : "");
	return 3;
}

/* `weir help [CMD]`, `weir [CMD] --help`. CMD's words may be NULL. */
static bool help(const char *first, const char *second, struct err *e)
{
	const struct command *cmd;

	if (first == NULL) {
		help_list(&ALL, NULL, stdout);
		return true;
	}
	cmd = command_find(&ALL, first, second);
	if (cmd != NULL) {
		help_command(cmd);
		return true;
	}
	if (second == NULL && command_is_group(&ALL, first)) {
		help_list(&ALL, first, stdout);
		return true;
	}
	return command_unknown(&ALL, first, second, e);
}

static bool words_fit(
	const struct command *cmd, const struct args *a, struct err *e)
{
	char why[128];

	if (a->n_words < cmd->words_min)
		return help_usage_error(cmd, "something is missing", e);
	if (a->n_words <= cmd->words_max)
		return true;
	(void)snprintf(why, sizeof(why), "'%.64s' is one word too many",
		a->words[cmd->words_max]);
	return help_usage_error(cmd, why, e);
}

static bool run(const struct command *cmd, struct args *a, bool *answer_no,
	struct err *e)
{
	struct cli c;

	if (!args_rest(a, cmd->options, e))
		return false;
	if (args_has(a, "help")) {
		help_command(cmd);
		return true;
	}
	if (!words_fit(cmd, a, e) || !cli_init(&c, a, e) || !cmd->run(&c, e))
		return false;
	*answer_no = c.answer_no;
	return true;
}

/* No command at all: --version, --help, or nothing to do. */
static bool no_command(const struct args *a, struct err *e)
{
	if (args_has(a, "version")) {
		(void)puts("weir " WEIR_VERSION);
		return true;
	}
	if (args_has(a, "help"))
		return help(NULL, NULL, e);
	help_list(&ALL, NULL, stderr);
	return err_set(e, ERR_INPUT, "no command given");
}

/* For those who install weir: not in the list of commands. */
static const struct opt HELP_OPTIONS[] = {
	{"man", '\0', OPT_FLAG, NULL, "print a manual page"},
	{"completion", '\0', OPT_FLAG, NULL, "print a completion for bash"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static bool help_of_words(struct args *a, struct err *e)
{
	if (!args_rest(a, HELP_OPTIONS, e))
		return false;
	if (a->n_words == 0 && args_has(a, "man")) {
		help_man(&ALL);
		return true;
	}
	if (a->n_words == 0 && args_has(a, "completion")) {
		help_completion(&ALL);
		return true;
	}
	if (a->n_words == 0 && args_has(a, "json")) {
		help_json(&ALL);
		return true;
	}
	return help(a->n_words > 0 ? a->words[0] : NULL,
		a->n_words > 1 ? a->words[1] : NULL, e);
}

/* Finds the command by its first words, and runs it. */
static bool dispatch(struct args *a, bool *answer_no, struct err *e)
{
	const char *first, *second = NULL;
	const struct command *cmd;

	if (!args_word(a, &first, e))
		return false;
	if (first == NULL)
		return no_command(a, e);
	if (strcmp(first, "help") == 0)
		return help_of_words(a, e);
	if (command_is_group(&ALL, first) && !args_word(a, &second, e))
		return false;
	cmd = command_find(&ALL, first, second);
	if (cmd != NULL)
		return run(cmd, a, answer_no, e);
	if (second == NULL && args_has(a, "help"))
		return help(first, NULL, e);
	return command_unknown(&ALL, first, second, e);
}

/* A mapped file (meter.seg, an index of the registry) that is cut short between
 * the look at its size and the read. */
static void cut_short(int sig)
{
	static const char text[] =
		"weir: a file was cut short while it was read; run the command "
		"again, and see weir status\n";
	ssize_t n;

	/* POSIX lets a handler write and call tcsetattr, which is all that it
	 * does. NOLINTNEXTLINE(bugprone-signal-handler) */
	screen_abandon();
	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)sig;
	(void)n; /* nothing more can be said */
	_exit(3);
}

int main(int argc, char **argv)
{
	struct args a;
	struct err e;
	bool answer_no = false, done;

	wipe_install();
	registry_alone();
	/* The PKCS #11 engine does not survive OpenSSL's cleaning up at exit,
	 * which unloads it before its last use. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	/* A closed pipe is an error of writing, not a death. */
	if (!standard_files() || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		signal(SIGBUS, cut_short) == SIG_ERR)
		return 3;
	if (!args_init(&a, argc, argv, CLI_OPTIONS, &e)) {
		print_err(&e);
		return 3;
	}
	done = dispatch(&a, &answer_no, &e);
	if (!done)
		print_err(&e);
	args_fini(&a);
	return finish(done ? (answer_no ? 1 : 0) : cli_status(e.code), done);
}
