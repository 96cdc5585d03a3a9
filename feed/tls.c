/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tls.h"

#include "io/x509.h"

#include <openssl/err.h>
#include <stdio.h>

/* Forward secrecy and authenticated encryption; TLS 1.3 has no others. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/* Intermediate CAs between client_ca and a client. */
#define DEPTH 4

/* The newest that OpenSSL has to say; its queue is then empty. */
static bool cannot(
	struct err *e, const char *key, const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	(void)err_set(e, ERR_INPUT, "cannot %s %.160s: %s", what, path,
		why != NULL ? why : "unknown");
	(void)err_at(e, "tls.%s", key);
	ERR_clear_error();
	return false;
}

static bool load_own(SSL_CTX *ctx, const struct config_tls *t, struct err *e)
{
	SSL_CTX_set_default_passwd_cb(ctx, x509_no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1)
		return cannot(e, "cert", "use the certificate", t->cert);
	/* A key of another certificate is an error; one of another type only
	 * when it is asked for, for it has a place of its own. */
	return (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) ==
			       1 &&
		       SSL_CTX_check_private_key(ctx) == 1) ||
	       cannot(e, "key", "use the key", t->key);
}

/* A client may show a certificate; one that client_ca has not signed ends the
 * handshake. */
static bool load_clients(
	SSL_CTX *ctx, const struct config_tls *t, struct err *e)
{
	STACK_OF(X509_NAME) *names;

	if (t->client_ca[0] == '\0') {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return true;
	}
	names = SSL_load_client_CA_file(t->client_ca);
	if (names == NULL || SSL_CTX_load_verify_file(ctx, t->client_ca) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return cannot(e, "client_ca", "use the CA", t->client_ca);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	/* Not libwebsockets' own function, which takes what OpenSSL refused
	 * when nobody says otherwise. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, DEPTH);
	return true;
}

bool tls_setup(SSL_CTX *ctx, const struct config_tls *t, struct err *e)
{
	ERR_clear_error();
	/* A session that is resumed would not be verified again. */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET |
					       SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_NO_COMPRESSION);
	if (SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
		SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1)
		return cannot(e, "cert", "set TLS up for", t->cert);
	return load_own(ctx, t, e) && load_clients(ctx, t, e);
}

/* A context has a place for each type of key, and none can be emptied: the old
 * certificate would go on beside one of another type. */
static bool same_type(const SSL_CTX *a, const SSL_CTX *b)
{
	return EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(a)) ==
	       EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(b));
}

/* What FROM has read, so that all of it is good, or none is taken. */
static bool take_over(SSL_CTX *ctx, SSL_CTX *from)
{
	const STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(from);
	STACK_OF(X509_NAME) *copy = NULL;
	STACK_OF(X509) *chain = NULL;

	if (SSL_CTX_get0_chain_certs(from, &chain) != 1)
		return false;
	if (names != NULL) {
		copy = sk_X509_NAME_deep_copy(
			names, X509_NAME_dup, X509_NAME_free);
		if (copy == NULL)
			return false;
	}
	if (SSL_CTX_use_cert_and_key(ctx, SSL_CTX_get0_certificate(from),
		    SSL_CTX_get0_privatekey(from), chain, 1) != 1) {
		sk_X509_NAME_pop_free(copy, X509_NAME_free);
		return false;
	}
	SSL_CTX_set_client_CA_list(ctx, copy);
	SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(from));
	return true;
}

bool tls_renew(SSL_CTX *ctx, const struct config_tls *t, struct err *e)
{
	SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
	bool done;

	if (fresh == NULL)
		return cannot(e, "cert", "set TLS up for", t->cert);
	done = tls_setup(fresh, t, e);
	if (done && !same_type(ctx, fresh)) {
		(void)err_set(e, ERR_INPUT,
			"%.160s is of another type than the key before it; "
			"restart weir-feed to change the type",
			t->key);
		done = err_at(e, "tls.key");
	} else if (done) {
		done = take_over(ctx, fresh) ||
		       cannot(e, "cert", "set TLS up for", t->cert);
	}
	SSL_CTX_free(fresh);
	return done;
}

void tls_client(SSL *ssl, struct tls_client *out)
{
	struct x509_names names;
	struct certificate c;
	X509 *x = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

	*out = (struct tls_client){0};
	if (x == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
		!x509_read(x, &c, NULL))
		return;
	x509_names(x, &names);
	memcpy(out->fingerprint, c.fingerprint, sizeof(out->fingerprint));
	out->not_after_s = c.not_after_s;
	(void)snprintf(out->name, sizeof(out->name), "%.63s", names.cn);
	out->shown = true;
}
