/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert bulk: keys and certificates for all devices of a file.
 *
 * Batch by batch, in the order of certs/stage.h: files are written under a name
 * of their own and made durable, then devices and certificates are registered
 * in one change, then the files get their names. So a run that was killed is
 * taken up by the same command: a line whose certificate is there and
 * registered is done, one that is registered and lacks only the name gets it,
 * and anything else is made anew.
 */
#include "certs/bulk.h"
#include "certs/pem_file.h"
#include "certs/stage.h"
#include "cli/ca_dir.h"
#include "cli/ca_open.h"
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "core/csv.h"
#include "io/file.h"
#include "io/fleet_file.h"
#include "io/registry_import.h"
#include "io/values.h"
#include "io/x509.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a kill may cost, against two waits for the disk. */
#define BATCH 512

struct bulk {
	const struct cli *c;
	struct bulk_work work;
	struct ca *ca;
	struct fleet_file *file;
	struct registry *r;
	int lock;
	struct progress progress;
	uint64_t issued, before, failed;
	char *failed_path,
		*failed_new; /* DIR/failed.csv, and until it is whole */
	FILE *failed_file;
	struct fleet_entry entries[BATCH];
	struct bulk_item items[BATCH];
	size_t n;
};

/* ------------------------------------------------------------------- failed */

static bool failed_err(const struct bulk *b, struct err *e)
{
	return file_err(e, "write", b->failed_new, errno);
}

static void put(FILE *out, const char *text)
{
	char field[CSV_FIELD_MAX(ERR_MSG_MAX)];
	size_t n = strlen(text) < ERR_MSG_MAX ? strlen(text) : ERR_MSG_MAX;

	n = csv_field((struct str){text, n}, field);
	(void)fwrite(field, 1, n, out);
}

/* One line of failed.csv, which is made for the first. */
static bool note_failed(struct bulk *b, uint32_t line, const char *id,
	const struct err *why, struct err *e)
{
	if (b->failed_file == NULL) {
		b->failed_file = fopen(b->failed_new, "we");
		if (b->failed_file == NULL)
			return failed_err(b, e);
		(void)fputs("line,id,error\n", b->failed_file);
	}
	b->failed++;
	(void)fprintf(b->failed_file, "%" PRIu32 ",", line);
	put(b->failed_file, id);
	(void)fputc(',', b->failed_file);
	put(b->failed_file, why->msg);
	(void)fputc('\n', b->failed_file);
	return ferror(b->failed_file) == 0 || failed_err(b, e);
}

/* This run's failures take the place of the last one's. */
static bool finish_failed(struct bulk *b, struct err *e)
{
	FILE *f = b->failed_file;

	b->failed_file = NULL;
	if (f == NULL) {
		(void)unlink(b->failed_new);
		return unlink(b->failed_path) == 0 || errno == ENOENT ||
		       file_err(e, "remove", b->failed_path, errno);
	}
	if (fclose(f) != 0 || rename(b->failed_new, b->failed_path) != 0)
		return failed_err(b, e);
	return true;
}

/* -------------------------------------------------------------------- batch */

static void batch_clear(struct bulk *b)
{
	for (size_t i = 0; i < b->n; i++)
		fleet_entry_fini(&b->entries[i]);
	b->n = 0;
}

/* The certificate of item I becomes one of its device's. */
static bool enter(struct bulk *b, size_t i, struct err *e)
{
	struct fleet_entry *x = &b->entries[i];
	struct import_outcome o;

	x->credentials = need_memory(1, sizeof(*x->credentials));
	x->credentials[0] = b->items[i].credential;
	x->n_credentials = 1;
	return registry_import_try(b->r, x, IMPORT_MATCH, &o, e);
}

/* Registers what was issued; an item whose registration fails is not done. */
static bool enter_all(struct bulk *b, struct err *e)
{
	struct bulk_audit a = {.action = "cert.bulk"};
	int64_t seq;

	if (!cli_begin(b->c, b->r, e) || !ca_dir_record(b->c, b->r, e) ||
		!registry_bulk_begin(b->r, e))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		struct bulk_item *item = &b->items[i];

		if (!item->done)
			continue;
		item->done = enter(b, i, &item->e);
		if (!item->done && item->e.code == ERR_ENVIRONMENT) {
			*e = item->e;
			return false;
		}
		a.devices += item->done;
		a.credentials += item->done;
	}
	return registry_bulk_end(b->r, &a, e) && registry_commit(b->r, &seq, e);
}

static bool publish(struct bulk *b, struct err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct fleet_entry *x = &b->entries[i];
		const struct bulk_item *item = &b->items[i];

		if (item->done) {
			if (!stage_publish(b->work.dir, x->device.id, e))
				return false;
			b->issued++;
			continue;
		}
		stage_drop(b->work.dir, x->device.id);
		if (!note_failed(b, x->line, x->device.id, &item->e, e))
			return false;
	}
	return true;
}

/* Nothing of the batch is registered: nothing of it is left. */
static void drop(struct bulk *b)
{
	registry_rollback(b->r);
	for (size_t i = 0; i < b->n; i++)
		stage_drop(b->work.dir, b->entries[i].device.id);
}

static bool flush(struct bulk *b, struct err *e)
{
	bool done = true;

	if (b->n == 0)
		return true;
	if (!bulk_issue(&b->work, b->items, b->n, e) ||
		!pem_sync(b->work.dir, e) || !enter_all(b, e)) {
		drop(b);
		done = false;
	}
	done = done && publish(b, e);
	batch_clear(b);
	progress_show(&b->progress, b->issued + b->before + b->failed, b->file);
	return done;
}

/* -------------------------------------------------------------------- lines */

/* CERT (may be NULL) is registered, to device ID. */
static bool is_registered(
	struct bulk *b, X509 *cert, const char *id, bool *out, struct err *e)
{
	struct certificate c;
	struct credential cr;
	bool found = false;

	*out = false;
	if (cert == NULL)
		return true;
	if (!x509_read(cert, &c, e) ||
		!registry_credential(b->r, c.fingerprint, &cr, &found, e))
		return false;
	*out = found && strcmp(cr.device_id, id) == 0;
	return true;
}

/* Whether a run before this one has done X's line; *why: it cannot be done. */
static bool look(struct bulk *b, const struct fleet_entry *x, bool *done,
	struct err *why, struct err *e)
{
	const char *id = x->device.id;
	enum stage_found found;
	X509 *cert = NULL;
	bool ours = false, ok;

	*done = false;
	if (!stage_find(b->work.dir, id, &found, &cert, e))
		return false;
	ok = is_registered(b, cert, id, &ours, e);
	X509_free(cert);
	if (!ok)
		return false;
	if (found == STAGE_NEW && ours && !stage_publish(b->work.dir, id, e))
		return false;
	*done = ours;
	if (!ours && (found == STAGE_NAMED || found == STAGE_TAKEN))
		(void)err_set(why, ERR_CONFLICT,
			"%.160s/%s.%s exists already, and is not of a "
			"certificate registered to the device; it is not "
			"overwritten",
			b->work.dir, id, found == STAGE_NAMED ? "crt" : "key");
	return true;
}

static bool in_batch(const struct bulk *b, const char *id)
{
	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->entries[i].device.id, id) == 0)
			return true;
	}
	return false;
}

/* X is taken, on failure too. */
static bool line(struct bulk *b, struct fleet_entry *x, struct err *e)
{
	struct err why = {.code = ERR_NONE};
	bool done = false;

	/* The second of an id then finds the first done. */
	if ((b->n == BATCH || in_batch(b, x->device.id)) && !flush(b, e))
		goto fail;
	if (!look(b, x, &done, &why, e))
		goto fail;
	if (!done && why.code == ERR_NONE) {
		b->entries[b->n] = *x;
		b->items[b->n] = (struct bulk_item){
			.device = &b->entries[b->n].device, .csr = x->csr};
		b->n++;
		return true;
	}
	b->before += done;
	if (!done && !note_failed(b, x->line, x->device.id, &why, e))
		goto fail;
	fleet_entry_fini(x);
	progress_show(&b->progress, b->issued + b->before + b->failed, b->file);
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
			ok = note_failed(b, why.line, "", &why, e);
		}
	}
	ok = ok && flush(b, e) && pem_sync(b->work.dir, e);
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

	b->work.dir = args_get(c->args, "out");
	if (b->work.dir == NULL)
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
	b->failed_path = path_join(b->work.dir, "failed", ".csv");
	b->failed_new = path_join(b->work.dir, "failed", ".csv.new");
	return (b->failed_path != NULL && b->failed_new != NULL) ||
	       err_set(e, ERR_ENVIRONMENT, "out of memory");
}

static bool start(struct cli *c, struct bulk *b, struct err *e)
{
	if (!read_options(c, b, e) || !cli_ca_open(c, &b->ca, e) ||
		!fleet_open(cli_word(c, 0).p, FLEET_BULK,
			args_has(c->args, "any-check-digit"), &b->file, e) ||
		!cli_registry(c, REGISTRY_WRITE, &b->r, e) ||
		!dir_make(b->work.dir, e) ||
		!stage_lock(b->work.dir, &b->lock, e))
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
		json_int(o, "failed", (int64_t)b->failed);
		json_str(o, "failed_file",
			b->failed != 0 ? b->failed_path : NULL);
		json_int(o, "elapsed_ms", progress_ms(&b->progress));
		json_print(o);
		return;
	}
	(void)printf("certificates: %" PRIu64 " issued (%.0f/s), %" PRIu64
		     " there before, %" PRIu64 " failed\n",
		b->issued, rate, b->before, b->failed);
	if (b->failed != 0)
		(void)printf("see %s\n", b->failed_path);
}

static void bulk_free(struct bulk *b)
{
	if (b->failed_file != NULL)
		(void)fclose(b->failed_file);
	fleet_close(&b->file);
	registry_close(&b->r);
	stage_unlock(b->lock);
	ca_free(&b->ca);
	free(b->failed_path);
	free(b->failed_new);
	free(b);
}

bool run_cert_bulk(struct cli *c, struct err *e)
{
	struct bulk *b = need_memory(1, sizeof(*b));
	bool done;

	b->c = c;
	b->lock = -1;
	progress_start(&b->progress, "certificates");
	done = start(c, b, e);
	if (done) {
		done = all_lines(b, e) && finish_failed(b, e);
		progress_clear(&b->progress);
		if (!done && b->issued != 0)
			print_note("%" PRIu64 " certificates are issued and "
				   "registered; the same command goes on",
				b->issued);
	}
	if (done) {
		print_result(b);
		c->answer_no = b->failed != 0;
	}
	bulk_free(b);
	return done;
}
