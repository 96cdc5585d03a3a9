/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry copied to a file, and a file put in the place of a registry.
 *
 * A backup is one moment's state, taken page by page through SQLite while
 * others read and write. It stands alone: no log, no index beside it.
 *
 * A restore has two steps, so that people can be asked in between. The file is
 * first copied into a folder of its own in the state directory and looked at
 * there; what comes to stand at the registry's path is that copy. Nothing of
 * the registry in place is touched before the second step, which keeps other
 * writers out while it lasts. At every moment of it the path holds a whole
 * registry, the old one or the new one, with a log and an index that belong to
 * it: a broker that reads goes on with the old one until it sees the new.
 */
#ifndef IO_REGISTRY_BACKUP_H
#define IO_REGISTRY_BACKUP_H

#include "io/registry.h"

/* What a copy of a registry holds. */
struct registry_copy {
	struct registry_heads heads;
	int64_t saved_s; /* of the newest audit entry */
	int64_t entries; /* of the audit */
	int64_t bad_seq; /* the first that does not fit; 0: none */
	uint8_t head[FINGERPRINT_LEN];
	int64_t bytes;
};

/*
 * Copies R, opened for reading, into the new file PATH, mode 0600, and reads
 * the copy through: it is sound, and *out says what is in it. A chain of audit
 * entries that does not hold is no failure, see bad_seq. ERR_CONFLICT: PATH
 * exists. False leaves nothing behind; a process that is killed leaves
 * PATH.XXXXXX.
 */
MUST bool registry_backup(struct registry *r, const char *path,
	struct registry_copy *out, struct err *e);

struct restore;

/* What the replaced registry is called, behind its name. */
#define RESTORE_KEPT ".replaced"

/*
 * Copies file FROM beside the registry at PATH, which may be damaged or
 * missing, and checks the copy: sound as SQLite sees it, a registry of this
 * weir's schema, a chain of audit entries that holds. *out is given:
 * restore_free. False: ERR_INPUT, FROM is the registry itself or has changes
 * in a log beside it; ERR_ENVIRONMENT, what FROM is not, or the disk.
 */
MUST bool restore_prepare(const char *path, const char *from,
	struct restore **out, struct err *e);

/* The copy, and what is in it; lent until restore_commit. */
const struct registry_copy *restore_copy(const struct restore *x);
struct registry *restore_registry(struct restore *x);

/* What came of it. */
struct restore_result {
	/* The plugin admits nobody until registry_accept(). */
	bool marked;
	/* The registry that was replaced could be read, and was this. */
	bool had_old;
	struct registry_heads old;
};

/*
 * Puts the copy at the path. Unless it carries on the chain of the registry
 * that it replaces, and lags behind nothing that was SEEN, it is marked as
 * restored first: registry_note_restored(). A registry in place that is itself
 * marked counts for nothing: then what was SEEN alone does. The replaced file
 * stays as PATH.replaced. False: the registry in place is as it was,
 * unless the message says that it is restored.
 */
MUST bool restore_commit(struct restore *x, const struct registry_seen *seen,
	const char *actor, int64_t now_s, struct restore_result *out,
	struct err *e);

/* Removes what restore_prepare made and restore_commit has not moved. NULL
 * inside is fine. */
void restore_free(struct restore **x);

#endif
