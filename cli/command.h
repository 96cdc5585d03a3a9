/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of weir, and what each one gets to work with.
 *
 * One static table per family (device_cmd.c, ca_cmd.c, …) drives dispatch,
 * usage and help, so that help cannot drift from behaviour. main.c lists the
 * families. To add a command: one entry in its family's table, its function,
 * its section in docs/CLI.md.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/options.h"
#include "core/err.h"
#include "io/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_PATH_MAX 4096

/* What a command runs with. Everything is lent for the run. */
struct cli {
	const struct args *args;  /* words after the command's name, options */
	char state[CLI_PATH_MAX]; /* --state, $WEIR_STATE, /var/lib/weir */
	char meter[CLI_PATH_MAX]; /* --meter, $WEIR_METER, in the state's */
	char ca[CLI_PATH_MAX];    /* --ca, $WEIR_CA, ~/.weir/ca; "" : no home */
	char actor[64];           /* who changes the registry */
	int64_t now_s;            /* Unix time at the start */
	bool json, show_ids;
	/* Set by a command that is done and whose answer is no (a refusal, a
	 * failed check): exit status 1. */
	bool answer_no;
};

/*
 * One command. run() returns true when it did its work, false with *e filled
 * otherwise; main() prints *e and exits with cli_status(). A command that has
 * several errors prints all but the last with print_err().
 */
struct command {
	const char *name;    /* "init", "device add"; NULL ends a table */
	const char *usage;   /* what follows the name: "ID --class C" */
	const char *summary; /* one line */
	const char *help;    /* paragraphs, with an example; lines end in \n */
	const struct opt *options;   /* ends with name NULL; NULL: none */
	size_t words_min, words_max; /* after the name; max 0: none */
	bool (*run)(struct cli *c, struct err *e);
};
#define WORDS_ANY SIZE_MAX

extern const struct command init_commands[], device_commands[],
	status_change_commands[], status_commands[], audit_commands[],
	ca_commands[], cert_commands[], policy_commands[], explain_commands[],
	registry_commands[], doctor_commands[], backup_commands[],
	usage_commands[], tail_commands[], top_commands[], enroll_commands[],
	learn_commands[], token_commands[];

/* The exit status for a failure of CODE (docs/CLI.md). */
int cli_status(enum err_code code);

/* STATE/NAME into OUT. ERR_INPUT when that is too long. */
MUST bool cli_state_path(const struct cli *c, const char *name, char *out,
	size_t cap, struct err *e);
/* The same in the CA's folder. */
MUST bool cli_ca_path(const struct cli *c, const char *name, char *out,
	size_t cap, struct err *e);

/* The registry of the state directory. *out is given: registry_close. */
MUST bool cli_registry(const struct cli *c, enum registry_mode mode,
	struct registry **out, struct err *e);

/* registry_begin. A registry that lags behind what the broker has seen of it
 * is marked as restored first, and that is said: see io/registry.h. */
MUST bool cli_begin(const struct cli *c, struct registry *r, struct err *e);

/* cli_registry for writing, and cli_begin. */
MUST bool cli_registry_begin(
	const struct cli *c, struct registry **out, struct err *e);

#define YES_OPTION                                                             \
	{                                                                      \
		"yes", '\0', OPT_FLAG, NULL, "do not ask, even on a terminal"  \
	}

/* True with --yes, or when a person at the terminal says yes to QUESTION
 * ("Accept this registry?"). False: ERR_INPUT; WHAT is "accepting a restored
 * registry". */
MUST bool cli_confirmed(const struct cli *c, const char *question,
	const char *what, struct err *e);

/* True unless a person at a terminal, if there is one, says no to QUESTION.
 * Scripts have said yes by calling. */
bool cli_agreed(const struct cli *c, const char *question);

/* The I-th word after the command's name. */
struct str cli_word(const struct cli *c, size_t i);

/* Fills *c from the options of ARGS (kept), the environment and the clock. */
MUST bool cli_init(struct cli *c, const struct args *args, struct err *e);

/* The options that every command takes. */
extern const struct opt CLI_OPTIONS[];

#endif
