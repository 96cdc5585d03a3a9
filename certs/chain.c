/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/chain.h"

#include "certs/build.h"
#include "certs/key.h"
#include "io/file.h"
#include "io/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CHAIN_FILE_MAX ((size_t)256 * 1024) /* bytes */

/* -------------------------------------------------------------------- load */

void chain_free(STACK_OF(X509) **chain)
{
	sk_X509_pop_free(*chain, X509_free);
	*chain = NULL;
}

/* Appends the certificates of BIO; false when one is broken or there is no
 * memory. */
static bool pem_decode(BIO *bio, STACK_OF(X509) *chain)
{
	unsigned long code;
	X509 *x;

	while (sk_X509_num(chain) <= CHAIN_MAX &&
		(x = PEM_read_bio_X509(bio, NULL, x509_no_passphrase, NULL)) !=
			NULL) {
		if (sk_X509_push(chain, x) <= 0) {
			X509_free(x);
			return false;
		}
	}
	code = ERR_peek_last_error();
	return code == 0 ||
	       (ERR_GET_LIB(code) == ERR_LIB_PEM &&
		       ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
}

static STACK_OF(X509) *chain_decode(const char *text, size_t len)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	bool good = chain != NULL && bio != NULL && pem_decode(bio, chain);

	(void)BIO_free(bio);
	if (!good)
		chain_free(&chain);
	return chain;
}

bool chain_load(const char *path, STACK_OF(X509) **out, struct err *e)
{
	STACK_OF(X509) *chain;
	char *text = NULL;
	size_t len = 0;
	X509 *x = NULL;

	if (!file_read(path, CHAIN_FILE_MAX, &text, &len, e))
		return false;
	ERR_clear_error();
	chain = chain_decode(text, len);
	if (chain != NULL && sk_X509_num(chain) == 0)
		x = x509_decode((struct str){text, len});
	if (x != NULL && sk_X509_push(chain, x) <= 0)
		X509_free(x);
	file_text_free(&text, len);
	ERR_clear_error();
	if (chain == NULL || sk_X509_num(chain) == 0) {
		chain_free(&chain);
		return err_set(e, ERR_INPUT,
			"%.160s holds no certificate in PEM or DER, or one "
			"that is broken",
			path);
	}
	if (sk_X509_num(chain) > CHAIN_MAX) {
		chain_free(&chain);
		return err_set(e, ERR_INPUT,
			"%.160s holds more than %d certificates", path,
			CHAIN_MAX);
	}
	*out = chain;
	return true;
}

/* ------------------------------------------------------------------- check */

static bool usage_check(X509 *x, struct err *e)
{
	uint32_t flags = X509_get_extension_flags(x);

	if ((flags & EXFLAG_INVALID) != 0)
		return err_set(
			e, ERR_INPUT, "one of its extensions is malformed");
	if ((flags & EXFLAG_CA) == 0)
		return err_set(e, ERR_INPUT,
			"it is not a CA's certificate: its basicConstraints do "
			"not say CA:TRUE");
	/* All bits are set where there is no keyUsage. */
	if ((X509_get_key_usage(x) & KU_KEY_CERT_SIGN) == 0)
		return err_set(e, ERR_INPUT,
			"it may not sign certificates: its keyUsage lacks "
			"keyCertSign");
	if (X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 1) != 1)
		return err_set(e, ERR_INPUT,
			"its extendedKeyUsage rules out certificates of TLS "
			"clients");
	return true;
}

bool chain_check_ca(X509 *x, int64_t now_s, struct err *e)
{
	char date[BUILD_DATE_MAX];
	struct certificate c;

	if (!x509_read(x, &c, e) || !usage_check(x, e))
		return false;
	ERR_clear_error();
	if (now_s > c.not_after_s) {
		build_date(X509_get0_notAfter(x), date);
		return err_set(e, ERR_INPUT, "it expired on %s", date);
	}
	if (now_s < c.not_before_s) {
		build_date(X509_get0_notBefore(x), date);
		return err_set(e, ERR_INPUT, "it is valid from %s on", date);
	}
	if (X509_get0_pubkey(x) == NULL) {
		ERR_clear_error();
		return err_set(e, ERR_INPUT, "OpenSSL cannot read its key");
	}
	return key_acceptable(X509_get0_pubkey(x), e);
}

bool chain_is_root(X509 *x)
{
	return (X509_get_extension_flags(x) & EXFLAG_SS) != 0;
}

static bool issued_by(X509 *x, X509 *issuer)
{
	bool so = X509_check_issued(issuer, x) == X509_V_OK &&
		  X509_verify(x, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return so;
}

bool chain_check_order(STACK_OF(X509) *chain, int64_t now_s, struct err *e)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);

		if (!chain_check_ca(x, now_s, e))
			return err_at(e, "certificate %d", i + 1);
		if (i > 0 && !issued_by(sk_X509_value(chain, i - 1), x))
			return err_set(e, ERR_INPUT,
				"certificate %d has not issued certificate %d: "
				"put the CA's first, then the one that issued "
				"it, and so on",
				i + 1, i);
	}
	return true;
}

/* ------------------------------------------------------------------ verify */

static bool store_fill(X509_STORE *store, STACK_OF(X509) *ca)
{
	for (int i = 0; i < sk_X509_num(ca); i++) {
		if (X509_STORE_add_cert(store, sk_X509_value(ca, i)) != 1)
			return false;
	}
	return true;
}

bool chain_verify(STACK_OF(X509) *device, STACK_OF(X509) *ca, struct err *e)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ready =
		store != NULL && ctx != NULL && store_fill(store, ca) &&
		X509_STORE_CTX_init(
			ctx, store, sk_X509_value(device, 0), device) == 1 &&
		X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1;
	bool done = false;

	if (!ready) {
		(void)build_err(e, "check a certificate's issuers");
	} else {
		/* A CA that is no root is trusted by having been imported. */
		X509_STORE_CTX_set_flags(ctx,
			X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
		done = X509_verify_cert(ctx) == 1;
		if (!done)
			(void)err_set(e, ERR_INPUT, "%s",
				X509_verify_cert_error_string(
					X509_STORE_CTX_get_error(ctx)));
	}
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return done;
}
