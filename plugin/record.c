/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/record.h"

#include "io/segment_guard.h"
#include "io/x509.h"

static bool observes(const struct policy *p)
{
	if (policy_observes(p, NULL))
		return true;
	for (size_t i = 0; i < policy_n_classes(p); i++)
		if (policy_class_observes(policy_class_at(p, i)))
			return true;
	return false;
}

static bool open_record(struct guard *g, struct err *e)
{
	char path[PATH_MAX], note[ERR_MSG_MAX];
	struct record *r = &g->record;
	int n = snprintf(path, sizeof path, "%s/%s", g->state_dir, SEEN_FILE);

	if (n < 0 || (size_t)n >= sizeof path)
		return err_set(e, ERR_INPUT, "%s: longer than a path may be",
			SEEN_FILE);
	if (!seen_file_open_write(
		    path, g->now_s, &r->file, note, sizeof note, e))
		return false;
	if (note[0] != '\0')
		report(MOSQ_LOG_WARNING, "%s", note);
	if (!segment_guard_begin(SEGMENT_GUARDED_SEEN, r->file.mem, SEEN_SIZE,
		    r->file.fd, e)) {
		seen_file_close(&r->file);
		return false;
	}
	if (seen_writer_init(&r->writer, r->file.mem))
		return true;
	seen_file_close(&r->file);
	return err_set(e, ERR_ENVIRONMENT, "%s: no memory to record", path);
}

void record_ready(struct guard *g, bool device)
{
	struct record *r = &g->record;
	struct err e;

	if (r->file.mem != NULL || r->failed ||
		(!device && !observes(g->policy)))
		return;
	if (open_record(g, &e))
		return;
	r->failed = true;
	report(MOSQ_LOG_ERR,
		"%s; what is observed is logged and not recorded until the "
		"broker is started again",
		e.msg);
}

/* True when it can be written to. What was cut short is given up: it was read
 * as zeros, and nobody would see what is written there now. */
static bool is_open(struct record *r)
{
	if (r->file.mem == NULL)
		return false;
	if (!segment_guard_lost(SEGMENT_GUARDED_SEEN))
		return true;
	if (!r->failed)
		report(MOSQ_LOG_ERR,
			"%s was cut short under the broker; nothing is "
			"recorded until the broker is started again",
			SEEN_FILE);
	r->failed = true;
	return false;
}

void record_end(struct record *r)
{
	seen_writer_fini(&r->writer);
	seen_file_close(&r->file);
}

void record_certificate(struct guard *g, const struct badge *badge, X509 *x,
	const uint8_t *issuer)
{
	const struct certificate *c = &badge->certificate;
	struct credential out = {
		.not_before_s = c->not_before_s,
		.not_after_s = c->not_after_s,
	};
	struct x509_names names;

	if (!is_open(&g->record))
		return;
	x509_names(x, &names);
	memcpy(out.fingerprint, c->fingerprint, FINGERPRINT_LEN);
	memcpy(out.spki, c->spki, FINGERPRINT_LEN);
	memcpy(out.device_id, badge->device.id, sizeof out.device_id);
	memcpy(out.serial, names.serial, sizeof out.serial);
	memcpy(out.issuer, names.issuer, sizeof out.issuer);
	seen_record_cert(&g->record.writer, &out, issuer, g->now_s);
}

static void record_request(struct guard *g, struct badge *badge,
	const struct request *what, enum reason reason)
{
	struct record *r = &g->record;

	if (!is_open(r) || (what->action != ACTION_PUBLISH &&
				   what->action != ACTION_SUBSCRIBE))
		return;
	/* Zero: not asked for yet. Its number plus one is kept. */
	if (badge->seen == 0)
		badge->seen =
			seen_device(&r->writer, str_from(badge->device.id)) + 1;
	seen_record(&r->writer, badge->seen - 1, what, reason);
}

int record_observed(struct guard *g, struct badge *badge,
	const struct request *what, struct decision why, const void *client)
{
	bool falls_back = policy_observes(g->policy, badge->subject.class) &&
			  policy_fallback(g->policy) == FALLBACK_BROKER;

	if (falls_back && what->action == ACTION_PUBLISH && client != NULL) {
		g->record.later = client;
		g->record.later_reason = why.reason;
	} else {
		record_request(g, badge, what, (enum reason)why.reason);
	}
	return falls_back ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
}

void record_message(struct guard *g, const struct mosquitto_evt_message *ed)
{
	struct binding *b = binding_find(&g->bindings, ed->client);
	struct request what = {
		.action = ACTION_PUBLISH,
		.qos = ed->qos,
		.retain = ed->retain,
		.payload_len = ed->payloadlen,
		.topic = str_from(ed->topic),
		.now_s = g->now_s,
	};

	g->record.later = NULL;
	if (b != NULL && b->badge != NULL)
		record_request(g, b->badge, &what,
			(enum reason)g->record.later_reason);
}
