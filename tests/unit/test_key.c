/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys are accepted, and what a signing request must prove. */
#include "certs/key.h"
#include "io/x509.h"
#include "tests/support/mkcert.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static X509_REQ *request(EVP_PKEY *key)
{
	X509_REQ *req = X509_REQ_new();
	const EVP_MD *md = EVP_sha256();

	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	mkcert_entry(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8,
		STR("not looked at"));
	if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		md = NULL;
	assert_true(X509_REQ_sign(req, key, md) > 0);
	return req;
}

/* TEXT as a request: its key equals EXPECT, or, EXPECT NULL, it is refused
 * with PART in the message. */
static void check(struct str text, EVP_PKEY *expect, const char *part)
{
	EVP_PKEY *key = NULL;
	struct err e;

	ERR_clear_error();
	if (csr_key(text, &key, &e)) {
		assert_non_null(expect);
		assert_int_equal(EVP_PKEY_eq(key, expect), 1);
		EVP_PKEY_free(key);
	} else {
		if (expect != NULL || part == NULL ||
			strstr(e.msg, part) == NULL)
			fail_msg("%s", e.msg);
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(key);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void check_request(X509_REQ *req, EVP_PKEY *expect, const char *part)
{
	BIO *pem = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_X509_REQ(pem, req), 1);
	n = BIO_get_mem_data(pem, &p);
	check((struct str){p, (size_t)n}, expect, part);
	BIO_free(pem);
	n = i2d_X509_REQ(req, &der);
	assert_true(n > 0);
	check((struct str){(const char *)der, (size_t)n}, expect, part);
	OPENSSL_free(der);
}

static void key_types(void **state)
{
	const struct {
		EVP_PKEY *key;
		const char *refused; /* NULL: accepted */
	} CASES[] = {
		{EVP_EC_gen("P-256"), NULL},
		{EVP_EC_gen("P-384"), NULL},
		{EVP_RSA_gen(2048), NULL},
		{EVP_RSA_gen(1024), "RSA 1024"},
		{EVP_EC_gen("P-521"), "EC P-521"},
		{EVP_EC_gen("P-224"), "EC P-224"},
		{EVP_EC_gen("secp256k1"), "secp256k1"},
		{EVP_EC_gen("brainpoolP256r1"), "brainpoolP256r1"},
		{EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "ED25519"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509_REQ *req = request(CASES[i].key);

		check_request(req, CASES[i].refused ? NULL : CASES[i].key,
			CASES[i].refused);
		X509_REQ_free(req);
		EVP_PKEY_free(CASES[i].key);
	}
}

/* Its key swapped for another's: the signature proves nothing for that one. */
static void not_its_own(void **state)
{
	EVP_PKEY *mine = EVP_EC_gen("P-256");
	EVP_PKEY *theirs = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();

	(void)state;
	assert_int_equal(X509_REQ_set_pubkey(req, theirs), 1);
	assert_true(X509_REQ_sign(req, mine, EVP_sha256()) > 0);
	check_request(req, NULL, "not signed by its own key");
	X509_REQ_free(req);
	EVP_PKEY_free(mine);
	EVP_PKEY_free(theirs);
}

static void altered(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = request(key);
	unsigned char *der = NULL;
	int n = i2d_X509_REQ(req, &der);
	int at = 0;

	(void)state;
	assert_true(n > 13);
	while (at < n - 13 && memcmp(der + at, "not looked at", 13) != 0)
		at++;
	assert_true(at < n - 13);
	der[at] = 'N';
	check((struct str){(const char *)der, (size_t)n}, NULL,
		"not signed by its own key");
	der[at] = 'n';
	check((struct str){(const char *)der, (size_t)n}, key, NULL);
	check((struct str){(const char *)der, (size_t)n - 1}, NULL,
		"not a certificate signing request");
	OPENSSL_free(der);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}

static void no_request(void **state)
{
	const struct str CASES[] = {
		STR(""),
		STR("junk"),
		STR("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
		    "-----END CERTIFICATE REQUEST-----\n"),
		STR("-----BEGIN CERTIFICATE REQUEST-----\n"
		    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
		    "00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
		    "-----END CERTIFICATE REQUEST-----\n"),
		STR("\x30\x03\x02\x01\x00"),
	};
	EVP_PKEY *key = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		check(CASES[i], NULL, "not a certificate signing request");
	assert_false(csr_load("/nonexistent/weir.csr", &key, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_null(key);
}

/* One key, one digest: a compressed point comes out uncompressed. */
static void compressed(void **state)
{
	EVP_PKEY *key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	EVP_PKEY *out = NULL;
	X509_REQ *req;
	unsigned char *der = NULL;
	int n;

	(void)state;
	assert_int_equal(EVP_PKEY_set_utf8_string_param(key,
				 OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
				 "compressed"),
		1);
	req = request(key);
	n = i2d_X509_REQ(req, &der);
	assert_true(n > 0);
	assert_true(csr_key(
		(struct str){(const char *)der, (size_t)n}, &out, NULL));
	OPENSSL_free(der);
	der = NULL;
	n = i2d_PUBKEY(out, &der);
	assert_int_equal(n, 91); /* 59 with a compressed point */
	OPENSSL_free(der);
	EVP_PKEY_free(out);
	EVP_PKEY_free(key);
	X509_REQ_free(req);
}

static void generate(void **state)
{
	EVP_PKEY *a = NULL;
	EVP_PKEY *b = NULL;
	char name[32];

	(void)state;
	assert_true(key_generate(KEY_P256, &a, NULL));
	assert_true(key_generate(KEY_P256, &b, NULL));
	assert_int_equal(EVP_PKEY_eq(a, b), 0);
	assert_true(key_acceptable(a, NULL));
	x509_key_name(a, name, sizeof(name));
	assert_string_equal(name, "EC P-256");
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

static void types(void **state)
{
	static const struct {
		const char *name, *made; /* NULL: there is no such type */
	} CASES[] = {
		{"p256", "EC P-256"},
		{"p384", "EC P-384"},
		{"rsa2048", "RSA 2048"},
		{"rsa3072", "RSA 3072"},
		{"", NULL},
		{"P256", NULL},
		{"p25", NULL},
		{"p2566", NULL},
		{"rsa1024", NULL},
		{"ed25519", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		enum key_type type = KEY_TYPES;
		EVP_PKEY *key = NULL;
		char name[32];
		struct err e;
		bool done = key_type_parse(str_from(CASES[i].name), &type, &e);

		assert_int_equal(done, CASES[i].made != NULL);
		if (!done) {
			assert_int_equal(e.code, ERR_INPUT);
			assert_non_null(strstr(e.msg, "p256 p384 rsa2048"));
			continue;
		}
		assert_string_equal(key_type_name(type), CASES[i].name);
		assert_true(key_generate(type, &key, NULL));
		assert_true(key_acceptable(key, NULL));
		x509_key_name(key, name, sizeof(name));
		assert_string_equal(name, CASES[i].made);
		EVP_PKEY_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_types),
		cmocka_unit_test(not_its_own),
		cmocka_unit_test(altered),
		cmocka_unit_test(no_request),
		cmocka_unit_test(compressed),
		cmocka_unit_test(generate),
		cmocka_unit_test(types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
