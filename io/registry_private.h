/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry's own files share: the handle, every statement, and
 * helpers that bind and step.
 * For io/registry*.c and their tests only.
 */
#ifndef IO_REGISTRY_PRIVATE_H
#define IO_REGISTRY_PRIVATE_H

#include "io/db.h"
#include "io/registry.h"
#include "io/registry_backup.h"

#include <cjson/cJSON.h>

#define REGISTRY_BUSY_MS   5000    /* how long a writer is waited for */
#define REGISTRY_ACTOR_MAX 63      /* bytes */
#define REGISTRY_META_MAX  1024    /* bytes of a value */
#define REGISTRY_TEXT_MAX  4194304 /* bytes of a policy or a detail */

/* Why a key is barred; the one reason that bars it. */
#define KEY_COMPROMISE "key_compromise"

#define DEVICE_COLUMNS                                                         \
	"id, class, status, status_reason, status_until_s, iccid, imsi, "      \
	"imei, eid, attrs, created_s, updated_s, revision, mode"
#define CREDENTIAL_COLUMNS                                                     \
	"fingerprint, spki, device_id, serial, issuer, not_before_s, "         \
	"not_after_s, status, revoked_s, reason, revision"
#define TOKEN_COLUMNS "name, rights, created_s, expires_s, revoked_s, revision"

/* X(name, sql): what is prepared once and kept. */
#define REGISTRY_STATEMENTS(X)                                                 \
	X(BEGIN, "BEGIN IMMEDIATE")                                            \
	X(COMMIT, "COMMIT")                                                    \
	X(SAVEPOINT, "SAVEPOINT line")                                         \
	X(ROLLBACK_TO, "ROLLBACK TO line")                                     \
	X(RELEASE, "RELEASE line")                                             \
	X(SNAPSHOT, "BEGIN")                                                   \
	X(DATA_VERSION, "PRAGMA data_version")                                 \
	X(META_GET, "SELECT value FROM meta WHERE key = ?1")                   \
	X(META_SET, "INSERT INTO meta (key, value) VALUES (?1, ?2) "           \
		    "ON CONFLICT (key) DO UPDATE SET value = excluded.value")  \
	X(HEADS, "SELECT (SELECT value FROM meta WHERE key = 'revision'), "    \
		 "coalesce((SELECT max(revision) FROM policy), 0), "           \
		 "coalesce((SELECT max(seq) FROM change), 0), "                \
		 "EXISTS (SELECT 1 FROM meta WHERE key = 'restored' "          \
		 "AND value <> '')")                                           \
	X(CHANGES, "SELECT seq, device_id FROM change WHERE seq > ?1 "         \
		   "ORDER BY seq LIMIT ?2")                                    \
	X(CHANGE_ADD, "INSERT INTO change (device_id) VALUES (?1)")            \
	X(CHANGE_SKIP, "INSERT INTO change (seq, device_id) SELECT ?1 + 1, "   \
		       "id FROM device WHERE ?1 >= coalesce((SELECT "          \
		       "max(seq) FROM change), 0) ORDER BY id LIMIT 1")        \
	X(DEVICE, "SELECT " DEVICE_COLUMNS " FROM device WHERE id = ?1")       \
	X(DEVICE_ADD, "INSERT INTO device (" DEVICE_COLUMNS ") VALUES "        \
		      "(?1, ?2, 'active', '', 0, ?3, ?4, ?5, ?6, ?7, ?8, ?8, " \
		      "?9, ?10)")                                              \
	X(DEVICE_IMPORT, "INSERT INTO device (" DEVICE_COLUMNS ") VALUES "     \
			 "(?1, ?2, ?11, ?12, ?13, ?3, ?4, ?5, ?6, ?7, ?8, "    \
			 "?8, ?9, ?10) ON CONFLICT DO NOTHING")                \
	X(DEVICE_SET, "UPDATE device SET class = ?2, iccid = ?3, imsi = ?4, "  \
		      "imei = ?5, eid = ?6, attrs = ?7, updated_s = ?8, "      \
		      "revision = ?9, mode = ?10 WHERE id = ?1")               \
	X(DEVICE_STATUS, "UPDATE device SET status = ?2, status_reason = ?3, " \
			 "status_until_s = ?4, updated_s = ?5, "               \
			 "revision = ?6 WHERE id = ?1")                        \
	X(OWNER_ICCID, "SELECT id FROM device WHERE iccid = ?1")               \
	X(OWNER_IMSI, "SELECT id FROM device WHERE imsi = ?1")                 \
	X(OWNER_IMEI, "SELECT id FROM device WHERE imei = ?1")                 \
	X(OWNER_EID, "SELECT id FROM device WHERE eid = ?1")                   \
	X(FIND_ICCID, "SELECT id FROM device WHERE iccid >= ?1 AND "           \
		      "iccid < ?1 || ':' ORDER BY iccid")                      \
	X(FIND_IMSI, "SELECT id FROM device WHERE imsi >= ?1 AND "             \
		     "imsi < ?1 || ':' ORDER BY imsi")                         \
	X(FIND_IMEI, "SELECT id FROM device WHERE imei >= ?1 AND "             \
		     "imei < ?1 || ':' ORDER BY imei")                         \
	X(FIND_EID, "SELECT id FROM device WHERE eid >= ?1 AND "               \
		    "eid < ?1 || ':' ORDER BY eid")                            \
	X(FIND_SERIAL, "SELECT fingerprint FROM credential "                   \
		       "WHERE serial = ?1 ORDER BY device_id")                 \
	X(CREDENTIAL, "SELECT " CREDENTIAL_COLUMNS " FROM credential "         \
		      "WHERE fingerprint = ?1")                                \
	X(CREDENTIAL_ADD, "INSERT INTO credential (" CREDENTIAL_COLUMNS ") "   \
			  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', 0, "  \
			  "'', ?8)")                                           \
	X(CREDENTIAL_IMPORT,                                                   \
		"INSERT INTO credential (" CREDENTIAL_COLUMNS ") "             \
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "       \
		"ON CONFLICT DO NOTHING")                                      \
	X(CREDENTIAL_REVOKE, "UPDATE credential SET status = 'revoked', "      \
			     "revoked_s = ?2, reason = ?4, "                   \
			     "revision = ?3 WHERE fingerprint = ?1")           \
	X(KEY_REVOKE, "UPDATE credential SET status = 'revoked', revoked_s = " \
		      "CASE status WHEN 'revoked' THEN revoked_s ELSE ?3 "     \
		      "END, reason = '" KEY_COMPROMISE "', revision = ?4 "     \
		      "WHERE spki = ?1 AND device_id = ?2")                    \
	X(EXPIRY, "SELECT count(*), max(id), sum(active), sum(active AND "     \
		  "ends < ?3), sum(active AND ends >= ?3 AND ends < ?4), "     \
		  "sum(active AND ends >= ?3 AND ends < ?5) FROM (SELECT "     \
		  "rowid AS id, status = 'active' AS active, not_after_s AS "  \
		  "ends FROM credential WHERE rowid > ?1 ORDER BY rowid "      \
		  "LIMIT ?2)")                                                 \
	X(KEY_KNOWN, "SELECT 1 FROM credential WHERE spki = ?1 LIMIT 1")       \
	X(KEY_BARRED, "SELECT 1 FROM credential WHERE spki = ?1 AND "          \
		      "reason = '" KEY_COMPROMISE "' LIMIT 1")                 \
	X(KEY_OWNER, "SELECT device_id FROM credential WHERE spki = ?1 AND "   \
		     "device_id <> ?2 LIMIT 1")                                \
	X(POLICY, "SELECT revision, t_s, actor, hash, text FROM policy "       \
		  "WHERE revision = ?1")                                       \
	X(POLICY_NEWEST, "SELECT revision, t_s, actor, hash, text "            \
			 "FROM policy ORDER BY revision DESC LIMIT 1")         \
	X(POLICY_ADD, "INSERT INTO policy (revision, t_s, actor, text, hash) " \
		      "VALUES (?1, ?2, ?3, ?4, ?5)")                           \
	X(TOKEN_TABLE, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND " \
		       "name = 'token'")                                       \
	X(TOKEN, "SELECT " TOKEN_COLUMNS ", hash FROM token WHERE hash = ?1")  \
	X(TOKEN_NAME, "SELECT " TOKEN_COLUMNS " FROM token WHERE name = ?1")   \
	X(TOKEN_ADD, "INSERT INTO token (name, hash, rights, created_s, "      \
		     "expires_s, revoked_s, revision) VALUES (?1, ?2, ?3, "    \
		     "?4, ?5, 0, ?6)")                                         \
	X(TOKEN_REVOKE, "UPDATE token SET revoked_s = ?2, revision = ?3 "      \
			"WHERE name = ?1")                                     \
	X(AUDIT_ADD, "INSERT INTO audit (seq, t_s, actor, action, device_id, " \
		     "detail, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "    \
		     "?7, ?8)")

enum stmt {
#define STMT_ENUM(name, sql) STMT_##name,
	REGISTRY_STATEMENTS(STMT_ENUM)
#undef STMT_ENUM
		STMT_COUNT
};

struct registry {
	sqlite3 *db;
	char *path;
	enum registry_mode mode;
	struct reader_vfs *vfs; /* NULL: a writer's */
	int folder;             /* a writer's lock, reg_lock(); or -1 */
	sqlite3_stmt *st[STMT_COUNT];
	/* The transaction: from registry_begin to commit or rollback. */
	bool in_tx;
	bool wrote;    /* something is to be committed */
	bool failed;   /* a write failed: only a rollback is left */
	bool bulk;     /* no entry in the audit for each write */
	bool in_doubt; /* registry_in_doubt */
	bool bulk_wrote;
	char actor[REGISTRY_ACTOR_MAX + 1];
	int64_t now_s, revision, change_seq;
	int64_t audit_seq; /* the chain's head: seq and hash of the last */
	uint8_t audit_hash[FINGERPRINT_LEN];
};

/* ------------------------------------------------ errors (registry_db.c) */

/* Says what SQLite's last error means and what to do. Returns false. */
bool reg_fail(struct registry *r, struct err *e);
/* WHAT ("device 'x'") cannot be what the registry wrote, unless it was only
 * memory that was missing. Returns false. */
bool reg_damaged(struct registry *r, struct err *e, const char *what,
	const char *column);
bool reg_no_memory(struct err *e);
/* This process may not VERB ("read", "write") PATH. Returns false. */
bool reg_no_access(const char *path, const char *verb, struct err *e);

/* ---------------------------------------------------- files (registry.c) */

/* registry_open without a look at the schema, the journal and the modes. */
MUST bool reg_open(const char *path, enum registry_mode mode,
	struct registry **out, struct err *e);
/* For writing, by a process that has the folder's lock: reg_lock(). */
MUST bool reg_open_locked(
	const char *path, struct registry **out, struct err *e);
MUST bool reg_check_schema(struct registry *r, struct err *e);
MUST bool reg_wal(struct registry *r, struct err *e);

/* The folder of PATH, open; close() it. */
MUST bool reg_folder(const char *path, int *fd, struct err *e);
/* Locks the folder FD of PATH, for this process ALONE or for all writers;
 * waits for REGISTRY_BUSY_MS. Close of FD unlocks. */
MUST bool reg_lock(int fd, bool alone, const char *path, struct err *e);

/* ------------------------------------------ copies (registry_backup.c) */

/* Copies all pages of FROM into the empty file PATH, which then stands alone
 * and is on disk. */
MUST bool reg_copy(struct registry *from, char *path, struct err *e);
/* Reads R through: SQLite finds it sound, its schema is ours. *out is what is
 * in it. */
MUST bool reg_examine(
	struct registry *r, struct registry_copy *out, struct err *e);
/* Removes PATH and what SQLite may have put beside it. */
void reg_remove(const char *path);

/* ------------------------------------------------------------- statements */

/* Prepares, for a scan: sqlite3_finalize *out. */
MUST bool reg_prepare(struct registry *r, const char *sql, const struct val *v,
	size_t n, sqlite3_stmt **out, struct err *e);
/* *row: ST stands on a row. Failed: ST is reset. */
MUST bool reg_step(
	struct registry *r, sqlite3_stmt *st, bool *row, struct err *e);
/* The kept statement ID up to its first row: reg_done it. NULL: no row. */
MUST bool reg_find(struct registry *r, enum stmt id, const struct val *v,
	size_t n, sqlite3_stmt **row, struct err *e);
/* Ends the read (a statement left open would pin its snapshot). NULL: fine. */
void reg_done(sqlite3_stmt *st);
/* Runs the kept statement ID, which gives no row. */
MUST bool reg_run(struct registry *r, enum stmt id, const struct val *v,
	size_t n, struct err *e);

/* ------------------------------------------------- the write transaction */

/* True when ID is a KIND in the form that strict parsing gives. */
bool reg_sim_valid(enum simid_kind kind, const struct simid *id);

/* What registry_device_add and _set, and imports, have in common. */
struct val reg_sim_val(const struct simid *id);
const char *reg_mode_of(const struct device *d);
MUST bool reg_check_device(const struct device *d, struct err *e);
/* No other device has an identifier of D. */
MUST bool reg_check_sims(
	struct registry *r, const struct device *d, struct err *e);
/* *same: D's rights are OLD's. */
MUST bool reg_device_same(const struct device *old, const struct device *d,
	bool *same, struct err *e);
/* Writes D, which is there, and a change row. */
MUST bool reg_device_update(
	struct registry *r, const struct device *d, struct err *e);
MUST bool reg_check_credential(const struct credential *c, struct err *e);
MUST bool reg_check_key_barred(
	struct registry *r, const struct credential *c, struct err *e);
MUST bool reg_check_key_owner(
	struct registry *r, const struct credential *c, struct err *e);

/* True inside a transaction whose writes all succeeded. */
MUST bool reg_may_write(struct registry *r, struct err *e);
/* Notes how a write ended; returns OK. */
bool reg_wrote(struct registry *r, bool ok);
/* Device ID's rights may have shrunk. */
MUST bool reg_change(struct registry *r, struct str id, struct err *e);
/* Appends to the chain. DEVICE_ID: NO_DEVICE when it is about none. DETAIL is
 * taken; NULL means that memory ran out while it was made. */
#define NO_DEVICE ((struct str){NULL, 0})
MUST bool reg_audit(struct registry *r, const char *action,
	struct str device_id, cJSON *detail, struct err *e);
/* meta's KEY as a decimal number. */
MUST bool reg_meta_int(
	struct registry *r, const char *key, int64_t *out, struct err *e);
MUST bool reg_meta_put(
	struct registry *r, const char *key, const char *value, struct err *e);
/* meta's audit_head, "<seq>:<hash in hex>": what the chain must end in, so
 * that a missing tail is noticed too. *valid: there is one. */
MUST bool reg_audit_head(struct registry *r, int64_t *seq,
	uint8_t hash[static FINGERPRINT_LEN], bool *valid, struct err *e);
MUST bool reg_audit_head_put(struct registry *r, struct err *e);
/* S is 1..18 decimal digits. */
bool reg_number(struct str s, int64_t *out);

#endif
