/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "cli/output.h"

#include <string.h>

#define NAMES_MAX 128

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

/* The names to choose from: second words of GROUP, or (NULL) single words. */
static size_t names_of(const struct commands *all, const char *group,
	const char *names[static NAMES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		for (const struct command *c = all->families[i];
			c->name != NULL && n < NAMES_MAX; c++) {
			if (group == NULL)
				names[n++] = c->name;
			else if (in_group(c, group))
				names[n++] = c->name + strlen(group) + 1;
		}
	}
	return n;
}

/* "add, set, show" into OUT. */
static void list_names(
	const char *const *names, size_t n, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		int k = snprintf(
			out + at, cap - at, "%s%s", i ? ", " : "", names[i]);

		if (k < 0 || (size_t)k >= cap - at)
			return;
		at += (size_t)k;
	}
}

bool command_unknown(const struct commands *all, const char *first,
	const char *second, struct err *e)
{
	const char *names[NAMES_MAX];
	char list[200];
	bool group = command_is_group(all, first);
	size_t n = names_of(all, group ? first : NULL, names);
	const char *near;

	if (group && second == NULL) {
		list_names(names, n, list, sizeof(list));
		return err_set(e, ERR_INPUT,
			"'%s' needs to know what to do: %s; see weir help %s",
			first, list, first);
	}
	near = nearest_name(group ? second : first, names, n);
	/* A group's name, "device", is as near as its commands are far. */
	for (size_t i = 0; i < n && !group && near == NULL; i++) {
		char word[32];

		(void)snprintf(word, sizeof(word), "%.*s",
			(int)first_word(names[i]), names[i]);
		if (nearest_name(first, (const char *const[]){word}, 1) != NULL)
			near = names[i];
	}
	if (near != NULL)
		return err_set(e, ERR_INPUT,
			"unknown command '%s%s%s'; did you mean '%s%s%s'?",
			first, group ? " " : "", group ? second : "",
			group ? first : "", group ? " " : "", near);
	return err_set(e, ERR_INPUT,
		"unknown command '%s%s%s'; weir help lists what there is",
		first, group ? " " : "", group ? second : "");
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
