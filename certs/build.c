/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/build.h"

#include "certs/ca.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#define SERIAL_BITS 128
#define POINT_MAX   (1 + 2 * 48) /* P-384, see key_acceptable */

bool build_err(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, ERR_ENVIRONMENT, "OpenSSL cannot %s: %s", what,
		reason != NULL ? reason : "out of memory");
}

static bool serial_set(X509 *x)
{
	BIGNUM *n = BN_new();
	bool done = n != NULL &&
		    BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY,
			    BN_RAND_BOTTOM_ANY) == 1 &&
		    !BN_is_zero(n) &&
		    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;

	BN_free(n);
	return done;
}

typedef int pubkey_set(X509 *x, EVP_PKEY *key);

static X509 *new_with(pubkey_set *set, EVP_PKEY *key, struct err *e)
{
	X509 *x = X509_new();

	if (x != NULL && X509_set_version(x, X509_VERSION_3) == 1 &&
		serial_set(x) && set(x, key) == 1)
		return x;
	(void)build_err(e, "start a certificate");
	X509_free(x);
	return NULL;
}

X509 *build_new(EVP_PKEY *key, struct err *e)
{
	return new_with(X509_set_pubkey, key, e);
}

/* RFC 5480 §2: the curve is named, and the key is the point, uncompressed. */
static int point_set(X509 *x, EVP_PKEY *key)
{
	unsigned char point[POINT_MAX], *copy;
	char curve[64] = "";
	size_t n = 0;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return X509_set_pubkey(x, key);
	if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1 ||
		EVP_PKEY_get_octet_string_param(key,
			OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
			sizeof(point), &n) != 1)
		return 0;
	copy = OPENSSL_memdup(point, n);
	if (copy != NULL &&
		X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x),
			OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
			OBJ_nid2obj(OBJ_txt2nid(curve)), copy, (int)n) == 1)
		return 1; /* COPY is taken */
	OPENSSL_free(copy);
	return 0;
}

X509 *build_lean(EVP_PKEY *key, struct err *e)
{
	return new_with(point_set, key, e);
}

bool build_subject(
	X509 *x, const char *field, int type, const char *text, struct err *e)
{
	if (X509_NAME_add_entry_by_txt(X509_get_subject_name(x), field, type,
		    (const unsigned char *)text, -1, -1, 0) == 1)
		return true;
	return build_err(e, "set the subject");
}

bool build_validity(X509 *x, int64_t now_s, int days,
	const ASN1_TIME *not_earlier, struct err *e)
{
	ASN1_TIME *from = X509_getm_notBefore(x);
	ASN1_TIME *until = X509_getm_notAfter(x);

	if (days < 1 || days > CERT_DAYS_MAX)
		return err_set(e, ERR_INPUT,
			"a certificate is valid for 1 to %d days, not %d",
			CERT_DAYS_MAX, days);
	if (ASN1_TIME_set(from, (time_t)(now_s - BACKDATE_S)) == NULL ||
		ASN1_TIME_set(until, (time_t)(now_s + (int64_t)days * 86400)) ==
			NULL)
		return build_err(e, "set the validity");
	if (not_earlier != NULL && ASN1_TIME_compare(from, not_earlier) < 0 &&
		X509_set1_notBefore(x, not_earlier) != 1)
		return build_err(e, "set the validity");
	return true;
}

bool build_extension(
	X509 *x, X509 *issuer, int nid, const char *value, struct err *e)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool done;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	done = ext != NULL && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return done || build_err(e, "add an extension");
}

bool build_alt_names(X509 *x, GENERAL_NAMES *names, struct err *e)
{
	if (X509_add1_ext_i2d(
		    x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1)
		return true;
	return build_err(e, "add the subjectAltName");
}

bool build_alt_name(
	GENERAL_NAMES *names, int type, struct str bytes, struct err *e)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = ASN1_STRING_type_new(
		type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (name == NULL || text == NULL ||
		ASN1_STRING_set(text, bytes.p, (int)bytes.n) != 1) {
		ASN1_STRING_free(text);
		GENERAL_NAME_free(name);
		return build_err(e, "add a subjectAltName");
	}
	GENERAL_NAME_set0_value(name, type, text);
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return true;
	GENERAL_NAME_free(name);
	return build_err(e, "add a subjectAltName");
}

void build_date(const ASN1_TIME *t, char out[static BUILD_DATE_MAX])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		memset(&tm, 0, sizeof(tm));
	/* ASN1_TIME_to_tm yields years 0 to 9999; the masks tell gcc. */
	(void)snprintf(out, BUILD_DATE_MAX, "%04u-%02u-%02u",
		(unsigned)(tm.tm_year + 1900) % 10000u,
		(unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u);
}
