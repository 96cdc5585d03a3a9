/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert retire-old: what a device no longer uses ends, and nothing else.
 *
 * The meter tells by which certificate a device connected last. Ended is an
 * active one that was registered before that and not issued after it. So a
 * certificate that waits for its device stays, and so does every certificate
 * of a device that the meter does not know.
 */
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "io/x509.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cert_meter_open(const struct cli *c, struct segment *out, struct err *e)
{

	if (segment_open_read(c->meter, out, e))
		return true;
	if (e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s: no broker has run with this state directory, "
			"so which certificates are used is not known",
			c->meter);
	return false;
}

bool cert_last_connect(const struct segment *meter, const char *id,
	struct meter_connect *out, struct err *e)
{
	struct meter_map m = segment_map(meter);
	uint32_t slot;

	if (!segment_intact(meter))
		return err_set(e, ERR_ENVIRONMENT, "the meter was cut short");
	memset(out, 0, sizeof(*out));
	slot = meter_slot_find(m, str_from(id));
	if (slot != METER_NONE)
		meter_slot_last_connect(meter_slot_at(m, slot), out);
	return true;
}

/* ----------------------------------------------------------------------- find */

/* One that is to end. */
struct old {
	char device_id[DEVICE_ID_MAX + 1];
	uint8_t fingerprint[FINGERPRINT_LEN], in_use[FINGERPRINT_LEN];
};

struct retiring {
	const struct cli *c;
	struct registry *r;
	struct segment meter;
	size_t n, cap;
	struct old *list;
	/* The device that is looked at. */
	char device_id[DEVICE_ID_MAX + 1];
	struct credential in_use; /* status NONE: it ends nothing */
	struct err *e;
	bool failed;
};

static void note_old(struct retiring *t, const struct credential *c)
{
	struct old *o;

	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 64;
		struct old *more = need_memory(cap, sizeof(*more));

		if (t->n != 0)
			memcpy(more, t->list, t->n * sizeof(*more));
		free(t->list);
		t->list = more;
		t->cap = cap;
	}
	o = &t->list[t->n++];
	memcpy(o->device_id, c->device_id, sizeof(o->device_id));
	memcpy(o->fingerprint, c->fingerprint, FINGERPRINT_LEN);
	memcpy(o->in_use, t->in_use.fingerprint, FINGERPRINT_LEN);
}

/* Turns to device ID: what it has connected by last, if that is active and
 * its own. What the meter says is the broker's word; the registry's counts. */
static bool turn_to(struct retiring *t, const char *id)
{
	struct meter_connect last = {.t_s = 0};
	bool found = false;

	(void)snprintf(t->device_id, sizeof(t->device_id), "%s", id);
	memset(&t->in_use, 0, sizeof(t->in_use));
	if (!cert_last_connect(&t->meter, id, &last, t->e))
		return false;
	if (last.t_s == 0)
		return true;
	if (!registry_credential(
		    t->r, last.credential, &t->in_use, &found, t->e))
		return false;
	if (!found || strcmp(t->in_use.device_id, id) != 0 ||
		t->in_use.status != CREDENTIAL_ACTIVE)
		t->in_use.status = CREDENTIAL_NONE;
	return true;
}

static bool look_at(void *ctx, const struct credential *c)
{
	struct retiring *t = ctx;

	if (strcmp(t->device_id, c->device_id) != 0 &&
		!turn_to(t, c->device_id)) {
		t->failed = true;
		return false;
	}
	if (c->status == CREDENTIAL_ACTIVE &&
		t->in_use.status == CREDENTIAL_ACTIVE &&
		c->revision < t->in_use.revision &&
		c->not_before_s <= t->in_use.not_before_s)
		note_old(t, c);
	return true;
}

/* Lists anew what is to end, as R says now. */
static bool find_old(struct retiring *t, struct registry *r, struct err *e)
{
	size_t n = t->c->args->n_words;
	struct credential_filter f = {.device_id = NULL};

	t->r = r;
	t->e = e;
	t->n = 0;
	t->device_id[0] = '\0';
	for (size_t i = 0; i < (n != 0 ? n : 1); i++) {
		if (n != 0) {
			f.device_id = cli_word(t->c, i).p;
			if (!cert_need_device(r, cli_word(t->c, i), e))
				return false;
		}
		if (!registry_credentials(r, &f, look_at, t, e) || t->failed)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------ end */

static void print_ended(const struct cli *c, const struct retiring *t,
	bool wait, const struct wait_result *w)
{
	char hex[FINGERPRINT_HEX], in_use[FINGERPRINT_HEX];
	cJSON *o = NULL, *list = NULL;

	if (c->json) {
		o = json_new();
		list = json_array(o, "ended");
	} else if (t->n == 0) {
		(void)puts("no certificate to end");
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct old *old = &t->list[i];

		fingerprint_format(old->fingerprint, hex);
		fingerprint_format(old->in_use, in_use);
		if (c->json) {
			cJSON *item = json_new();

			json_str(item, "device_id", old->device_id);
			json_str(item, "fingerprint", hex);
			json_str(item, "in_use", in_use);
			json_push(list, item);
		} else {
			(void)printf("%s: certificate %s ended; it uses %s\n",
				old->device_id, hex, in_use);
		}
	}
	if (c->json && wait)
		wait_json(o, w);
	if (c->json)
		json_print(o);
	else if (wait && t->n != 0)
		wait_print(w);
}

static bool confirmed(const struct retiring *t, struct err *e)
{
	char line[16] = "";

	if (t->n <= 1 || args_has(t->c->args, "yes"))
		return true;
	if (isatty(STDIN_FILENO) != 1)
		return err_set(e, ERR_INPUT,
			"this would end %zu certificates: add --yes", t->n);
	(void)fprintf(stderr, "End %zu certificates? [y/N] ", t->n);
	if (fgets(line, sizeof(line), stdin) != NULL &&
		(line[0] == 'y' || line[0] == 'Y'))
		return true;
	return err_set(e, ERR_INPUT, "nothing was ended");
}

static bool end_all(
	struct retiring *t, struct change_range *range, struct err *e)
{
	struct registry_heads heads;

	if (!registry_heads(t->r, &heads, e))
		return false;
	range->after = heads.change_seq;
	for (size_t i = 0; i < t->n; i++) {
		if (!registry_credential_supersede(
			    t->r, t->list[i].fingerprint, e))
			return false;
	}
	return registry_commit(t->r, &range->last, e);
}

/* Asks without holding up other writers; what has come up since is not ended
 * unasked. */
static bool ask(struct retiring *t, size_t *most, struct err *e)
{
	struct registry *r = NULL;
	bool ok = cli_registry(t->c, REGISTRY_READ, &r, e) &&
		  find_old(t, r, e) && confirmed(t, e);

	*most = t->n;
	registry_close(&r);
	return ok;
}

static bool retire(struct retiring *t, struct registry **r, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	struct change_range range = {0, 0};
	int64_t wait_s = 0;
	bool wait = false, ok;
	size_t most = 0;

	if (!wait_option(t->c, &wait, &wait_s, e) || !ask(t, &most, e))
		return false;
	if (most != 0) {
		if (!cli_registry_begin(t->c, r, e) || !find_old(t, *r, e))
			return false;
		if (t->n > most)
			return err_set(e, ERR_CONFLICT,
				"more certificates can be ended than a moment "
				"ago; run it again");
		if (!end_all(t, &range, e))
			return false;
		if (wait && !wait_changes(t->c, *r, range, wait_s, &w, e))
			return false;
	}
	print_ended(t->c, t, wait && most != 0, &w);
	ok = wait_finish(&w, e);
	wait_fini(&w);
	return ok;
}

bool run_cert_retire_old(struct cli *c, struct err *e)
{
	struct retiring t = {.c = c};
	struct registry *r = NULL;
	bool ok;

	if (!args_has(c->args, "seen-new"))
		return err_set(e, ERR_INPUT,
			"which are old? Give --seen-new: those of devices that "
			"have connected by a newer one");
	ok = cert_meter_open(c, &t.meter, e) && retire(&t, &r, e);
	free(t.list);
	segment_close(&t.meter);
	registry_close(&r);
	return ok;
}
