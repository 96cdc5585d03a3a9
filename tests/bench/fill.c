/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_fill STATE CA N CLASS: registers N devices, CLASS-0 to CLASS-(N-1),
 * each with a certificate, in one transaction, and writes keys and
 * certificates to standard output as PEM, by turns: what would take the
 * command a process each.
 */
#include "certs/issue.h"
#include "certs/key.h"
#include "io/registry.h"
#include "io/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/pem.h>

struct fill {
	struct ca *ca;
	struct registry *registry;
	const char *class_name;
	int64_t now_s;
};

static bool write_pem(EVP_PKEY *key, X509 *cert, struct err *e)
{
	if (PEM_write_PrivateKey(stdout, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		PEM_write_X509(stdout, cert) == 1)
		return true;
	return err_set(e, ERR_ENVIRONMENT, "cannot write to standard output");
}

static bool enter(const struct fill *f, const struct device *d, EVP_PKEY *key,
	struct err *e)
{
	struct issue_options o = {
		.now_s = f->now_s, .days = DEVICE_DAYS_DEFAULT};
	struct credential c;
	X509 *cert = NULL;
	bool done;

	if (!issue_device(f->ca, d, key, &o, &cert, e))
		return false;
	done = x509_device_credential(cert, d->id, &c, e) &&
	       registry_device_add(f->registry, d, e) &&
	       registry_credential_add(f->registry, &c, e) &&
	       write_pem(key, cert, e);
	X509_free(cert);
	return done;
}

static bool add(const struct fill *f, long i, struct err *e)
{
	struct device d = {.status = DEVICE_ACTIVE};
	EVP_PKEY *key = NULL;
	bool done;

	(void)snprintf(d.id, sizeof(d.id), "%s-%ld", f->class_name, i);
	(void)snprintf(d.class_name, sizeof(d.class_name), "%s", f->class_name);
	if (!key_generate(KEY_P256, &key, e))
		return false;
	done = enter(f, &d, key, e);
	EVP_PKEY_free(key);
	return done;
}

static bool add_all(const struct fill *f, long n, struct err *e)
{
	int64_t seq;

	if (!registry_begin(f->registry, "bench", f->now_s, e))
		return false;
	for (long i = 0; i < n; i++) {
		if (!add(f, i, e))
			return false;
	}
	return registry_commit(f->registry, &seq, e);
}

int main(int argc, char **argv)
{
	struct fill f = {.now_s = (int64_t)time(NULL)};
	char path[512];
	struct err e;
	bool done;

	if (argc != 5) {
		(void)fputs("usage: bench_fill STATE CA N CLASS\n", stderr);
		return 2;
	}
	f.class_name = argv[4];
	(void)snprintf(path, sizeof(path), "%s/" REGISTRY_FILE, argv[1]);
	done = ca_load(argv[2], &f.ca, &e) &&
	       registry_open(path, REGISTRY_WRITE, &f.registry, &e) &&
	       add_all(&f, strtol(argv[3], NULL, 10), &e);
	registry_close(&f.registry);
	ca_free(&f.ca);
	if (!done)
		(void)fprintf(stderr, "bench_fill: %s\n", e.msg);
	return done ? 0 : 3;
}
