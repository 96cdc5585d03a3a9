/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device import: all devices of a file in one change, or none.
 */
#include "cli/device_file_cmd.h"

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/wait.h"
#include "io/fleet_file.h"
#include "io/registry_import.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 32 /* that are looked up in the policy */

struct import {
	const struct cli *c;
	struct fleet_file *file;
	struct registry *r;
	enum import_rule rule;
	struct progress progress;
	uint64_t added, changed, same, certs_added, certs_revoked;
	uint64_t status_kept, certs_kept;
	char classes[CLASSES_MAX][CLASS_NAME_MAX + 1];
	size_t n_classes;
	size_t n_errors;
	struct err last; /* of them; the others are printed */
	uint8_t digest[FINGERPRINT_LEN];
	struct change_range range;
};

static void note_class(struct import *i, const char *name)
{
	size_t k = 0;

	while (k < i->n_classes && strcmp(i->classes[k], name) != 0)
		k++;
	if (k == i->n_classes && k < CLASSES_MAX && name[0] != '\0')
		(void)snprintf(i->classes[i->n_classes++], CLASS_NAME_MAX + 1,
			"%s", name);
}

static void warn_kept(struct import *i, const struct fleet_entry *x,
	const struct import_outcome *o)
{
	bool say = i->status_kept + i->certs_kept < ERRS_MAX;

	i->status_kept += o->status_kept;
	i->certs_kept += o->certs_kept;
	if (!say || (!o->status_kept && o->certs_kept == 0))
		return;
	progress_clear(&i->progress);
	if (o->status_kept)
		print_note("warning: line %" PRIu32 ": device '%s' keeps its "
			   "stricter status; weir release ends one",
			x->line, x->device.id);
	if (o->certs_kept != 0)
		print_note("warning: line %" PRIu32 ": device '%s': what is "
			   "revoked stays revoked (%u)",
			x->line, x->device.id, o->certs_kept);
}

static bool take(struct import *i, const struct fleet_entry *x, struct err *e)
{
	struct import_outcome o;

	if (!registry_import(i->r, x, i->rule, &o, e))
		return fleet_at(i->file, x->line, e);
	i->added += o.added;
	i->changed += o.changed;
	i->same += !o.added && !o.changed;
	i->certs_added += o.certs_added;
	i->certs_revoked += o.certs_revoked;
	warn_kept(i, x, &o);
	note_class(i, x->device.class_name);
	return true;
}

/* A line is wrong; the others are looked at for their errors. False: no more
 * of them. */
static bool note_error(struct import *i, const struct err *e)
{
	progress_clear(&i->progress);
	if (i->n_errors++ != 0)
		print_err(&i->last);
	i->last = *e;
	return e->code != ERR_ENVIRONMENT && i->n_errors < ERRS_MAX;
}

/* All lines, as far as there is sense in it. */
static void take_all(struct import *i)
{
	struct fleet_entry x;
	struct err e = {0};
	bool end = false, more = true;

	for (uint64_t n = 0; more; n++) {
		bool done = fleet_next(i->file, &x, &end, &e);

		if (done && end)
			break;
		if (done) {
			done = take(i, &x, &e);
			fleet_entry_fini(&x);
		}
		more = done || note_error(i, &e);
		progress_show(&i->progress, n, i->file);
	}
	progress_clear(&i->progress);
	if (!more && i->last.code != ERR_ENVIRONMENT)
		print_note(
			"%d errors; what follows was not looked at", ERRS_MAX);
}

static bool audit(struct import *i, struct err *e)
{
	struct bulk_audit a = {
		.action = "device.import",
		.devices = (int64_t)(i->added + i->changed),
		.credentials = (int64_t)(i->certs_added + i->certs_revoked),
		.digest = i->digest,
	};

	return fleet_digest(i->file, i->digest, e) &&
	       registry_bulk_end(i->r, &a, e);
}

static bool commit(struct import *i, struct err *e)
{
	struct registry_heads heads;

	if (!registry_heads(i->r, &heads, e) || !registry_bulk_begin(i->r, e))
		return false;
	i->range.after = heads.change_seq;
	take_all(i);
	if (i->n_errors != 0) {
		*e = i->last;
		return false;
	}
	return audit(i, e) && registry_commit(i->r, &i->range.last, e);
}

static void print_json(const struct import *i, const struct wait_result *w)
{
	cJSON *o = json_new();
	char hex[FINGERPRINT_HEX];

	fingerprint_format(i->digest, hex);
	json_int(o, "added", (int64_t)i->added);
	json_int(o, "changed", (int64_t)i->changed);
	json_int(o, "unchanged", (int64_t)i->same);
	json_int(o, "credentials_added", (int64_t)i->certs_added);
	json_int(o, "credentials_revoked", (int64_t)i->certs_revoked);
	json_int(o, "status_kept", (int64_t)i->status_kept);
	json_int(o, "credentials_kept", (int64_t)i->certs_kept);
	json_str(o, "file_sha256", hex);
	if (w != NULL)
		wait_json(o, w);
	json_print(o);
}

static void print_result(const struct import *i, const struct wait_result *w)
{
	if (i->c->json) {
		print_json(i, w);
		return;
	}
	(void)printf("devices: %" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
		     " as before; certificates: %" PRIu64 " added, %" PRIu64
		     " revoked\n",
		i->added, i->changed, i->same, i->certs_added,
		i->certs_revoked);
	if (i->status_kept + i->certs_kept != 0)
		(void)printf("stricter than in the file, and kept so: %" PRIu64
			     " devices, %" PRIu64 " certificates\n",
			i->status_kept, i->certs_kept);
	if (w != NULL)
		wait_print(w);
}

static bool finish(struct import *i, bool wait, int64_t wait_s, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	bool done;

	if (wait && !wait_changes(i->c, i->r, i->range, wait_s, &w, e))
		return false;
	print_result(i, wait ? &w : NULL);
	for (size_t k = 0; k < i->n_classes; k++)
		warn_unless_class(i->r, i->classes[k]);
	done = wait_finish(&w, e);
	wait_fini(&w);
	return done;
}

bool run_device_import(struct cli *c, struct err *e)
{
	struct import *i = need_memory(1, sizeof(*i));
	int64_t wait_s;
	bool wait, done;

	i->c = c;
	i->rule = args_has(c->args, "upsert") ? IMPORT_UPSERT : IMPORT_NEW;
	progress_start(&i->progress, "devices");
	done = wait_option(c, &wait, &wait_s, e) &&
	       fleet_open(cli_word(c, 0).p, FLEET_IMPORT,
		       args_has(c->args, "any-check-digit"), &i->file, e) &&
	       cli_registry_begin(c, &i->r, e) && commit(i, e) &&
	       finish(i, wait, wait_s, e);
	fleet_close(&i->file);
	registry_close(&i->r);
	free(i);
	return done;
}

const struct opt DEVICE_IMPORT_OPTIONS[] = {
	{"upsert", '\0', OPT_FLAG, NULL,
		"devices that are registered become what the file says"},
	{"any-check-digit", '\0', OPT_FLAG, NULL,
		"admit an ICCID whose check digit is wrong"},
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};
