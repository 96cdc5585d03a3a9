/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/wire.h"

#include <stdlib.h>

/* -------------------------------------------------------------------- lists */

static void append(struct wire_list *l, struct wire *x)
{
	x->prev = l->last;
	x->next = NULL;
	if (l->last != NULL)
		l->last->next = x;
	else
		l->first = x;
	l->last = x;
}

static void take_out(struct wire_list *l, struct wire *x)
{
	if (x->prev != NULL)
		x->prev->next = x->next;
	else
		l->first = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	else
		l->last = x->prev;
}

static struct wire_list *list_of(struct wires *w, const struct wire *x)
{
	return x->bound ? &w->bound : &w->pending;
}

static void not_dirty(struct wires *w, struct wire *x)
{
	struct wire **at = &w->dirty;

	if (!x->dirty)
		return;
	while (*at != x)
		at = &(*at)->next_dirty;
	*at = x->next_dirty;
	x->dirty = false;
}

/* ----------------------------------------------------------------- counting */

/* Takes the references once the SSL has its BIOs. */
static bool has_bios(struct wire *x)
{
	BIO *in, *out;

	if (x->in != NULL)
		return true;
	in = SSL_get_rbio(x->ssl);
	out = SSL_get_wbio(x->ssl);
	if (in == NULL || out == NULL || BIO_up_ref(in) != 1)
		return false;
	if (BIO_up_ref(out) != 1) {
		BIO_free(in);
		return false;
	}
	x->in = in;
	x->out = out;
	return true;
}

static void count(struct wire *x, enum counter c, uint64_t n)
{
	count_u64(&x->slot->counter[c], n);
	count_u64(&x->total->counter[c], n);
}

void wire_count_in(struct wire *x)
{
	uint64_t in = BIO_number_read(x->in);

	count(x, COUNTER_WIRE_BYTES_IN, in - x->counted_in);
	x->counted_in = in;
}

void wire_count(struct wire *x)
{
	uint64_t out = BIO_number_written(x->out);

	wire_count_in(x);
	count(x, COUNTER_WIRE_BYTES_OUT, out - x->counted_out);
	x->counted_out = out;
}

static void count_stranger(struct wires *w, const struct wire *x)
{
	struct meter_header *h = w->strangers;

	count_u64(&h->strangers, 1);
	if (x->in == NULL)
		return;
	count_u64(&h->stranger_wire_bytes_in, BIO_number_read(x->in));
	count_u64(&h->stranger_wire_bytes_out, BIO_number_written(x->out));
}

/* ------------------------------------------------------- what OpenSSL calls */

static void on_new(void *ssl, void *ptr, CRYPTO_EX_DATA *ad, int index,
	long argl, void *argp)
{
	struct wires *w = argp;
	struct wire *x = calloc(1, sizeof *x);

	(void)ptr;
	(void)argl;
	if (x == NULL)
		return;
	x->ssl = ssl;
	if (CRYPTO_set_ex_data(ad, index, x) != 1) {
		free(x);
		return;
	}
	append(&w->pending, x);
}

static void drop(struct wire *x)
{
	if (x->owner != NULL)
		*x->owner = NULL;
	BIO_free(x->in);
	BIO_free(x->out);
	free(x);
}

static void on_free(void *ssl, void *ptr, CRYPTO_EX_DATA *ad, int index,
	long argl, void *argp)
{
	struct wires *w = argp;
	struct wire *x = ptr;

	(void)ssl;
	(void)ad;
	(void)index;
	(void)argl;
	if (x == NULL)
		return;
	if (x->bound)
		wire_count(x);
	else
		count_stranger(w, x);
	take_out(list_of(w, x), x);
	not_dirty(w, x);
	drop(x);
}

/* -------------------------------------------------------------- for callers */

bool wires_begin(struct wires *w, struct meter_header *strangers, struct err *e)
{
	*w = (struct wires){.strangers = strangers};
	/* Index 0 is the application's own (SSL_set_app_data). */
	w->index = CRYPTO_get_ex_new_index(
		CRYPTO_EX_INDEX_SSL, 0, w, on_new, NULL, on_free);
	if (w->index > 0)
		return true;
	w->index = 0;
	return err_set(e, ERR_ENVIRONMENT,
		"OpenSSL offers no index to watch TLS connections by");
}

/* SSL objects that are there still hold a pointer that nobody follows any
 * more: the index's functions are gone. */
void wires_end(struct wires *w)
{
	struct wire *x, *next;

	if (w->index == 0)
		return;
	(void)CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, w->index);
	for (x = w->bound.first; x != NULL; x = next) {
		next = x->next;
		wire_count(x);
		drop(x);
	}
	for (x = w->pending.first; x != NULL; x = next) {
		next = x->next;
		drop(x);
	}
	*w = (struct wires){0};
}

static struct wire *find_pending(const struct wires *w, const X509 *certificate)
{
	struct wire *x = w->pending.last;

	/* The newest first: it has just connected. */
	while (x != NULL && SSL_get0_peer_certificate(x->ssl) != certificate)
		x = x->prev;
	return x;
}

bool wires_issuer(const struct wires *w, const X509 *certificate,
	uint8_t fingerprint[static 32])
{
	const struct wire *x = find_pending(w, certificate);
	const STACK_OF(X509) *chain =
		x != NULL ? SSL_get0_verified_chain(x->ssl) : NULL;
	unsigned n = 0;

	return chain != NULL && sk_X509_num(chain) > 1 &&
	       X509_digest(sk_X509_value(chain, 1), EVP_sha256(), fingerprint,
		       &n) == 1 &&
	       n == 32;
}

struct wire *wires_bind(struct wires *w, const X509 *certificate,
	struct meter_slot *slot, struct meter_class *total)
{
	struct wire *x = find_pending(w, certificate);

	if (x == NULL || !has_bios(x))
		return NULL;
	take_out(&w->pending, x);
	x->bound = true;
	x->slot = slot;
	x->total = total;
	append(&w->bound, x);
	/* A session resumed by its id would share its certificate with another
	 * that is pending; by ticket each has its own. */
	(void)SSL_CTX_set_session_cache_mode(
		SSL_get_SSL_CTX(x->ssl), SSL_SESS_CACHE_OFF);
	wire_count(x);
	return x;
}

void wire_hold(struct wire **owner, struct wire *x)
{
	*owner = x;
	if (x != NULL)
		x->owner = owner;
}

void wire_deafen(struct wire *x)
{
	SSL_set_shutdown(
		x->ssl, SSL_get_shutdown(x->ssl) | SSL_RECEIVED_SHUTDOWN);
}

void wire_release(struct wire **owner)
{
	if (*owner == NULL)
		return;
	wire_count(*owner);
	(*owner)->owner = NULL;
	*owner = NULL;
}

void wires_move(struct wires *w, struct meter_header *strangers,
	struct meter_slot *slot, struct meter_class *total)
{
	w->strangers = strangers;
	for (struct wire *x = w->bound.first; x != NULL; x = x->next) {
		x->slot = slot;
		x->total = total;
	}
}

void wires_flush(struct wires *w)
{
	while (w->dirty != NULL) {
		struct wire *x = w->dirty;

		w->dirty = x->next_dirty;
		x->dirty = false;
		wire_count(x);
	}
}

void wires_sweep(struct wires *w, int n)
{
	struct wire *x = w->bound.first, *last = w->bound.last, *next;

	for (int i = 0; i < n && x != NULL; i++) {
		next = x != last ? x->next : NULL;
		wire_count(x);
		take_out(&w->bound, x);
		append(&w->bound, x);
		x = next;
	}
	x = w->pending.first;
	for (int i = 0; i < n && x != NULL; i++, x = x->next)
		(void)has_bios(x);
}
