/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/key.h"

#include "certs/build.h"
#include "io/file.h"
#include "io/x509.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define CSR_MAX ((size_t)64 * 1024) /* bytes */

const char *key_type_name(enum key_type type)
{
	static const char *const NAMES[KEY_TYPES] = {
#define X(id, name) [id] = (name),
		KEY_TYPE_LIST(X)
#undef X
	};

	return NAMES[type];
}

bool key_type_parse(struct str text, enum key_type *out, struct err *e)
{
	for (int t = 0; t < KEY_TYPES; t++) {
		if (str_eq(text, str_from(key_type_name((enum key_type)t)))) {
			*out = (enum key_type)t;
			return true;
		}
	}
	return err_set(e, ERR_INPUT,
		"'%.*s' is not a type of key; there are"
#define X(id, name) " " name
		KEY_TYPE_LIST(X),
#undef X
		text.n < 32 ? (int)text.n : 32, text.p);
}

EVP_PKEY_CTX *key_maker(enum key_type type, struct err *e)
{
	static const char *const CURVE[KEY_TYPES] = {
		[KEY_P256] = "P-256", [KEY_P384] = "P-384"};
	bool rsa = type == KEY_RSA2048 || type == KEY_RSA3072;
	EVP_PKEY_CTX *ctx =
		EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
		(rsa ? EVP_PKEY_CTX_set_rsa_keygen_bits(
			       ctx, type == KEY_RSA2048 ? 2048 : 3072)
		     : EVP_PKEY_CTX_set_group_name(ctx, CURVE[type])) == 1)
		return ctx;
	(void)build_err(e, "make a key");
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

bool key_make(EVP_PKEY_CTX *maker, EVP_PKEY **out, struct err *e)
{
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_generate(maker, &key) != 1)
		return build_err(e, "make a key");
	*out = key;
	return true;
}

bool key_generate(enum key_type type, EVP_PKEY **out, struct err *e)
{
	EVP_PKEY_CTX *maker = key_maker(type, e);
	bool done = maker != NULL && key_make(maker, out, e);

	EVP_PKEY_CTX_free(maker);
	return done;
}

const EVP_MD *key_digest(const EVP_PKEY *key)
{
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
			       EVP_PKEY_get_bits(key) > 256
		       ? EVP_sha384()
		       : EVP_sha256();
}

static bool curve_acceptable(EVP_PKEY *key)
{
	char group[64] = "";

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
		return false;
	return strcmp(group, SN_X9_62_prime256v1) == 0 ||
	       strcmp(group, SN_secp384r1) == 0;
}

static bool type_acceptable(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	/* The base id of RSA-PSS is another one: few devices can use it. */
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_EC:
		return curve_acceptable(key);
	case EVP_PKEY_RSA:
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
	default:
		return false;
	}
}

bool key_acceptable(EVP_PKEY *key, struct err *e)
{
	EVP_PKEY_CTX *ctx;
	bool valid;
	char name[32];

	if (!type_acceptable(key)) {
		ERR_clear_error();
		x509_key_name(key, name, sizeof(name));
		return err_set(e, ERR_INPUT,
			"the key is %s; accepted are EC P-256, EC P-384 and "
			"RSA of %d to %d bits, which the TLS stacks of devices "
			"and brokers have in common",
			name, RSA_BITS_MIN, RSA_BITS_MAX);
	}
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	valid = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return valid ||
	       err_set(e, ERR_INPUT,
		       "the key is not a valid public key; make a new one");
}

static X509_REQ *pem_decode(struct str text)
{
	BIO *in = BIO_new_mem_buf(text.p, (int)text.n);
	X509_REQ *req = NULL;

	if (in != NULL)
		req = PEM_read_bio_X509_REQ(in, NULL, x509_no_passphrase, NULL);
	(void)BIO_free(in);
	return req;
}

static X509_REQ *der_decode(struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	const unsigned char *end = p + text.n;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)text.n);

	if (req != NULL && p != end) {
		X509_REQ_free(req);
		req = NULL;
	}
	return req;
}

/* A compressed point would give the key a second digest (io/x509.h). */
static bool point_uncompress(EVP_PKEY *key)
{
	return EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
	       EVP_PKEY_set_utf8_string_param(key,
		       OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1;
}

static bool request_key(X509_REQ *req, EVP_PKEY **out, struct err *e)
{
	EVP_PKEY *key = X509_REQ_get_pubkey(req);
	bool signed_by_it;

	if (key == NULL) {
		ERR_clear_error();
		return err_set(e, ERR_INPUT,
			"the request's key is of a kind that OpenSSL cannot "
			"read; use EC P-256");
	}
	/* The type first: its message is the clearer one. */
	if (!key_acceptable(key, e)) {
		EVP_PKEY_free(key);
		return false;
	}
	signed_by_it = X509_REQ_verify(req, key) == 1;
	ERR_clear_error();
	if (!signed_by_it || !point_uncompress(key)) {
		EVP_PKEY_free(key);
		return err_set(e, ERR_INPUT,
			"the request is not signed by its own key: it was "
			"altered, or the sender does not hold the key");
	}
	*out = key;
	return true;
}

bool csr_key(struct str text, EVP_PKEY **out, struct err *e)
{
	X509_REQ *req = NULL;
	bool done;

	if (text.n != 0 && text.n <= CSR_MAX) {
		req = pem_decode(text);
		if (req == NULL)
			req = der_decode(text);
	}
	ERR_clear_error();
	if (req == NULL)
		return err_set(e, ERR_INPUT,
			"this is not a certificate signing request in PEM or "
			"DER; openssl req -new makes one");
	done = request_key(req, out, e);
	X509_REQ_free(req);
	return done;
}

bool csr_load(const char *path, EVP_PKEY **out, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	bool done;

	if (!file_read(path, CSR_MAX, &text, &len, e))
		return false;
	done = csr_key((struct str){text, len}, out, e);
	file_text_free(&text, len);
	return done || err_at(e, "%.180s", path);
}
