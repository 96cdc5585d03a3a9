/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS: 1.2 and 1.3, no session to be resumed, and a client's certificate when a
 * CA for it is configured.
 */
#ifndef FEED_TLS_H
#define FEED_TLS_H

#include "core/certificate.h"
#include "feed/config.h"

#include <openssl/ssl.h>

/* Sets CTX up as T says; libwebsockets makes it. ERR_ENVIRONMENT or ERR_INPUT
 * with the file and the remedy; place is the key of the configuration. */
MUST bool tls_setup(SSL_CTX *ctx, const struct config_tls *t, struct err *e);

/* Reads what T names anew, for handshakes to come; connections that are there
 * stay. CTX is one that tls_setup has set up. On false it is as it was. */
MUST bool tls_renew(SSL_CTX *ctx, const struct config_tls *t, struct err *e);

/* Of a client whose chain was verified. */
struct tls_client {
	bool shown; /* it showed a certificate */
	uint8_t fingerprint[FINGERPRINT_LEN];
	int64_t not_after_s; /* Unix time; a connection may outlive it */
	char name[64];       /* its CN, cut; "" when it has none */
};

/* SSL may be NULL: no TLS. */
void tls_client(SSL *ssl, struct tls_client *out);

#endif
