/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one bundle. Private to certs/bundle*.c.
 */
#ifndef CERTS_BUNDLE_PRIVATE_H
#define CERTS_BUNDLE_PRIVATE_H

#include "certs/bundle.h"

/* Shows SEEN each line of PATH; *registered counts, up to a failure too.
 * Fails as bundle_open does. */
MUST bool bundle_read(const char *path, bundle_seen *seen, void *ctx,
	uint64_t *registered, struct err *e);

#endif
