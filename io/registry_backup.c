/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_backup.h"

#include "io/file.h"
#include "io/registry_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL_PAGES (-1)

void reg_remove(const char *path)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
	char name[PATH_MAX];

	/* Without memory too: what is half done must not stay. */
	for (size_t i = 0; i < 4; i++) {
		int n = snprintf(name, sizeof(name), "%s%s", path, suffix[i]);

		if (n > 0 && (size_t)n < sizeof(name))
			(void)unlink(name);
	}
}

/* -------------------------------------------------------------------- a copy */

/* What TO's last call failed for. Pages that make no sense came from FROM. */
static bool copy_failed(
	const struct registry *from, struct registry *to, struct err *e)
{
	int code = sqlite3_errcode(to->db);

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		to->path = from->path;
	return reg_fail(to, e);
}

/* From one connection to another, in one read of FROM: who writes meanwhile
 * neither waits nor shows. */
static bool copy_pages(
	struct registry *from, struct registry *to, struct err *e)
{
	sqlite3_backup *job =
		sqlite3_backup_init(to->db, "main", from->db, "main");
	int rc;

	if (job == NULL)
		return copy_failed(from, to, e);
	rc = sqlite3_backup_step(job, ALL_PAGES);
	if (sqlite3_backup_finish(job) == SQLITE_OK && rc == SQLITE_DONE)
		return true;
	/* A page that cannot be read is FROM's fault, all else the new file's. */
	if (sqlite3_errcode(from->db) != SQLITE_OK)
		return reg_fail(from, e);
	return copy_failed(from, to, e);
}

static bool on_disk(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && fsync(fd) == 0;
	int error = errno;

	if (fd >= 0)
		(void)close(fd);
	return done || file_err(e, "write", path, error);
}

bool reg_copy(struct registry *from, char *path, struct err *e)
{
	struct registry to = {.path = path, .mode = REGISTRY_WRITE};
	bool done = sqlite3_open_v2(path, &to.db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK;

	if (to.db == NULL)
		return reg_no_memory(e);
	/* A copy that is not finished is thrown away: no journal. What has
	 * been copied is marked as having a log, which it must not need. */
	done = (done && sqlite3_exec(to.db,
				"PRAGMA journal_mode = OFF; "
				"PRAGMA synchronous = OFF",
				NULL, NULL, NULL) == SQLITE_OK) ||
	       copy_failed(from, &to, e);
	done = done && copy_pages(from, &to, e) &&
	       (sqlite3_exec(to.db, "PRAGMA journal_mode = DELETE", NULL, NULL,
			NULL) == SQLITE_OK ||
		       copy_failed(from, &to, e));
	(void)sqlite3_close(to.db);
	return done && on_disk(path, e);
}

/* ------------------------------------------------------------ what is in it */

static bool sound(struct registry *r, struct err *e)
{
	struct str told = {NULL, 0};
	sqlite3_stmt *st;
	bool row = false, done;

	if (!reg_prepare(r, "PRAGMA integrity_check(1)", NO_VALS, &st, e))
		return false;
	done = reg_step(r, st, &row, e);
	if (done && (!row || !col_text(st, 0, 4096, &told) ||
			    !str_eq(told, STR("ok"))))
		done = err_set(e, ERR_ENVIRONMENT,
			"%s is damaged (%.*s); put a backup in its place",
			r->path, told.n < 120 ? (int)told.n : 120,
			told.n != 0 ? told.p : "");
	(void)sqlite3_finalize(st);
	return done;
}

static bool note_time(void *ctx, const struct audit_row *a)
{
	*(int64_t *)ctx = a->t_s;
	return true;
}

bool reg_examine(struct registry *r, struct registry_copy *out, struct err *e)
{
	struct registry_copy c = {.saved_s = 0};

	if (!reg_check_schema(r, e) || !sound(r, e) ||
		!registry_heads(r, &c.heads, e) ||
		!registry_audit_verify(r, &c.bad_seq, &c.entries, c.head, e))
		return false;
	if (c.bad_seq == 0 &&
		!registry_audit(r, c.entries - 1, note_time, &c.saved_s, e))
		return false;
	*out = c;
	return true;
}

/* -------------------------------------------------------------------- backup */

/* The finished copy at TEMPORARY, read through as anybody would read it. */
static bool look_through(const char *temporary, const char *name,
	struct registry_copy *out, struct err *e)
{
	struct registry *r = NULL;
	struct stat st;
	bool done;

	if (stat(temporary, &st) != 0)
		return file_err(e, "read", temporary, errno);
	if (!reg_open(temporary, REGISTRY_READ, &r, e))
		return false;
	done = reg_examine(r, out, e);
	registry_close(&r);
	if (!done)
		return err_at(e, "%.180s", name);
	out->bytes = (int64_t)st.st_size;
	return true;
}

bool registry_backup(struct registry *r, const char *path,
	struct registry_copy *out, struct err *e)
{
	size_t n = strlen(path) + sizeof(".XXXXXX");
	char *temporary = malloc(n);
	bool done;
	int fd;

	if (temporary == NULL)
		return reg_no_memory(e);
	(void)snprintf(temporary, n, "%s.XXXXXX", path);
	/* Looked at first: who copies for minutes wants to know now. */
	if (access(path, F_OK) == 0) {
		free(temporary);
		return file_taken(e, path);
	}
	/* mkstemp opens with O_EXCL and mode 0600. */
	fd = mkstemp(temporary);
	if (fd < 0) {
		(void)file_err(e, "create", path, errno);
		free(temporary);
		return false;
	}
	(void)close(fd);
	done = reg_copy(r, temporary, e) &&
	       look_through(temporary, path, out, e) &&
	       file_publish(temporary, path, e);
	reg_remove(temporary);
	free(temporary);
	return done;
}
