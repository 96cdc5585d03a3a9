/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_sync.h"

#include "io/history_writer.h"

#include "io/history_private.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct history_sync {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t told;
	bool asked, over, well;
	struct err why;
	char *path; /* not changed after the start, as which file that is */
	dev_t device;
	ino_t inode;
};

/* Opened by its name another file would be made, or be taken for the owner's,
 * whose log SQLite would remove. */
static bool is_the_same(const struct history_sync *s, struct err *e)
{
	struct stat st;

	if (stat(s->path, &st) == 0 && st.st_dev == s->device &&
		st.st_ino == s->inode)
		return true;
	return err_set(e, ERR_ENVIRONMENT,
		"%s is another file than the one that is written, or none: "
		"what "
		"is told since is lost; restart weir-feed",
		s->path);
}

/* A log that others are at is left to the next time: that is no failure. */
static bool checkpoint(const struct history_sync *s, struct err *e)
{
	struct history_db d = {0};
	bool ok = is_the_same(s, e) && hist_open(&d, s->path, HISTORY_WRITE, e);
	int rc = SQLITE_OK;

	if (ok)
		rc = sqlite3_wal_checkpoint_v2(
			d.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (ok && rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		ok = hist_fail(&d, e);
	hist_close(&d);
	return ok;
}

/* Until it is asked: false, it is over. */
static bool await(struct history_sync *s)
{
	bool over;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->asked && !s->over)
		(void)pthread_cond_wait(&s->told, &s->lock);
	s->asked = false;
	over = s->over;
	(void)pthread_mutex_unlock(&s->lock);
	return !over;
}

static void *work(void *arg)
{
	struct history_sync *s = arg;

	while (await(s)) {
		struct err why = {0};
		bool well = checkpoint(s, &why);

		(void)pthread_mutex_lock(&s->lock);
		s->well = well;
		s->why = why;
		(void)pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

/* Signals are for the thread that began it. */
static bool start_thread(struct history_sync *s)
{
	sigset_t all, before;
	bool ok;

	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	ok = pthread_create(&s->thread, NULL, work, s) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

static void release(struct history_sync *s)
{
	(void)pthread_cond_destroy(&s->told);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

bool history_sync_start(
	const char *state, struct history_sync **out, struct err *e)
{
	struct history_sync *s = calloc(1, sizeof(*s));
	struct stat st;

	if (s == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	s->well = true;
	s->path = hist_path(state, HISTORY_FILE);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->told, NULL);
	if (s->path != NULL && stat(s->path, &st) == 0) {
		s->device = st.st_dev;
		s->inode = st.st_ino;
	}
	if (s->path == NULL || !start_thread(s)) {
		release(s);
		return err_set(e, ERR_ENVIRONMENT,
			"cannot start a thread: out of memory");
	}
	*out = s;
	return true;
}

static void tell(struct history_sync *s, bool *what)
{
	(void)pthread_mutex_lock(&s->lock);
	*what = true;
	(void)pthread_cond_signal(&s->told);
	(void)pthread_mutex_unlock(&s->lock);
}

void history_sync_ask(struct history_sync *s)
{
	tell(s, &s->asked);
}

bool history_sync_well(struct history_sync *s, struct err *e)
{
	bool well;

	(void)pthread_mutex_lock(&s->lock);
	well = s->well;
	if (!well && e != NULL)
		*e = s->why;
	(void)pthread_mutex_unlock(&s->lock);
	return well;
}

void history_sync_stop(struct history_sync **s)
{
	if (*s == NULL)
		return;
	tell(*s, &(*s)->over);
	(void)pthread_join((*s)->thread, NULL);
	release(*s);
	*s = NULL;
}
