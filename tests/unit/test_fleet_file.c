/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/fleet_file.h"
#include "io/record_stream.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include <openssl/pem.h>

#define FP "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

#define CREDENTIAL                                                             \
	"{\"fingerprint\":\"" FP "\",\"spki\":\"" FP "\",\"serial\":\"0A\","   \
	"\"issuer\":\"CN=x\",\"not_before_s\":1,\"not_after_s\":2"

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

static bool open_text(struct str text, enum fleet_use use,
	struct fleet_file **f, struct err *e)
{
	tempdir_write(&dir, "f", text.p, text.n);
	return fleet_open(tempdir_at(&dir, "f"), use, false, f, e);
}

static struct fleet_file *open_good(const char *text, enum fleet_use use)
{
	struct fleet_file *f = NULL;
	struct err e = {0};

	if (!open_text(str_from(text), use, &f, &e))
		fail_msg("%s: %s", text, e.msg);
	return f;
}

static struct fleet_entry next(struct fleet_file *f)
{
	struct fleet_entry x = {0};
	struct err e = {0};
	bool end = true;

	if (!fleet_next(f, &x, &end, &e))
		fail_msg("%s", e.msg);
	assert_false(end);
	return x;
}

static void at_end(struct fleet_file **f)
{
	struct fleet_entry x;
	bool end = false;

	assert_true(fleet_next(*f, &x, &end, NULL));
	assert_true(end);
	fleet_close(f);
}

static void csv_says_what_it_has_columns_for(void **state)
{
	struct fleet_file *f = open_good(
		"\xef\xbb\xbfid,class,iccid,attr.b,attr.a,attr.b,mode,"
		"status\r\n"
		"dev-1,meter,8988211000000530082,x,y,\"z,\"\"1\",observe,"
		"suspended\r\n\r\n"
		"dev-2,,,,,,,\n",
		FLEET_IMPORT);
	struct fleet_entry x = next(f);

	(void)state;
	assert_string_equal(x.device.id, "dev-1");
	assert_string_equal(x.device.class_name, "meter");
	assert_string_equal(
		x.device.sim[SIMID_ICCID].digits, "8988211000000530082");
	assert_int_equal(x.device.n_attrs, 3);
	assert_true(str_eq(x.device.attrs[0].value, STR("y")));
	assert_true(str_eq(x.device.attrs[1].value, STR("x")));
	assert_true(str_eq(x.device.attrs[2].value, STR("z,\"1")));
	assert_int_equal(x.n_attr_names, 2);
	assert_true(x.device.observe);
	assert_int_equal(x.device.status, DEVICE_SUSPENDED);
	assert_int_equal(x.line, 2);
	assert_true((x.given & FLEET_BIT(FLEET_ICCID)) != 0);
	assert_true((x.given & FLEET_BIT(FLEET_IMEI)) == 0);
	fleet_entry_fini(&x);
	x = next(f);
	assert_int_equal(x.line, 4);
	assert_int_equal(x.device.status, DEVICE_NONE);
	assert_string_equal(x.device.class_name, "");
	assert_true((x.given & FLEET_BIT(FLEET_MODE)) == 0);
	fleet_entry_fini(&x);
	at_end(&f);
}

static void json_says_what_it_has_keys_for(void **state)
{
	struct fleet_file *f = open_good(
		"{\"id\":\"dev-1\",\"class\":\"m\",\"attrs\":{\"a\":[\"1\","
		"\"2\"]},\"imsi\":null,\"status_until_s\":77,"
		"\"status\":\"quarantined\",\"created_s\":5,\"credentials\":"
		"[" CREDENTIAL ",\"status\":\"revoked\",\"revoked_s\":9,"
		"\"reason\":\"key_compromise\",\"device_id\":\"dev-1\"}"
		"," CREDENTIAL ",\"revoked_s\":null}]}\n",
		FLEET_IMPORT);
	struct fleet_entry x = next(f);

	(void)state;
	assert_int_equal(x.device.n_attrs, 2);
	assert_null(x.attr_names);
	assert_int_equal(x.device.status_until_s, 77);
	assert_int_equal(x.n_credentials, 2);
	assert_int_equal(x.credentials[0].fingerprint[1], 0x11);
	assert_int_equal(x.credentials[0].status, CREDENTIAL_REVOKED);
	assert_int_equal(x.credentials[0].revoked_s, 9);
	assert_int_equal(x.credentials[1].status, CREDENTIAL_ACTIVE);
	assert_string_equal(x.credentials[1].device_id, "dev-1");
	assert_true((x.given & FLEET_BIT(FLEET_IMSI)) != 0);
	fleet_entry_fini(&x);
	at_end(&f);
}

/* A certificate in PEM is one more credential, in either form. */
static void a_certificate_is_a_credential(void **state)
{
	EVP_PKEY *k = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *cert = mkcert_new(k);
	struct fleet_file *f;
	struct fleet_entry x;
	char text[4096];
	char *pem;
	long n;

	(void)state;
	mkcert_sign(cert, k);
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	n = BIO_get_mem_data(bio, &pem);
	(void)snprintf(text, sizeof(text),
		"id,certificate,credentials\nmeter-1,\"%.*s\",\"[]\"\n", (int)n,
		pem);
	f = open_good(text, FLEET_IMPORT);
	x = next(f);
	assert_int_equal(x.n_credentials, 1);
	assert_string_equal(x.credentials[0].serial, "0A23");
	assert_string_equal(x.credentials[0].device_id, "meter-1");
	fleet_entry_fini(&x);
	at_end(&f);
	X509_free(cert);
	EVP_PKEY_free(k);
	(void)BIO_free(bio);
}

static const struct {
	const char *text, *says;
} bad_starts[] = {
	{"name,class\na,b\n", "'name'"},
	{"class,iccid\n", "no column 'id'"},
	{"id,id\n", "twice"},
	{"id,csr\n", "weir cert bulk"},
	{"id,attr.\n", "'attr.'"},
	{"id,attr.1x\n", "attribute's name"},
	{"id,attrs\n", "attr.NAME"},
	{"id,\"a\n", "never closed"},
	{"id,\x1b[2J\n", "'?'"},
	{"\x01\x02", "neither CSV nor JSON"},
	{"\xff\xfei\0d\0", "UTF-16"},
	{"\xfe\xff\0i\0d", "UTF-16"},
	{"[{\"id\":\"a\",\"class\":\"c\"}]\n", "an object a line"},
	{" \n[\n", "an object a line"},
};

static void starts_that_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_starts) / sizeof(bad_starts[0]);
		i++) {
		struct fleet_file *f = NULL;
		struct err e = {0};

		assert_false(open_text(
			str_from(bad_starts[i].text), FLEET_IMPORT, &f, &e));
		assert_null(f);
		assert_int_equal(e.code, ERR_INPUT);
		if (strstr(e.msg, bad_starts[i].says) == NULL)
			fail_msg("%s: %s", bad_starts[i].text, e.msg);
	}
}

static const struct {
	const char *text, *says;
} bad_lines[] = {
	{"id,class\n-a,b\n", "id: "},
	{"id,class\n,b\n", "id: "},
	{"id,class\na,b c\n", "class: "},
	{"id,class\na\n", "1 fields"},
	{"id,class\na,b,c\n", "3 fields"},
	{"id,iccid\na,123\n", "iccid: "},
	{"id,iccid\na,8988211000000530083\n", "iccid: "},
	{"id,mode\na,off\n", "mode: "},
	{"id,status\na,gone\n", "status: "},
	{"id,status_until_s\na,-1\n", "status_until_s: "},
	{"id,status_until_s\na,1234567890123\n", "status_until_s: "},
	{"id,attr.a\na,x/y\n", "attribute 'a'"},
	{"id,attr.a,attr.a\na,x,x\n", "twice"},
	{"id,credentials\na,{}\n", "credentials: "},
	{"id,credentials\na,x\n", "credentials: "},
	{"id,certificate\na,x\n", "certificate: "},
	{"{\"id\":\"a\",\"x\":1}", "'x'"},
	{"{\"id\":\"a\",\"csr\":\"x\"}", "weir cert bulk"},
	{"{\"class\":\"a\"}", "id: is missing"},
	{"{\"id\":7}", "id: is missing"},
	{"{\"id\":\"a\",\"class\":7}", "class: "},
	{"{\"id\":\"a\",\"class\":\"\"}", "class: "},
	{"{\"id\":\"a\",\"attrs\":[]}", "attrs: "},
	{"{\"id\":\"a\",\"id\":\"b\"}", "twice"},
	{"{\"id\":\"a\"} x", ""},
	{"{\"id\":\"a\",\"credentials\":[{}]}", "credentials[0]: fingerprint"},
	{"{\"id\":\"a\",\"credentials\":[" CREDENTIAL ",\"k\":1}]}",
		"unknown key"},
	{"{\"id\":\"a\",\"credentials\":[" CREDENTIAL
	 ",\"status\":\"revoked\"}]}",
		"reason"},
	{"{\"id\":\"a\",\"credentials\":[" CREDENTIAL
	 ",\"reason\":\"revoked\"}]}",
		"reason"},
	{"{\"id\":\"a\",\"credentials\":[" CREDENTIAL ",\"device_id\":\"b\"}]}",
		"device_id"},
	{"{\"id\":\"a\",\"credentials\":[" CREDENTIAL ",\"status\":7}]}",
		"status"},
	{"{\"id\":\"a\",\"status_until_s\":\"7\"}", "status_until_s: "},
};

/* The line is named, and the next one is read. */
static void lines_that_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		struct fleet_file *f =
			open_good(bad_lines[i].text, FLEET_IMPORT);
		uint32_t line = bad_lines[i].text[0] == '{' ? 1 : 2;
		struct fleet_entry x;
		struct err e = {0};
		bool end = false;

		assert_false(fleet_next(f, &x, &end, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(e.line, line);
		if (strstr(e.msg, bad_lines[i].says) == NULL)
			fail_msg("%s: %s", bad_lines[i].text, e.msg);
		at_end(&f);
	}
}

static void bulk_takes_requests_and_no_status(void **state)
{
	struct fleet_file *f =
		open_good("id,csr\na,\"-----BEGIN X\n\"\n", FLEET_BULK);
	struct fleet_entry x = next(f);
	struct err e = {0};

	(void)state;
	assert_string_equal(x.csr, "-----BEGIN X\n");
	fleet_entry_fini(&x);
	at_end(&f);
	assert_false(open_text(STR("id,credentials\n"), FLEET_BULK, &f, &e));
	assert_non_null(strstr(e.msg, "weir device import"));
}

/* Of bytes that are no CSV nothing more is read; of JSON the next line is. */
static void what_cannot_be_told_apart_ends(void **state)
{
	struct fleet_file *f = open_good("id\na\"b\nc\n", FLEET_IMPORT);
	struct fleet_entry x;
	struct err e = {0};
	bool end = false;

	(void)state;
	assert_false(fleet_next(f, &x, &end, &e));
	at_end(&f);
	f = open_good("{]\n{\"id\":\"c\"}\n", FLEET_IMPORT);
	assert_false(fleet_next(f, &x, &end, &e));
	x = next(f);
	assert_string_equal(x.device.id, "c");
	fleet_entry_fini(&x);
	at_end(&f);
}

/* A line longer than any buffer is refused, and memory stays what it was. */
static void a_record_has_a_longest(void **state)
{
	size_t n = 3 * RECORD_MAX;
	char *text = malloc(n);
	struct fleet_file *f = NULL;
	struct fleet_entry x;
	struct err e = {0};
	bool end = false;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', n);
	text[0] = '{';
	assert_true(open_text((struct str){text, n}, FLEET_IMPORT, &f, &e));
	assert_false(fleet_next(f, &x, &end, &e));
	assert_non_null(strstr(e.msg, "longer than"));
	at_end(&f);
	free(text);
}

/* Lines that lie across the ends of the reader's buffer are whole. */
static void many_lines_are_all_read(void **state)
{
	const char *path;
	struct fleet_file *f = NULL;
	struct fleet_entry x;
	uint8_t digest[32];
	uint64_t at, size;
	bool end = false;
	FILE *out;
	int n = 0;

	(void)state;
	path = tempdir_at(&dir, "many");
	out = fopen(path, "wb");
	assert_non_null(out);
	(void)fputs("id,class,attr.a\n", out);
	for (int i = 0; i < 30000; i++)
		(void)fprintf(
			out, "dev-%d,meter,\"x\"\"%*d\"\r\n", i, i % 40, i);
	assert_int_equal(fclose(out), 0);
	assert_true(fleet_open(path, FLEET_IMPORT, false, &f, NULL));
	while (fleet_next(f, &x, &end, NULL) && !end) {
		char id[16];

		(void)snprintf(id, sizeof(id), "dev-%d", n);
		assert_string_equal(x.device.id, id);
		assert_int_equal(x.line, ++n + 1);
		fleet_entry_fini(&x);
	}
	assert_true(end);
	assert_int_equal(n, 30000);
	fleet_position(f, &at, &size);
	assert_true(at == size && size != 0);
	assert_true(fleet_digest(f, digest, NULL));
	fleet_close(&f);
}

static void a_file_that_is_not_there(void **state)
{
	struct fleet_file *f = NULL;
	struct err e = {0};

	(void)state;
	assert_false(fleet_open(
		tempdir_at(&dir, "none"), FLEET_IMPORT, false, &f, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_false(fleet_open(dir.path, FLEET_IMPORT, false, &f, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	f = open_good("", FLEET_IMPORT);
	at_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_says_what_it_has_columns_for),
		cmocka_unit_test(json_says_what_it_has_keys_for),
		cmocka_unit_test(a_certificate_is_a_credential),
		cmocka_unit_test(starts_that_are_refused),
		cmocka_unit_test(lines_that_are_refused),
		cmocka_unit_test(bulk_takes_requests_and_no_status),
		cmocka_unit_test(what_cannot_be_told_apart_ends),
		cmocka_unit_test(a_record_has_a_longest),
		cmocka_unit_test(many_lines_are_all_read),
		cmocka_unit_test(a_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
