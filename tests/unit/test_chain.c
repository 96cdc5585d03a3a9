/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/ca.h"
#include "certs/chain.h"
#include "certs/pem_file.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include <openssl/err.h>

#define NOW_S INT64_C(1790000000) /* 2026-09-21 */

/* What stands in a certificate; NULL: left out. */
struct sample {
	const char *name, *basic, *usage, *extended;
	const char *from, *until;
	EVP_PKEY *key;
};

static EVP_PKEY *root_key, *middle_key, *device_key;
static X509 *root, *middle, *device;
static struct tempdir dir;

static void extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext;

	if (value == NULL)
		return;
	ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* S, issued by ISSUER (NULL: itself). */
static X509 *issue(const struct sample *s, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_NAME *name;

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
	name = X509_get_subject_name(x);
	mkcert_entry(name, "CN", MBSTRING_UTF8, str_from(s->name));
	assert_int_equal(
		X509_set_issuer_name(x,
			issuer != NULL ? X509_get_subject_name(issuer) : name),
		1);
	mkcert_set_time(X509_getm_notBefore(x),
		s->from != NULL ? s->from : "20240229120000Z");
	mkcert_set_time(X509_getm_notAfter(x),
		s->until != NULL ? s->until : "20491231235959Z");
	assert_int_equal(X509_set_pubkey(x, s->key), 1);
	extension(x, NID_basic_constraints, s->basic);
	extension(x, NID_key_usage, s->usage);
	extension(x, NID_ext_key_usage, s->extended);
	mkcert_sign(x, issuer_key);
	return x;
}

#define CA_BASIC "critical,CA:TRUE"
#define CA_USAGE "critical,keyCertSign"

static int setup(void **state)
{
	(void)state;
	root_key = EVP_EC_gen("P-384");
	middle_key = EVP_RSA_gen(2048);
	device_key = EVP_EC_gen("P-256");
	root = issue(&(struct sample){"Root", CA_BASIC, CA_USAGE, NULL, NULL,
			     NULL, root_key},
		NULL, root_key);
	middle = issue(&(struct sample){"Middle", CA_BASIC, CA_USAGE, NULL,
			       NULL, NULL, middle_key},
		root, root_key);
	device =
		issue(&(struct sample){"pump-1", "CA:FALSE", "digitalSignature",
			      "clientAuth", NULL, NULL, device_key},
			middle, middle_key);
	tempdir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(root);
	X509_free(middle);
	X509_free(device);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(device_key);
	(void)tempdir_walk(&dir, 1);
	return 0;
}

/* A chain of borrowed certificates; chain_free. */
static STACK_OF(X509) *chain_of(size_t n, X509 *const *list)
{
	STACK_OF(X509) *chain = sk_X509_new_null();

	assert_non_null(chain);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(X509_up_ref(list[i]), 1);
		assert_true(sk_X509_push(chain, list[i]) > 0);
	}
	return chain;
}
#define CHAIN(...)                                                             \
	chain_of(sizeof((X509 *[]){__VA_ARGS__}) / sizeof(X509 *),             \
		(X509 *[]){__VA_ARGS__})

static void says(const struct err *e, enum err_code code, const char *part)
{
	assert_int_equal(e->code, code);
	assert_non_null(part);
	if (part != NULL && strstr(e->msg, part) == NULL)
		fail_msg("'%s' lacks '%s'", e->msg, part);
	assert_int_equal(ERR_peek_error(), 0);
}

/* --------------------------------------------------------------- check_ca */

static void ca_checked(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	const struct {
		struct sample s;
		const char *refused; /* NULL: accepted */
	} CASES[] = {
		{{"a", CA_BASIC, CA_USAGE, NULL, NULL, NULL, root_key}, NULL},
		/* What a plain openssl req -x509 makes. */
		{{"a", "CA:TRUE", NULL, NULL, NULL, NULL, root_key}, NULL},
		{{"a", CA_BASIC, CA_USAGE, "clientAuth,serverAuth", NULL, NULL,
			 root_key},
			NULL},
		{{"a", NULL, NULL, NULL, NULL, NULL, root_key},
			"basicConstraints"},
		{{"a", NULL, CA_USAGE, NULL, NULL, NULL, root_key},
			"basicConstraints"},
		{{"a", "CA:FALSE", CA_USAGE, NULL, NULL, NULL, root_key},
			"basicConstraints"},
		{{"a", CA_BASIC, "cRLSign,digitalSignature", NULL, NULL, NULL,
			 root_key},
			"keyCertSign"},
		{{"a", CA_BASIC, CA_USAGE, "serverAuth", NULL, NULL, root_key},
			"extendedKeyUsage"},
		{{"a", CA_BASIC, CA_USAGE, NULL, NULL, "20260920000000Z",
			 root_key},
			"expired on 2026-09-20"},
		{{"a", CA_BASIC, CA_USAGE, NULL, "20260923000000Z", NULL,
			 root_key},
			"valid from 2026-09-23"},
		{{"a", CA_BASIC, CA_USAGE, NULL, NULL, NULL, weak}, "RSA 1024"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = issue(&CASES[i].s, NULL, CASES[i].s.key);
		struct err e;
		bool done = chain_check_ca(x, NOW_S, &e);

		if (CASES[i].refused != NULL && done)
			fail_msg("case %zu passes", i);
		if (CASES[i].refused != NULL)
			says(&e, ERR_INPUT, CASES[i].refused);
		else if (!done)
			fail_msg("case %zu: %s", i, e.msg);
		X509_free(x);
	}
	EVP_PKEY_free(weak);
}

/* ------------------------------------------------------------------ order */

static void order(bool good, STACK_OF(X509) *chain, const char *part)
{
	struct err e;
	bool done = chain_check_order(chain, NOW_S, &e);

	assert_int_equal(done, good);
	if (!done)
		says(&e, ERR_INPUT, part);
	chain_free(&chain);
	assert_null(chain);
}

static void ordered(void **state)
{
	/* The name of the right issuer, and another's signature. */
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *forged = issue(&(struct sample){"Middle", CA_BASIC, CA_USAGE,
				     NULL, NULL, NULL, key},
		root, key);

	(void)state;
	order(true, CHAIN(root), NULL);
	order(true, CHAIN(middle), NULL);
	order(true, CHAIN(middle, root), NULL);
	order(false, CHAIN(root, middle), "2 has not issued certificate 1");
	order(false, CHAIN(middle, middle, root), "has not issued");
	order(false, CHAIN(device, middle), "CA");
	order(false, CHAIN(forged, root), "2 has not issued certificate 1");
	assert_true(chain_is_root(root));
	assert_false(chain_is_root(middle));
	X509_free(forged);
	EVP_PKEY_free(key);
}

/* ----------------------------------------------------------------- verify */

static void verify(bool good, STACK_OF(X509) *leaf, STACK_OF(X509) *ca)
{
	struct err e;
	bool done = chain_verify(leaf, ca, &e);

	if (done != good)
		fail_msg("%s", done ? "it passes" : e.msg);
	if (!done)
		says(&e, ERR_INPUT, "");
	assert_int_equal(ERR_peek_error(), 0);
	chain_free(&leaf);
	chain_free(&ca);
}

static void verified(void **state)
{
	struct sample s = {"pump-1", "CA:FALSE", NULL, "clientAuth", NULL,
		"20250101000000Z", device_key};
	X509 *expired = issue(&s, middle, middle_key);
	X509 *server, *forged;

	(void)state;
	s.extended = "serverAuth";
	server = issue(&s, middle, middle_key);
	s.extended = "clientAuth";
	forged = issue(&s, middle, device_key);
	verify(true, CHAIN(device), CHAIN(middle));
	verify(true, CHAIN(device), CHAIN(middle, root));
	verify(true, CHAIN(device, middle), CHAIN(root));
	verify(true, CHAIN(device, middle, root), CHAIN(root));
	/* The registry's business, and the plugin's. */
	verify(true, CHAIN(expired), CHAIN(middle));
	verify(false, CHAIN(device), CHAIN(root));
	verify(false, CHAIN(device, root), CHAIN(root));
	verify(false, CHAIN(server), CHAIN(middle));
	verify(false, CHAIN(forged), CHAIN(middle));
	X509_free(expired);
	X509_free(server);
	X509_free(forged);
}

/* A CA that may issue for some names only, as an eUICC's manufacturer's. */
static void name_constraints(void **state)
{
	X509 *narrow = issue(&(struct sample){"Narrow", CA_BASIC, CA_USAGE,
				     NULL, NULL, NULL, root_key},
		NULL, root_key);
	X509 *x;
	STACK_OF(X509) *leaf, *ca;
	struct err e;

	(void)state;
	extension(narrow, NID_name_constraints,
		"critical,permitted;DNS:devices.example");
	mkcert_sign(narrow, root_key);
	x = issue(&(struct sample){"pump-1", "CA:FALSE", NULL, NULL, NULL, NULL,
			  device_key},
		narrow, root_key);
	extension(x, NID_subject_alt_name, "DNS:other.example");
	mkcert_sign(x, root_key);
	leaf = CHAIN(x);
	ca = CHAIN(narrow);
	assert_false(chain_verify(leaf, ca, &e));
	says(&e, ERR_INPUT, "permitted subtree violation");
	chain_free(&leaf);
	chain_free(&ca);
	X509_free(x);
	X509_free(narrow);
}

/* ------------------------------------------------------------------- load */

static void load_fails(const char *name, enum err_code code, const char *part)
{
	STACK_OF(X509) *chain = NULL;
	struct err e;

	assert_false(chain_load(tempdir_at(&dir, name), &chain, &e));
	assert_null(chain);
	says(&e, code, part);
}

static void loaded(void **state)
{
	STACK_OF(X509) *chain = CHAIN(device, middle, root);
	STACK_OF(X509) *again = NULL;
	unsigned char *der = NULL;
	int n = i2d_X509(device, &der);

	(void)state;
	assert_true(pem_chain_save(tempdir_at(&dir, "pem"), chain, NULL));
	assert_int_equal(tempdir_mode(&dir, "pem"), 0644);
	chain_free(&chain);
	assert_true(chain_load(tempdir_at(&dir, "pem"), &again, NULL));
	assert_int_equal(sk_X509_num(again), 3);
	assert_int_equal(X509_cmp(sk_X509_value(again, 0), device), 0);
	assert_int_equal(X509_cmp(sk_X509_value(again, 2), root), 0);
	chain_free(&again);
	assert_true(n > 0);
	tempdir_write(&dir, "der", der, (size_t)n);
	assert_true(chain_load(tempdir_at(&dir, "der"), &again, NULL));
	assert_int_equal(sk_X509_num(again), 1);
	chain_free(&again);
	tempdir_write(&dir, "long", der, (size_t)n - 1);
	load_fails("long", ERR_INPUT, "no certificate");
	OPENSSL_free(der);
}

static void not_loaded(void **state)
{
	STACK_OF(X509) *chain =
		CHAIN(root, root, root, root, root, root, root, root, root);
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_true(pem_chain_save(tempdir_at(&dir, "nine"), chain, NULL));
	chain_free(&chain);
	load_fails("nine", ERR_INPUT, "more than 8");
	load_fails("none", ERR_ENVIRONMENT, "none");
	tempdir_write(&dir, "empty", "", 0);
	load_fails("empty", ERR_INPUT, "no certificate");
	/* The second one is cut off: not a chain of one. */
	assert_true(pem_cert_text(root, &text, &n, NULL));
	text = OPENSSL_realloc(text, 2 * n + 1);
	assert_non_null(text);
	memcpy(text + n, text, n);
	tempdir_write(&dir, "cut", text, 2 * n - 60);
	load_fails("cut", ERR_INPUT, "broken");
	text[n + 100] = '!';
	tempdir_write(&dir, "bad", text, 2 * n);
	load_fails("bad", ERR_INPUT, "broken");
	OPENSSL_free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ca_checked),
		TEST(ordered),
		TEST(verified),
		TEST(name_constraints),
		TEST(loaded),
		TEST(not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
