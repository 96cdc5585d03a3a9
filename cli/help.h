/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, printed from the commands' own tables, and the search for a command
 * by its words.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* The families, in the order in which help lists them. */
struct commands {
	const struct command *const *families;
	size_t n;
};

/* The command called FIRST, or "FIRST SECOND" (NULL: one word); NULL: none. */
const struct command *command_find(
	const struct commands *all, const char *first, const char *second);

/* True when commands of two words start with FIRST. */
bool command_is_group(const struct commands *all, const char *first);

/* ERR_INPUT: there is no such command; names the nearest, or the group's. */
bool command_unknown(const struct commands *all, const char *first,
	const char *second, struct err *e);

/* Prints every command's usage and summary; of the group GROUP unless NULL. */
void help_list(const struct commands *all, const char *group, FILE *out);

/* Prints all there is to say about one command. */
void help_command(const struct command *cmd);

/* "usage: weir NAME USAGE" into *e, as what WHY says is wrong. */
bool help_usage_error(
	const struct command *cmd, const char *why, struct err *e);

#endif
