/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/bulk.h"

#include "certs/stage.h"
#include "io/x509.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

struct crew {
	const struct bulk_work *w;
	struct bulk_item *items;
	size_t n;
	atomic_size_t next;
	atomic_bool stop; /* an item failed for what is not its own fault */
};

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

static bool item_do(const struct bulk_work *w, EVP_PKEY_CTX *maker,
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
	       stage_write(w->dir, i->device->id, i->csr == NULL ? key : NULL,
		       cert, e);

	X509_free(cert);
	EVP_PKEY_free(key); /* wipes */
	return done;
}

static void *work(void *arg)
{
	struct crew *c = arg;
	struct err why = {.code = ERR_NONE};
	EVP_PKEY_CTX *maker = key_maker(c->w->key_type, &why);

	while (!atomic_load(&c->stop)) {
		size_t at = atomic_fetch_add(&c->next, 1);
		struct bulk_item *i;

		if (at >= c->n)
			break;
		i = &c->items[at];
		i->e = why;
		i->done = maker != NULL && item_do(c->w, maker, i, &i->e);
		if (!i->done && i->e.code == ERR_ENVIRONMENT)
			atomic_store(&c->stop, true);
	}
	EVP_PKEY_CTX_free(maker);
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
	for (size_t k = 0; k < c->n; k++)
		stage_drop(c->w->dir, c->items[k].device->id);
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
