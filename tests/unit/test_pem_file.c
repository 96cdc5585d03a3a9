/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/key.h"
#include "certs/pem_file.h"
#include "io/file.h"
#include "io/x509.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include <openssl/pem.h>
#include <signal.h>
#include <sys/resource.h>

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

static void content_is(const char *name, const char *expect)
{
	char *text = NULL;
	size_t len = 0;

	assert_true(file_read(tempdir_at(&dir, name), 4096, &text, &len, NULL));
	assert_string_equal(text, expect);
	file_text_free(&text, len);
}

static void modes(void **state)
{
	static const mode_t MASKS[] = {0, 022, 077, 0777};
	char name[16];

	(void)state;
	for (size_t i = 0; i < sizeof(MASKS) / sizeof(MASKS[0]); i++) {
		mode_t old = umask(MASKS[i]);

		(void)snprintf(name, sizeof(name), "private%zu", i);
		assert_true(pem_file_write(tempdir_at(&dir, name), STR("text"),
			PEM_PRIVATE, NULL));
		assert_int_equal(tempdir_mode(&dir, name), 0600);
		(void)snprintf(name, sizeof(name), "public%zu", i);
		assert_true(pem_file_write(
			tempdir_at(&dir, name), STR("text"), PEM_PUBLIC, NULL));
		assert_int_equal(tempdir_mode(&dir, name), 0644);
		(void)umask(old);
	}
	content_is("public0", "text");
	/* No temporary name is left. */
	assert_int_equal(tempdir_walk(&dir, 0), 8);
}

static void never_overwrites(void **state)
{
	struct err e;

	(void)state;
	assert_true(pem_file_write(
		tempdir_at(&dir, "a"), STR("one"), PEM_PUBLIC, &e));
	assert_false(pem_file_write(
		tempdir_at(&dir, "a"), STR("two"), PEM_PRIVATE, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, "exists already"));
	content_is("a", "one");
	assert_int_equal(tempdir_mode(&dir, "a"), 0644);
	/* Nor through a link, even one that leads nowhere. */
	assert_int_equal(symlink("nowhere", tempdir_at(&dir, "link")), 0);
	assert_false(pem_file_write(
		tempdir_at(&dir, "link"), STR("two"), PEM_PRIVATE, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(tempdir_walk(&dir, 0), 2);
}

static void bad_folders(void **state)
{
	struct err e;

	(void)state;
	tempdir_write(&dir, "file", "x", 1);
	assert_false(pem_file_write(
		tempdir_at(&dir, "none/a"), STR("x"), PEM_PUBLIC, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_non_null(strstr(e.msg, "none/a"));
	assert_false(pem_file_write(
		tempdir_at(&dir, "file/a"), STR("x"), PEM_PUBLIC, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_false(dir_make(tempdir_at(&dir, "file/a"), &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_false(dir_make(tempdir_at(&dir, "file"), &e));
	assert_false(dir_make("", &e));
}

/* A write that fails half way, as on a full disk, leaves nothing. */
static void write_fails(void **state)
{
	static const char TEXT[100000];
	struct rlimit old, low;
	struct err e;
	bool done;

	(void)state;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	done = pem_file_write(tempdir_at(&dir, "big"),
		(struct str){TEXT, sizeof(TEXT)}, PEM_PRIVATE, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(done);
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_int_equal(tempdir_walk(&dir, 0), 0);
}

static void folders(void **state)
{
	char deep[128];

	(void)state;
	(void)snprintf(deep, sizeof(deep), "%s/a/b//c/", dir.path);
	assert_true(dir_make(deep, NULL));
	assert_true(dir_make(deep, NULL));
	assert_int_equal(rmdir(tempdir_at(&dir, "a/b/c")), 0);
	assert_int_equal(rmdir(tempdir_at(&dir, "a/b")), 0);
	assert_int_equal(rmdir(tempdir_at(&dir, "a")), 0);
}

/* OpenSSL's own encoder writes the same, whatever the key: among 1,000
 * of P-256 there is one that starts with a zero, but for 2 runs in 100. */
static void keys_are_as_openssl_writes_them(void **state)
{
	EVP_PKEY_CTX *maker[KEY_TYPES];
	struct err e;

	(void)state;
	for (int t = 0; t < KEY_TYPES; t++) {
		maker[t] = key_maker((enum key_type)t, &e);
		assert_non_null(maker[t]);
	}
	for (int i = 0; i < 1000; i++) {
		BIO *bio = BIO_new(BIO_s_mem());
		EVP_PKEY *key = NULL;
		char text[4096], *ours = NULL;
		size_t len = 0;
		int n;

		assert_true(key_make(
			maker[i < KEY_TYPES ? i : KEY_P256], &key, &e));
		assert_true(pem_key_text(key, &ours, &len, &e));
		assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
					 bio, key, NULL, NULL, 0, NULL, NULL),
			1);
		n = BIO_read(bio, text, sizeof(text) - 1);
		assert_true(n > 0);
		text[n] = '\0';
		assert_int_equal(strlen(ours), len);
		assert_string_equal(ours, text);
		OPENSSL_clear_free(ours, len);
		(void)BIO_free(bio);
		EVP_PKEY_free(key);
	}
	for (int t = 0; t < KEY_TYPES; t++)
		EVP_PKEY_CTX_free(maker[t]);
}

static void pairs(void **state)
{
	EVP_PKEY *key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	X509 *cert = mkcert_new(key);
	X509 *again = NULL;
	struct err e;

	(void)state;
	mkcert_sign(cert, key);
	assert_true(pem_pair_save(dir.path, "d", key, cert, &e));
	assert_int_equal(tempdir_mode(&dir, "d.key"), 0600);
	assert_int_equal(tempdir_mode(&dir, "d.crt"), 0644);
	assert_true(x509_load(tempdir_at(&dir, "d.crt"), &again, &e));
	assert_int_equal(X509_cmp(cert, again), 0);
	assert_int_equal(X509_check_private_key(again, key), 1);
	X509_free(again);

	/* Both or none: a name that is taken on either side. */
	assert_false(pem_pair_save(dir.path, "d", key, cert, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	tempdir_write(&dir, "f.key", "mine", 4);
	assert_false(pem_pair_save(dir.path, "f", key, cert, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	content_is("f.key", "mine");
	assert_int_equal(tempdir_mode(&dir, "f.crt"), -1);
	tempdir_write(&dir, "g.crt", "mine", 4);
	assert_false(pem_pair_save(dir.path, "g", key, cert, &e));
	content_is("g.crt", "mine");
	assert_int_equal(tempdir_mode(&dir, "g.key"), -1);

	/* A signed request has no key to save. */
	assert_true(pem_pair_save(dir.path, "h", NULL, cert, &e));
	assert_int_equal(tempdir_mode(&dir, "h.key"), -1);
	assert_int_equal(tempdir_mode(&dir, "h.crt"), 0644);
	X509_free(cert);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(modes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(write_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(folders, setup, teardown),
		cmocka_unit_test_setup_teardown(
			keys_are_as_openssl_writes_them, setup, teardown),
		cmocka_unit_test_setup_teardown(pairs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
