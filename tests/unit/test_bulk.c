/* SPDX-License-Identifier: Apache-2.0 */
/* Files of many devices: staged, named, and what a crash leaves of them. */
#include "certs/bulk.h"
#include "certs/pem_file.h"
#include "certs/stage.h"
#include "io/x509.h"
#include "tests/support/tempdir.h"

#include <openssl/pem.h>

#define NOW_S INT64_C(1790000000)
#define N     40

static struct tempdir dir;
static struct ca *ca;
static struct device *devices;
static struct bulk_item items[N];

static int setup(void **state)
{
	const struct ca_options o = {
		.name = "Bulk", .days = 1000, .now_s = NOW_S};
	struct tempdir at;

	(void)state;
	tempdir_make(&at);
	assert_true(ca_create(at.path, &o, NULL));
	assert_true(ca_load(at.path, &ca, NULL));
	(void)tempdir_walk(&at, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ca_free(&ca);
	return 0;
}

static int each_setup(void **state)
{
	(void)state;
	tempdir_make(&dir);
	devices = test_calloc(N, sizeof(*devices));
	assert_non_null(devices);
	memset(items, 0, sizeof(items));
	for (int i = 0; i < N; i++) {
		devices[i].id_len = (uint8_t)snprintf(
			devices[i].id, sizeof(devices[i].id), "d-%d", i);
		items[i].device = &devices[i];
	}
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	test_free(devices);
	(void)tempdir_walk(&dir, 1);
	return 0;
}

static struct bulk_work work(unsigned jobs)
{
	return (struct bulk_work){.ca = ca,
		.options = {.now_s = NOW_S, .days = 30},
		.dir = dir.path,
		.jobs = jobs};
}

static void issue(unsigned jobs)
{
	const struct bulk_work w = work(jobs);
	struct err e = {0};

	if (!bulk_issue(&w, items, N, &e))
		fail_msg("%s", e.msg);
}

static EVP_PKEY *key_read(const char *name)
{
	FILE *f = fopen(tempdir_at(&dir, name), "rb");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, x509_no_passphrase, NULL);
	assert_int_equal(fclose(f), 0);
	assert_non_null(key);
	return key;
}

/* Each has its own certificate of the CA, and a key that is its own. */
static void every_device_gets_its_own(void **state)
{
	enum stage_found found;
	char name[32];

	(void)state;
	issue(4);
	assert_int_equal(tempdir_walk(&dir, 0), 2 * N);
	for (int i = 0; i < N; i++) {
		X509 *cert = NULL;
		struct certificate c;
		EVP_PKEY *key;

		assert_true(items[i].done);
		(void)snprintf(name, sizeof(name), "d-%d.key.new", i);
		assert_int_equal(tempdir_mode(&dir, name), 0600);
		key = key_read(name);
		assert_true(stage_find(
			dir.path, devices[i].id, &found, &cert, NULL));
		assert_int_equal(found, STAGE_NEW);
		assert_int_equal(X509_check_private_key(cert, key), 1);
		assert_int_equal(X509_verify(cert, ca_public(ca)), 1);
		assert_true(x509_read(cert, &c, NULL));
		assert_memory_equal(c.fingerprint,
			items[i].credential.fingerprint, FINGERPRINT_LEN);
		assert_string_equal(
			items[i].credential.device_id, devices[i].id);
		EVP_PKEY_free(key);
		X509_free(cert);
	}
}

static int tbs_equal(X509 *a, X509 *b)
{
	unsigned char *x = NULL, *y = NULL;
	int n = i2d_re_X509_tbs(a, &x), m = i2d_re_X509_tbs(b, &y);
	int equal = n > 0 && n == m && memcmp(x, y, (size_t)n) == 0;

	OPENSSL_free(x);
	OPENSSL_free(y);
	return equal;
}

/* What is made in the lean way is what issue_device makes otherwise. */
static void lean_is_the_same(void **state)
{
	struct issue_options o = {.now_s = NOW_S, .days = 30};
	struct device d = {.id = "d-0", .id_len = 3};

	(void)state;
	for (int t = 0; t < KEY_TYPES; t++) {
		X509 *lean = NULL, *plain = NULL, *again;
		unsigned char *der = NULL;
		const unsigned char *p;
		EVP_PKEY *key = NULL;
		int n;

		assert_true(key_generate((enum key_type)t, &key, NULL));
		o.lean = false;
		assert_true(issue_device(ca, &d, key, &o, &plain, NULL));
		o.lean = true;
		assert_true(issue_device(ca, &d, key, &o, &lean, NULL));
		/* All but the serial number, and with it the signature. */
		assert_int_equal(X509_set_serialNumber(
					 plain, X509_get_serialNumber(lean)),
			1);
		assert_true(ca_sign(ca, plain, NULL));
		n = i2d_X509(lean, &der);
		p = der;
		again = d2i_X509(NULL, &p, n);
		assert_non_null(again);
		assert_int_equal(X509_check_private_key(again, key), 1);
		assert_int_equal(X509_verify(again, ca_public(ca)), 1);
		assert_true(tbs_equal(again, plain));
		OPENSSL_free(der);
		X509_free(again);
		X509_free(lean);
		X509_free(plain);
		EVP_PKEY_free(key);
	}
}

static char *request(int der, size_t *n)
{
	X509_REQ *req = X509_REQ_new();
	EVP_PKEY *key = NULL;
	unsigned char *bytes = NULL;
	char *text = malloc(4096);
	int len;

	assert_true(key_generate(KEY_P256, &key, NULL));
	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	len = i2d_X509_REQ(req, &bytes);
	assert_true(text != NULL && len > 0);
	if (der) {
		*n = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, len);
	} else {
		BIO *bio = BIO_new(BIO_s_mem());

		assert_int_equal(PEM_write_bio_X509_REQ(bio, req), 1);
		*n = (size_t)BIO_read(bio, text, 4095);
		text[*n] = '\0';
		(void)BIO_free(bio);
	}
	OPENSSL_free(bytes);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return text;
}

/* A device that has its key gets no key file; a bad request fails alone. */
static void requests(void **state)
{
	size_t n;
	char *pem = request(0, &n), *der = request(1, &n);
	char *cut = strndup(der, n - 4), *altered = strdup(der);

	(void)state;
	altered[n / 2] = altered[n / 2] == 'A' ? 'B' : 'A';
	items[0].csr = pem;
	items[1].csr = der;
	items[2].csr = cut;
	items[3].csr = altered;
	items[4].csr = "";
	items[5].csr = "-----BEGIN NOTHING";
	issue(2);
	assert_true(items[0].done && items[1].done);
	for (int i = 2; i < 6; i++) {
		assert_false(items[i].done);
		assert_int_equal(items[i].e.code, ERR_INPUT);
	}
	assert_int_equal(tempdir_mode(&dir, "d-0.crt.new"), 0644);
	assert_int_equal(tempdir_mode(&dir, "d-0.key.new"), -1);
	assert_int_equal(tempdir_mode(&dir, "d-2.crt.new"), -1);
	assert_int_equal(tempdir_walk(&dir, 0), 2 + 2 * (N - 6));
	free(pem);
	free(der);
	free(cut);
	free(altered);
}

/* Nowhere to write: it is said, and nothing is left. */
static void no_folder(void **state)
{
	struct bulk_work w = work(3);
	struct err e = {0};

	(void)state;
	w.dir = "/tmp/weir-no-such-folder";
	assert_false(bulk_issue(&w, items, N, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_non_null(strstr(e.msg, "weir-no-such-folder"));
}

static enum stage_found find(const char *id)
{
	enum stage_found found;
	X509 *cert = NULL;

	assert_true(stage_find(dir.path, id, &found, &cert, NULL));
	X509_free(cert);
	return found;
}

static void every_step_can_be_the_last(void **state)
{
	(void)state;
	assert_int_equal(find("d-0"), STAGE_NOTHING);
	issue(1);
	issue(1); /* waste is replaced */
	assert_int_equal(find("d-0"), STAGE_NEW);
	assert_true(stage_publish(dir.path, "d-0", NULL));
	assert_true(stage_publish(dir.path, "d-0", NULL));
	assert_int_equal(find("d-0"), STAGE_NAMED);
	assert_int_equal(tempdir_mode(&dir, "d-0.key"), 0600);
	assert_int_equal(tempdir_mode(&dir, "d-0.key.new"), -1);
	stage_drop(dir.path, "d-0");
	assert_int_equal(find("d-0"), STAGE_NAMED);
	stage_drop(dir.path, "d-1");
	assert_int_equal(find("d-1"), STAGE_NOTHING);
}

static void names_that_are_taken_stay(void **state)
{
	struct err e = {0};

	(void)state;
	issue(1);
	tempdir_write(&dir, "d-0.key", "mine", 4);
	assert_false(stage_publish(dir.path, "d-0", &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(tempdir_mode(&dir, "d-0.crt"), -1);
	stage_drop(dir.path, "d-0");
	assert_int_equal(find("d-0"), STAGE_TAKEN);
	tempdir_write(&dir, "d-1.crt", "mine", 4);
	assert_int_equal(find("d-1"), STAGE_NAMED);
}

static void a_folder_is_for_one(void **state)
{
	struct err e = {0};
	int a = -1, b = -1;

	(void)state;
	assert_true(stage_lock(dir.path, &a, &e));
	assert_false(stage_lock(dir.path, &b, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_int_equal(b, -1);
	stage_unlock(a);
	assert_true(stage_lock(dir.path, &b, &e));
	stage_unlock(b);
	assert_false(stage_lock("/tmp/weir-no-such-folder", &a, &e));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, each_setup, each_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_device_gets_its_own),
		TEST(lean_is_the_same),
		TEST(requests),
		TEST(no_folder),
		TEST(every_step_can_be_the_last),
		TEST(names_that_are_taken_stay),
		TEST(a_folder_is_for_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
