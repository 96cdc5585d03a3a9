/* SPDX-License-Identifier: Apache-2.0 */
/* What a certificate says to people; nothing here is identity. */
#include "core/simurn.h"
#include "core/utf8.h"
#include "io/x509.h"

#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* The text of S into OUT; "" when it does not fit or is not plain text: half
 * a name would be another name. */
static void text_copy(const ASN1_STRING *s, char *out, size_t cap)
{
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, s);
	struct str text = {(const char *)utf8, n > 0 ? (size_t)n : 0};

	out[0] = '\0';
	if (text.n != 0 && text.n < cap && utf8_valid(text)) {
		memcpy(out, text.p, text.n);
		out[text.n] = '\0';
	}
	OPENSSL_free(utf8);
}

static void last_entry(const X509_NAME *name, int nid, char *out, size_t cap)
{
	int last = -1;
	int at = -1;

	while ((at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		last = at;
	out[0] = '\0';
	if (last >= 0)
		text_copy(X509_NAME_ENTRY_get_data(
				  X509_NAME_get_entry(name, last)),
			out, cap);
}

static void name_print(const X509_NAME *name, char *out, size_t cap)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	out[0] = '\0';
	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(bio, out, (int)cap - 1);
	out[n > 0 ? n : 0] = '\0';
	(void)BIO_free(bio);
}

static void hex_copy(const unsigned char *p, size_t n, char *out, size_t cap)
{
	static const char HEX[] = "0123456789ABCDEF";
	size_t at = 0;

	for (size_t i = 0; i < n && at + 2 < cap; i++) {
		out[at++] = HEX[p[i] >> 4];
		out[at++] = HEX[p[i] & 0x0F];
	}
	out[at] = '\0';
}

/* As openssl x509 -serial prints it. */
static void serial_copy(X509 *x, char *out, size_t cap)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	bool negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
	const unsigned char zero = 0;

	if (negative)
		*out++ = '-';
	if (ASN1_STRING_length(serial) == 0)
		hex_copy(&zero, 1, out, cap - (negative ? 1 : 0));
	else
		hex_copy(ASN1_STRING_get0_data(serial),
			(size_t)ASN1_STRING_length(serial), out,
			cap - (negative ? 1 : 0));
}

/*
 * RFC 4108 §5: HardwareModuleName ::= SEQUENCE {
 *     hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING }
 */
static void hw_fields(
	const ASN1_TYPE *type, const ASN1_TYPE *serial, struct x509_names *out)
{
	const ASN1_OCTET_STRING *s;
	struct str text;

	if (ASN1_TYPE_get(type) != V_ASN1_OBJECT ||
		ASN1_TYPE_get(serial) != V_ASN1_OCTET_STRING)
		return;
	(void)OBJ_obj2txt(
		out->hw_type, sizeof(out->hw_type), type->value.object, 1);
	s = serial->value.octet_string;
	text.p = (const char *)ASN1_STRING_get0_data(s);
	text.n = (size_t)ASN1_STRING_length(s);
	if (text.n < sizeof(out->hw_serial) && utf8_valid(text)) {
		if (text.n != 0)
			memcpy(out->hw_serial, text.p, text.n);
		out->hw_serial[text.n] = '\0';
	} else {
		hex_copy(ASN1_STRING_get0_data(s), text.n, out->hw_serial,
			sizeof(out->hw_serial));
	}
}

static void hw_name_read(const OTHERNAME *name, struct x509_names *out)
{
	char oid[40];
	const unsigned char *p;
	ASN1_SEQUENCE_ANY *fields;

	if (OBJ_obj2txt(oid, sizeof(oid), name->type_id, 1) < 0 ||
		strcmp(oid, "1.3.6.1.5.5.7.8.4") != 0 ||
		ASN1_TYPE_get(name->value) != V_ASN1_SEQUENCE)
		return;
	p = ASN1_STRING_get0_data(name->value->value.sequence);
	fields = d2i_ASN1_SEQUENCE_ANY(
		NULL, &p, ASN1_STRING_length(name->value->value.sequence));
	if (sk_ASN1_TYPE_num(fields) == 2)
		hw_fields(sk_ASN1_TYPE_value(fields, 0),
			sk_ASN1_TYPE_value(fields, 1), out);
	sk_ASN1_TYPE_pop_free(fields, ASN1_TYPE_free);
}

static void hw_names_read(X509 *x, struct x509_names *out)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type = GEN_URI;
		const void *value = GENERAL_NAME_get0_value(
			sk_GENERAL_NAME_value(names, i), &type);

		if (type == GEN_OTHERNAME)
			hw_name_read(value, out);
	}
	GENERAL_NAMES_free(names);
}

void x509_key_name(const EVP_PKEY *key, char *out, size_t cap)
{
	char group[64] = "";
	const char *curve;
	int id = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;

	if (id == EVP_PKEY_RSA) {
		(void)snprintf(out, cap, "RSA %d", EVP_PKEY_get_bits(key));
	} else if (id == EVP_PKEY_EC) {
		(void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
		curve = EC_curve_nid2nist(OBJ_txt2nid(group));
		(void)snprintf(
			out, cap, "EC %s", curve != NULL ? curve : group);
	} else {
		curve = id != EVP_PKEY_NONE ? OBJ_nid2sn(id) : NULL;
		(void)snprintf(
			out, cap, "%s", curve != NULL ? curve : "unknown");
	}
}

void x509_names(X509 *x, struct x509_names *out)
{
	const X509_NAME *subject = X509_get_subject_name(x);

	memset(out, 0, sizeof(*out));
	(void)ERR_set_mark();
	name_print(subject, out->subject, sizeof(out->subject));
	name_print(X509_get_issuer_name(x), out->issuer, sizeof(out->issuer));
	last_entry(subject, NID_commonName, out->cn, sizeof(out->cn));
	last_entry(subject, NID_serialNumber, out->serial_number,
		sizeof(out->serial_number));
	serial_copy(x, out->serial, sizeof(out->serial));
	hw_names_read(x, out);
	x509_key_name(X509_get0_pubkey(x), out->key, sizeof(out->key));
	out->is_ca = (X509_get_extension_flags(x) & EXFLAG_CA) != 0;
	/* UINT32_MAX, every bit, when there is no such extension. */
	out->client_auth =
		(X509_get_extended_key_usage(x) & XKU_SSL_CLIENT) != 0;
	(void)ERR_pop_to_mark();
}

/* NAME's URI, when it is one that states no SIM identifier. */
static bool other_uri(const GENERAL_NAME *name, struct str *out)
{
	char digits[SIMID_MAX + 2];
	enum simid_kind kind;
	int type = GEN_OTHERNAME;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

	if (type != GEN_URI)
		return false;
	*out = (struct str){(const char *)ASN1_STRING_get0_data(value),
		(size_t)ASN1_STRING_length(value)};
	return simurn_parse(*out, &kind, digits) == SIMURN_OTHER;
}

bool x509_san_uri(X509 *x, char *out, size_t cap, struct err *e)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct str uri = {"", 0}, one;
	size_t n = 0;
	bool plain;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (!other_uri(sk_GENERAL_NAME_value(names, i), &one))
			continue;
		uri = one;
		n++;
	}
	plain = n <= 1 && uri.n < cap && utf8_valid(uri);
	if (plain) {
		memcpy(out, uri.p, uri.n);
		out[uri.n] = '\0';
	}
	GENERAL_NAMES_free(names);
	return plain || err_set(e, ERR_INPUT,
				"the certificate's subjectAltName has several "
				"URIs, or one that is no plain text");
}

bool x509_device_credential(
	X509 *x, const char *id, struct credential *out, struct err *e)
{
	struct credential c = {.status = CREDENTIAL_ACTIVE};
	struct certificate cert;

	if (!x509_read(x, &cert, e))
		return false;
	if (!cert.usable)
		return err_set(e, ERR_INPUT,
			"the broker would refuse this certificate: %s",
			cert.problem);
	memcpy(c.fingerprint, cert.fingerprint, sizeof(c.fingerprint));
	memcpy(c.spki, cert.spki, sizeof(c.spki));
	(void)snprintf(c.device_id, sizeof(c.device_id), "%s", id);
	(void)ERR_set_mark();
	serial_copy(x, c.serial, sizeof(c.serial));
	name_print(X509_get_issuer_name(x), c.issuer, sizeof(c.issuer));
	(void)ERR_pop_to_mark();
	c.not_before_s = cert.not_before_s;
	c.not_after_s = cert.not_after_s;
	*out = c;
	return true;
}
