/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates of many devices in few files: DIR/bundle-NNNNNN.jsonl,
 * 0600, one for each batch, with a line for each device:
 *
 *     {"id": …, "certificate": PEM, "key": PEM}
 *
 * without "key" where the device has its own. As in stage.h a crash at any
 * moment leaves nothing that cannot be told apart:
 *
 *   1  bundle-NNNNNN.jsonl.new is written, and made durable
 *   2  the registration of all its devices is committed, as one
 *   3  it gets its name
 *
 * What has its name is registered. What is called .new was registered whole,
 * or is waste.
 */
#ifndef CERTS_BUNDLE_H
#define CERTS_BUNDLE_H

#include "core/certificate.h"
#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The line of device ID, end included; KEY empty: it has its own. All
 * borrowed, PEM. *line is given: free, after a wipe of *n bytes. */
MUST bool bundle_line(const char *id, struct str certificate, struct str key,
	char **line, size_t *n, struct err *e);

struct bundle; /* those of a folder */

/*
 * The bundles of DIR (kept), which is locked (stage_lock); *out is given:
 * bundle_close. Each line of each is shown to SEEN with its device id and the
 * certificate's fingerprint, and is counted as registered when that says so in
 * *registered. So step 3 is done where it is lacking, and waste is removed.
 * ERR_INPUT: a bundle holds something else, or is cut off; ERR_ENVIRONMENT;
 * what SEEN fails with.
 */
typedef bool bundle_seen(void *ctx, const char *id,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool *registered,
	struct err *e);
MUST bool bundle_open(const char *dir, bundle_seen *seen, void *ctx,
	struct bundle **out, struct err *e);
/* Wipes; drops what was not published. NULL inside is fine. */
void bundle_close(struct bundle **b);

/* Step 1, line by line; then bundle_sync. */
MUST bool bundle_add(struct bundle *b, struct str line, struct err *e);
/* False: nothing is left. Where no line was added, there is no file. */
MUST bool bundle_sync(struct bundle *b, struct err *e);
/* Step 3. */
MUST bool bundle_publish(struct bundle *b, struct err *e);
/* Instead of it, when it is not known whether step 2 was done: what was made
 * durable stays .new, and the next bundle_open tells. */
void bundle_leave(struct bundle *b);
/* Instead of it: removes what was added since. */
void bundle_drop(struct bundle *b);

/* *found: DIR holds bundles, or pairs of files as stage.h makes them. */
enum bundle_kind { BUNDLE_NONE = 0, BUNDLE_LINES, BUNDLE_FILES };
MUST bool bundle_look(const char *dir, enum bundle_kind *found, struct err *e);

#endif
