/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/ca.h"
#include "certs/key.h"
#include "certs/pem_file.h"
#include "io/x509.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#define NOW_S INT64_C(1790000000)
#define DAY_S INT64_C(86400)

static struct tempdir dir;

static int setup(void **state)
{
	(void)state;
	tempdir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)tempdir_walk(&dir, 1);
	return 0;
}

static struct ca_options options(void)
{
	return (struct ca_options){.name = "Café & Söhne",
		.pen = 32473,
		.days = 3650,
		.now_s = NOW_S};
}

static void create(void)
{
	struct ca_options o = options();
	struct err e;

	if (!ca_create(dir.path, &o, &e))
		fail_msg("%s", e.msg);
}

static void load_fails(enum err_code code, const char *part)
{
	struct ca *ca = NULL;
	struct err e;

	assert_false(ca_load(dir.path, &ca, &e));
	assert_null(ca);
	assert_int_equal(e.code, code);
	if (strstr(e.msg, part) == NULL)
		fail_msg("'%s' lacks '%s'", e.msg, part);
}

static void profile(void **state)
{
	struct certificate c;
	struct x509_names n;
	struct ca *ca = NULL;
	X509 *x;

	(void)state;
	create();
	assert_true(ca_load(dir.path, &ca, NULL));
	assert_string_equal(ca_name(ca), "Café & Söhne");
	assert_int_equal(ca_pen(ca), 32473);
	x = ca_cert(ca);
	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_int_equal(X509_verify(x, ca_public(ca)), 1);
	assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA256);
	x509_names(x, &n);
	assert_string_equal(n.cn, "Café & Söhne CA");
	assert_string_equal(n.key, "EC P-256");
	assert_string_equal(n.subject, n.issuer);
	assert_true(strlen(n.serial) >= 28);
	assert_true(n.is_ca);
	assert_int_equal(X509_get_key_usage(x),
		X509v3_KU_KEY_CERT_SIGN | X509v3_KU_CRL_SIGN);
	assert_int_equal(X509_get_pathlen(x), 0);
	assert_non_null(X509_get0_subject_key_id(x));
	assert_true(x509_read(x, &c, NULL));
	assert_int_equal(c.not_before_s, NOW_S - 300);
	assert_int_equal(c.not_after_s, NOW_S + 3650 * DAY_S);
	ca_free(&ca);
	assert_null(ca);
	ca_free(&ca);
}

static void files(void **state)
{
	mode_t old = umask(0);

	(void)state;
	create();
	(void)umask(old);
	assert_int_equal(tempdir_mode(&dir, "ca.key"), 0600);
	assert_int_equal(tempdir_mode(&dir, "ca.crt"), 0644);
	assert_int_equal(tempdir_mode(&dir, "ca.json"), 0644);
	assert_int_equal(tempdir_walk(&dir, 0), 3);
}

static void never_overwrites(void **state)
{
	static const char *const NAMES[] = {"ca.crt", "ca.key", "ca.json"};
	struct ca_options o = options();
	struct err e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		tempdir_write(&dir, NAMES[i], "mine", 4);
		assert_false(ca_create(dir.path, &o, &e));
		assert_int_equal(e.code, ERR_CONFLICT);
		assert_non_null(strstr(e.msg, NAMES[i]));
		assert_int_equal(tempdir_walk(&dir, 0), 1);
		assert_int_equal(unlink(tempdir_at(&dir, NAMES[i])), 0);
	}
}

static void bad_options(void **state)
{
	static const struct {
		const char *name;
		int days;
	} CASES[] = {
		{"", 1},
		{"a\nb", 1},
		{"\xC3", 1},
		{"012345678901234567890123456789012345678901234567890123456789"
		 "0",
			1},
		{"Fleet", 0},
		{"Fleet", -1},
		{"Fleet", CERT_DAYS_MAX + 1},
	};
	struct ca_options o = options();
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		o.name = CASES[i].name;
		o.days = CASES[i].days;
		assert_false(ca_create(dir.path, &o, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(tempdir_walk(&dir, 0), 0);
	}
	/* The longest name and the longest validity. */
	o.name = "012345678901234567890123456789012345678901234567890123456789";
	o.days = CERT_DAYS_MAX;
	assert_true(ca_create(dir.path, &o, &e));
	o = options();
	tempdir_write(&dir, "file", "", 0);
	assert_false(ca_create(tempdir_at(&dir, "file/ca"), &o, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
}

static void load_missing(void **state)
{
	(void)state;
	load_fails(ERR_ENVIRONMENT, "weir ca init");
	create();
	assert_int_equal(unlink(tempdir_at(&dir, "ca.key")), 0);
	load_fails(ERR_ENVIRONMENT, "ca.key");
	assert_int_equal(unlink(tempdir_at(&dir, "ca.json")), 0);
	load_fails(ERR_ENVIRONMENT, "ca.json");
}

static void load_settings(void **state)
{
	static const char *const BAD[] = {
		"",
		"[]",
		"{}",
		"{\"version\": 2, \"name\": \"a\", \"pen\": 0}",
		"{\"version\": 1, \"name\": \"\", \"pen\": 0}",
		"{\"version\": 1, \"name\": \"a\"}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": -1}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": 4294967296}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": \"1\"}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"x\": 1}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"pen\": 1}",
		"{\"version\": 1, \"name\": \"a\", \"pen\": 0} x",
	};
	static const char GOOD[] =
		"{\"version\": 1, \"name\": \"a\", \"pen\": 4294967295}\n";
	struct ca *ca = NULL;

	(void)state;
	create();
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		tempdir_write(&dir, "ca.json", BAD[i], strlen(BAD[i]));
		load_fails(ERR_INPUT, "ca.json");
	}
	tempdir_write(&dir, "ca.json", GOOD, sizeof(GOOD) - 1);
	assert_true(ca_load(dir.path, &ca, NULL));
	assert_int_equal(ca_pen(ca), UINT32_MAX);
	ca_free(&ca);
}

static void load_key(void **state)
{
	EVP_PKEY *other = NULL;

	(void)state;
	create();
	assert_int_equal(chmod(tempdir_at(&dir, "ca.key"), 0640), 0);
	load_fails(ERR_ENVIRONMENT, "chmod 600");
	assert_int_equal(chmod(tempdir_at(&dir, "ca.key"), 0604), 0);
	load_fails(ERR_ENVIRONMENT, "0604");
	assert_int_equal(chmod(tempdir_at(&dir, "ca.key"), 0600), 0);
	tempdir_write(&dir, "ca.key", "junk", 4);
	load_fails(ERR_INPUT, "no unencrypted private key");
	assert_int_equal(unlink(tempdir_at(&dir, "ca.key")), 0);
	assert_true(key_generate(KEY_P256, &other, NULL));
	assert_true(pem_key_save(tempdir_at(&dir, "ca.key"), other, NULL));
	load_fails(ERR_INPUT, "not the key of");
	EVP_PKEY_free(other);
}

static void load_no_ca(void **state)
{
	EVP_PKEY *key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	X509 *x = mkcert_new(key);

	(void)state;
	create();
	mkcert_sign(x, key);
	assert_int_equal(unlink(tempdir_at(&dir, "ca.crt")), 0);
	assert_int_equal(unlink(tempdir_at(&dir, "ca.key")), 0);
	assert_true(pem_pair_save(dir.path, "ca", key, x, NULL));
	load_fails(ERR_INPUT, "not a CA's certificate");
	X509_free(x);
	EVP_PKEY_free(key);
	tempdir_write(&dir, "ca.crt", "junk", 4);
	load_fails(ERR_INPUT, "no certificate");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(profile),
		TEST(files),
		TEST(never_overwrites),
		TEST(bad_options),
		TEST(load_missing),
		TEST(load_settings),
		TEST(load_key),
		TEST(load_no_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
