/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for many devices at once, by several threads: keys made or
 * requests checked, certificates signed, and what came of it staged as files
 * (stage.h) or kept as lines of a bundle (bundle.h).
 */
#ifndef CERTS_BULK_H
#define CERTS_BULK_H

#include "certs/issue.h"
#include "certs/key.h"
#include "core/certificate.h"

#define BULK_JOBS_MAX 64

struct bulk_item {
	const struct device *device; /* borrowed */
	/* Borrowed: a PKCS #10 request, PEM, or DER in Base64; NULL: a key is
	 * made. */
	const char *csr;
	/* Filled in: */
	struct credential credential; /* when done */
	struct err e;                 /* when not */
	bool done;
	/* Its line, where files are not staged; given: bulk_item_fini. */
	char *line;
	size_t line_n;
};

struct bulk_work {
	const struct ca *ca; /* its key is open */
	struct issue_options options;
	enum key_type key_type;
	const char *dir; /* where files are staged; NULL: lines are kept */
	unsigned jobs;   /* threads, 1..BULK_JOBS_MAX */
};

/*
 * Does all N items. An item that fails for what it is (ERR_INPUT: its request,
 * its identifiers) fails alone. False: ERR_ENVIRONMENT, memory, disk or token;
 * then nothing is left staged. Not durable before pem_sync.
 */
MUST bool bulk_issue(const struct bulk_work *w, struct bulk_item *items,
	size_t n, struct err *e);

/* Wipes and frees its line. */
void bulk_item_fini(struct bulk_item *i);

#endif
