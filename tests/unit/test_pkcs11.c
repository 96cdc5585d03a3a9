/* SPDX-License-Identifier: Apache-2.0 */
/* With SoftHSM as the token; its key is imported by SoftHSM's own tool. */
#include "io/pkcs11.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include <pthread.h>
#include <sys/wait.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#define PIN     "97531"
#define MODULE  "/usr/lib/softhsm/libsofthsm2.so"
#define KEY     "pkcs11:token=weir-test;object=ca"
#define KEY_MOD KEY "?module-path=" MODULE

static struct tempdir dir;
static EVP_PKEY *key;
static int asked;

/* --------------------------------------------------------------------- URI */

static void uris(void **state)
{
	static const struct {
		const char *uri;
		const char *refused; /* NULL: accepted */
	} CASES[] = {
		{"pkcs11:object=ca", NULL},
		{"pkcs11:token=a;id=%01%ff", NULL},
		{"pkcs11:token=a;object=b;type=private", NULL},
		{"pkcs11:token=a;serial=1;model=m;manufacturer=x;object=b",
			NULL},
		{"pkcs11:object=a?pin-source=file:/etc/pin", NULL},
		{"pkcs11:object=a?pin-source=/etc/pin&module-path=/lib/x.so",
			NULL},
		{"", "not the URI"},
		{"pkcs11", "not the URI"},
		{"PKCS11:object=a", "not the URI"},
		{"file:/etc/passwd", "not the URI"},
		{"pkcs11:", "which key"},
		{"pkcs11:token=a", "which key"},
		{"pkcs11:object", "not the URI"},
		{"pkcs11:object=", "not the URI"},
		{"pkcs11:;object=a", "not the URI"},
		{"pkcs11:object=a;", NULL},
		{"pkcs11:object=a;slot-id=1", "slot-id"},
		{"pkcs11:object=a;type=cert", "not a private key"},
		{"pkcs11:object=a b", "not the URI"},
		{"pkcs11:object=a\n", "not the URI"},
		{"pkcs11:object=\xC3\xA4", "not the URI"},
		{"pkcs11:object=a%2", "not the URI"},
		{"pkcs11:object=a%", "not the URI"},
		{"pkcs11:object=a%zz", "not the URI"},
		{"pkcs11:object=a%00", "not the URI"},
		{"pkcs11:object=a?pin-value=1234", "no PIN in a URI"},
		{"pkcs11:object=a?pin-source=pin", "whole path"},
		{"pkcs11:object=a?pin-source=|cat", "whole path"},
		{"pkcs11:object=a?pin-source=file:pin", "whole path"},
		{"pkcs11:object=a?module-name=x", "not the URI"},
		{"pkcs11:object=a?module-path=/a&module-path=/b",
			"not the URI"},
		{"pkcs11:object=a?&", "not the URI"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const char *part = CASES[i].refused;
		bool done = pkcs11_uri_check(CASES[i].uri, &e);

		if (done != (part == NULL))
			fail_msg("%s: %s", CASES[i].uri, done ? "" : e.msg);
		if (!done && part != NULL && strstr(e.msg, part) == NULL)
			fail_msg("%s: %s", CASES[i].uri, e.msg);
	}
}

static void uri_length(void **state)
{
	char uri[PKCS11_URI_MAX + 1];

	(void)state;
	memset(uri, 'a', sizeof(uri));
	memcpy(uri, "pkcs11:object=", 14);
	uri[PKCS11_URI_MAX] = '\0';
	assert_false(pkcs11_uri_check(uri, NULL));
	uri[PKCS11_URI_MAX - 1] = '\0';
	assert_true(pkcs11_uri_check(uri, NULL));
}

/* ------------------------------------------------------------------- token */

static void shell(const char *command)
{
	/* Before there are threads. NOLINTNEXTLINE(concurrency-mt-unsafe,cert-env33-c) */
	assert_int_equal(system(command), 0);
}

static int token_make(void **state)
{
	char text[1024];
	FILE *f;

	(void)state;
	tempdir_make(&dir);
	(void)snprintf(text, sizeof(text),
		"directories.tokendir = %s/.tokens\nlog.level = ERROR\n",
		dir.path);
	tempdir_write(&dir, "conf", text, strlen(text));
	/* Before there are threads. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	assert_int_equal(setenv("SOFTHSM2_CONF", dir.at, 1), 0);
	assert_int_equal(mkdir(tempdir_at(&dir, ".tokens"), 0700), 0);
	key = EVP_EC_gen("P-256");
	f = fopen(tempdir_at(&dir, "key"), "w");
	assert_non_null(f);
	assert_int_equal(
		PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL),
		1);
	assert_int_equal(fclose(f), 0);
	shell("softhsm2-util --init-token --free --label weir-test --so-pin "
	      "87654321 --pin " PIN " >/dev/null");
	(void)snprintf(text, sizeof(text),
		"softhsm2-util --import %s --token weir-test --label ca --id "
		"01 --pin " PIN " >/dev/null",
		dir.at);
	shell(text);
	return 0;
}

static int token_remove(void **state)
{
	char text[128];

	(void)state;
	EVP_PKEY_free(key);
	(void)snprintf(text, sizeof(text), "rm -r %s/.tokens", dir.path);
	shell(text);
	(void)tempdir_walk(&dir, 1);
	return 0;
}

static bool give(void *ctx, const char *uri, char out[static PKCS11_PIN_MAX],
	struct err *e)
{
	assert_true(pkcs11_is_uri(uri));
	asked++;
	if (ctx == NULL)
		return err_set(e, ERR_INPUT, "nobody knows");
	(void)snprintf(out, PKCS11_PIN_MAX, "%s", (const char *)ctx);
	return true;
}

static struct pkcs11_pin knows(char *pin)
{
	return (struct pkcs11_pin){give, pin};
}

/* In a process of its own, since a login lasts as long as one. */
static bool open_elsewhere(
	const char *uri, const struct pkcs11_pin *pin, struct err *e)
{
	int fd[2], status = 0;
	pid_t child;

	assert_int_equal(pipe(fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct pkcs11 *k = NULL;
		bool done = pkcs11_open(uri, pin, &k, e);

		if (!done && (k != NULL || ERR_peek_error() != 0))
			(void)err_set(e, ERR_NONE, "outputs are touched");
		if (write(fd[1], e, sizeof(*e)) != (ssize_t)sizeof(*e))
			_exit(2);
		_exit(done ? 0 : 1);
	}
	(void)close(fd[1]);
	assert_int_equal(read(fd[0], e, sizeof(*e)), sizeof(*e));
	(void)close(fd[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static void open_fails(
	const char *uri, char *text, enum err_code code, const char *part)
{
	const struct pkcs11_pin pin = knows(text);
	struct err e = {.code = ERR_NONE};

	if (open_elsewhere(uri, &pin, &e))
		fail_msg("%s opens", uri);
	if (strstr(e.msg, part) == NULL || e.code != code)
		fail_msg("%s: %d %s", uri, e.code, e.msg);
	if (strstr(e.msg, PIN) != NULL)
		fail_msg("the message has the PIN: %s", e.msg);
}

static struct pkcs11 *opened(const char *uri, char *text)
{
	const struct pkcs11_pin pin = knows(text);
	struct pkcs11 *k = NULL;
	struct err e;

	if (!pkcs11_open(uri, &pin, &k, &e))
		fail_msg("%s: %s", uri, e.msg);
	return k;
}

static void signs(void **state)
{
	struct pkcs11 *k = opened(KEY_MOD, (char[]){PIN});
	X509 *x = mkcert_new(key);

	(void)state;
	assert_int_equal(EVP_PKEY_eq(pkcs11_public(k), key), 1);
	assert_true(pkcs11_sign(k, x, EVP_sha256(), NULL));
	assert_int_equal(X509_verify(x, key), 1);
	X509_free(x);
	pkcs11_close(&k);
	assert_null(k);
	pkcs11_close(&k);
}

static void refuses(void **state)
{
	(void)state;
	open_fails(
		KEY_MOD, (char[]){"11111"}, ERR_ENVIRONMENT, "PIN incorrect");
	open_fails(KEY_MOD, NULL, ERR_INPUT, "nobody knows");
	open_fails("pkcs11:token=weir-test;object=cb?module-path=" MODULE,
		(char[]){PIN}, ERR_ENVIRONMENT, "does not open the key");
	open_fails("pkcs11:token=weir;object=ca?module-path=" MODULE,
		(char[]){PIN}, ERR_ENVIRONMENT, "does not open the key");
	open_fails(KEY "?module-path=/nonexistent/weir.so", (char[]){PIN},
		ERR_ENVIRONMENT, "does not open the key");
	open_fails("pkcs11:token=weir-test", (char[]){PIN}, ERR_INPUT,
		"which key");
}

static void pin_file(void **state)
{
	char uri[1024];
	char longer[PKCS11_PIN_MAX + 1];
	struct pkcs11 *k;

	(void)state;
	tempdir_write(&dir, "pin", PIN "\nmore\n", 11);
	(void)snprintf(uri, sizeof(uri), KEY_MOD "&pin-source=file:%s", dir.at);
	assert_int_equal(chmod(dir.at, 0640), 0);
	open_fails(uri, (char[]){PIN}, ERR_ENVIRONMENT, "mode 0640");
	assert_int_equal(chmod(dir.at, 0600), 0);
	asked = 0;
	k = opened(uri, NULL);
	assert_int_equal(asked, 0);
	pkcs11_close(&k);
	memset(longer, '1', sizeof(longer));
	tempdir_write(&dir, "pin", longer, sizeof(longer));
	open_fails(uri, NULL, ERR_INPUT, "at most");
	assert_int_equal(unlink(tempdir_at(&dir, "pin")), 0);
	open_fails(uri, NULL, ERR_ENVIRONMENT, "pin");
}

/* ----------------------------------------------------------------- threads */

#define THREADS 8
#define EACH    50

static void *sign_some(void *arg)
{
	struct pkcs11 *k = arg;
	intptr_t good = 0;

	for (int i = 0; i < EACH; i++) {
		X509 *x = mkcert_new(key);

		good += pkcs11_sign(k, x, EVP_sha256(), NULL) &&
			X509_verify(x, key) == 1;
		X509_free(x);
	}
	return (void *)good; /* NOLINT(performance-no-int-to-ptr) */
}

static void threads(void **state)
{
	struct pkcs11 *k = opened(KEY_MOD, (char[]){PIN});
	pthread_t t[THREADS];
	void *good;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sign_some, k), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &good), 0);
		assert_int_equal((intptr_t)good, EACH);
	}
	pkcs11_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uris),
		cmocka_unit_test(uri_length),
		cmocka_unit_test(refuses),
		cmocka_unit_test(pin_file),
		cmocka_unit_test(signs),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, token_make, token_remove);
}
