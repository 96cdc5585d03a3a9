/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: their lines, and what a crash at each step leaves. */
#include "certs/bundle.h"

#include "certs/stage.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include "certs/pem_file.h"
#include "io/x509.h"

#define FIRST  "bundle-000001.jsonl"
#define SECOND "bundle-000002.jsonl"

static struct tempdir dir;
static char *cert_pem;
static uint8_t cert_fp[FINGERPRINT_LEN];

/* What SEEN was told, and what it answers. */
static struct {
	bool registered, fails;
	int n;
	char last[DEVICE_ID_MAX + 1];
} told;

static bool seen(void *ctx, const char *id,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool *registered,
	struct err *e)
{
	assert_ptr_equal(ctx, &told);
	assert_memory_equal(fingerprint, cert_fp, FINGERPRINT_LEN);
	(void)snprintf(told.last, sizeof(told.last), "%s", id);
	told.n++;
	*registered = told.registered;
	return !told.fails || err_set(e, ERR_ENVIRONMENT, "told to fail");
}

static int setup(void **state)
{
	EVP_PKEY *key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	X509 *x = mkcert_new(key);
	struct certificate c;
	size_t n;

	(void)state;
	mkcert_sign(x, key);
	assert_true(pem_cert_text(x, &cert_pem, &n, NULL));
	assert_true(x509_read(x, &c, NULL));
	memcpy(cert_fp, c.fingerprint, sizeof(cert_fp));
	X509_free(x);
	EVP_PKEY_free(key);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	OPENSSL_free(cert_pem);
	return 0;
}

static int each_setup(void **state)
{
	(void)state;
	tempdir_make(&dir);
	memset(&told, 0, sizeof(told));
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	(void)tempdir_walk(&dir, 1);
	return 0;
}

static struct bundle *opened(void)
{
	struct bundle *b = NULL;
	struct err e = {0};

	if (!bundle_open(dir.path, seen, &told, &b, &e))
		fail_msg("%s", e.msg);
	return b;
}

static void refuse(enum err_code code, const char *says)
{
	struct bundle *b = NULL;
	struct err e = {0};

	assert_false(bundle_open(dir.path, seen, &told, &b, &e));
	assert_null(b);
	assert_int_equal(e.code, code);
	if (strstr(e.msg, says) == NULL && strstr(e.place, says) == NULL)
		fail_msg("'%s: %s' lacks '%s'", e.place, e.msg, says);
}

static void add(struct bundle *b, const char *id)
{
	char *line = NULL;
	size_t n = 0;

	assert_true(bundle_line(
		id, str_from(cert_pem), STR("KEY\n"), &line, &n, NULL));
	assert_true(bundle_add(b, (struct str){line, n}, NULL));
	free(line);
}

static int mode(const char *name)
{
	return tempdir_mode(&dir, name);
}

static void lines(void **state)
{
	char *line = NULL;
	size_t n = 0;

	(void)state;
	assert_true(bundle_line(
		"a-1", STR("one\ntwo\n"), STR("k\n\n"), &line, &n, NULL));
	assert_int_equal(
		n, sizeof("{\"id\":\"a-1\",\"certificate\":\"one\\ntwo\\n\","
			  "\"key\":\"k\\n\\n\"}\n") -
			   1);
	assert_memory_equal(line,
		"{\"id\":\"a-1\",\"certificate\":\"one\\ntwo\\n\","
		"\"key\":\"k\\n\\n\"}\n",
		n);
	free(line);
	/* The device has its key. */
	assert_true(bundle_line(
		"a-1", STR("one"), (struct str){NULL, 0}, &line, &n, NULL));
	assert_memory_equal(
		line, "{\"id\":\"a-1\",\"certificate\":\"one\"}\n", n);
	free(line);
}

static void written_and_read(void **state)
{
	struct bundle *b = opened();
	char id[32];

	(void)state;
	/* More than the buffer holds. */
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(id, sizeof(id), "d-%d", i);
		add(b, id);
	}
	assert_int_equal(mode(FIRST ".new"), 0600);
	assert_true(bundle_sync(b, NULL));
	assert_int_equal(mode(FIRST), -1);
	assert_true(bundle_publish(b, NULL));
	assert_int_equal(mode(FIRST), 0600);
	/* Nothing added, nothing there. */
	assert_true(bundle_sync(b, NULL) && bundle_publish(b, NULL));
	add(b, "next");
	assert_true(bundle_sync(b, NULL) && bundle_publish(b, NULL));
	bundle_close(&b);
	assert_int_equal(tempdir_walk(&dir, 0), 2);
	/* What has its name stays, whatever is said of it. */
	b = opened();
	assert_int_equal(told.n, 3001);
	add(b, "third");
	assert_int_equal(mode("bundle-000003.jsonl.new"), 0600);
	bundle_close(&b);
	assert_int_equal(tempdir_walk(&dir, 0), 2);
}

/* Leaves FIRST.new as a crash after step 1 does, or who then does not know
 * whether step 2 was done. */
static void crash(void)
{
	struct bundle *b = opened();

	bundle_leave(b); /* there is none */
	add(b, "d-1");
	add(b, "d-2");
	assert_true(bundle_sync(b, NULL));
	bundle_leave(b);
	/* The next one is another, and drops itself alone. */
	add(b, "d-3");
	assert_int_equal(mode(SECOND ".new"), 0600);
	bundle_close(&b);
	assert_int_equal(mode(FIRST ".new"), 0600);
	assert_int_equal(tempdir_walk(&dir, 0), 1);
}

static void registered_before_the_crash(void **state)
{
	struct bundle *b;

	(void)state;
	crash();
	told.registered = true;
	b = opened();
	assert_int_equal(told.n, 2);
	assert_string_equal(told.last, "d-2");
	assert_int_equal(mode(FIRST), 0600);
	assert_int_equal(mode(FIRST ".new"), -1);
	add(b, "d-3");
	assert_true(bundle_sync(b, NULL) && bundle_publish(b, NULL));
	assert_int_equal(mode(SECOND), 0600);
	bundle_close(&b);
}

static void not_registered_before_the_crash(void **state)
{
	struct bundle *b;

	(void)state;
	crash();
	b = opened();
	assert_int_equal(tempdir_walk(&dir, 0), 0);
	bundle_close(&b);
	/* Cut off, in whichever line. */
	tempdir_write(&dir, FIRST ".new", "{\"id\":\"d-1\",\"cert", 17);
	b = opened();
	assert_int_equal(tempdir_walk(&dir, 0), 0);
	bundle_close(&b);
	tempdir_write(&dir, FIRST ".new", "", 0);
	b = opened();
	assert_int_equal(tempdir_walk(&dir, 0), 0);
	bundle_close(&b);
}

/* Who cannot tell whether it is waste removes nothing. */
static void not_known_before_the_crash(void **state)
{
	(void)state;
	crash();
	told.fails = true;
	refuse(ERR_ENVIRONMENT, "told to fail");
	assert_int_equal(mode(FIRST ".new"), 0600);
}

static void what_is_no_bundle(void **state)
{
	static const char *const BAD[] = {"{}\n", "x\n", "{\"id\":\"a\"}\n",
		"{\"id\":\"a\",\"certificate\":\"-----BEGIN\"}\n",
		"{\"id\":\"/\",\"certificate\":\"\"}\n",
		"{\"id\":1,\"certificate\":2}\n", "{\"id\":\"a\"",
		"id,certificate\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		tempdir_write(&dir, FIRST, BAD[i], strlen(BAD[i]));
		refuse(ERR_INPUT, FIRST);
		assert_int_equal(mode(FIRST), 0644);
	}
	assert_int_equal(told.n, 0);
}

static void names_of_others(void **state)
{
	static const char *const OTHERS[] = {"bundle-1.jsonl",
		"bundle-0000001.jsonl", "bundle-000001.jsonl.old",
		"bundle-9999999999.jsonl", "bundle-.jsonl", "bundle-000001",
		"failed.csv"};
	enum bundle_kind kind;
	struct bundle *b;

	(void)state;
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		tempdir_write(&dir, OTHERS[i], "x", 1);
	b = opened();
	assert_true(bundle_look(dir.path, &kind, NULL));
	assert_int_equal(kind, BUNDLE_NONE);
	add(b, "a");
	assert_int_equal(mode(FIRST ".new"), 0600);
	assert_true(bundle_look(dir.path, &kind, NULL));
	assert_int_equal(kind, BUNDLE_LINES);
	bundle_drop(b);
	assert_int_equal(mode(FIRST ".new"), -1);
	tempdir_write(&dir, "a.crt.new", "x", 1);
	assert_true(bundle_look(dir.path, &kind, NULL));
	assert_int_equal(kind, BUNDLE_FILES);
	bundle_close(&b);
	assert_false(bundle_look("/tmp/weir-no-such-folder", &kind, NULL));
}

static void a_name_that_is_taken(void **state)
{
	struct bundle *b = opened();
	struct err e = {0};

	(void)state;
	add(b, "a");
	assert_true(bundle_sync(b, NULL));
	tempdir_write(&dir, FIRST, "mine", 4);
	assert_false(bundle_publish(b, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	/* It is registered by then: it stays. */
	bundle_close(&b);
	assert_int_equal(mode(FIRST ".new"), 0600);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, each_setup, each_teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines),
		TEST(written_and_read),
		TEST(registered_before_the_crash),
		TEST(not_registered_before_the_crash),
		TEST(not_known_before_the_crash),
		TEST(what_is_no_bundle),
		TEST(names_of_others),
		TEST(a_name_that_is_taken),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
