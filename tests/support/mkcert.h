/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for tests, honest or not, piece by piece. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_MKCERT_H
#define TESTS_SUPPORT_MKCERT_H

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

static inline EVP_PKEY *mkcert_ec_key(int encoding)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *k = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(
				 ctx, NID_X9_62_prime256v1),
		1);
	assert_int_equal(EVP_PKEY_CTX_set_ec_param_enc(ctx, encoding), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &k), 1);
	EVP_PKEY_CTX_free(ctx);
	return k;
}

static inline void mkcert_entry(
	X509_NAME *name, const char *field, int type, struct str s)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, field, type,
				 (const unsigned char *)s.p, (int)s.n, -1, 0),
		1);
}

static inline void mkcert_set_time(ASN1_TIME *t, const char *text)
{
	assert_int_equal(ASN1_TIME_set_string(t, text), 1);
}

static inline X509 *mkcert_new(EVP_PKEY *k)
{
	X509 *x = X509_new();
	X509_NAME *name;

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 0x0A23), 1);
	name = X509_get_subject_name(x);
	mkcert_entry(name, "O", MBSTRING_UTF8, STR("Weir test"));
	mkcert_entry(name, "CN", MBSTRING_UTF8, STR("meter-1"));
	assert_int_equal(X509_set_issuer_name(x, name), 1);
	mkcert_set_time(X509_getm_notBefore(x), "20240229120000Z");
	mkcert_set_time(X509_getm_notAfter(x), "20491231235959Z");
	assert_int_equal(X509_set_pubkey(x, k), 1);
	return x;
}

static inline void mkcert_sign(X509 *x, EVP_PKEY *key)
{
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
}

static inline GENERAL_NAME *mkcert_general_name(int type, struct str s)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	assert_true(name != NULL && text != NULL);
	assert_int_equal(ASN1_STRING_set(text, s.p, (int)s.n), 1);
	GENERAL_NAME_set0_value(name, type, text);
	return name;
}

static inline void mkcert_add_san(X509 *x, GENERAL_NAMES *names)
{
	assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0,
				 X509V3_ADD_APPEND),
		1);
	GENERAL_NAMES_free(names);
}

static inline void mkcert_add_names(
	X509 *x, int type, const struct str *s, size_t n)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	assert_non_null(names);
	for (size_t i = 0; i < n; i++)
		assert_true(sk_GENERAL_NAME_push(names,
				    mkcert_general_name(type, s[i])) > 0);
	mkcert_add_san(x, names);
}

static inline void mkcert_add_raw_san(X509 *x, struct str der)
{
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	assert_non_null(data);
	assert_int_equal(ASN1_OCTET_STRING_set(data,
				 (const unsigned char *)der.p, (int)der.n),
		1);
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, data);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(data);
}

#endif
