/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of cert bulk that are issued, registered and named together.
 */
#ifndef CLI_BULK_BATCH_H
#define CLI_BULK_BATCH_H

#include "certs/bulk.h"
#include "certs/bundle.h"
#include "cli/command.h"
#include "cli/id_set.h"
#include "io/fleet_file.h"

/* A batch is as large as what a second does, and a kill costs two of them. A
 * large one spares the registry much, for it writes each page of its indexes
 * but once, wherever in them the certificates fall. */
#define BATCH_MIN 512
#define BATCH_MAX 16384

struct batch {
	struct fleet_entry entries[BATCH_MAX];
	struct bulk_item items[BATCH_MAX];
	struct id_set ids;
	size_t n;
	int64_t ms; /* what it took */
};

/* X (taken), whose id is in no item yet; there is room. */
void batch_add(struct batch *b, const struct fleet_entry *x);
/* Empties it, and wipes what it held. */
void batch_clear(struct batch *b);

/* Where batches end; all kept. */
struct batch_end {
	const struct cli *c;
	const char *dir;
	struct bundle *bundle; /* NULL: files for each */
	struct registry *r;
};

/*
 * Makes what was issued (certs/bulk.h) durable, registers it in one change, and
 * gives it its names. An item that cannot be registered is not done, and its e
 * says why. False: ERR_ENVIRONMENT, nothing of it is registered, and nothing is
 * left, unless registry_in_doubt(): then all is left under its .new names; or,
 * with ERR_CONFLICT, a name was taken at the very end.
 */
MUST bool batch_close(
	const struct batch_end *end, struct batch *b, struct err *e);
/* Instead: removes what was staged. */
void batch_drop(const struct batch_end *end, const struct batch *b);

#endif
