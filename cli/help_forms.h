/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands in the forms that other programs read: a manual page,
 * a completion for bash, JSON. Made from what help prints, so that none of
 * them can differ from it.
 */
#ifndef CLI_HELP_FORMS_H
#define CLI_HELP_FORMS_H

#include "cli/help.h"

/* Each prints to standard output. */
void help_man(const struct commands *all);
void help_completion(const struct commands *all);
/* A line a command: name, usage, summary, help, words_min, words_max (null:
 * any), options. */
void help_json(const struct commands *all);

#endif
