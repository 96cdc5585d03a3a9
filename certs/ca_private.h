/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What loading and making a CA have in common. Private to certs/ca*.c.
 */
#ifndef CERTS_CA_PRIVATE_H
#define CERTS_CA_PRIVATE_H

#include "certs/ca.h"

#include <stdbool.h>

enum ca_file { CA_CRT, CA_KEY, CA_JSON, CA_FILES };

struct ca_paths {
	char *p[CA_FILES];
};

MUST bool ca_paths_init(struct ca_paths *paths, const char *dir, struct err *e);
void ca_paths_fini(struct ca_paths *paths);

/* NAME is 1..CA_NAME_MAX bytes of text. */
MUST bool ca_name_check(const char *name, struct err *e);

/* The unencrypted private key in the PEM file PATH, which nobody else can
 * read; *out is given. */
MUST bool ca_key_read(const char *path, EVP_PKEY **out, struct err *e);

#endif
