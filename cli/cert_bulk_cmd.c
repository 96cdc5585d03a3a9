/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert bulk: keys and certificates for all devices of a file.
 *
 * Batch by batch, in the order of certs/stage.h and certs/bundle.h: what was
 * made is written under a name of its own and made durable, then devices and
 * certificates are registered in one change, then it gets its name. So a run
 * that was killed is taken up by the same command: a line whose certificate is
 * there and registered is done, one that is registered and lacks only the name
 * gets it, and anything else is made anew.
 */
#include "certs/bulk.h"
#include "certs/bundle.h"
#include "certs/pem_file.h"
#include "certs/stage.h"
#include "cli/ca_dir.h"
#include "cli/ca_open.h"
#include "cli/cert_cmd.h"
#include "cli/failed_file.h"
#include "cli/id_set.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "io/fleet_file.h"
#include "io/registry_import.h"
#include "io/values.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A batch is as large as what a second does, which is what a kill may cost. A
 * large one spares the registry much, for it writes each page of its indexes
 * but once, wherever in them the certificates fall. */
#define BATCH_MIN 512
#define BATCH_MAX 16384
#define BATCH_MS  1000

struct bulk {
	const struct cli *c;
	const char *dir;
	struct bulk_work work;
	struct ca *ca;
	struct fleet_file *file;
	struct registry *r;
	int lock;
	struct bundle *bundle; /* NULL: files for each */
	struct id_set bundled; /* who is in one, and registered */
	struct progress progress;
	uint64_t issued, before;
	struct failed_file failed;
	struct fleet_entry entries[BATCH_MAX];
	struct bulk_item items[BATCH_MAX];
	struct id_set ids; /* of the batch */
	size_t n, limit;
};

static void show(struct bulk *b)
{
	progress_show(
		&b->progress, b->issued + b->before + b->failed.n, b->file);
}

/* -------------------------------------------------------------------- batch */

static void batch_clear(struct bulk *b)
{
	for (size_t i = 0; i < b->n; i++) {
		fleet_entry_fini(&b->entries[i]);
		bulk_item_fini(&b->items[i]);
	}
	id_set_clear(&b->ids);
	b->n = 0;
}

/* The certificate of item I becomes one of its device's. APART: where it
 * cannot, the rest stays. */
static bool enter(struct bulk *b, size_t i, bool apart, struct err *e)
{
	struct fleet_entry *x = &b->entries[i];
	struct import_outcome o;

	if (x->credentials == NULL)
		x->credentials = need_memory(1, sizeof(*x->credentials));
	x->credentials[0] = b->items[i].credential;
	x->n_credentials = 1;
	return apart ? registry_import_try(b->r, x, IMPORT_MATCH, &o, e)
		     : registry_import(b->r, x, IMPORT_MATCH, &o, e);
}

/* Opens a change and enters what was issued. APART: an item that fails is not
 * done; else the first that fails ends it. */
static bool enter_all(struct bulk *b, bool apart, struct err *e)
{
	struct bulk_audit a = {.action = "cert.bulk"};

	if (!cli_begin(b->c, b->r, e) || !ca_dir_record(b->c, b->r, e) ||
		!registry_bulk_begin(b->r, e))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		struct bulk_item *item = &b->items[i];

		if (!item->done)
			continue;
		if (!enter(b, i, apart, &item->e)) {
			*e = item->e;
			if (!apart || e->code == ERR_ENVIRONMENT)
				return false;
			item->done = false;
		}
		a.devices += item->done;
		a.credentials += item->done;
	}
	return registry_bulk_end(b->r, &a, e);
}

/* To let each fail by itself costs a third more: only where one does. */
static bool enter_some(struct bulk *b, struct err *e)
{
	if (enter_all(b, false, e))
		return true;
	if (e->code == ERR_ENVIRONMENT)
		return false;
	registry_rollback(b->r);
	return enter_all(b, true, e);
}

/* What is registered by the change that is open is on disk. */
static bool keep(struct bulk *b, struct err *e)
{
	if (b->bundle == NULL)
		return true;
	for (size_t i = 0; i < b->n; i++) {
		const struct bulk_item *item = &b->items[i];

		if (item->done &&
			!bundle_add(b->bundle,
				(struct str){item->line, item->line_n}, e))
			return false;
	}
	return bundle_sync(b->bundle, e);
}

static bool issue(struct bulk *b, struct err *e)
{
	int64_t seq;

	return bulk_issue(&b->work, b->items, b->n, e) &&
	       (b->bundle != NULL || pem_sync(b->dir, e)) && enter_some(b, e) &&
	       keep(b, e) && registry_commit(b->r, &seq, e);
}

static bool publish(struct bulk *b, struct err *e)
{
	if (b->bundle != NULL && !bundle_publish(b->bundle, e))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		const struct fleet_entry *x = &b->entries[i];
		const struct bulk_item *item = &b->items[i];

		if (!item->done) {
			if (b->bundle == NULL)
				stage_drop(b->dir, x->device.id);
			if (!failed_note(&b->failed, x->line, x->device.id,
				    &item->e, e))
				return false;
			continue;
		}
		if (b->bundle != NULL)
			(void)id_set_add(&b->bundled, x->device.id);
		else if (!stage_publish(b->dir, x->device.id, e))
			return false;
		b->issued++;
	}
	return true;
}

/* Nothing of the batch is registered: nothing of it is left. */
static void drop(struct bulk *b)
{
	registry_rollback(b->r);
	if (b->bundle != NULL)
		bundle_drop(b->bundle);
	for (size_t i = 0; b->bundle == NULL && i < b->n; i++)
		stage_drop(b->dir, b->entries[i].device.id);
}

static void adjust(struct bulk *b, int64_t took_ms)
{
	if (took_ms > BATCH_MS && b->limit > BATCH_MIN)
		b->limit /= 2;
	else if (took_ms < BATCH_MS / 2 && b->limit < BATCH_MAX &&
		 b->n == b->limit)
		b->limit *= 2;
}

static bool flush(struct bulk *b, struct err *e)
{
	int64_t from = progress_ms(&b->progress);
	bool done;

	if (b->n == 0)
		return true;
	done = issue(b, e);
	if (!done)
		drop(b);
	done = done && publish(b, e);
	adjust(b, progress_ms(&b->progress) - from);
	batch_clear(b);
	show(b);
	return done;
}

/* -------------------------------------------------------------------- lines */

/* The certificate FINGERPRINT is registered, to device ID. */
static bool is_registered(struct bulk *b,
	const uint8_t fingerprint[static FINGERPRINT_LEN], const char *id,
	bool *out, struct err *e)
{
	struct credential cr;
	bool found = false;

	if (!registry_credential(b->r, fingerprint, &cr, &found, e))
		return false;
	*out = found && strcmp(cr.device_id, id) == 0;
	return true;
}

/* Of a bundle's line: see bundle_seen. */
static bool seen(void *ctx, const char *id,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool *registered,
	struct err *e)
{
	struct bulk *b = ctx;

	if (!is_registered(b, fingerprint, id, registered, e))
		return false;
	if (*registered)
		(void)id_set_add(&b->bundled, id);
	return true;
}

/* CERT, of ID's file, is registered; NULL: the file holds none. */
static bool is_entered(
	struct bulk *b, X509 *cert, const char *id, bool *out, struct err *e)
{
	struct certificate c;

	*out = false;
	return cert == NULL ||
	       (x509_read(cert, &c, e) &&
		       is_registered(b, c.fingerprint, id, out, e));
}

/* Whether a run before this one has done X's line; *why: it cannot be done. */
static bool look(struct bulk *b, const struct fleet_entry *x, bool *done,
	struct err *why, struct err *e)
{
	const char *id = x->device.id;
	enum stage_found found;
	X509 *cert = NULL;
	bool ours = false, ok;

	*done = b->bundle != NULL && id_set_has(&b->bundled, id);
	if (b->bundle != NULL)
		return true;
	if (!stage_find(b->dir, id, &found, &cert, e))
		return false;
	ok = is_entered(b, cert, id, &ours, e);
	X509_free(cert);
	if (!ok)
		return false;
	if (found == STAGE_NEW && ours && !stage_publish(b->dir, id, e))
		return false;
	*done = ours;
	if (!ours && (found == STAGE_NAMED || found == STAGE_TAKEN))
		(void)err_set(why, ERR_CONFLICT,
			"%.160s/%s.%s exists already, and is not of a "
			"certificate registered to the device; it is not "
			"overwritten",
			b->dir, id, found == STAGE_NAMED ? "crt" : "key");
	return true;
}

/* X is taken, on failure too. */
static bool line(struct bulk *b, struct fleet_entry *x, struct err *e)
{
	const char *id = x->device.id;
	struct err why = {.code = ERR_NONE};
	bool done = false;

	/* The second of an id then finds the first done. */
	if ((b->n == b->limit || id_set_has(&b->ids, id)) && !flush(b, e))
		goto fail;
	if (!look(b, x, &done, &why, e))
		goto fail;
	if (!done && why.code == ERR_NONE) {
		(void)id_set_add(&b->ids, id);
		b->entries[b->n] = *x;
		b->items[b->n] = (struct bulk_item){
			.device = &b->entries[b->n].device, .csr = x->csr};
		b->n++;
		return true;
	}
	b->before += done;
	if (!done && !failed_note(&b->failed, x->line, id, &why, e))
		goto fail;
	fleet_entry_fini(x);
	show(b);
	return true;
fail:
	fleet_entry_fini(x);
	return false;
}

static bool all_lines(struct bulk *b, struct err *e)
{
	struct fleet_entry x;
	struct err why = {.code = ERR_NONE};
	bool end = false, ok = true;

	while (ok) {
		bool read = fleet_next(b->file, &x, &end, &why);

		if (read && end)
			break;
		if (read) {
			ok = line(b, &x, e);
		} else if (why.code == ERR_ENVIRONMENT) {
			*e = why;
			ok = false;
		} else {
			ok = failed_note(&b->failed, why.line, "", &why, e);
		}
	}
	ok = ok && flush(b, e) && pem_sync(b->dir, e);
	batch_clear(b);
	return ok;
}

/* --------------------------------------------------------------------- run */

static bool read_jobs(const struct cli *c, unsigned *out, struct err *e)
{
	const char *jobs = args_get(c->args, "jobs");
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = online > 0 ? online : 1;

	if (n > BULK_JOBS_MAX)
		n = BULK_JOBS_MAX;
	if (jobs != NULL && !number_parse("--jobs", str_from(jobs), 1,
				    BULK_JOBS_MAX, &n, e))
		return false;
	*out = (unsigned)n;
	return true;
}

static bool read_options(const struct cli *c, struct bulk *b, struct err *e)
{
	const char *days = args_get(c->args, "days");
	const char *type = args_get(c->args, "key-type");
	int64_t n = DEVICE_DAYS_DEFAULT;

	b->dir = args_get(c->args, "out");
	if (b->dir == NULL)
		return err_set(e, ERR_INPUT,
			"where to? Give --out DIR, and the same again to take "
			"up a run that was stopped");
	if ((days != NULL && !number_parse("--days", str_from(days), 1,
				     CERT_DAYS_MAX, &n, e)) ||
		(type != NULL && !key_type_parse(str_from(type),
					 &b->work.key_type, e)) ||
		!read_jobs(c, &b->work.jobs, e))
		return false;
	b->work.options.now_s = c->now_s;
	b->work.options.days = (int)n;
	b->work.options.sim_in_cert = args_has(c->args, "sim-in-cert");
	return failed_init(&b->failed, b->dir, e);
}

/* One way for each folder: else a run that is taken up with the other would
 * issue everything once more. */
static bool open_out(const struct cli *c, struct bulk *b, struct err *e)
{
	bool bundle = args_has(c->args, "bundle");
	enum bundle_kind found;

	if (!dir_make(b->dir, e) || !stage_lock(b->dir, &b->lock, e) ||
		!bundle_look(b->dir, &found, e))
		return false;
	if (found == (bundle ? BUNDLE_FILES : BUNDLE_LINES))
		return err_set(e, ERR_INPUT,
			"%.160s holds %s; %s, or choose another folder", b->dir,
			bundle ? "certificates in files of their own"
			       : "bundles",
			bundle ? "leave --bundle out" : "give --bundle");
	if (bundle)
		return bundle_open(b->dir, seen, b, &b->bundle, e);
	b->work.dir = b->dir;
	return true;
}

static bool start(struct cli *c, struct bulk *b, struct err *e)
{
	if (!read_options(c, b, e) || !cli_ca_open(c, &b->ca, e) ||
		!fleet_open(cli_word(c, 0).p, FLEET_BULK,
			args_has(c->args, "any-check-digit"), &b->file, e) ||
		!cli_registry(c, REGISTRY_WRITE, &b->r, e) ||
		!open_out(c, b, e))
		return false;
	b->work.ca = b->ca;
	return true;
}

static void print_result(const struct bulk *b)
{
	double s = (double)progress_ms(&b->progress) / 1000.0;
	double rate = s > 0 ? (double)b->issued / s : 0;
	cJSON *o;

	if (b->c->json) {
		o = json_new();
		json_int(o, "issued", (int64_t)b->issued);
		json_int(o, "done_before", (int64_t)b->before);
		json_int(o, "failed", (int64_t)b->failed.n);
		json_str(o, "failed_file",
			b->failed.n != 0 ? b->failed.path : NULL);
		json_int(o, "elapsed_ms", progress_ms(&b->progress));
		json_print(o);
		return;
	}
	(void)printf("certificates: %" PRIu64 " issued (%.0f/s), %" PRIu64
		     " there before, %" PRIu64 " failed\n",
		b->issued, rate, b->before, b->failed.n);
	if (b->failed.n != 0)
		(void)printf("see %s\n", b->failed.path);
}

static void bulk_free(struct bulk *b)
{
	failed_fini(&b->failed);
	fleet_close(&b->file);
	bundle_close(&b->bundle);
	registry_close(&b->r);
	stage_unlock(b->lock);
	ca_free(&b->ca);
	id_set_fini(&b->bundled);
	id_set_fini(&b->ids);
	free(b);
}

bool run_cert_bulk(struct cli *c, struct err *e)
{
	struct bulk *b = need_memory(1, sizeof(*b));
	bool done;

	b->c = c;
	b->lock = -1;
	b->limit = BATCH_MIN;
	progress_start(&b->progress, "certificates");
	done = start(c, b, e);
	if (done) {
		done = all_lines(b, e) && failed_finish(&b->failed, e);
		progress_clear(&b->progress);
		if (!done && b->issued != 0)
			print_note("%" PRIu64 " certificates are issued and "
				   "registered; the same command goes on",
				b->issued);
	}
	if (done) {
		print_result(b);
		c->answer_no = b->failed.n != 0;
	}
	bulk_free(b);
	return done;
}
