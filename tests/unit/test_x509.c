/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made here, honest and hostile, and the identity they state. */
#include "io/x509.h"
#include "tests/support/mkcert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#define EID   "89049032007008882600086562427831"
#define EID_2 "89049044900000000000000000102355"
#define ICCID "urn:dev:org:32473-iccid:8988211000000530082"
#define IMEI  "urn:gsma:imei:49015420-323751-0"

static EVP_PKEY *key; /* for every certificate that does not test keys */

/* Reads and frees X. PROBLEM: part of what is expected, NULL for none. */
static struct certificate read_free(X509 *x, const char *problem)
{
	struct certificate c;
	struct err e;

	mkcert_sign(x, key);
	ERR_clear_error();
	assert_true(x509_read(x, &c, &e));
	assert_int_equal(ERR_peek_error(), 0);
	X509_free(x);
	if (problem == NULL && !c.usable)
		fail_msg("unusable: %s", c.problem);
	if (problem != NULL && (c.usable || strstr(c.problem, problem) == NULL))
		fail_msg("'%s', expected '%s'", c.problem, problem);
	return c;
}

/* --------------------------------------------------------------- identity */

struct san_case {
	struct str uri[3];
	const char *problem;
	const char *iccid, *imsi, *imei, *eid;
};

static void san_check(const struct san_case *s)
{
	X509 *x = mkcert_new(key);
	struct certificate c;
	size_t n = 0;

	while (n < 3 && s->uri[n].p != NULL)
		n++;
	mkcert_add_names(x, GEN_URI, s->uri, n);
	c = read_free(x, s->problem);
	if (s->problem != NULL)
		return;
	assert_string_equal(c.stated[SIMID_ICCID], s->iccid ? s->iccid : "");
	assert_string_equal(c.stated[SIMID_IMSI], s->imsi ? s->imsi : "");
	assert_string_equal(c.stated[SIMID_IMEI], s->imei ? s->imei : "");
	assert_string_equal(c.stated[SIMID_EID], s->eid ? s->eid : "");
}

static void san_uris(void **state)
{
	const struct san_case CASES[] = {
		{.uri = {STR(ICCID)}, .iccid = "8988211000000530082"},
		{.uri = {STR(IMEI ";svn=42")}, .imei = "49015420323751"},
		{.uri = {STR("urn:dev:org:1-imsi:001010123456789")},
			.imsi = "001010123456789"},
		{.uri = {STR("urn:dev:org:1-eid:" EID)}, .eid = EID},
		{.uri = {STR(IMEI), STR(ICCID), STR("https://example.org")},
			.iccid = "8988211000000530082",
			.imei = "49015420323751"},
		{.uri = {STR("urn:uuid:1"),
			 STR("urn:dev:mac:0024befffe804ff1")}},
		/* Twice, alike: leniently, as they will be compared. */
		{.uri = {STR(ICCID), STR(ICCID)},
			.iccid = "8988211000000530082"},
		{.uri = {STR(ICCID "F"),
			 STR("urn:dev:org:1-iccid:898821100000053008")},
			.iccid = "8988211000000530082F"},
		{.uri = {STR(IMEI), STR("urn:gsma:imei:49015420-323751-8")},
			.imei = "49015420323751"},
		/* Twice, unlike. */
		{.uri = {STR(ICCID),
			 STR("urn:dev:org:1-iccid:8988211000000467343")},
			.problem = "two different values of iccid"},
		{.uri = {STR(IMEI), STR("urn:gsma:imei:49015420-323752-0")},
			.problem = "two different values of imei"},
		{.uri = {STR("urn:dev:org:1-imsi:001010123456789"),
			 STR("urn:dev:org:1-imsi:001010123456780")},
			.problem = "two different values of imsi"},
		{.uri = {STR("urn:dev:org:1-eid:" EID),
			 STR("urn:dev:org:1-eid:" EID_2)},
			.problem = "two different values of eid"},
		{.uri = {STR(ICCID "x")}, .problem = "malformed SIM"},
		{.uri = {STR(IMEI), STR("urn:gsma:imei:1")},
			.problem = "malformed SIM"},
		{.uri = {STR(ICCID "\0")}, .problem = "NUL"},
		{.uri = {STR(ICCID "\0.example.org")}, .problem = "NUL"},
		{.uri = {STR("https://example.org/\0")}, .problem = "NUL"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		san_check(&CASES[i]);
}

static void no_identity(void **state)
{
	struct certificate c = read_free(mkcert_new(key), NULL);

	(void)state;
	for (int k = 0; k < SIMID_KINDS; k++)
		assert_string_equal(c.stated[k], "");
}

static void nul_in_dns(void **state)
{
	const struct str dns = STR("a.example\0.org");
	X509 *x = mkcert_new(key);

	(void)state;
	mkcert_add_names(x, GEN_DNS, &dns, 1);
	(void)read_free(x, "NUL");
}

static void san_malformed(void **state)
{
	const struct {
		struct str der;
		const char *problem;
	} CASES[] = {
		/* [6] "a:b", well-formed: shows that the others are not
		 * refused for something else. */
		{STR("\x30\x05\x86\x03"
		     "a:b"),
			NULL},
		{STR("\x30\x05\x86\x03"
		     "a:b\x00"),
			"malformed"},           /* a byte behind */
		{STR("\x30\x00"), "malformed"}, /* no entry */
		{STR(""), "malformed"},
		{STR("\x30"), "malformed"},
		{STR("\x30\x05\x86\x04"
		     "a:b"),
			"malformed"}, /* inner too long */
		{STR("\x30\x7F\x86\x03"
		     "a:b"),
			"malformed"}, /* outer too long */
		{STR("\x31\x05\x86\x03"
		     "a:b"),
			"malformed"}, /* a SET */
		{STR("\x30\x05\x8F\x03"
		     "a:b"),
			"malformed"}, /* no such choice */
		{STR("junk"), "malformed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = mkcert_new(key);

		mkcert_add_raw_san(x, CASES[i].der);
		(void)read_free(x, CASES[i].problem);
	}
}

static void san_twice(void **state)
{
	const struct str uri = STR(ICCID);
	X509 *x = mkcert_new(key);

	(void)state;
	mkcert_add_names(x, GEN_URI, &uri, 1);
	mkcert_add_names(x, GEN_URI, &uri, 1);
	(void)read_free(x, "two subjectAltName");
}

static void serial_numbers(void **state)
{
	const struct {
		int type;
		struct str text;
		const char *problem, *eid;
	} CASES[] = {
		{V_ASN1_PRINTABLESTRING, STR(EID), NULL, EID},
		{V_ASN1_UTF8STRING, STR(EID), NULL, EID},
		{V_ASN1_PRINTABLESTRING, STR("SN-0042"), NULL, ""},
		{V_ASN1_PRINTABLESTRING,
			STR("89049032007008882600086562427832"), NULL, ""},
		{V_ASN1_PRINTABLESTRING, STR(EID "1"), NULL, ""},
		{V_ASN1_T61STRING, STR(EID), NULL, ""},
		{V_ASN1_UTF8STRING, STR(EID "\0"), "NUL", NULL},
		{V_ASN1_UTF8STRING, STR("SN\0"), "NUL", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = mkcert_new(key);
		struct certificate c;

		mkcert_entry(X509_get_subject_name(x), "serialNumber",
			CASES[i].type, CASES[i].text);
		c = read_free(x, CASES[i].problem);
		if (CASES[i].eid != NULL)
			assert_string_equal(c.stated[SIMID_EID], CASES[i].eid);
	}
}

static void eid_twice(void **state)
{
	const struct str same = STR("urn:dev:org:1-eid:" EID);
	const struct str another = STR("urn:dev:org:1-eid:" EID_2);
	X509 *x = mkcert_new(key);

	(void)state;
	mkcert_entry(X509_get_subject_name(x), "serialNumber",
		V_ASN1_PRINTABLESTRING, STR(EID));
	mkcert_add_names(x, GEN_URI, &same, 1);
	(void)read_free(x, NULL);

	x = mkcert_new(key);
	mkcert_entry(X509_get_subject_name(x), "serialNumber",
		V_ASN1_PRINTABLESTRING, STR(EID));
	mkcert_add_names(x, GEN_URI, &another, 1);
	(void)read_free(x, "two different values of eid");

	x = mkcert_new(key);
	mkcert_entry(X509_get_subject_name(x), "serialNumber",
		V_ASN1_PRINTABLESTRING, STR(EID));
	mkcert_entry(X509_get_subject_name(x), "serialNumber",
		V_ASN1_PRINTABLESTRING, STR(EID_2));
	(void)read_free(x, "two different values of eid");
}

/* ------------------------------------------------------------- key and time */

static void key_forms(void **state)
{
	EVP_PKEY *k = EVP_RSA_gen(1024);

	(void)state;
	(void)read_free(mkcert_new(k), NULL);
	EVP_PKEY_free(k);
	k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	(void)read_free(mkcert_new(k), NULL);
	EVP_PKEY_free(k);
	k = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	(void)read_free(mkcert_new(k), NULL);
	assert_int_equal(
		EVP_PKEY_set_utf8_string_param(k,
			OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
			OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED),
		1);
	(void)read_free(mkcert_new(k), "usual form");
	EVP_PKEY_free(k);
	k = mkcert_ec_key(OPENSSL_EC_EXPLICIT_CURVE);
	(void)read_free(mkcert_new(k), "usual form");
	EVP_PKEY_free(k);
}

static void rsa_parameters(void **state)
{
	EVP_PKEY *k = EVP_RSA_gen(1024);
	X509 *x = mkcert_new(k);
	X509_ALGOR *a = NULL;

	(void)state;
	assert_int_equal(X509_PUBKEY_get0_param(
				 NULL, NULL, NULL, &a, X509_get_X509_PUBKEY(x)),
		1);
	assert_int_equal(X509_ALGOR_set0(a, OBJ_nid2obj(NID_rsaEncryption),
				 V_ASN1_UNDEF, NULL),
		1);
	(void)read_free(x, "usual form");
	EVP_PKEY_free(k);
}

static void validity(void **state)
{
	static const struct {
		const char *text;
		int64_t t_s;
	} CASES[] = {
		{"19700101000000Z", 0},
		{"20240229235959Z", 1709251199},
		{"20240301000000Z", 1709251200},
		{"000229000000Z", 951782400},
		{"491231235959Z", 2524607999},
		{"500101000000Z", -631152000},
		{"20380119031408Z", 2147483648},
		{"21000301000000Z", 4107542400},
		{"99991231235959Z", 253402300799},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = mkcert_new(key);
		struct certificate c;

		mkcert_set_time(X509_getm_notAfter(x), CASES[i].text);
		mkcert_set_time(X509_getm_notBefore(x), CASES[i].text);
		c = read_free(x, NULL);
		assert_int_equal(c.not_after_s, CASES[i].t_s);
		assert_int_equal(c.not_before_s, CASES[i].t_s);
	}
}

/* Every 37th day of four centuries against OpenSSL's own arithmetic. */
static void validity_days(void **state)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	X509 *x = mkcert_new(key);
	struct certificate c;
	int days;
	int seconds;

	(void)state;
	mkcert_sign(x, key);
	for (int d = 0; d < 146097; d += 37) {
		assert_non_null(ASN1_TIME_adj(
			X509_getm_notAfter(x), 0, d, (long)d % 86400));
		assert_true(x509_read(x, &c, NULL));
		assert_int_equal(ASN1_TIME_diff(&days, &seconds, epoch,
					 X509_get0_notAfter(x)),
			1);
		assert_int_equal(
			c.not_after_s, (int64_t)days * 86400 + seconds);
	}
	ASN1_TIME_free(epoch);
	X509_free(x);
}

static void validity_malformed(void **state)
{
	static const char *const CASES[] = {
		"", "2024", "20241331000000Z", "20240230000000Z", "240101"};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		X509 *x = mkcert_new(key);
		struct certificate c;

		assert_int_equal(
			ASN1_STRING_set(X509_getm_notAfter(x), CASES[i], -1),
			1);
		c = read_free(x, "validity");
		assert_int_equal(c.not_after_s, 0);
	}
}

static void digests(void **state)
{
	X509 *x = mkcert_new(key);
	struct certificate c;
	unsigned char fp[EVP_MAX_MD_SIZE];
	unsigned char *der = NULL;
	unsigned n = 0;
	int len;

	(void)state;
	mkcert_sign(x, key);
	assert_true(x509_read(x, &c, NULL));
	assert_int_equal(X509_digest(x, EVP_sha256(), fp, &n), 1);
	assert_memory_equal(c.fingerprint, fp, FINGERPRINT_LEN);
	len = i2d_PUBKEY(key, &der);
	assert_true(len > 0);
	assert_int_equal(
		EVP_Digest(der, (size_t)len, fp, &n, EVP_sha256(), NULL), 1);
	assert_memory_equal(c.spki, fp, FINGERPRINT_LEN);
	OPENSSL_free(der);
	X509_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(san_uris),
		cmocka_unit_test(no_identity),
		cmocka_unit_test(nul_in_dns),
		cmocka_unit_test(san_malformed),
		cmocka_unit_test(san_twice),
		cmocka_unit_test(serial_numbers),
		cmocka_unit_test(eid_twice),
		cmocka_unit_test(key_forms),
		cmocka_unit_test(rsa_parameters),
		cmocka_unit_test(validity),
		cmocka_unit_test(validity_days),
		cmocka_unit_test(validity_malformed),
		cmocka_unit_test(digests),
	};
	int failed;

	key = mkcert_ec_key(OPENSSL_EC_NAMED_CURVE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(key);
	return failed;
}
