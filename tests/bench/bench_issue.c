/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_issue SECONDS CA: what OpenSSL takes for the cryptography of a
 * certificate, with its EVP calls set up once: a P-256 key, and an ECDSA
 * signature of a digest; and what weir cert bulk takes for all of it but disk
 * and registry: key, certificate, both as PEM, as a line of a bundle, by the CA
 * in the folder CA. Its own processor time, in microseconds, one a line.
 */
#include "certs/bulk.h"
#include "certs/key.h"
#include "certs/wipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_us(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool make_one(void *maker)
{
	EVP_PKEY *made = NULL;
	bool done = key_make(maker, &made, NULL);

	EVP_PKEY_free(made);
	return done;
}

static bool sign_one(void *signer)
{
	static const unsigned char digest[32];
	unsigned char signature[128];
	size_t n = sizeof(signature);

	return EVP_PKEY_sign(signer, signature, &n, digest, sizeof(digest)) ==
	       1;
}

#define BATCH 1000

static bool issue_batch(void *work)
{
	struct bulk_item *items = calloc(BATCH, sizeof(*items));
	struct device *devices = calloc(BATCH, sizeof(*devices));
	bool done = items != NULL && devices != NULL;

	for (int i = 0; done && i < BATCH; i++) {
		struct device *d = &devices[i];

		d->id_len =
			(uint8_t)snprintf(d->id, sizeof(d->id), "b-%07d", i);
		items[i].device = d;
	}
	done = done && bulk_issue(work, items, BATCH, NULL);
	for (int i = 0; items != NULL && i < BATCH; i++) {
		done = done && items[i].done;
		bulk_item_fini(&items[i]);
	}
	free(items);
	free(devices);
	return done;
}

/* ONE does MANY at once. */
static bool measure(const char *name, bool (*one)(void *ctx), void *ctx,
	int many, double seconds)
{
	double from = cpu_us(), now = from;
	uint64_t n = 0;

	while (now - from < seconds * 1e6) {
		for (int i = 0; i < BATCH / many; i++, n += (uint64_t)many) {
			if (!one(ctx))
				return false;
		}
		now = cpu_us();
	}
	(void)printf("%s %.2f\n", name, (now - from) / (double)n);
	return true;
}

int main(int argc, char **argv)
{
	double seconds = argc == 3 ? strtod(argv[1], NULL) : 0;
	struct bulk_work work = {.options = {.now_s = (int64_t)time(NULL),
					 .days = DEVICE_DAYS_DEFAULT},
		.jobs = 1};
	EVP_PKEY_CTX *maker, *signer = NULL;
	struct ca *ca = NULL;
	struct err e = {.msg = "bench_issue SECONDS CA"};
	bool done;

	wipe_install();
	maker = key_maker(KEY_P256, NULL);
	done = argc == 3 && ca_load(argv[2], &ca, &e);
	if (done)
		signer = ca_signer(ca);
	work.ca = ca;
	done = done && maker != NULL && signer != NULL &&
	       measure("keygen", make_one, maker, 1, seconds) &&
	       measure("sign", sign_one, signer, 1, seconds) &&
	       measure("issue", issue_batch, &work, BATCH, seconds);
	EVP_PKEY_CTX_free(signer);
	EVP_PKEY_CTX_free(maker);
	ca_free(&ca);
	if (!done)
		(void)fprintf(stderr, "bench_issue: %s\n", e.msg);
	return done ? 0 : 1;
}
