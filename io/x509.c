/* SPDX-License-Identifier: Apache-2.0 */
#include "io/x509.h"

#include "core/simurn.h"
#include "io/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_FILE_MAX ((size_t)256 * 1024) /* bytes; chains included */

/* The first problem is the one to tell. */
static void problem(struct certificate *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void problem(struct certificate *c, const char *fmt, ...)
{
	va_list args;

	if (!c->usable)
		return;
	c->usable = false;
	va_start(args, fmt);
	(void)vsnprintf(c->problem, sizeof(c->problem), fmt, args);
	va_end(args);
}

static struct str asn1_str(const ASN1_STRING *s)
{
	return (struct str){(const char *)ASN1_STRING_get0_data(s),
		(size_t)ASN1_STRING_length(s)};
}

static bool has_nul(struct str s)
{
	return s.n != 0 && memchr(s.p, '\0', s.n) != NULL;
}

/* ------------------------------------------------------------ key and time */

static bool digests(X509 *x, struct certificate *c)
{
	unsigned char *der = NULL;
	int n;
	bool done;

	if (X509_digest(x, EVP_sha256(), c->fingerprint, NULL) != 1)
		return false;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	if (n <= 0)
		return false;
	done = EVP_Digest(der, (size_t)n, c->spki, NULL, EVP_sha256(), NULL) ==
	       1;
	OPENSSL_free(der);
	return done;
}

/*
 * One key must have one digest, or a key barred as compromised comes back in
 * another dress. RFC 5480 §2.1.1: namedCurve "MUST" be used; RFC 3279 §2.3.1:
 * "The parameters field MUST have ASN.1 type NULL" for rsaEncryption.
 */
static bool key_has_one_form(X509 *x)
{
	ASN1_OBJECT *algorithm = NULL;
	const unsigned char *key = NULL;
	X509_ALGOR *a = NULL;
	int n = 0;
	int type = V_ASN1_UNDEF;

	if (X509_PUBKEY_get0_param(
		    &algorithm, &key, &n, &a, X509_get_X509_PUBKEY(x)) != 1)
		return false;
	X509_ALGOR_get0(NULL, &type, NULL, a);
	switch (OBJ_obj2nid(algorithm)) {
	case NID_X9_62_id_ecPublicKey:
		return type == V_ASN1_OBJECT && n > 0 &&
		       key[0] == POINT_CONVERSION_UNCOMPRESSED;
	case NID_rsaEncryption:
		return type == V_ASN1_NULL;
	default:
		return true;
	}
}

/* Days from 1970-01-01 to the first of MONTH (0: January) of YEAR, Gregorian.
 * timegm() is no part of POSIX, and mktime() asks for the time zone. */
static int64_t days_to(int64_t year, int month)
{
	static const int16_t BEFORE[] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t y = year - 1;

	return 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) -
	       (1969 / 4 - 1969 / 100 + 1969 / 400) + BEFORE[month] +
	       (leap && month > 1 ? 1 : 0);
}

static bool time_read(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	/* NULL would be read as now. */
	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1 || tm.tm_mon < 0 ||
		tm.tm_mon > 11)
		return false;
	*out = (days_to(1900 + (int64_t)tm.tm_year, tm.tm_mon) + tm.tm_mday -
		       1) *
		       86400 +
	       (int64_t)tm.tm_hour * 3600 + (int64_t)tm.tm_min * 60 + tm.tm_sec;
	return true;
}

/* --------------------------------------------------------- SIM identifiers */

/* Two statements of one kind agree when one would pass for the other. */
static void state(
	struct certificate *c, enum simid_kind kind, const char *digits)
{
	struct str old = str_from(c->stated[kind]);
	struct simid id = {.kind = (uint8_t)kind};

	if (old.n == 0) {
		memcpy(c->stated[kind], digits, strlen(digits) + 1);
		return;
	}
	id.n = (uint8_t)strspn(old.p, "0123456789");
	memcpy(id.digits, old.p, id.n);
	if (!simid_same(&id, str_from(digits)))
		problem(c, "it states two different values of %s",
			simid_name(kind));
}

/* GSMA SGP.22 §4.5.2: the EID is the subject's serialNumber. Anything else
 * there names something that Weir does not know. */
static void serial_number_read(const ASN1_STRING *s, struct certificate *c)
{
	struct str text = asn1_str(s);
	int type = ASN1_STRING_type(s);
	struct simid eid;

	if (type != V_ASN1_PRINTABLESTRING && type != V_ASN1_UTF8STRING)
		return;
	if (has_nul(text))
		problem(c, "its subject serialNumber holds a NUL byte");
	else if (simid_parse(SIMID_EID, text, 0, &eid, NULL))
		state(c, SIMID_EID, eid.digits);
}

static void subject_read(X509 *x, struct certificate *c)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = -1;

	for (;;) {
		at = X509_NAME_get_index_by_NID(subject, NID_serialNumber, at);
		if (at < 0)
			return;
		serial_number_read(X509_NAME_ENTRY_get_data(
					   X509_NAME_get_entry(subject, at)),
			c);
	}
}

static void uri_read(struct str uri, struct certificate *c)
{
	char digits[SIMID_MAX + 2];
	enum simid_kind kind = SIMID_NONE;

	switch (simurn_parse(uri, &kind, digits)) {
	case SIMURN_IDENTIFIER:
		state(c, kind, digits);
		break;
	case SIMURN_MALFORMED:
		problem(c, "its subjectAltName has a malformed SIM identifier");
		break;
	case SIMURN_OTHER:
		break;
	}
}

static void alt_name_read(const GENERAL_NAME *name, struct certificate *c)
{
	int type = GEN_OTHERNAME;
	const void *value = GENERAL_NAME_get0_value(name, &type);

	if (type != GEN_URI && type != GEN_DNS && type != GEN_EMAIL)
		return;
	if (has_nul(asn1_str(value)))
		problem(c, "its subjectAltName holds a NUL byte");
	else if (type == GEN_URI)
		uri_read(asn1_str(value), c);
}

/*
 * X509_get_ext_d2i() would do but for bytes behind the sequence, which it
 * ignores. RFC 5280 §4.2.1.6: "the sequence MUST contain at least one entry".
 */
static GENERAL_NAMES *alt_names_decode(X509_EXTENSION *ext)
{
	const ASN1_STRING *data = X509_EXTENSION_get_data(ext);
	const unsigned char *p = ASN1_STRING_get0_data(data);
	const unsigned char *end = p + ASN1_STRING_length(data);
	GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, end - p);

	if (names != NULL && p == end && sk_GENERAL_NAME_num(names) > 0)
		return names;
	GENERAL_NAMES_free(names);
	return NULL;
}

static void alt_names_read(X509 *x, struct certificate *c)
{
	int at = X509_get_ext_by_NID(x, NID_subject_alt_name, -1);
	GENERAL_NAMES *names;

	if (at < 0)
		return;
	if (X509_get_ext_by_NID(x, NID_subject_alt_name, at) >= 0) {
		problem(c, "it has two subjectAltName extensions");
		return;
	}
	names = alt_names_decode(X509_get_ext(x, at));
	if (names == NULL) {
		problem(c, "its subjectAltName is malformed");
		return;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		alt_name_read(sk_GENERAL_NAME_value(names, i), c);
	GENERAL_NAMES_free(names);
}

bool x509_read(X509 *x, struct certificate *out, struct err *e)
{
	struct certificate c = {.usable = true};
	bool done;

	/* What is left in OpenSSL's error queue, the broker's TLS code would
	 * take for its own. */
	(void)ERR_set_mark();
	done = digests(x, &c);
	if (done) {
		if (!key_has_one_form(x))
			problem(&c, "its key is not written in the usual form");
		if (!time_read(X509_get0_notBefore(x), &c.not_before_s) ||
			!time_read(X509_get0_notAfter(x), &c.not_after_s))
			problem(&c, "its validity is malformed");
		subject_read(x, &c);
		alt_names_read(x, &c);
	}
	(void)ERR_pop_to_mark();
	if (!done)
		return err_set(e, ERR_ENVIRONMENT,
			"OpenSSL cannot hash a certificate; is the memory "
			"exhausted?");
	*out = c;
	return true;
}

/* ------------------------------------------------------- files, fingerprints */

int x509_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static X509 *pem_decode(const char *text, size_t len)
{
	BIO *in = BIO_new_mem_buf(text, (int)len);
	X509 *x = NULL;

	if (in != NULL)
		x = PEM_read_bio_X509(in, NULL, x509_no_passphrase, NULL);
	(void)BIO_free(in);
	return x;
}

static X509 *der_decode(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	const unsigned char *end = p + len;
	X509 *x = d2i_X509(NULL, &p, (long)len);

	if (x != NULL && p != end) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

X509 *x509_decode(struct str text)
{
	X509 *x;

	(void)ERR_set_mark();
	x = pem_decode(text.p, text.n);
	if (x == NULL)
		x = der_decode(text.p, text.n);
	(void)ERR_pop_to_mark();
	return x;
}

bool x509_load(const char *path, X509 **out, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	X509 *x;

	if (!file_read(path, CERTIFICATE_FILE_MAX, &text, &len, e))
		return false;
	x = x509_decode((struct str){text, len});
	file_text_free(&text, len);
	if (x == NULL)
		return err_set(e, ERR_INPUT,
			"%.160s holds no certificate, in PEM or DER", path);
	*out = x;
	return true;
}

void fingerprint_format(const uint8_t fp[static FINGERPRINT_LEN],
	char out[static FINGERPRINT_HEX])
{
	static const char HEX[] = "0123456789abcdef";

	for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
		out[2 * i] = HEX[fp[i] >> 4];
		out[2 * i + 1] = HEX[fp[i] & 0x0F];
	}
	out[FINGERPRINT_HEX - 1] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#define WITH_COLONS ((size_t)3 * FINGERPRINT_LEN - 1)

bool fingerprint_parse(
	struct str text, uint8_t out[static FINGERPRINT_LEN], struct err *e)
{
	uint8_t fp[FINGERPRINT_LEN];
	/* With colons between bytes, each byte but the last takes three. */
	size_t step = text.n == WITH_COLONS ? 3 : 2;
	bool good = step == 3 || text.n == FINGERPRINT_HEX - 1;

	for (size_t i = 0; good && i < FINGERPRINT_LEN; i++) {
		int high = hex_value(text.p[step * i]);
		int low = hex_value(text.p[step * i + 1]);

		good = high >= 0 && low >= 0;
		if (step == 3 && i + 1 < FINGERPRINT_LEN)
			good = good && text.p[3 * i + 2] == ':';
		fp[i] = (uint8_t)(((unsigned)high << 4) | (unsigned)low);
	}
	if (!good)
		return err_set(e, ERR_INPUT,
			"a fingerprint is 64 hexadecimal digits (openssl x509 "
			"-fingerprint -sha256 prints it)");
	memcpy(out, fp, sizeof(fp));
	return true;
}
