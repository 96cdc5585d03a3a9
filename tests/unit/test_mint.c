/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is struck is what issue_device makes, byte for byte but for key, serial
 * number and signature; and where it would not be, nothing is struck.
 */
#include "certs/mint.h"

#include "certs/pem_file.h"
#include "io/x509.h"
#include "tests/support/rng.h"
#include "tests/support/tempdir.h"

#include <openssl/pem.h>

#define NOW_S  INT64_C(1790000000)
#define STRUCK 300
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct issue_options OPTIONS = {.now_s = NOW_S, .days = 365};

static struct ca *ca_make(const char *name, enum key_type type)
{
	const struct ca_options o = {
		.name = name, .days = 1000, .now_s = NOW_S, .key_type = type};
	struct tempdir dir;
	struct ca *ca = NULL;

	tempdir_make(&dir);
	assert_true(ca_create(dir.path, &o, NULL));
	assert_true(ca_load(dir.path, &ca, NULL));
	(void)tempdir_walk(&dir, 1);
	return ca;
}

static struct mint *mint_of(const struct ca *ca)
{
	struct mint *m = NULL;
	struct err e = {0};

	if (!mint_new(ca, &OPTIONS, &m, &e))
		fail_msg("%s", e.msg);
	return m;
}

static X509 *decode(const struct minted *c)
{
	const unsigned char *p = c->cert;
	X509 *x = d2i_X509(NULL, &p, (long)c->cert_n);

	assert_non_null(x);
	assert_ptr_equal(p, c->cert + c->cert_n);
	return x;
}

/* The key as whoever gets its file reads it. */
static EVP_PKEY *key_of(const struct minted *c)
{
	unsigned char der[P256_PKCS8];
	char text[PEM_TEXT_MAX(P256_PKCS8)];
	EVP_PKEY *key;
	size_t n;
	BIO *bio;

	p256_pkcs8(&c->key, der);
	n = pem_text(PEM_STRING_PKCS8INF, der, sizeof(der), text);
	assert_int_equal(n, strlen(text));
	bio = BIO_new_mem_buf(text, -1);
	key = PEM_read_bio_PrivateKey(bio, NULL, x509_no_passphrase, NULL);
	assert_non_null(key);
	(void)BIO_free(bio);
	return key;
}

static void same_tbs(X509 *a, X509 *b)
{
	unsigned char *x = NULL, *y = NULL;
	int n = i2d_re_X509_tbs(a, &x), m = i2d_re_X509_tbs(b, &y);

	assert_true(n > 0 && n == m);
	assert_memory_equal(x, y, (size_t)n);
	OPENSSL_free(x);
	OPENSSL_free(y);
}

/* OpenSSL's own way to the same certificate. */
static void is_as_issued(
	const struct ca *ca, const struct minted *c, const char *id)
{
	struct device d = {.id_len = (uint8_t)strlen(id)};
	X509 *ours = decode(c), *plain = NULL;
	struct credential read;
	EVP_PKEY *key = key_of(c);
	struct err e = {0};

	memcpy(d.id, id, strlen(id) + 1);
	if (!issue_device(ca, &d, key, &OPTIONS, &plain, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(X509_verify(ours, ca_public(ca)), 1);
	assert_int_equal(X509_check_private_key(ours, key), 1);
	assert_int_equal(
		X509_set_serialNumber(plain, X509_get_serialNumber(ours)), 1);
	assert_true(ca_sign(ca, plain, NULL));
	same_tbs(ours, plain);
	assert_true(x509_device_credential(ours, id, &read, &e));
	assert_memory_equal(&read, &c->credential, sizeof(read));
	X509_free(plain);
	X509_free(ours);
	EVP_PKEY_free(key);
}

static void id_make(struct rng *r, char out[static DEVICE_ID_MAX + 1])
{
	static const char LETTERS[] = "abcXYZ0123456789._:-";
	size_t n = 1 + rng_below(r, DEVICE_ID_MAX);

	out[0] = 'd';
	for (size_t i = 1; i < n; i++)
		out[i] = LETTERS[rng_below(r, sizeof(LETTERS) - 1)];
	out[n] = '\0';
}

static void any_id_of_any_ca(void **state)
{
	static const char *const NAMES[] = {"F", "Fleet",
		"a name of sixty bytes, which is as long as one may be: yes!",
		"Z\xc3\xbcrich"};
	struct rng r = {.state = 1};
	char id[DEVICE_ID_MAX + 1];

	(void)state;
	for (size_t k = 0; k < LEN(NAMES); k++) {
		struct ca *ca = ca_make(NAMES[k], KEY_P256);
		struct mint *m = mint_of(ca);
		struct minted c;

		assert_non_null(m);
		for (int i = 0; i < STRUCK; i++) {
			id_make(&r, id);
			assert_true(mint_strike(m, id, &c, NULL));
			is_as_issued(ca, &c, id);
		}
		mint_free(&m);
		assert_null(m);
		ca_free(&ca);
	}
}

/* By the key's and the serial number's bytes: each is there once. */
static void no_two_are_alike(void **state)
{
	static uint8_t keys[STRUCK][FINGERPRINT_LEN];
	static char serials[STRUCK][65];
	struct ca *ca = ca_make("Fleet", KEY_P256);
	struct mint *m = mint_of(ca);
	struct minted c;

	(void)state;
	for (int i = 0; i < STRUCK; i++) {
		assert_true(mint_strike(m, "same", &c, NULL));
		assert_int_equal(strlen(c.credential.serial), 32);
		memcpy(keys[i], c.credential.spki, sizeof(keys[i]));
		memcpy(serials[i], c.credential.serial, sizeof(serials[i]));
		for (int k = 0; k < i; k++) {
			assert_memory_not_equal(
				keys[i], keys[k], sizeof(keys[i]));
			assert_string_not_equal(serials[i], serials[k]);
		}
	}
	mint_free(&m);
	ca_free(&ca);
}

static void what_it_leaves_to_others(void **state)
{
	const struct issue_options sim = {
		.now_s = NOW_S, .days = 365, .sim_in_cert = true};
	struct ca *fit = ca_make("Fleet", KEY_P256);
	struct mint *m = NULL;

	(void)state;
	for (int t = 0; t < KEY_TYPES; t++) {
		struct ca *ca = ca_make("Fleet", (enum key_type)t);

		m = mint_of(ca);
		assert_int_equal(m != NULL, t == KEY_P256);
		mint_free(&m);
		ca_free(&ca);
	}
	assert_true(mint_new(fit, &sim, &m, NULL));
	assert_null(m);
	ca_free(&fit);
}

static void refused_as_by_issue(void **state)
{
	const int days[] = {0, 1001, CERT_DAYS_MAX + 1};
	struct ca *ca = ca_make("Fleet", KEY_P256);
	struct mint *m = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < LEN(days); i++) {
		struct issue_options o = OPTIONS;

		o.days = days[i];
		assert_false(mint_new(ca, &o, &m, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(m);
	}
	ca_free(&ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_id_of_any_ca),
		cmocka_unit_test(no_two_are_alike),
		cmocka_unit_test(what_it_leaves_to_others),
		cmocka_unit_test(refused_as_by_issue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
