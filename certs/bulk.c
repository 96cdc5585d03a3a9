/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/bulk.h"

#include "certs/bundle.h"
#include "certs/mint.h"
#include "certs/pem_file.h"
#include "certs/stage.h"
#include "io/x509.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

struct crew {
	const struct bulk_work *w;
	struct bulk_item *items;
	size_t n;
	atomic_size_t next;
	atomic_bool stop; /* an item failed for what is not its own fault */
};

/* What one thread makes keys and certificates with. */
struct tools {
	struct mint *mint; /* NULL: every item goes the long way */
	EVP_PKEY_CTX *maker;
};

void bulk_item_fini(struct bulk_item *i)
{
	if (i->line != NULL)
		OPENSSL_cleanse(i->line, i->line_n);
	free(i->line);
	i->line = NULL;
	i->line_n = 0;
}

/* Where what was made goes. */
static bool deliver(const struct bulk_work *w, struct bulk_item *i,
	struct str key, struct str cert, struct err *e)
{
	const char *id = i->device->id;

	return w->dir != NULL
		       ? stage_write(w->dir, id, key, cert, e)
		       : bundle_line(id, cert, key, &i->line, &i->line_n, e);
}

/* ------------------------------------------------------------- the long way */

/* A request without the lines around it, as one line of CSV holds it. */
static bool base64_key(const char *text, EVP_PKEY **out, struct err *e)
{
	size_t n = strlen(text);
	unsigned char *der = malloc(n / 4 * 3 + 3);
	int len = -1;
	bool done;

	if (der == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (n != 0 && n % 4 == 0 && n <= 65536)
		len = EVP_DecodeBlock(der, (const unsigned char *)text, (int)n);
	/* It counts the bytes that the padding stands for. */
	for (size_t i = n; len > 0 && i > n - 2 && text[i - 1] == '='; i--)
		len--;
	done = len > 0 ? csr_key((struct str){(const char *)der, (size_t)len},
				 out, e)
		       : err_set(e, ERR_INPUT,
				 "csr: is neither a request in PEM nor one in "
				 "Base64");
	free(der);
	return done;
}

static bool item_key(EVP_PKEY_CTX *maker, const struct bulk_item *i,
	EVP_PKEY **out, struct err *e)
{
	if (i->csr == NULL)
		return key_make(maker, out, e);
	if (strncmp(i->csr, "-----BEGIN", 10) == 0)
		return csr_key(str_from(i->csr), out, e);
	return base64_key(i->csr, out, e);
}

/* KEY, where it is ours to hand out, and CERT as text. */
static bool deliver_objects(const struct bulk_work *w, struct bulk_item *i,
	const EVP_PKEY *key, X509 *cert, struct err *e)
{
	char *key_text = NULL, *cert_text = NULL;
	size_t key_n = 0, cert_n = 0;
	bool done =
		(i->csr != NULL || pem_key_text(key, &key_text, &key_n, e)) &&
		pem_cert_text(cert, &cert_text, &cert_n, e) &&
		deliver(w, i, (struct str){key_text, key_n},
			(struct str){cert_text, cert_n}, e);

	OPENSSL_clear_free(key_text, key_n);
	OPENSSL_free(cert_text);
	return done;
}

static bool item_build(const struct bulk_work *w, EVP_PKEY_CTX *maker,
	struct bulk_item *i, struct err *e)
{
	struct issue_options options = w->options;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	bool done;

	options.lean = true;
	done = item_key(maker, i, &key, e) &&
	       issue_device(w->ca, i->device, key, &options, &cert, e) &&
	       x509_device_credential(cert, i->device->id, &i->credential, e) &&
	       deliver_objects(w, i, key, cert, e);
	X509_free(cert);
	EVP_PKEY_free(key); /* wipes */
	return done;
}

/* ----------------------------------------------------------- from the mint */

static bool item_strike(const struct bulk_work *w, struct mint *mint,
	struct bulk_item *i, struct err *e)
{
	char key[PEM_TEXT_MAX(P256_PKCS8)], cert[PEM_TEXT_MAX(MINT_CERT_MAX)];
	unsigned char der[P256_PKCS8];
	struct minted made;
	size_t key_n, cert_n;
	bool done;

	if (!mint_strike(mint, i->device->id, &made, e))
		return false;
	p256_pkcs8(&made.key, der);
	key_n = pem_text(PEM_STRING_PKCS8INF, der, sizeof(der), key);
	cert_n = pem_text(PEM_STRING_X509, made.cert, made.cert_n, cert);
	i->credential = made.credential;
	done = deliver(
		w, i, (struct str){key, key_n}, (struct str){cert, cert_n}, e);
	OPENSSL_cleanse(&made.key, sizeof(made.key));
	OPENSSL_cleanse(der, sizeof(der));
	OPENSSL_cleanse(key, sizeof(key));
	return done;
}

/* --------------------------------------------------------------------- crew */

static bool tools_get(const struct bulk_work *w, struct tools *t, struct err *e)
{
	struct err why = {.code = ERR_NONE};

	/* Where no certificate can be made, each item says so for itself. */
	if (w->key_type == KEY_P256 &&
		!mint_new(w->ca, &w->options, &t->mint, &why) &&
		why.code == ERR_ENVIRONMENT) {
		*e = why;
		return false;
	}
	t->maker = key_maker(w->key_type, e);
	return t->maker != NULL;
}

static bool item_do(const struct bulk_work *w, const struct tools *t,
	struct bulk_item *i, struct err *e)
{
	if (t->mint != NULL && i->csr == NULL)
		return item_strike(w, t->mint, i, e);
	return item_build(w, t->maker, i, e);
}

static void *work(void *arg)
{
	struct crew *c = arg;
	struct err why = {.code = ERR_NONE};
	struct tools t = {NULL, NULL};
	bool ready = tools_get(c->w, &t, &why);

	while (!atomic_load(&c->stop)) {
		size_t at = atomic_fetch_add(&c->next, 1);
		struct bulk_item *i;

		if (at >= c->n)
			break;
		i = &c->items[at];
		i->e = why;
		i->done = ready && item_do(c->w, &t, i, &i->e);
		if (!i->done && i->e.code == ERR_ENVIRONMENT)
			atomic_store(&c->stop, true);
	}
	EVP_PKEY_CTX_free(t.maker);
	mint_free(&t.mint);
	return NULL;
}

/* The crew's first failure that is not an item's own. */
static bool outcome(const struct crew *c, struct err *e)
{
	const struct bulk_item *bad = NULL;

	for (size_t k = 0; k < c->n && bad == NULL; k++) {
		if (!c->items[k].done && c->items[k].e.code == ERR_ENVIRONMENT)
			bad = &c->items[k];
	}
	if (bad == NULL)
		return true;
	for (size_t k = 0; k < c->n; k++) {
		if (c->w->dir != NULL)
			stage_drop(c->w->dir, c->items[k].device->id);
		bulk_item_fini(&c->items[k]);
	}
	if (e != NULL)
		*e = bad->e;
	return false;
}

bool bulk_issue(const struct bulk_work *w, struct bulk_item *items, size_t n,
	struct err *e)
{
	struct crew c = {.w = w, .items = items, .n = n};
	pthread_t threads[BULK_JOBS_MAX];
	unsigned started = 0;

	for (size_t k = 0; k < n; k++) {
		items[k].done = false;
		items[k].e.code = ERR_NONE;
		items[k].line = NULL;
	}
	/* This thread is one of them; fewer will do where there are no more. */
	while (started + 1 < w->jobs && started + 1 < n &&
		pthread_create(&threads[started], NULL, work, &c) == 0)
		started++;
	(void)work(&c);
	for (unsigned t = 0; t < started; t++)
		(void)pthread_join(threads[t], NULL);
	return outcome(&c, e);
}
