/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_issue SECONDS: what the cryptography of a certificate costs with the
 * EVP calls that weir cert bulk makes: a P-256 key by a context that is set up
 * once, and an ECDSA signature of as many bytes as a certificate has to be
 * signed. Its own processor time, in microseconds, one a line.
 */
#include "certs/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TBS_BYTES 420 /* signed in a device's certificate, about */

static double cpu_us(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool make_one(EVP_PKEY_CTX *maker, EVP_PKEY *key)
{
	EVP_PKEY *made = NULL;
	bool done = key_make(maker, &made, NULL);

	(void)key;
	EVP_PKEY_free(made);
	return done;
}

static bool sign_one(EVP_PKEY_CTX *maker, EVP_PKEY *key)
{
	static const unsigned char text[TBS_BYTES];
	unsigned char signature[128];
	size_t n = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done =
		ctx != NULL &&
		EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(ctx, signature, &n, text, sizeof(text)) == 1;

	(void)maker;
	EVP_MD_CTX_free(ctx);
	return done;
}

static bool measure(const char *name,
	bool (*one)(EVP_PKEY_CTX *maker, EVP_PKEY *key), EVP_PKEY_CTX *maker,
	EVP_PKEY *key, double seconds)
{
	double from = cpu_us(), now = from;
	uint64_t n = 0;

	while (now - from < seconds * 1e6) {
		for (int i = 0; i < 100; i++, n++) {
			if (!one(maker, key))
				return false;
		}
		now = cpu_us();
	}
	(void)printf("%s %.2f\n", name, (now - from) / (double)n);
	return true;
}

int main(int argc, char **argv)
{
	double seconds = argc == 2 ? strtod(argv[1], NULL) : 2;
	EVP_PKEY_CTX *maker = key_maker(KEY_P256, NULL);
	EVP_PKEY *key = NULL;
	bool done = maker != NULL && key_make(maker, &key, NULL) &&
		    measure("keygen", make_one, maker, key, seconds) &&
		    measure("sign", sign_one, maker, key, seconds);

	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(maker);
	if (!done)
		(void)fprintf(stderr, "OpenSSL cannot make or use a key\n");
	return done ? 0 : 1;
}
