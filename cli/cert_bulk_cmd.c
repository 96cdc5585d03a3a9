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
#include "certs/pem_file.h"
#include "certs/stage.h"
#include "cli/bulk_batch.h"
#include "cli/ca_open.h"
#include "cli/cert_cmd.h"
#include "cli/failed_file.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "io/values.h"
#include "io/x509.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MS 1000

/* While one batch is issued, the one before it is registered by a thread of its
 * own: the closer. */
struct bulk {
	const struct cli *c;
	struct bulk_work work;
	struct ca *ca;
	struct fleet_file *file;
	int lock;
	struct batch_end end;
	struct id_set bundled; /* who is in a bundle, and registered */
	struct progress progress;
	uint64_t issued, before;
	struct failed_file failed;
	size_t limit; /* of a batch */
	struct batch *filling, *closing;
	bool closes;   /* CLOSING was given to the closer */
	bool threaded; /* which is not joined yet */
	pthread_t closer;
	bool closed; /* what the closer says */
	struct err closer_e;
};

static void show(struct bulk *b)
{
	progress_show(
		&b->progress, b->issued + b->before + b->failed.n, b->file);
}

/* ------------------------------------------------------------------- closer */

static void *closer(void *arg)
{
	struct bulk *b = arg;
	int64_t from = progress_ms(&b->progress);

	b->closed = batch_close(&b->end, b->closing, &b->closer_e);
	b->closing->ms += progress_ms(&b->progress) - from;
	return NULL;
}

static void adjust(struct bulk *b, const struct batch *x)
{
	if (x->ms > BATCH_MS && b->limit > BATCH_MIN)
		b->limit /= 2;
	else if (x->ms < BATCH_MS / 2 && b->limit < BATCH_MAX &&
		 x->n == b->limit)
		b->limit *= 2;
}

/* What the closer did, counted, and noted where it failed. */
static bool count(struct bulk *b, const struct batch *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct fleet_entry *entry = &x->entries[i];
		const struct bulk_item *item = &x->items[i];

		if (!item->done) {
			if (!failed_note(&b->failed, entry->line,
				    entry->device.id, &item->e, e))
				return false;
			continue;
		}
		if (b->end.bundle != NULL)
			(void)id_set_add(&b->bundled, entry->device.id);
		b->issued++;
	}
	return true;
}

/* Waits for the closer, if there is one. From then until the next flush the
 * registry is this thread's. */
static bool settle(struct bulk *b, struct err *e)
{
	bool done;

	if (!b->closes)
		return true;
	if (b->threaded)
		(void)pthread_join(b->closer, NULL);
	b->threaded = false;
	b->closes = false;
	done = b->closed;
	if (!done)
		*e = b->closer_e;
	else
		done = count(b, b->closing, e);
	adjust(b, b->closing);
	batch_clear(b->closing);
	show(b);
	return done;
}

/* Issues what is there, and leaves the rest to the closer. */
static bool flush(struct bulk *b, struct err *e)
{
	struct batch *x = b->filling;
	int64_t from = progress_ms(&b->progress);
	bool issued;

	if (x->n == 0)
		return true;
	issued = bulk_issue(&b->work, x->items, x->n, e);
	x->ms = progress_ms(&b->progress) - from;
	if (!settle(b, e) || !issued) {
		batch_drop(&b->end, x);
		return false;
	}
	b->filling = b->closing;
	b->closing = x;
	b->closes = true;
	b->threaded = pthread_create(&b->closer, NULL, closer, b) == 0;
	if (!b->threaded)
		(void)closer(b);
	return true;
}

/* -------------------------------------------------------------------- lines */

/* The certificate FINGERPRINT is registered, to device ID. */
static bool is_registered(struct bulk *b,
	const uint8_t fingerprint[static FINGERPRINT_LEN], const char *id,
	bool *out, struct err *e)
{
	struct credential cr;
	bool found = false;

	if (!registry_credential(b->end.r, fingerprint, &cr, &found, e))
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

	*done = b->end.bundle != NULL && id_set_has(&b->bundled, id);
	if (b->end.bundle != NULL)
		return true;
	if (!stage_find(b->end.dir, id, &found, &cert, e))
		return false;
	ok = (cert == NULL || settle(b, e)) &&
	     is_entered(b, cert, id, &ours, e);
	X509_free(cert);
	if (!ok)
		return false;
	if (found == STAGE_NEW && ours && !stage_publish(b->end.dir, id, e))
		return false;
	*done = ours;
	if (!ours && (found == STAGE_NAMED || found == STAGE_TAKEN))
		(void)err_set(why, ERR_CONFLICT,
			"%.160s/%s.%s exists already, and is not of a "
			"certificate registered to the device; it is not "
			"overwritten",
			b->end.dir, id, found == STAGE_NAMED ? "crt" : "key");
	return true;
}

/* X is taken, on failure too. */
static bool line(struct bulk *b, struct fleet_entry *x, struct err *e)
{
	const char *id = x->device.id;
	struct err why = {.code = ERR_NONE};
	bool done = false;

	if (b->filling->n >= b->limit && !flush(b, e))
		goto fail;
	/* The second of an id then finds the first done. */
	if (id_set_has(&b->filling->ids, id) && !flush(b, e))
		goto fail;
	if (id_set_has(&b->closing->ids, id) && !settle(b, e))
		goto fail;
	if (!look(b, x, &done, &why, e))
		goto fail;
	if (!done && why.code == ERR_NONE) {
		batch_add(b->filling, x);
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
	ok = ok && flush(b, e);
	/* Also after a failure: the closer is not to be left alone. */
	ok = settle(b, ok ? e : &why) && ok;
	return ok && pem_sync(b->end.dir, e);
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

	b->end.dir = args_get(c->args, "out");
	if (b->end.dir == NULL)
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
	return failed_init(&b->failed, b->end.dir, e);
}

/* One way for each folder: else a run that is taken up with the other would
 * issue everything once more. */
static bool open_out(const struct cli *c, struct bulk *b, struct err *e)
{
	bool bundle = args_has(c->args, "bundle");
	enum bundle_kind found;

	if (!dir_make(b->end.dir, e) || !stage_lock(b->end.dir, &b->lock, e) ||
		!bundle_look(b->end.dir, &found, e))
		return false;
	if (found == (bundle ? BUNDLE_FILES : BUNDLE_LINES))
		return err_set(e, ERR_INPUT,
			"%.160s holds %s; %s, or choose another folder",
			b->end.dir,
			bundle ? "certificates in files of their own"
			       : "bundles",
			bundle ? "leave --bundle out" : "give --bundle");
	if (bundle)
		return bundle_open(b->end.dir, seen, b, &b->end.bundle, e);
	b->work.dir = b->end.dir;
	return true;
}

static bool start(struct cli *c, struct bulk *b, struct err *e)
{
	if (!read_options(c, b, e) || !cli_ca_open(c, &b->ca, e) ||
		!fleet_open(cli_word(c, 0).p, FLEET_BULK,
			args_has(c->args, "any-check-digit"), &b->file, e) ||
		!cli_registry(c, REGISTRY_WRITE, &b->end.r, e) ||
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

static void batch_free(struct batch *x)
{
	batch_clear(x);
	id_set_fini(&x->ids);
	free(x);
}

static void bulk_free(struct bulk *b)
{
	failed_fini(&b->failed);
	fleet_close(&b->file);
	bundle_close(&b->end.bundle);
	registry_close(&b->end.r);
	batch_free(b->filling);
	batch_free(b->closing);
	stage_unlock(b->lock);
	ca_free(&b->ca);
	id_set_fini(&b->bundled);
	free(b);
}

bool run_cert_bulk(struct cli *c, struct err *e)
{
	struct bulk *b = need_memory(1, sizeof(*b));
	bool done;

	b->c = c;
	b->end.c = c;
	b->filling = need_memory(1, sizeof(*b->filling));
	b->closing = need_memory(1, sizeof(*b->closing));
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
		if (!done && registry_in_doubt(b->end.r))
			print_note("what was made last stays in %s under .new "
				   "names: the same command finds out whether "
				   "it is registered",
				b->end.dir);
	}
	if (done) {
		print_result(b);
		c->answer_no = b->failed.n != 0;
	}
	bulk_free(b);
	return done;
}
