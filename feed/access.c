/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/access.h"

#include "feed/feed.h"
#include "feed/host.h"
#include "feed/log.h"
#include "feed/peers.h"
#include "io/meter_text.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Lines of the log. */
#define SAID_A_SECOND 20u

struct access {
	struct peers *peers;
	bool blind; /* the registry's tokens could not be read: said already */
	int64_t said_ms; /* the second in which: */
	unsigned said;   /* so many refusals were said */
	uint64_t unsaid; /* and how many were not, since the last */
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool access_open(
	const struct feed_config *c, struct access **out, struct err *e)
{
	struct access *a = calloc(1, sizeof(*a));
	uint64_t seed = 0;

	if (a == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (RAND_bytes((unsigned char *)&seed, sizeof(seed)) != 1) {
		free(a);
		return err_set(e, ERR_ENVIRONMENT, "no random bytes");
	}
	if (!peers_new(c->limits.connections, seed, &a->peers, e)) {
		free(a);
		return false;
	}
	*out = a;
	return true;
}

void access_close(struct access **a)
{
	if (*a == NULL)
		return;
	peers_free(&(*a)->peers);
	free(*a);
	*a = NULL;
}

/* --------------------------------------------------------------- connections */

bool access_loopback(const uint8_t a[static 16])
{
	static const uint8_t one[16] = {[15] = 1};
	static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

	return memcmp(a, one, 16) == 0 ||
	       (memcmp(a, mapped, 12) == 0 && a[12] == 127);
}

bool access_enter(struct feed *f, const uint8_t address[static 16])
{
	const struct config_limits *l = &f->config.limits;

	return peers_enter(f->access->peers, address,
		access_loopback(address) ? l->loopback_connections
					 : l->address_connections);
}

void access_leave(struct feed *f, const uint8_t address[static 16])
{
	peers_leave(f->access->peers, address);
}

/* -------------------------------------------------------------------- tokens */

/* The highest revision of the registry that the broker has seen: an older file
 * may bring revoked tokens back. */
static int64_t seen_revision(const struct feed *f)
{
	const struct meter_watch *w = &f->watch->meter;

	return meter_watch_reads(w)
		       ? atomic_load_explicit(
				 &segment_header(&w->segment)->highest_revision,
				 memory_order_relaxed)
		       : 0;
}

/* *found: a token that is valid now. */
static bool find_token(struct feed *f, const uint8_t hash[static TOKEN_HASH],
	struct token *out, bool *found, struct err *e)
{
	struct registry *r = roster_get(f->roster, e);

	if (r == NULL)
		return false;
	/* A command that ends locks the file for a moment. */
	if (!registry_token_find(r, hash, seen_revision(f), out, found, e)) {
		r = roster_retry(f->roster, e);
		if (r == NULL || !registry_token_find(r, hash, seen_revision(f),
					 out, found, e))
			return false;
	}
	*found = *found && token_state(out, clock_ms(CLOCK_REALTIME) / 1000) ==
				   TOKEN_VALID;
	return true;
}

bool access_check(struct feed *f, struct err *e)
{
	const struct feed_config *c = &f->config;
	struct registry *r;
	bool any = false;

	if (c->listen.loopback || c->tls.client_ca[0] != '\0')
		return true;
	r = roster_get(f->roster, e);
	if (r == NULL || !registry_token_any(r, clock_ms(CLOCK_REALTIME) / 1000,
				 seen_revision(f), &any, e))
		return false;
	if (any)
		return true;
	(void)err_set(e, ERR_INPUT,
		"beyond loopback somebody must be able to say who he is, and "
		"there is no valid token: weir token add NAME, or set "
		"tls.client_ca");
	return err_at(e, "listen");
}

/* What keeps tokens from being read is the operator's to know, not of who
 * asks. */
static bool say_blind(struct feed *f, const struct err *e, struct answer *a)
{
	if (!f->access->blind)
		log_err(LOG_ERROR, "tokens", e);
	f->access->blind = true;
	answer_problem(a, 503,
		"tokens cannot be checked now; weir-feed's log says why");
	a->retry_after_s = 5;
	return false;
}

/* Whoever has addresses without end does not fill the disk. */
static void say_refused(
	struct access *a, const struct ask *q, int64_t now, uint32_t wait_s)
{
	char address[ADDRESS_TEXT];
	struct text t = {0};

	if (now - a->said_ms >= 1000) {
		a->said_ms = now;
		a->said = 0;
	}
	if (a->said++ >= SAID_A_SECOND) {
		a->unsaid++;
		return;
	}
	address_format(q->address, address);
	log_begin(&t, LOG_WARNING, "refused");
	json_text(&t, "reason", STR("unknown_token"));
	json_text(&t, "address", str_from(address));
	if (wait_s != 0)
		json_number(&t, "wait_s", wait_s);
	if (a->unsaid != 0)
		json_count(&t, "not_logged", a->unsaid);
	a->unsaid = 0;
	log_end(&t);
}

/* Not known, or known no more: which of them is nobody's business. */
static bool refuse_token(struct feed *f, const struct ask *q, struct answer *a)
{
	struct peers *p = f->access->peers;
	int64_t now = clock_ms(CLOCK_MONOTONIC);
	uint32_t wait = peers_wait_s(p, q->address, now);

	if (wait == 0) {
		wait = peers_failed(p, q->address, now);
		say_refused(f->access, q, now, wait);
		answer_problem(a, 401,
			"this token is not known, has expired or was revoked; "
			"weir token list shows those that are valid");
		a->challenge = "Bearer realm=\"weir\", error=\"invalid_token\"";
		a->retry_after_s = wait;
		return false;
	}
	answer_problem(a, 429,
		"too many tokens that are not known came from this address; "
		"wait %u s",
		(unsigned)wait);
	a->retry_after_s = wait;
	return false;
}

static bool judge_token(struct feed *f, struct str text, struct ask *q,
	struct access_id *id, struct answer *a)
{
	struct token t;
	bool found = false;
	struct err e;

	if (!token_hash(text, id->hash))
		return refuse_token(f, q, a);
	if (!find_token(f, id->hash, &t, &found, &e))
		return say_blind(f, &e, a);
	f->access->blind = false;
	if (!found)
		return refuse_token(f, q, a);
	peers_passed(f->access->peers, q->address);
	id->token = true;
	q->right = t.right == TOKEN_ACT ? RIGHT_ACT : RIGHT_READ;
	(void)snprintf(q->who, sizeof(q->who), "token %s", t.name);
	return true;
}

/* The token of "Bearer TOKEN", whose scheme does not know case. */
static bool bearer(struct str header, struct str *token)
{
	static const char scheme[] = "bearer ";
	size_t n = sizeof(scheme) - 1;

	if (header.n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((header.p[i] | 0x20) != scheme[i])
			return false;
	}
	while (n < header.n && header.p[n] == ' ')
		n++;
	*token = (struct str){header.p + n, header.n - n};
	return true;
}

/* -------------------------------------------------------------- certificates */

/* client_ca may be the devices' own CA: that a device has a certificate does not
 * make it a reader. */
static bool is_device(struct feed *f, const struct tls_client *client,
	bool *device, struct err *e)
{
	struct credential c;
	struct registry *r = roster_get(f->roster, e);

	if (r != NULL &&
		registry_credential(r, client->fingerprint, &c, device, e))
		return true;
	r = roster_retry(f->roster, e);
	return r != NULL &&
	       registry_credential(r, client->fingerprint, &c, device, e);
}

/* The handshake has looked at the dates; the connection has gone on since. */
static bool has_expired(const struct tls_client *client)
{
	return clock_ms(CLOCK_REALTIME) / 1000 > client->not_after_s;
}

static bool judge_certificate(struct feed *f, const struct tls_client *client,
	struct ask *q, struct access_id *id, struct answer *a)
{
	bool device = false;
	struct err e;

	if (has_expired(client)) {
		answer_problem(a, 403, "this certificate has expired");
		return false;
	}
	if (!is_device(f, client, &device, &e))
		return say_blind(f, &e, a);
	f->access->blind = false;
	if (device) {
		answer_problem(a, 403,
			"this certificate is a device's, and no device may "
			"ask here");
		return false;
	}
	id->certificate = *client;
	q->right = f->config.tls.client_rights;
	(void)snprintf(q->who, sizeof(q->who), "certificate %s", client->name);
	return true;
}

/* --------------------------------------------------------------------- all of it */

static bool judge_site(struct feed *f, const struct http_head *head, bool tls,
	struct answer *a)
{
	/* HTTP/1.0 need not say it, and no browser speaks it. */
	if (head->host.p != NULL && !host_served(&f->config, head->host)) {
		answer_problem(a, 421,
			"this Host is not served; names besides localhost go "
			"into \"hosts\" of weir-feed's configuration");
		return false;
	}
	if (head->origin.p != NULL &&
		!host_is_origin(head->host, head->origin, tls)) {
		answer_problem(
			a, 403, "a page of another site asks, and none may");
		return false;
	}
	return true;
}

bool access_judge(struct feed *f, const struct http_head *head,
	const struct tls_client *client, struct ask *q, struct access_id *id,
	struct answer *a)
{
	struct str token;

	*id = (struct access_id){0};
	q->right = RIGHT_NONE;
	(void)snprintf(q->who, sizeof(q->who), "nobody");
	if (!judge_site(f, head, client != NULL, a))
		return false;
	if (head->authorization.p != NULL) {
		if (bearer(head->authorization, &token))
			return judge_token(f, token, q, id, a);
		answer_problem(a, 401, "of Authorization only Bearer is taken");
		a->challenge = "Bearer realm=\"weir\"";
		return false;
	}
	if (client != NULL && client->shown)
		return judge_certificate(f, client, q, id, a);
	if (f->config.listen.loopback && !f->config.loopback_needs_token &&
		access_loopback(q->address)) {
		q->right = RIGHT_READ;
		(void)snprintf(q->who, sizeof(q->who), "loopback");
	}
	return true;
}

bool access_still(struct feed *f, const struct access_id *id)
{
	struct token t;
	bool found = false, device = false;
	struct err e;

	/* What cannot be told now is told the next time. */
	if (id->token)
		return !find_token(f, id->hash, &t, &found, &e) || found;
	if (id->certificate.shown)
		return !has_expired(&id->certificate) &&
		       (!is_device(f, &id->certificate, &device, &e) ||
			       !device);
	return true;
}
