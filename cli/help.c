/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "cli/output.h"

#include <string.h>

#define NAMES_MAX 128
#define WORD_MAX  24 /* bytes of a word of a command's name, and its NUL */

/* The length of the first word of NAME. */
static size_t first_word(const char *name)
{
	return strcspn(name, " ");
}

static bool in_group(const struct command *cmd, const char *group)
{
	size_t n = first_word(cmd->name);

	return cmd->name[n] == ' ' && strlen(group) == n &&
	       strncmp(cmd->name, group, n) == 0;
}

const struct command *command_find(
	const struct commands *all, const char *first, const char *second)
{
	for (size_t i = 0; i < all->n; i++) {
		for (const struct command *c = all->families[i];
			c->name != NULL; c++) {
			size_t n = first_word(c->name);
			const char *rest =
				c->name[n] == ' ' ? c->name + n + 1 : NULL;

			if (strlen(first) != n ||
				strncmp(c->name, first, n) != 0)
				continue;
			if (rest == NULL ||
				(second != NULL && strcmp(rest, second) == 0))
				return c;
		}
	}
	return NULL;
}

bool command_is_group(const struct commands *all, const char *first)
{
	for (size_t i = 0; i < all->n; i++) {
		for (const struct command *c = all->families[i];
			c->name != NULL; c++) {
			if (in_group(c, first))
				return true;
		}
	}
	return false;
}

struct names {
	size_t n;
	const char *name[NAMES_MAX];
	char text[NAMES_MAX][WORD_MAX];
};

/* The words to choose from: second ones in GROUP, or (NULL) first ones. */
static void names_of(
	const struct commands *all, const char *group, struct names *out)
{
	out->n = 0;
	for (size_t i = 0; i < all->n; i++) {
		for (const struct command *c = all->families[i];
			c->name != NULL && out->n < NAMES_MAX; c++) {
			const char *word = c->name;

			if (group != NULL && !in_group(c, group))
				continue;
			if (group != NULL)
				word += strlen(group) + 1;
			(void)snprintf(out->text[out->n], WORD_MAX, "%.*s",
				(int)first_word(word), word);
			out->name[out->n] = out->text[out->n];
			out->n++;
		}
	}
}

/* `weir device`: which of its commands? */
static bool incomplete(
	const struct commands *all, const char *group, struct err *e)
{
	struct names names;
	char list[200] = "";
	size_t at = 0;

	names_of(all, group, &names);
	for (size_t i = 0; i < names.n && at < sizeof(list); i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s",
			i != 0 ? ", " : "", names.name[i]);
	return err_set(e, ERR_INPUT,
		"'%s' needs to know what to do: %s; see weir help %s", group,
		list, group);
}

bool command_unknown(const struct commands *all, const char *first,
	const char *second, struct err *e)
{
	struct names names;
	bool group = command_is_group(all, first);
	const char *space = group ? " " : "", *before = group ? first : "";
	const char *near, *word = group ? second : first;

	if (word == NULL)
		return incomplete(all, first, e);
	names_of(all, group ? first : NULL, &names);
	near = nearest_name(word, names.name, names.n);
	if (near == NULL)
		return err_set(e, ERR_INPUT,
			"unknown command '%s%s%s'; weir help lists what there "
			"is",
			before, space, word);
	return err_set(e, ERR_INPUT,
		"unknown command '%s%s%s'; did you mean '%s%s%s'?", before,
		space, word, before, space, near);
}

bool help_usage_error(const struct command *cmd, const char *why, struct err *e)
{
	return err_set(e, ERR_INPUT, "%s; usage: weir %s%s%s", why, cmd->name,
		cmd->usage[0] != '\0' ? " " : "", cmd->usage);
}

/* ------------------------------------------------------------------- printing */

static void help_options(const struct opt *table, const char *heading)
{
	if (table == NULL || table->name == NULL)
		return;
	(void)printf("\n%s\n", heading);
	for (const struct opt *o = table; o->name != NULL; o++) {
		char left[64];
		char letter[] = {'-', o->letter, ',', ' ', '\0'};

		(void)snprintf(left, sizeof(left), "%s--%s%s%s",
			o->letter != '\0' ? letter : "", o->name,
			o->kind != OPT_FLAG ? " " : "",
			o->kind != OPT_FLAG ? o->value : "");
		(void)printf("  %-22s %s\n", left, o->help);
	}
}

void help_command(const struct command *cmd)
{
	(void)printf("usage: weir %s%s%s\n\n%s.\n", cmd->name,
		cmd->usage[0] != '\0' ? " " : "", cmd->usage, cmd->summary);
	if (cmd->help[0] != '\0')
		(void)printf("\n%s", cmd->help);
	help_options(cmd->options, "Options:");
	help_options(CLI_OPTIONS, "Options of every command:");
}

void help_list(const struct commands *all, const char *group, FILE *out)
{
	(void)fputs("usage: weir [--state DIR] [--ca DIR] [--json] CMD …\n"
		    "       weir help [CMD]  |  weir --version\n\n",
		out);
	for (size_t i = 0; i < all->n; i++) {
		for (const struct command *c = all->families[i];
			c->name != NULL; c++) {
			if (group == NULL || in_group(c, group))
				(void)fprintf(out, "  %-18s %s\n", c->name,
					c->summary);
		}
	}
	(void)fputs("\nExit status: 0 done; 1 the answer is no; 2 usage or "
		    "input error; 3 environment\n(file, permission, disk). "
		    "weir help CMD explains a command, with an example.\n",
		out);
}
