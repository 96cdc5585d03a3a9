/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates say to people, files of them, and fingerprints. */
#include "io/x509.h"
#include "tests/support/mkcert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static EVP_PKEY *key;

/* ------------------------------------------------------------------- names */

static void names(void **state)
{
	X509 *x = mkcert_new(key);
	struct x509_names n;

	(void)state;
	mkcert_entry(
		X509_get_subject_name(x), "CN", MBSTRING_UTF8, STR("last"));
	mkcert_entry(X509_get_subject_name(x), "serialNumber", MBSTRING_ASC,
		STR("SN-42"));
	mkcert_sign(x, key);
	x509_names(x, &n);
	assert_string_equal(
		n.subject, "serialNumber=SN-42,CN=last,CN=meter-1,O=Weir test");
	assert_string_equal(n.issuer, "CN=meter-1,O=Weir test");
	assert_string_equal(n.cn, "last");
	assert_string_equal(n.serial_number, "SN-42");
	assert_string_equal(n.serial, "0A23");
	assert_string_equal(n.key, "EC P-256");
	assert_string_equal(n.hw_type, "");
	assert_string_equal(n.hw_serial, "");
	assert_false(n.is_ca);
	assert_true(n.client_auth);
	X509_free(x);
}

static void names_hostile(void **state)
{
	X509 *x = mkcert_new(key);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(
		NULL, NULL, NID_ext_key_usage, "serverAuth");
	struct x509_names n;

	(void)state;
	mkcert_entry(X509_get_subject_name(x), "CN", V_ASN1_UTF8STRING,
		STR("admin\0.x"));
	mkcert_entry(X509_get_subject_name(x), "serialNumber",
		V_ASN1_UTF8STRING, STR("a\x1b[31m"));
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
	mkcert_add_raw_san(x, STR("junk"));
	mkcert_sign(x, key);
	ERR_clear_error();
	x509_names(x, &n);
	assert_int_equal(ERR_peek_error(), 0);
	assert_string_equal(n.cn, "");
	assert_string_equal(n.serial_number, "");
	assert_null(strchr(n.subject, '\x1b'));
	assert_false(n.client_auth);
	X509_free(x);
}

/* otherName 1.3.6.1.5.5.7.8.4: SEQUENCE { OID 1.3.6.1.4.1.1, OCTET STRING }. */
static void hardware_name(X509 *x, struct str value)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	const unsigned char *p = (const unsigned char *)value.p;
	ASN1_TYPE *type = d2i_ASN1_TYPE(NULL, &p, (long)value.n);

	assert_non_null(type);
	assert_int_equal(GENERAL_NAME_set0_othername(name,
				 OBJ_txt2obj("1.3.6.1.5.5.7.8.4", 1), type),
		1);
	assert_true(sk_GENERAL_NAME_push(list, name) > 0);
	mkcert_add_san(x, list);
}

static void hardware_names(void **state)
{
	const struct {
		struct str value;
		const char *type, *serial;
	} CASES[] = {
		{STR("\x30\x0c\x06\x06\x2b\x06\x01\x04\x01\x01\x04\x02"
		     "42"),
			"1.3.6.1.4.1.1", "42"},
		{STR("\x30\x0c\x06\x06\x2b\x06\x01\x04\x01\x01\x04\x02\x00"
		     "\xff"),
			"1.3.6.1.4.1.1", "00FF"},
		{STR("\x30\x08\x06\x06\x2b\x06\x01\x04\x01\x01"), "", ""},
		{STR("\x30\x0c\x06\x06\x2b\x06\x01\x04\x01\x01\x0c\x02"
		     "42"),
			"", ""},
		{STR("\x30\x00"), "", ""},
		{STR("\x04\x02"
		     "42"),
			"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = mkcert_new(key);
		struct x509_names n;

		hardware_name(x, CASES[i].value);
		x509_names(x, &n);
		assert_string_equal(n.hw_type, CASES[i].type);
		assert_string_equal(n.hw_serial, CASES[i].serial);
		X509_free(x);
	}
}

/* ------------------------------------------------------- files, fingerprints */

static char path[64];

static void file_write(const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void load_expect(enum err_code expect)
{
	X509 *x = NULL;
	struct err e = {0};

	if (x509_load(path, &x, &e))
		e.code = ERR_NONE;
	else
		assert_null(x);
	assert_int_equal(e.code, expect);
	X509_free(x);
}

static void loads(void **state)
{
	static const char BAD_PEM[] = "-----BEGIN CERTIFICATE-----\n"
				      "!!!!\n-----END CERTIFICATE-----\n";
	X509 *x = mkcert_new(key);
	BIO *mem = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	char *pem;
	int n;

	(void)state;
	mkcert_sign(x, key);
	n = i2d_X509(x, &der);
	assert_true(n > 0);
	file_write(der, (size_t)n);
	load_expect(ERR_NONE);
	file_write(der, (size_t)n - 1);
	load_expect(ERR_INPUT);
	der = OPENSSL_realloc(der, (size_t)n + 1);
	der[n] = 0;
	file_write(der, (size_t)n + 1);
	load_expect(ERR_INPUT);
	OPENSSL_free(der);

	/* A key first, as many tools write them; then text only. */
	assert_int_equal(
		PEM_write_bio_PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL),
		1);
	n = (int)BIO_get_mem_data(mem, &pem);
	file_write(pem, (size_t)n);
	load_expect(ERR_INPUT);
	assert_int_equal(PEM_write_bio_X509(mem, x), 1);
	n = (int)BIO_get_mem_data(mem, &pem);
	file_write(pem, (size_t)n);
	load_expect(ERR_NONE);
	BIO_free(mem);
	X509_free(x);

	file_write(BAD_PEM, sizeof(BAD_PEM) - 1);
	load_expect(ERR_INPUT);
	file_write("", 0);
	load_expect(ERR_INPUT);
	der = calloc(1, 300000);
	assert_non_null(der);
	file_write(der, 300000);
	load_expect(ERR_INPUT);
	free(der);
	assert_int_equal(unlink(path), 0);
	load_expect(ERR_ENVIRONMENT);
}

#define HEX_32 "00112233445566778899aAbBcCdDeEfF"

static void fingerprints(void **state)
{
	const struct {
		struct str text;
		bool good;
	} CASES[] = {
		{STR(HEX_32 HEX_32), true},
		{STR("01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:"
		     "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF"),
			true},
		{STR(""), false},
		{STR(HEX_32), false},
		{STR(HEX_32 HEX_32 "0"), false},
		{STR(HEX_32 "0011223344556677889900aabbccddeg"), false},
		{STR(HEX_32 "0011223344556677889900aabbccdd:f"), false},
		{STR("01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:"
		     "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD-EF"),
			false},
		{STR("01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:"
		     "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:E:"),
			false},
	};
	uint8_t fp[FINGERPRINT_LEN];
	uint8_t again[FINGERPRINT_LEN];
	char text[FINGERPRINT_HEX];

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (fingerprint_parse(CASES[i].text, fp, NULL) != CASES[i].good)
			fail_msg("%.*s", STR_ARG(CASES[i].text));
		if (!CASES[i].good)
			continue;
		fingerprint_format(fp, text);
		assert_true(fingerprint_parse(str_from(text), again, NULL));
		assert_memory_equal(fp, again, sizeof(fp));
	}
	memset(fp, 0xA1, sizeof(fp));
	fingerprint_format(fp, text);
	assert_memory_equal(text, "a1a1a1", 6);
	assert_int_equal(strlen(text), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_hostile),
		cmocka_unit_test(hardware_names),
		cmocka_unit_test(loads),
		cmocka_unit_test(fingerprints),
	};
	int failed;

	(void)snprintf(
		path, sizeof(path), "/tmp/weir-test-x509-%ld", (long)getpid());
	key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(key);
	return failed;
}
