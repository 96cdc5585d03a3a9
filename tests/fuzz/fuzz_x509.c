/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate in DER, as a peer may send it. Oracle: reading it twice gives
 * the same; the fingerprint is SHA-256 over what i2d_X509() writes; of a
 * usable one, each stated identifier has the form that simid_same() takes and
 * is found, spelt out, by searching the bytes; and a URI that is meant as an
 * identifier is not overlooked. OpenSSL's error queue stays as it was.
 */
#include "core/utf8.h"
#include "io/x509.h"
#include "tests/support/check.h"

#include <stdint.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_text(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

/* NEEDLE, in either case, anywhere in HAY. */
static bool found(struct str hay, const char *needle)
{
	size_t n = strlen(needle);

	for (size_t i = 0; i + n <= hay.n; i++) {
		if (same_text(hay.p + i, needle, n))
			return true;
	}
	return false;
}

#define SPELT_MAX 160 /* a stated text, and a label */

/* The form that comparison takes, and how the certificate must spell it. */
static bool form(
	enum simid_kind kind, const char *stated, char spelt[SPELT_MAX])
{
	size_t digits = strspn(stated, "0123456789"), n = strlen(stated);
	bool filler = n == digits + 1 && lower(stated[digits]) == 'f';

	switch (kind) {
	case SIMID_ICCID:
		(void)snprintf(spelt, SPELT_MAX, "iccid:%s", stated);
		return (n == digits || filler) && digits >= 18 && digits <= 20;
	case SIMID_IMSI:
		(void)snprintf(spelt, SPELT_MAX, "imsi:%s", stated);
		return n == digits && n >= 6 && n <= 15;
	case SIMID_IMEI:
		(void)snprintf(spelt, SPELT_MAX, "imei:%.8s-%s-", stated,
			n == 14 ? stated + 8 : "?");
		return n == digits && n == 14;
	case SIMID_EID:
		/* After a label, or alone as a serialNumber. */
		(void)snprintf(spelt, SPELT_MAX, "%s", stated);
		return n == digits && n == 32;
	case SIMID_NONE:
	case SIMID_KINDS:
	default:
		return false;
	}
}

static void check_stated(const struct certificate *c, struct str der)
{
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		const char *stated = c->stated[k];
		char spelt[SPELT_MAX];

		if (stated[0] == '\0')
			continue;
		CHECK(strnlen(stated, sizeof(c->stated[k])) <= SIMID_MAX + 1);
		CHECK(form((enum simid_kind)k, stated, spelt));
		CHECK(found(der, spelt));
	}
}

/* Of a usable certificate: an IMEI URN among its names is stated. */
static void check_not_overlooked(X509 *x, const struct certificate *c)
{
	static const char imei[] = "urn:gsma:imei:";
	GENERAL_NAMES *names =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *uri;
		const char *text;

		if (name->type != GEN_URI)
			continue;
		uri = name->d.uniformResourceIdentifier;
		text = (const char *)ASN1_STRING_get0_data(uri);
		if ((size_t)ASN1_STRING_length(uri) < sizeof(imei) - 1 ||
			!same_text(text, imei, sizeof(imei) - 1))
			continue;
		CHECK(c->stated[SIMID_IMEI][0] != '\0');
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
}

static void check_fingerprint(X509 *x, const struct certificate *c)
{
	unsigned char sum[FINGERPRINT_LEN], *der = NULL;
	int n = i2d_X509(x, &der);

	CHECK(n > 0);
	CHECK(EVP_Digest(der, (size_t)n, sum, NULL, EVP_sha256(), NULL) == 1);
	CHECK(memcmp(sum, c->fingerprint, sizeof(sum)) == 0);
	OPENSSL_free(der);
}

static void check_equal(
	const struct certificate *a, const struct certificate *b)
{
	CHECK(memcmp(a->fingerprint, b->fingerprint, FINGERPRINT_LEN) == 0);
	CHECK(memcmp(a->spki, b->spki, FINGERPRINT_LEN) == 0);
	CHECK(a->not_before_s == b->not_before_s);
	CHECK(a->not_after_s == b->not_after_s);
	CHECK(a->usable == b->usable);
	CHECK(strcmp(a->problem, b->problem) == 0);
	CHECK(memcmp(a->stated, b->stated, sizeof(a->stated)) == 0);
	CHECK(a->usable == (a->problem[0] == '\0'));
}

/* NUL terminated, and what the contract calls plain text is. */
static void check_names(X509 *x)
{
	struct x509_names n, again;

	memset(&n, 0x5A, sizeof(n));
	memset(&again, 0xA5, sizeof(again));
	x509_names(x, &n);
	x509_names(x, &again);
	CHECK(memcmp(&n, &again, sizeof(n)) == 0);
	CHECK(strnlen(n.subject, sizeof(n.subject)) < sizeof(n.subject));
	CHECK(strnlen(n.issuer, sizeof(n.issuer)) < sizeof(n.issuer));
	CHECK(strnlen(n.cn, sizeof(n.cn)) < sizeof(n.cn));
	CHECK(utf8_valid(str_from(n.cn)));
	CHECK(utf8_valid(str_from(n.serial_number)));
	CHECK(strspn(n.serial, "-0123456789ABCDEF") == strlen(n.serial));
	CHECK(strspn(n.hw_type, ".0123456789") == strlen(n.hw_type));
	CHECK(utf8_valid(str_from(n.hw_serial)));
	CHECK(utf8_valid(str_from(n.key)) && n.key[0] != '\0');
	CHECK(utf8_valid(str_from(n.subject)));
	CHECK(utf8_valid(str_from(n.issuer)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	struct certificate c, again;
	struct err e = {0};
	X509 *x = d2i_X509(NULL, &p, (long)size);

	ERR_clear_error();
	if (x == NULL)
		return 0;
	memset(&c, 0x5A, sizeof(c));
	memset(&again, 0xA5, sizeof(again));
	if (x509_read(x, &c, &e)) {
		CHECK(ERR_peek_error() == 0);
		CHECK(x509_read(x, &again, &e));
		check_equal(&c, &again);
		check_fingerprint(x, &c);
		if (c.usable) {
			check_stated(
				&c, (struct str){(const char *)data, size});
			check_not_overlooked(x, &c);
		}
	} else {
		CHECK(check_report(&e) && e.code == ERR_ENVIRONMENT);
	}
	check_names(x);
	CHECK(ERR_peek_error() == 0);
	X509_free(x);
	return 0;
}
