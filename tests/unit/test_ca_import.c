/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/ca.h"
#include "certs/chain.h"
#include "certs/issue.h"
#include "certs/pem_file.h"
#include "io/x509.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#define NOW_S INT64_C(1790000000)

static struct tempdir from, to; /* a CA as ca_create makes it; the import */
static struct ca_import import;
static char cert[96], key[96];

static int setup(void **state)
{
	const struct ca_options o = {
		.name = "Corporate", .days = 30, .now_s = NOW_S};

	(void)state;
	tempdir_make(&from);
	tempdir_make(&to);
	assert_true(ca_create(from.path, &o, NULL));
	(void)snprintf(cert, sizeof(cert), "%s/ca.crt", from.path);
	(void)snprintf(key, sizeof(key), "%s/ca.key", from.path);
	import = (struct ca_import){.cert = cert, .key = key, .now_s = NOW_S};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)tempdir_walk(&from, 1);
	(void)tempdir_walk(&to, 1);
	return 0;
}

/* Imports, and loads what came of it; given. */
static struct ca *imported(void)
{
	struct ca *ca = NULL;
	struct err e;

	if (!ca_import(to.path, &import, &e) || !ca_load(to.path, &ca, &e))
		fail_msg("%s", e.msg);
	return ca;
}

static void refused(enum err_code code, const char *part)
{
	struct err e;

	assert_false(ca_import(to.path, &import, &e));
	assert_int_equal(e.code, code);
	if (strstr(e.msg, part) == NULL)
		fail_msg("'%s' lacks '%s'", e.msg, part);
	assert_int_equal(tempdir_walk(&to, 0), 0);
}

static bool issue(struct ca *ca, struct err *e)
{
	const struct issue_options o = {.now_s = NOW_S, .days = 3};
	struct device d = {.id = "pump-1"};
	EVP_PKEY *k = NULL;
	X509 *x = NULL;
	bool done;

	assert_true(key_generate(KEY_P256, &k, NULL));
	done = issue_device(ca, &d, k, &o, &x, e);
	if (done) {
		assert_int_equal(X509_verify(x, ca_public(ca)), 1);
		X509_free(x);
	}
	EVP_PKEY_free(k);
	return done;
}

static void with_key(void **state)
{
	struct ca *ca;

	(void)state;
	import.pen = 32473;
	ca = imported();
	assert_string_equal(ca_name(ca), "Corporate");
	assert_int_equal(ca_pen(ca), 32473);
	assert_int_equal(ca_key_place(ca), CA_KEY_FILE);
	assert_null(ca_key_uri(ca));
	assert_int_equal(tempdir_mode(&to, "ca.key"), 0600);
	assert_true(ca_open_key(ca, NULL, NULL));
	assert_true(issue(ca, NULL));
	ca_free(&ca);
}

static void without_key(void **state)
{
	struct ca *ca;
	struct err e;

	(void)state;
	import.key = NULL;
	import.name = "Elsewhere";
	ca = imported();
	assert_string_equal(ca_name(ca), "Elsewhere");
	assert_int_equal(ca_key_place(ca), CA_KEY_NONE);
	assert_int_equal(tempdir_mode(&to, "ca.key"), -1);
	assert_false(ca_open_key(ca, NULL, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, "no key here"));
	assert_false(issue(ca, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	ca_free(&ca);
	/* A key that lies there is not taken up behind ca.json's back. */
	tempdir_write(&to, "ca.key", "junk", 4);
	assert_true(ca_load(to.path, &ca, NULL));
	ca_free(&ca);
}

static void never_overwrites(void **state)
{
	static const char *const NAMES[] = {"ca.crt", "ca.key", "ca.json"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		tempdir_write(&to, NAMES[i], "mine", 4);
		assert_false(ca_import(to.path, &import, &e));
		assert_int_equal(e.code, ERR_CONFLICT);
		assert_int_equal(tempdir_walk(&to, 0), 1);
		assert_int_equal(unlink(tempdir_at(&to, NAMES[i])), 0);
	}
}

static void wrong_key(void **state)
{
	EVP_PKEY *other = NULL;

	(void)state;
	assert_true(key_generate(KEY_P256, &other, NULL));
	assert_true(pem_key_save(tempdir_at(&from, "other"), other, NULL));
	EVP_PKEY_free(other);
	import.key = from.at;
	refused(ERR_INPUT, "is not the key of");
	assert_int_equal(chmod(from.at, 0640), 0);
	refused(ERR_ENVIRONMENT, "0640");
	import.key = "/nonexistent/weir.key";
	refused(ERR_ENVIRONMENT, "weir.key");
	import.key = cert;
	assert_int_equal(chmod(cert, 0600), 0);
	refused(ERR_INPUT, "no unencrypted private key");
	import.key = "pkcs11:token=none";
	refused(ERR_INPUT, "object=");
}

static void wrong_certificate(void **state)
{
	(void)state;
	import.cert = key;
	refused(ERR_INPUT, "no certificate");
	import.cert = "/nonexistent/weir.crt";
	refused(ERR_ENVIRONMENT, "weir.crt");
	import.cert = cert;
	import.now_s = NOW_S + 31 * INT64_C(86400);
	refused(ERR_INPUT, "expired");
	import.now_s = NOW_S;
	import.name = "";
	refused(ERR_INPUT, "--name");
}

/* Neither O nor CN: it has no name that certificates could carry. */
static void nameless(void **state)
{
	EVP_PKEY *k = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(
		NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	X509 *x = mkcert_new(k);
	X509_NAME *name = X509_NAME_new();

	(void)state;
	mkcert_entry(name, "OU", MBSTRING_UTF8, STR("unit"));
	assert_int_equal(X509_set_subject_name(x, name), 1);
	assert_int_equal(X509_set_issuer_name(x, name), 1);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	mkcert_sign(x, k);
	assert_true(pem_cert_save(tempdir_at(&from, "odd"), x, NULL));
	import.cert = from.at;
	import.key = NULL;
	refused(ERR_INPUT, "--name");
	mkcert_entry(name, "CN", MBSTRING_UTF8, STR("By its CN"));
	assert_int_equal(X509_set_subject_name(x, name), 1);
	assert_int_equal(X509_set_issuer_name(x, name), 1);
	mkcert_sign(x, k);
	assert_true(pem_cert_save(tempdir_at(&from, "cn"), x, NULL));
	{
		struct ca *ca = imported();

		assert_string_equal(ca_name(ca), "By its CN");
		ca_free(&ca);
	}
	X509_NAME_free(name);
	X509_EXTENSION_free(ext);
	X509_free(x);
	EVP_PKEY_free(k);
}

/* ca.json says where the key is. */
static void settings(void **state)
{
	static const struct {
		const char *text;
		int place; /* -1: refused */
	} CASES[] = {
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0}", CA_KEY_FILE},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": null}",
			CA_KEY_NONE},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": "
		 "\"pkcs11:object=a\"}",
			CA_KEY_TOKEN},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": "
		 "\"pkcs11:token=a\"}",
			-1},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": "
		 "\"pkcs11:object=a?pin-value=1\"}",
			-1},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": "
		 "\"ca.key\"}",
			-1},
		{"{\"version\": 1, \"name\": \"a\", \"pen\": 0, \"key\": 1}",
			-1},
		{"{\"version\": 1, \"name\": \"a\", \"key\": null}", -1},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct ca *ca = NULL;
		bool done;

		tempdir_write(
			&from, "ca.json", CASES[i].text, strlen(CASES[i].text));
		done = ca_load(from.path, &ca, &e);
		assert_int_equal(done, CASES[i].place >= 0);
		if (done)
			assert_int_equal(ca_key_place(ca), CASES[i].place);
		else
			assert_int_equal(e.code, ERR_INPUT);
		ca_free(&ca);
	}
}

/* An intermediate, with the root behind it: both are kept, and P-384 signs
 * with SHA-384. */
static void types(void **state)
{
	static const struct {
		enum key_type type;
		int signature;
	} CASES[] = {
		{KEY_P256, NID_ecdsa_with_SHA256},
		{KEY_P384, NID_ecdsa_with_SHA384},
		{KEY_RSA2048, NID_sha256WithRSAEncryption},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct ca_options o = {.name = "Typed",
			.days = 30,
			.now_s = NOW_S,
			.key_type = CASES[i].type};
		struct ca *ca = NULL;

		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
		assert_true(ca_create(to.path, &o, NULL));
		assert_true(ca_load(to.path, &ca, NULL));
		assert_int_equal(X509_get_signature_nid(ca_cert(ca)),
			CASES[i].signature);
		assert_true(issue(ca, NULL));
		ca_free(&ca);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_key),
		TEST(without_key),
		TEST(never_overwrites),
		TEST(wrong_key),
		TEST(wrong_certificate),
		TEST(nameless),
		TEST(settings),
		TEST(types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
