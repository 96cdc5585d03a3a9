/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.db: who exists and what they may do. SQLite, WAL.
 *
 * One writer kind (the weir command), any number of readers (the plugin,
 * commands). Every change is one transaction: registry_begin … registry_commit
 * takes the next revision, stamps every row it touches, appends to the
 * hash-chained audit and, where a right shrank, to `change`. Rows are never
 * deleted.
 *
 * Writers set PERSIST_WAL and end with a truncating checkpoint: a reader
 * without write access could not open the file otherwise. Readers never write,
 * not even -shm.
 *
 * All functions: false fills *e. ERR_ENVIRONMENT: file, lock, disk, schema of
 * another version; the message says what to do. Not thread-safe per handle.
 */
#ifndef IO_REGISTRY_H
#define IO_REGISTRY_H

#include "core/certificate.h"
#include "core/device.h"
#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct registry;

#define REGISTRY_SCHEMA 1             /* meta 'schema' */
#define REGISTRY_FILE   "registry.db" /* in the state directory */

/* ------------------------------------------------------------ open, close */

/* For programs that are alone in their process, before any other use of SQLite:
 * it need not count its memory, which costs it a lock for each piece. */
void registry_alone(void);

/* Makes PATH with the schema and the empty policy as revision 1. An existing
 * registry is left as it is: true. */
MUST bool registry_create(
	const char *path, const char *actor, int64_t now_s, struct err *e);

/* FOLLOW is READ that never waits: what is locked, as for the moment in which
 * a writer ends, is an error at once. The others wait for some seconds. */
enum registry_mode { REGISTRY_READ = 0, REGISTRY_WRITE, REGISTRY_FOLLOW };

/* *out is given: registry_close. The message says what is missing ("run weir
 * init") or unreadable (owner, mode, remedy). */
MUST bool registry_open(const char *path, enum registry_mode mode,
	struct registry **out, struct err *e);

/* NULL is fine. A writer's uncommitted transaction is rolled back. */
void registry_close(struct registry **r);

/* ---------------------------------------------------------------- look-ups */

/* Until registry_snapshot_end all look-ups see one state, and several in a
 * row cost less. Outside a transaction; short, for it holds up the writers'
 * checkpoint. registry_snapshot_end without a snapshot does nothing. */
MUST bool registry_snapshot(struct registry *r, struct err *e);
void registry_snapshot_end(struct registry *r);

/* *found says whether it exists. Two indexed reads at most. */
MUST bool registry_credential(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN],
	struct credential *out, bool *found, struct err *e);
/* True in *barred when a credential with this key was revoked as compromised,
 * whatever certificate it sits in now. */
MUST bool registry_key_barred(struct registry *r,
	const uint8_t spki[static FINGERPRINT_LEN], bool *barred,
	struct err *e);
/* *out is given: device_fini. A row whose identifiers or attributes do not
 * pass core's rules is an error, not a device. */
MUST bool registry_device(struct registry *r, struct str id, struct device *out,
	bool *found, struct err *e);
/* Frees what the registry filled in, and zeroes *d. */
void device_fini(struct device *d);

/* Calls EACH for every match in id order until it returns false; its struct
 * is borrowed for the call. CLASS_NAME, ID: NULL is any. status 0: any. */
struct device_filter {
	const char *class_name;
	enum device_status status;
};
MUST bool registry_devices(struct registry *r, const struct device_filter *f,
	bool (*each)(void *ctx, const struct device *d), void *ctx,
	struct err *e);
struct credential_filter {
	const char *device_id;    /* NULL: any */
	int64_t expires_before_s; /* 0: any; active ones only otherwise */
};
MUST bool registry_credentials(struct registry *r,
	const struct credential_filter *f,
	bool (*each)(void *ctx, const struct credential *c), void *ctx,
	struct err *e);

/*
 * Who VALUE may be, however people and networks write it: a device id, an
 * ICCID, IMSI, IMEI or EID (blanks between digits, a missing check digit, an
 * IMEISV: simid_same()), a certificate's SHA-256 fingerprint or serial number
 * in hex, with or without colons. Calls EACH, until it returns false, for
 * every device found and AS, what VALUE is to it ("iccid", "serial"); CR is
 * the certificate, NULL where it was none. Indexed reads only.
 */
struct found {
	const char *as;
	const struct device *device;
	const struct credential *credential;
};
MUST bool registry_find(struct registry *r, struct str value,
	bool (*each)(void *ctx, const struct found *f), void *ctx,
	struct err *e);

/* Counts for `weir status`. */
struct registry_counts {
	int64_t devices[DEVICE_RETIRED + 1]; /* by status */
	int64_t credentials_active, credentials_revoked;
};
MUST bool registry_counts(
	struct registry *r, struct registry_counts *out, struct err *e);

/*
 * How many active credentials end by when. A walk over all of them, LIMIT rows
 * a call, so that nobody waits for a fleet's: begun with the caller's now_s and
 * the rest zero, at an end when *more is false. Certificates of the walk's time
 * may be in it or not.
 */
struct registry_expiry {
	int64_t now_s; /* Unix time */
	int64_t active;
	int64_t expired;       /* of these: ended before now_s */
	int64_t in_7d, in_30d; /* end within so long from now_s */
	int64_t at;            /* where the next call goes on */
};
MUST bool registry_expiry(struct registry *r, struct registry_expiry *x,
	int limit, bool *more, struct err *e);

/* A policy revision; text is given: free(). */
struct policy_row {
	int64_t revision, t_s;
	char actor[64];
	char hash[65]; /* SHA-256 of text, hex */
	char *text;
	size_t text_len;
};
void policy_row_fini(struct policy_row *p);
/* The newest when REVISION is 0. */
MUST bool registry_policy(struct registry *r, int64_t revision,
	struct policy_row *out, bool *found, struct err *e);
/* Newest first; text is NULL. */
MUST bool registry_policies(struct registry *r,
	bool (*each)(void *ctx, const struct policy_row *p), void *ctx,
	struct err *e);

/* ------------------------------------------------------- for the follower */

/* PRAGMA data_version: a hint that something may have been committed. */
MUST bool registry_data_version(
	struct registry *r, int64_t *out, struct err *e);
/* The newest revision, the newest policy's revision, the newest change seq;
 * restored: a backup that is not accepted yet. */
struct registry_heads {
	int64_t revision, policy_revision, change_seq;
	bool restored;
};
MUST bool registry_heads(
	struct registry *r, struct registry_heads *out, struct err *e);
/* Calls EACH for at most LIMIT rows of `change` with seq > AFTER, in order. */
MUST bool registry_changes(struct registry *r, int64_t after, int limit,
	bool (*each)(void *ctx, int64_t seq, struct str device_id), void *ctx,
	struct err *e);

/* A meta value into OUT (NUL terminated; "" when there is none). */
MUST bool registry_meta(struct registry *r, const char *key, char *out,
	size_t cap, struct err *e);

/* ------------------------------------------------------------------ writes */

/*
 * BEGIN IMMEDIATE, the next revision. ACTOR and NOW_S go into audit entries
 * and timestamps until commit. Between begin and commit or rollback only one
 * thread may use R. A failed write leaves the transaction to be rolled back:
 * later writes and the commit are refused (ERR_CONFLICT).
 * ACTOR: 1..63 bytes of utf8_valid() text, else ERR_INPUT.
 */
MUST bool registry_begin(
	struct registry *r, const char *actor, int64_t now_s, struct err *e);
/* *change_seq: the newest change row that this transaction wrote, or 0.
 * True only when it is on disk. A transaction that wrote nothing takes no
 * revision. */
MUST bool registry_commit(
	struct registry *r, int64_t *change_seq, struct err *e);
/* After a commit that failed: true when the change may be in the registry all
 * the same, as with an I/O error at its very end. The message says so. What
 * belongs to it (keys above all) must then stay. NULL is fine: false. */
bool registry_in_doubt(const struct registry *r);
void registry_rollback(struct registry *r);

/* Inserts D (id, class_name, sim, attrs, observe; status active).
 * ERR_CONFLICT names what is taken and by whom: the id (also a retired one's),
 * an identifier. Audited as device.add. */
MUST bool registry_device_add(
	struct registry *r, const struct device *d, struct err *e);
/* Writes class_name, sim, attrs and observe of the existing D->id; a change
 * row when any of them differs (rights may shrink). Audited as device.set.
 * Nothing is written when none differs. ERR_CONFLICT as registry_device_add;
 * ERR_NOT_FOUND. A retired device may be written: erasing its identifiers. */
MUST bool registry_device_set(
	struct registry *r, const struct device *d, struct err *e);
/* Sets the status with its reason and end (0: none). RETIRED is for ever:
 * ERR_CONFLICT on any later status. Writes a change row. Audited as
 * device.suspend|quarantine|release|retire. ERR_NOT_FOUND. */
MUST bool registry_device_status(struct registry *r, struct str id,
	enum device_status status, const char *reason, int64_t until_s,
	struct err *e);

/* Retires the device and empties its identifiers, attributes and reason; the
 * row, and so the id, stay. Audited as device.retire and device.set, each only
 * where it does something. ERR_NOT_FOUND. */
MUST bool registry_device_remove(
	struct registry *r, struct str id, struct err *e);

/* Inserts C as active. ERR_CONFLICT: the fingerprint is registered already
 * (also to the same device), its key belongs to another device, or its key was
 * revoked as compromised. ERR_NOT_FOUND: no such device, or a retired one.
 * Audited as cert.add. */
MUST bool registry_credential_add(
	struct registry *r, const struct credential *c, struct err *e);
/* Revokes; already revoked is ERR_CONFLICT unless COMPROMISED makes it worse.
 * COMPROMISED bars the key, and revokes the device's other certificates of
 * the same key. Writes a change row. Audited as cert.revoke. */
MUST bool registry_credential_revoke(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool compromised,
	struct err *e);

/* The same without a fault: a newer one is in use (reason `superseded`). */
MUST bool registry_credential_supersede(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN], struct err *e);

/* Stores TEXT as the newest policy. Audited as ACTION ("policy.apply",
 * "policy.rollback"). *revision is the new one. */
MUST bool registry_policy_put(struct registry *r, struct str text,
	const char *action, int64_t *revision, struct err *e);

/* Audited as meta.set. ERR_INPUT: a key that is the registry's own ("schema",
 * "revision", "audit_head", "restored"), a key over 64 or a value over 1024 bytes. */
MUST bool registry_meta_set(
	struct registry *r, const char *key, const char *value, struct err *e);

/* ------------------------------------------------------- a restored backup */

/*
 * A backup in the place of a newer file may bring revoked devices back. The
 * broker's meter remembers the newest it has SEEN; a file that lags behind
 * that went back, and the plugin admits nobody until it is accepted.
 */
struct registry_seen {
	int64_t revision, change_seq;
};
/* False: numbers that no registry comes to. */
bool registry_seen_possible(const struct registry_seen *seen);
/* What the file was when it was found restored; zero when it was not. */
struct registry_restored {
	bool restored;
	int64_t revision, change_seq;
};
MUST bool registry_restored(
	struct registry *r, struct registry_restored *out, struct err *e);
/* First in a transaction of a registry that lags behind SEEN: marks it, so
 * that later revisions do not hide it, and numbers on above SEEN. Audited as
 * registry.restored; nothing when it is marked already. ERR_CONFLICT: SEEN
 * cannot be. */
MUST bool registry_note_restored(
	struct registry *r, const struct registry_seen *seen, struct err *e);
/* First in a transaction: the plugin admits again, and judges every live
 * connection anew. The newest change is above SEEN's where there is a device
 * at all, for registry_commit to give. Audited as registry.accept.
 * ERR_CONFLICT: SEEN cannot be. */
MUST bool registry_accept(
	struct registry *r, const struct registry_seen *seen, struct err *e);

/* ------------------------------------------------------------------- audit */

/*
 * hash = SHA-256 over seq, t_s, actor, action, device_id, detail and prev,
 * each number as 8 bytes big-endian and each text preceded by its length as 8
 * bytes big-endian (NULL device_id: length 2^64-1); prev is the hash of the
 * entry before, 32 zero bytes for the first. meta 'audit_head' is what the chain
 * ends in, "<seq>:<hash in hex>", so that a tail that was cut off is noticed;
 * that head kept elsewhere shows a chain that was rewritten as a whole.
 */
struct audit_row {
	int64_t seq, t_s;
	struct str actor, action, device_id, detail; /* lent until the next */
	uint8_t hash[32];
};
MUST bool registry_audit(struct registry *r, int64_t after_seq,
	bool (*each)(void *ctx, const struct audit_row *a), void *ctx,
	struct err *e);
/* Walks the whole chain, outside a transaction. *bad_seq: the first entry that
 * is altered, missing or out of place, 0 if none; *n: entries there are; head:
 * the hash of the last that fits. */
MUST bool registry_audit_verify(struct registry *r, int64_t *bad_seq,
	int64_t *n, uint8_t head[static 32], struct err *e);

#endif
