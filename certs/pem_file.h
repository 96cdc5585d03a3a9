/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates as PEM files that appear whole or not at all, and
 * never replace another.
 *
 * A file is written under a temporary name in its own folder, with mode 0600
 * from its first byte, made durable, and then linked to its name: the link
 * fails when the name is taken, so two runs at once cannot overwrite each
 * other's key. The folder must be on a file system that knows hard links.
 *
 * False: ERR_CONFLICT, the name is taken, and the file is as it was;
 * ERR_ENVIRONMENT, folder, permission or disk; nothing is left behind.
 */
#ifndef CERTS_PEM_FILE_H
#define CERTS_PEM_FILE_H

#include "core/err.h"
#include "core/str.h"

#include <openssl/x509.h>

/* The mode of the finished file, whatever the umask. Zero is the safe one. */
enum pem_access {
	PEM_PRIVATE = 0, /* 0600 */
	PEM_PUBLIC,      /* 0644 */
};

/* Writes TEXT (borrowed) to PATH. */
MUST bool pem_file_write(const char *path, struct str text,
	enum pem_access access, struct err *e);

/* KEY (borrowed) as unencrypted PKCS #8, PEM_PRIVATE. No copy of the text
 * stays in memory. */
MUST bool pem_key_save(const char *path, const EVP_PKEY *key, struct err *e);

/* CERT (borrowed), PEM_PUBLIC. */
MUST bool pem_cert_save(const char *path, X509 *cert, struct err *e);

/* All of CHAIN (borrowed), PEM_PUBLIC. */
MUST bool pem_chain_save(
	const char *path, STACK_OF(X509) *chain, struct err *e);

/*
 * For many files at once: TEXT (borrowed) under a name that is the caller's own,
 * so that what is there is left over and replaced. Nothing is durable before
 * pem_sync.
 */
MUST bool pem_stage(const char *path, struct str text, enum pem_access access,
	struct err *e);
/* All that was written to DIR's file system is on disk. */
MUST bool pem_sync(const char *dir, struct err *e);

/*
 * Saves DIR/NAME.key (unless KEY is NULL) and DIR/NAME.crt; both or none.
 * DIR must exist (dir_make). All borrowed.
 */
MUST bool pem_pair_save(const char *dir, const char *name, const EVP_PKEY *key,
	X509 *cert, struct err *e);

/* CERT (borrowed) as PEM text; *text is given: OPENSSL_free. NUL terminated,
 * *len does not count the NUL. */
MUST bool pem_cert_text(X509 *cert, char **text, size_t *len, struct err *e);
/* KEY (borrowed) as pem_key_save writes it; *text: OPENSSL_clear_free. */
MUST bool pem_key_text(
	const EVP_PKEY *key, char **text, size_t *len, struct err *e);

/* N bytes of DER as PEM, labelled LABEL ("CERTIFICATE"), into OUT of
 * PEM_TEXT_MAX(N) bytes; how many, without the NUL behind it. */
#define PEM_LABEL_MAX   32
#define PEM_TEXT_MAX(n) ((n) / 48 * 65 + 65 + 2 * (17 + PEM_LABEL_MAX))
size_t pem_text(
	const char *label, const unsigned char *der, size_t n, char *out);

/* "DIR/NAMESUFFIX"; given: free(). NULL when there is no memory. */
char *path_join(const char *dir, const char *name, const char *suffix);

/* Makes DIR and the folders above it as far as they are missing, mode 0755
 * less the umask: what is secret inside has its own mode. */
MUST bool dir_make(const char *dir, struct err *e);

#endif
