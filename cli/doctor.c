/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "cli/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 1024

static const char *const NAMES[SEVERITIES] = {
	[SEVERITY_ERROR] = "error",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_NOTE] = "note",
};

static void print_json(enum severity s, const char *check, const char *place,
	const char *message, const char *remedy)
{
	cJSON *o = json_new();

	json_str(o, "severity", NAMES[s]);
	json_str(o, "check", check);
	json_str(o, "place", place);
	json_str(o, "message", message);
	json_str(o, "remedy", remedy);
	json_print(o);
}

static void print_person(enum severity s, const char *check, const char *place,
	const char *message, const char *remedy)
{
	(void)printf("%s: ", NAMES[s]);
	print_text(stdout, place);
	(void)printf(": ");
	print_text(stdout, message);
	(void)printf(" [%s]\n    do: ", check);
	print_text(stdout, remedy);
	(void)putchar('\n');
}

void doctor_find(struct doctor *d, enum severity s, const char *check,
	const char *place, const char *remedy, const char *fmt, ...)
{
	char message[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	d->n[s]++;
	if (d->c->json)
		print_json(s, check, place, message, remedy);
	else
		print_person(s, check, place, message, remedy);
}

void doctor_place(const struct broker_conf *conf, const struct broker_line *l,
	char out[static PLACE_MAX])
{
	(void)snprintf(
		out, PLACE_MAX, "%s:%" PRIu32, conf->files[l->file], l->line);
}
