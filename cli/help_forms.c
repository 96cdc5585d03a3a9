/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help_forms.h"

#include "cli/output.h"

#include <stdio.h>
#include <string.h>

/* The I-th command of all families, or NULL. */
static const struct command *command_at(const struct commands *all, size_t i)
{
	for (size_t f = 0; f < all->n; f++) {
		for (const struct command *c = all->families[f];
			c->name != NULL; c++) {
			if (i-- == 0)
				return c;
		}
	}
	return NULL;
}

static int first_word(const struct command *c)
{
	return (int)strcspn(c->name, " ");
}

/* C is the first of its family's name. */
static bool starts_group(
	const struct commands *all, size_t i, const struct command *c)
{
	size_t n = (size_t)first_word(c);

	for (size_t k = 0; k < i; k++) {
		const struct command *other = command_at(all, k);

		if (other != NULL && (size_t)first_word(other) == n &&
			strncmp(other->name, c->name, n) == 0)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------- a manual page */

/* TEXT, in which nothing is a request or an escape of roff. */
static void roff(const char *text)
{
	bool begin = true;

	for (const char *p = text; *p != '\0'; p++) {
		if (begin && (*p == '.' || *p == '\''))
			(void)fputs("\\&", stdout);
		if (*p == '\\')
			(void)fputs("\\e", stdout);
		else if (*p == '-')
			(void)fputs("\\-", stdout);
		else if (*p == '\'')
			(void)fputs("\\(aq", stdout);
		else
			(void)putchar(*p);
		begin = *p == '\n';
	}
}

static void man_options(const struct opt *table)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
		(void)fputs(".TP\n.B ", stdout);
		if (o->letter != '\0')
			(void)printf("\\-%c, ", o->letter);
		(void)fputs("\\-\\-", stdout);
		roff(o->name);
		if (o->kind != OPT_FLAG) {
			(void)putchar(' ');
			roff(o->value);
		}
		(void)putchar('\n');
		roff(o->help);
		(void)putchar('\n');
	}
}

static void man_command(const struct command *c)
{
	(void)fputs(".SS \"", stdout);
	roff(c->name);
	(void)fputs("\"\n.B weir ", stdout);
	roff(c->name);
	(void)putchar('\n');
	if (c->usage[0] != '\0') {
		roff(c->usage);
		(void)putchar('\n');
	}
	(void)fputs(".PP\n", stdout);
	roff(c->summary);
	(void)fputs(".\n", stdout);
	if (c->help[0] != '\0') {
		(void)fputs(".PP\n.nf\n", stdout);
		roff(c->help);
		(void)fputs(".fi\n", stdout);
	}
	man_options(c->options);
}

void help_man(const struct commands *all)
{
	const struct command *c;

	(void)fputs(".TH WEIR 1 \"\" \"weir " WEIR_VERSION "\" \"Weir\"\n"
		    ".SH NAME\n"
		    "weir \\- who may use an MQTT broker, and for what\n"
		    ".SH SYNOPSIS\n"
		    ".B weir\n"
		    "[\\-\\-state DIR] [\\-\\-ca DIR] [\\-\\-json] CMD \\&...\n"
		    ".PP\n"
		    ".B weir help\n"
		    "[CMD]\n"
		    ".SH DESCRIPTION\n"
		    "Keeps the registry of devices, their certificates and the "
		    "policy by which the\nMosquitto plugin mosquitto_weir.so "
		    "judges them.\n"
		    ".SH OPTIONS OF EVERY COMMAND\n",
		stdout);
	man_options(CLI_OPTIONS);
	(void)fputs(".SH COMMANDS\n", stdout);
	for (size_t i = 0; (c = command_at(all, i)) != NULL && output_ok(); i++)
		man_command(c);
	(void)fputs(
		".SH EXIT STATUS\n"
		".TP\n.B 0\ndone\n"
		".TP\n.B 1\nthe answer is no\n"
		".TP\n.B 2\nusage or input error\n"
		".TP\n.B 3\nenvironment: a file, a permission, a disk, a lock\n"
		".SH ENVIRONMENT\n"
		".TP\n.B WEIR_STATE\nthe state directory\n"
		".TP\n.B WEIR_METER\nthe meter's file\n"
		".TP\n.B WEIR_CA\nthe folder of the CA\n"
		".SH SEE ALSO\n"
		".BR mosquitto (8),\n.BR mosquitto.conf (5)\n",
		stdout);
}

/* ------------------------------------------------------------ bash completion */

/* How the value of an option is completed; by what help calls it. */
static const char *value_kind(const struct opt *o)
{
	if (o->kind == OPT_FLAG)
		return NULL;
	if (strcmp(o->value, "DIR") == 0)
		return "-d";
	if (strstr(o->value, "FILE") != NULL)
		return "-f";
	return "";
}

static void option_names(const struct opt *table)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++)
		(void)printf(" --%s", o->name);
}

static bool table_has(const struct opt *table, const struct opt *o)
{
	for (; table != NULL && table->name != NULL; table++) {
		if (table->kind != OPT_FLAG &&
			strcmp(table->name, o->name) == 0)
			return true;
	}
	return false;
}

/* A command before the I-th has an option of O's name. */
static bool named_before(
	const struct commands *all, size_t i, const struct opt *o)
{
	const struct command *c;

	for (size_t k = 0; k < i && (c = command_at(all, k)) != NULL; k++) {
		if (table_has(c->options, o))
			return true;
	}
	return false;
}

/* "--out | --wait": those of the I-th command's options that take a value of
 * that KIND, NULL: any, and are new. */
static void option_cases(const struct commands *all, size_t i,
	const struct command *c, const char *kind)
{
	for (const struct opt *o = c->options; o != NULL && o->name != NULL;
		o++) {
		const char *own = value_kind(o);

		if (own == NULL || (kind != NULL && strcmp(own, kind) != 0) ||
			named_before(all, i, o))
			continue;
		(void)printf(" | --%s", o->name);
		if (o->letter != '\0')
			(void)printf(" | -%c", o->letter);
	}
}

/* A case for every option of that KIND, of all commands: a name means the
 * same everywhere as far as its value goes. FIRST is one of them. */
static void option_line(const struct commands *all, const char *kind,
	const char *first, const char *action)
{
	const struct command *c;

	(void)printf("\t%s", first);
	for (size_t i = 0; (c = command_at(all, i)) != NULL; i++)
		option_cases(all, i, c, kind);
	(void)printf(") %s ;;\n", action);
}

static void group_words(const struct commands *all, const struct command *of)
{
	int n = first_word(of);
	const struct command *c;

	for (size_t i = 0; (c = command_at(all, i)) != NULL; i++) {
		if (first_word(c) == n && c->name[n] == ' ' &&
			strncmp(c->name, of->name, (size_t)n) == 0)
			(void)printf(" %s", c->name + n + 1);
	}
}

/* The words that come first, and those that follow one. */
static void completion_words(const struct commands *all)
{
	const struct command *c;

	(void)fputs("\tcase $first in\n\t'' | help) next='help", stdout);
	for (size_t i = 0; (c = command_at(all, i)) != NULL; i++) {
		if (starts_group(all, i, c))
			(void)printf(" %.*s", first_word(c), c->name);
	}
	(void)fputs("' ;;\n", stdout);
	for (size_t i = 0; (c = command_at(all, i)) != NULL; i++) {
		if (c->name[first_word(c)] == '\0' || !starts_group(all, i, c))
			continue;
		(void)printf("\t%.*s) next='", first_word(c), c->name);
		group_words(all, c);
		(void)fputs("' ;;\n", stdout);
	}
	(void)fputs("\tesac\n", stdout);
}

static void completion_commands(const struct commands *all)
{
	const struct command *c;

	(void)fputs("\tcase $name in\n", stdout);
	for (size_t i = 0; (c = command_at(all, i)) != NULL; i++) {
		bool file = strstr(c->usage, "FILE") != NULL ||
			    strstr(c->usage, "PATH") != NULL ||
			    strstr(c->usage, "OLD NEW") != NULL ||
			    strstr(c->usage, "MANIFEST") != NULL;

		(void)printf("\t'%s') next='' files='%s' options+='", c->name,
			file ? "-f" : "");
		option_names(c->options);
		(void)fputs("' ;;\n", stdout);
	}
	(void)fputs("\tesac\n", stdout);
}

void help_completion(const struct commands *all)
{
	(void)fputs("# bash completion for weir, made by: weir help "
		    "--completion\n"
		    "_weir() {\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		    "\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
		    "\tlocal i word value='' first='' name='' next='' files='' "
		    "options='",
		stdout);
	option_names(CLI_OPTIONS);
	(void)fputs("'\n\n\tCOMPREPLY=()\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tword=${COMP_WORDS[i]}\n"
		    "\t\tif [ -n \"$value\" ]; then\n"
		    "\t\t\tvalue=''\n\t\t\tcontinue\n\t\tfi\n"
		    "\t\tcase $word in\n\t",
		stdout);
	option_line(all, NULL, "--state | --ca", "value=1");
	(void)fputs("\t\t-*) ;;\n"
		    "\t\t*)\n"
		    "\t\t\tif [ -z \"$first\" ]; then\n"
		    "\t\t\t\tfirst=$word name=$word\n"
		    "\t\t\telif [ \"$name\" = \"$first\" ]; then\n"
		    "\t\t\t\tname=\"$first $word\"\n"
		    "\t\t\tfi ;;\n"
		    "\t\tesac\n\tdone\n"
		    "\tcase $prev in\n",
		stdout);
	option_line(all, "-d", "--state | --ca",
		"mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return");
	option_line(all, "-f", "--file",
		"mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return");
	option_line(all, "", "--value", "return");
	(void)fputs("\tesac\n", stdout);
	completion_words(all);
	(void)fputs("\t# A command of one word has no second word of its own.\n"
		    "\t[ -n \"$next\" ] || name=$first\n",
		stdout);
	completion_commands(all);
	(void)fputs(
		"\tcase $cur in\n"
		"\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- "
		"\"$cur\") ;;\n"
		"\t*) mapfile -t COMPREPLY < <(compgen $files -W \"$next\" -- "
		"\"$cur\") ;;\n"
		"\tesac\n"
		"}\n"
		"complete -o filenames -F _weir weir\n",
		stdout);
}

/* ------------------------------------------------------------------------ JSON */

static void json_options(cJSON *list, const struct opt *table)
{
	for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
		char letter[] = {o->letter, '\0'};
		cJSON *one = json_new();

		json_str(one, "name", o->name);
		json_str(one, "letter", letter[0] != '\0' ? letter : NULL);
		json_str(one, "value", o->kind != OPT_FLAG ? o->value : NULL);
		json_bool(one, "repeats", o->kind == OPT_LIST);
		json_push(list, one);
	}
}

void help_json(const struct commands *all)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(all, i)) != NULL && output_ok();
		i++) {
		cJSON *o = json_new();

		json_str(o, "name", c->name);
		json_str(o, "usage", c->usage);
		json_str(o, "summary", c->summary);
		json_str(o, "help", c->help);
		json_int(o, "words_min", (int64_t)c->words_min);
		if (c->words_max == WORDS_ANY)
			json_str(o, "words_max", NULL);
		else
			json_int(o, "words_max", (int64_t)c->words_max);
		json_options(json_array(o, "options"), c->options);
		json_print(o);
	}
}
