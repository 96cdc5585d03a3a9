/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate profile, and that a verifier accepts what it should only. */
#include "certs/issue.h"
#include "certs/key.h"
#include "io/x509.h"
#include "tests/support/mkcert.h"
#include "tests/support/tempdir.h"

#include <pthread.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#define NOW_S  INT64_C(1790000000)
#define DAY_S  INT64_C(86400)
#define EID    "89049032007008882600086562427831"
#define ICCID  "8988211000000530082"
#define IMSI   "001010123456789"
#define IMEI   "490154203237518"
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct ca *with_pen, *without_pen, *other;
static EVP_PKEY *key;

static struct ca *ca_make(const char *name, uint32_t pen)
{
	const struct ca_options o = {
		.name = name, .pen = pen, .days = 1000, .now_s = NOW_S};
	struct tempdir dir;
	struct ca *ca = NULL;

	tempdir_make(&dir);
	assert_true(ca_create(dir.path, &o, NULL));
	assert_true(ca_load(dir.path, &ca, NULL));
	(void)tempdir_walk(&dir, 1);
	return ca;
}

static void sim_set(struct device *d, enum simid_kind kind, const char *text)
{
	assert_true(simid_parse(kind, str_from(text), 0, &d->sim[kind], NULL));
}

static struct device device_of(const char *id)
{
	struct device d = {.status = DEVICE_ACTIVE};

	memcpy(d.id, id, strlen(id) + 1);
	d.id_len = (uint8_t)strlen(id);
	return d;
}

static struct device device_with_sim(void)
{
	struct device d = device_of("meter-1");

	sim_set(&d, SIMID_ICCID, ICCID);
	sim_set(&d, SIMID_IMSI, IMSI);
	sim_set(&d, SIMID_IMEI, IMEI);
	sim_set(&d, SIMID_EID, EID);
	return d;
}

static struct issue_options options(bool sim)
{
	return (struct issue_options){
		.now_s = NOW_S, .days = 365, .sim_in_cert = sim};
}

/* X509_V_OK or why not, at T_S, for PURPOSE, trusting CA alone. */
static int verify(X509 *x, const struct ca *ca, int purpose, const char *host,
	int64_t t_s)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int error;

	assert_int_equal(X509_STORE_add_cert(store, ca_cert(ca)), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)t_s);
	assert_int_equal(
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT), 1);
	assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
	if (host != NULL && (host[0] == ':' || host[0] == '1'))
		assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(param, host), 1);
	else if (host != NULL)
		assert_int_equal(
			X509_VERIFY_PARAM_set1_host(param, host, 0), 1);
	(void)X509_verify_cert(ctx);
	error = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return error;
}

static X509 *device_cert(const struct ca *ca, const struct device *d, bool sim)
{
	struct issue_options o = options(sim);
	X509 *x = NULL;
	struct err e;

	if (!issue_device(ca, d, key, &o, &x, &e))
		fail_msg("%s", e.msg);
	return x;
}

static bool critical(X509 *x, int nid)
{
	int at = X509_get_ext_by_NID(x, nid, -1);

	assert_true(at >= 0);
	return X509_EXTENSION_get_critical(X509_get_ext(x, at)) == 1;
}

static void device_profile(void **state)
{
	struct device d = device_with_sim();
	X509 *x = device_cert(with_pen, &d, false);
	struct certificate c;
	struct x509_names n;

	(void)state;
	x509_names(x, &n);
	assert_string_equal(n.subject, "CN=meter-1,O=Fleet");
	assert_string_equal(n.issuer, "CN=Fleet CA,O=Fleet");
	assert_string_equal(n.key, "EC P-256");
	assert_false(n.is_ca);
	assert_true(n.client_auth);
	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA256);
	assert_int_equal(X509_get_key_usage(x), X509v3_KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_CLIENT);
	assert_true(critical(x, NID_key_usage));
	assert_true(critical(x, NID_basic_constraints));
	assert_non_null(X509_get0_subject_key_id(x));
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x),
				 X509_get0_subject_key_id(ca_cert(with_pen))),
		0);
	/* Five extensions: no SIM identifier unless asked for. */
	assert_int_equal(X509_get_ext_count(x), 5);
	assert_true(x509_read(x, &c, NULL));
	assert_true(c.usable);
	for (int k = 0; k < SIMID_KINDS; k++)
		assert_string_equal(c.stated[k], "");
	assert_int_equal(c.not_before_s, NOW_S - 300);
	assert_int_equal(c.not_after_s, NOW_S + 365 * DAY_S);
	X509_free(x);
}

static void device_chain(void **state)
{
	struct device d = device_of("meter-1");
	X509 *x = device_cert(with_pen, &d, false);
	const int client = X509_PURPOSE_SSL_CLIENT;

	(void)state;
	assert_int_equal(verify(x, with_pen, client, NULL, NOW_S), X509_V_OK);
	assert_int_equal(
		verify(x, with_pen, client, NULL, NOW_S - 299), X509_V_OK);
	assert_int_equal(verify(x, with_pen, client, NULL, NOW_S - 301),
		X509_V_ERR_CERT_NOT_YET_VALID);
	assert_int_equal(verify(x, with_pen, client, NULL, NOW_S + 366 * DAY_S),
		X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(
		verify(x, with_pen, X509_PURPOSE_SSL_SERVER, NULL, NOW_S),
		X509_V_ERR_INVALID_PURPOSE);
	assert_int_equal(verify(x, other, client, NULL, NOW_S),
		X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	X509_free(x);
}

static void serials_differ(void **state)
{
	struct device d = device_of("meter-1");
	X509 *a = device_cert(with_pen, &d, false);
	X509 *b = device_cert(with_pen, &d, false);

	(void)state;
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a),
				     X509_get0_serialNumber(b)),
		0);
	assert_int_equal(
		ASN1_STRING_type(X509_get0_serialNumber(a)), V_ASN1_INTEGER);
	assert_true(ASN1_STRING_length(X509_get0_serialNumber(a)) >= 12);
	X509_free(a);
	X509_free(b);
}

static void sim_with_pen(void **state)
{
	struct device d = device_with_sim();
	X509 *x = device_cert(with_pen, &d, true);
	struct certificate c;
	struct x509_names n;

	(void)state;
	assert_true(x509_read(x, &c, NULL));
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		assert_true(simid_same(&d.sim[k], str_from(c.stated[k])));
		assert_false(issue_left_out(with_pen, &d, (enum simid_kind)k));
	}
	x509_names(x, &n);
	assert_string_equal(n.serial_number, "");
	assert_int_equal(
		verify(x, with_pen, X509_PURPOSE_SSL_CLIENT, NULL, NOW_S),
		X509_V_OK);
	X509_free(x);
}

static void sim_without_pen(void **state)
{
	struct device d = device_with_sim();
	X509 *x = device_cert(without_pen, &d, true);
	struct certificate c;
	struct x509_names n;

	(void)state;
	assert_true(x509_read(x, &c, NULL));
	assert_string_equal(c.stated[SIMID_EID], EID);
	assert_true(
		simid_same(&d.sim[SIMID_IMEI], str_from(c.stated[SIMID_IMEI])));
	assert_string_equal(c.stated[SIMID_ICCID], "");
	assert_string_equal(c.stated[SIMID_IMSI], "");
	assert_true(issue_left_out(without_pen, &d, SIMID_ICCID));
	assert_true(issue_left_out(without_pen, &d, SIMID_IMSI));
	assert_false(issue_left_out(without_pen, &d, SIMID_IMEI));
	assert_false(issue_left_out(without_pen, &d, SIMID_EID));
	x509_names(x, &n);
	assert_string_equal(n.serial_number, EID);
	X509_free(x);
}

static void refuse_device(const struct ca *ca, const struct device *d,
	EVP_PKEY *k, const struct issue_options *o, const char *part)
{
	X509 *x = NULL;
	struct err e;

	assert_false(issue_device(ca, d, k, o, &x, &e));
	assert_null(x);
	assert_int_equal(e.code, ERR_INPUT);
	if (strstr(e.msg, part) == NULL)
		fail_msg("'%s' lacks '%s'", e.msg, part);
}

static void device_refused(void **state)
{
	struct issue_options o = options(false);
	struct issue_options sim = options(true);
	struct device d = device_of("meter-1");
	struct device bad = device_of("meter/1");
	EVP_PKEY *weak = EVP_RSA_gen(1024);

	(void)state;
	refuse_device(with_pen, &bad, key, &o, "device id");
	refuse_device(with_pen, &d, weak, &o, "RSA 1024");
	refuse_device(with_pen, &d, ca_public(with_pen), &o, "CA's own key");
	refuse_device(with_pen, &d, key, &sim, "register one first");
	sim_set(&d, SIMID_ICCID, ICCID);
	refuse_device(without_pen, &d, key, &sim, "--pen");
	o.days = 0;
	refuse_device(with_pen, &d, key, &o, "1 to 36500 days");
	/* 2026-09-21 and 1001 days; the CA has 1000. */
	o.days = 1001;
	refuse_device(with_pen, &d, key, &o, "2029-06-18");
	refuse_device(with_pen, &d, key, &o, "2029-06-17");
	EVP_PKEY_free(weak);
}

static void as_long_as_its_ca(void **state)
{
	struct issue_options o = options(false);
	struct device d = device_of("meter-1");
	struct certificate c;
	X509 *x = NULL;

	(void)state;
	o.days = 1000;
	/* Before the CA's time: starts with the CA. */
	o.now_s = NOW_S - 200;
	assert_true(issue_device(with_pen, &d, key, &o, &x, NULL));
	assert_true(x509_read(x, &c, NULL));
	assert_int_equal(c.not_before_s, NOW_S - 300);
	X509_free(x);
}

/* ------------------------------------------------------------------ server */

static void server_profile(void **state)
{
	const char *const hosts[] = {"broker.example", "*.fleet.example"};
	const char *const addresses[] = {"127.0.0.1", "::1"};
	const struct server_names n = {hosts, 2, addresses, 2};
	struct issue_options o = options(false);
	const int server = X509_PURPOSE_SSL_SERVER;
	struct x509_names names;
	X509 *x = NULL;

	(void)state;
	assert_true(issue_server(with_pen, &n, key, &o, &x, NULL));
	x509_names(x, &names);
	assert_string_equal(names.subject, "CN=broker.example,O=Fleet");
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	assert_int_equal(X509_get_key_usage(x), X509v3_KU_DIGITAL_SIGNATURE);
	assert_int_equal(
		verify(x, with_pen, server, "broker.example", NOW_S), 0);
	assert_int_equal(
		verify(x, with_pen, server, "a.fleet.example", NOW_S), 0);
	assert_int_equal(verify(x, with_pen, server, "127.0.0.1", NOW_S), 0);
	assert_int_equal(verify(x, with_pen, server, "::1", NOW_S), 0);
	assert_int_equal(verify(x, with_pen, server, "other.example", NOW_S),
		X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(verify(x, with_pen, server, "127.0.0.2", NOW_S),
		X509_V_ERR_IP_ADDRESS_MISMATCH);
	assert_int_equal(
		verify(x, with_pen, X509_PURPOSE_SSL_CLIENT, NULL, NOW_S),
		X509_V_ERR_INVALID_PURPOSE);
	X509_free(x);
}

#define LONG_LABEL                                                             \
	"a23456789012345678901234567890123456789012345678901234567890123"

#define TOO_LONG                                                               \
	"a234567890123456789012345678901234567890123456789012345678901234.b"

static void server_cn(void **state)
{
	const char *const longest[] = {LONG_LABEL ".example"};
	const char *const address[] = {"192.0.2.1"};
	const struct server_names by_host = {longest, 1, NULL, 0};
	const struct server_names by_address = {NULL, 0, address, 1};
	struct issue_options o = options(false);
	struct x509_names names;
	X509 *x = NULL;

	(void)state;
	assert_true(issue_server(with_pen, &by_host, key, &o, &x, NULL));
	x509_names(x, &names);
	assert_string_equal(names.subject, "O=Fleet");
	X509_free(x);
	assert_true(issue_server(with_pen, &by_address, key, &o, &x, NULL));
	x509_names(x, &names);
	assert_string_equal(names.subject, "CN=192.0.2.1,O=Fleet");
	X509_free(x);
}

static void server_refused(void **state)
{
	static const char *const HOSTS[] = {"", ".", "a.", ".a", "a..b", "-a",
		"a-", "a_b", "a b", "*", "*.", "a.*", "*a.b", "a/b", "a:1",
		"caf\xC3\xA9.example", "192.0.2.1", "::1", "192.0.2.300",
		TOO_LONG};
	static const char *const ADDRESSES[] = {"", "localhost", "192.0.2",
		"192.0.2.1/24", "192.0.2.256", ":::", "fe80::1%lo"};
	const char *many[SERVER_NAMES_MAX + 1];
	struct server_names n = {NULL, 0, NULL, 0};
	struct issue_options o = options(false);
	X509 *x = NULL;
	struct err e;

	(void)state;
	assert_false(issue_server(with_pen, &n, key, &o, &x, &e));
	for (size_t i = 0; i < LEN(HOSTS); i++) {
		n = (struct server_names){&HOSTS[i], 1, NULL, 0};
		if (issue_server(with_pen, &n, key, &o, &x, &e))
			fail_msg("host '%s'", HOSTS[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
	for (size_t i = 0; i < LEN(ADDRESSES); i++) {
		n = (struct server_names){NULL, 0, &ADDRESSES[i], 1};
		if (issue_server(with_pen, &n, key, &o, &x, &e))
			fail_msg("address '%s'", ADDRESSES[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
	for (size_t i = 0; i < LEN(many); i++)
		many[i] = "a.example";
	n = (struct server_names){many, LEN(many), NULL, 0};
	assert_false(issue_server(with_pen, &n, key, &o, &x, &e));
	n.n_hosts = SERVER_NAMES_MAX;
	assert_true(issue_server(with_pen, &n, key, &o, &x, &e));
	X509_free(x);
	o.days = 1001;
	assert_false(issue_server(with_pen, &n, key, &o, &x, &e));
	assert_non_null(strstr(e.msg, "its CA ends on"));
}

/* The usage of an RSA key by either side, and the digest of a P-384 CA. */
static void key_types(void **state)
{
	const uint32_t sign = X509v3_KU_DIGITAL_SIGNATURE;
	const struct ca_options o = {.name = "Strong",
		.days = 1000,
		.now_s = NOW_S,
		.key_type = KEY_P384};
	const char *const host[] = {"broker.example"};
	const struct server_names n = {host, 1, NULL, 0};
	struct issue_options i = options(false);
	struct device d = device_of("meter-1");
	struct tempdir dir;
	struct ca *strong = NULL;
	EVP_PKEY *rsa = NULL;
	X509 *x = NULL;

	(void)state;
	tempdir_make(&dir);
	assert_true(ca_create(dir.path, &o, NULL));
	assert_true(ca_load(dir.path, &strong, NULL));
	(void)tempdir_walk(&dir, 1);
	assert_true(key_generate(KEY_RSA2048, &rsa, NULL));
	assert_true(issue_device(strong, &d, rsa, &i, &x, NULL));
	assert_int_equal(X509_get_key_usage(x), sign);
	assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA384);
	X509_free(x);
	assert_true(issue_server(strong, &n, rsa, &i, &x, NULL));
	assert_int_equal(
		X509_get_key_usage(x), sign | X509v3_KU_KEY_ENCIPHERMENT);
	X509_free(x);
	EVP_PKEY_free(rsa);
	ca_free(&strong);
}

#define THREADS 4
#define EACH    100

static void *issue_some(void *arg)
{
	const struct ca *ca = arg;
	struct issue_options o = options(false);
	struct device d = device_of("meter-1");
	intptr_t good = 0;

	for (int i = 0; i < EACH; i++) {
		X509 *x = NULL;

		good += issue_device(ca, &d, key, &o, &x, NULL) &&
			X509_verify(x, ca_public(ca)) == 1;
		X509_free(x);
	}
	return (void *)good; /* NOLINT(performance-no-int-to-ptr) */
}

/* What issue.h and ca.h promise to whoever issues in bulk. */
static void threads_share_a_ca(void **state)
{
	pthread_t t[THREADS];
	void *good;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, issue_some, with_pen), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &good), 0);
		assert_int_equal((intptr_t)good, EACH);
	}
}

static int setup(void **state)
{
	(void)state;
	with_pen = ca_make("Fleet", 32473);
	without_pen = ca_make("Fleet", 0);
	other = ca_make("Other", 0);
	assert_true(key_generate(KEY_P256, &key, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ca_free(&with_pen);
	ca_free(&without_pen);
	ca_free(&other);
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_profile),
		cmocka_unit_test(device_chain),
		cmocka_unit_test(serials_differ),
		cmocka_unit_test(sim_with_pen),
		cmocka_unit_test(sim_without_pen),
		cmocka_unit_test(device_refused),
		cmocka_unit_test(as_long_as_its_ca),
		cmocka_unit_test(server_profile),
		cmocka_unit_test(server_cn),
		cmocka_unit_test(server_refused),
		cmocka_unit_test(key_types),
		cmocka_unit_test(threads_share_a_ca),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
