/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cli/layout.h"

#include "cli/output.h"
#include "io/file.h"
#include "io/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS_GROUP "weir"
#define FEED_USER     "weir-feed"
#define LOOKUP_BYTES  ((size_t)1 << 20) /* a group may have many members */
#define DIR_MODE      ((mode_t)0750)
#define FILE_MODE     ((mode_t)0640)

/* ---------------------------------------------------------------- accounts */

static void set_name(char out[static ACCOUNT_MAX], const char *name)
{
	(void)snprintf(out, ACCOUNT_MAX, "%s", name);
}

static bool find_user(const char *name, struct layout_owner *out, gid_t *gid)
{
	char *buf = need_memory(LOOKUP_BYTES, 1);
	struct passwd pw, *found = NULL;

	if (getpwnam_r(name, &pw, buf, LOOKUP_BYTES, &found) == 0 &&
		found != NULL) {
		out->uid = pw.pw_uid;
		*gid = pw.pw_gid;
		set_name(out->name, name);
	}
	free(buf);
	return found != NULL;
}

static bool is_member(const struct group *g, const char *user)
{
	for (char **m = g->gr_mem; *m != NULL; m++) {
		if (strcmp(*m, user) == 0)
			return true;
	}
	return false;
}

/* The readers' group if the broker's user is in it, else that user's own. */
static void choose_group(struct layout *l)
{
	char *buf = need_memory(LOOKUP_BYTES, 1);
	struct group g, *found = NULL;

	l->gid = l->broker_gid;
	if (getgrnam_r(READERS_GROUP, &g, buf, LOOKUP_BYTES, &found) == 0 &&
		found != NULL) {
		if (g.gr_gid == l->broker_gid || is_member(&g, l->broker.name))
			l->gid = g.gr_gid;
		else
			(void)snprintf(l->note, sizeof(l->note),
				"user %s is not in group " READERS_GROUP
				", so its own group reads; for "
				"group " READERS_GROUP
				": adduser %s " READERS_GROUP
				", then weir init again",
				l->broker.name, l->broker.name);
	}
	found = NULL;
	if (getgrgid_r(l->gid, &g, buf, LOOKUP_BYTES, &found) == 0 &&
		found != NULL)
		set_name(l->group, g.gr_name);
	else
		(void)snprintf(l->group, sizeof(l->group), "%lu",
			(unsigned long)l->gid);
	free(buf);
}

bool layout_plan(const char *broker_user, struct layout *out, struct err *e)
{
	struct layout l = {.root = geteuid() == 0};
	gid_t ignored;

	if (!l.root) {
		l.admin.uid = l.broker.uid = l.feed.uid = geteuid();
		l.gid = l.broker_gid = getegid();
		(void)snprintf(l.note, sizeof(l.note),
			"not run as root: all of it belongs to you, and a "
			"broker must run as you to use it");
		*out = l;
		return true;
	}
	if (!find_user(broker_user, &l.broker, &l.broker_gid))
		return err_set(e, ERR_INPUT,
			"there is no user '%.40s' for the broker; install "
			"mosquitto, or give --broker-user U",
			broker_user);
	set_name(l.admin.name, "root");
	if (!find_user(FEED_USER, &l.feed, &ignored))
		l.feed = l.admin;
	choose_group(&l);
	*out = l;
	return true;
}

/* ------------------------------------------------------------ making, repair */

/* The work under way. */
struct work {
	const struct cli *c;
	const struct layout *l;
	int dir; /* the state directory */
	void (*each)(void *ctx, const struct layout_done *d);
	void *ctx;
};

static bool failed(struct err *e, const char *what, const char *path)
{
	char text[ERRNO_TEXT];
	int number = errno;

	return err_set(e, ERR_ENVIRONMENT, "cannot %s %.150s: %s%s", what, path,
		errno_text(number, text),
		(number == EPERM || number == EACCES) && geteuid() != 0
			? "; run weir init as root"
			: "");
}

/* True for what may be given away: a folder, or a file that has no second
 * name elsewhere. */
static bool plain(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ||
	       (S_ISREG(st->st_mode) && st->st_nlink == 1);
}

/* Sets what ST of FD has otherwise than OWNER and D say; D says if any. */
static bool set_rights(const struct layout *l, int fd, const struct stat *st,
	const struct layout_owner *owner, struct layout_done *d, struct err *e)
{
	bool chown_it =
		l->root && (st->st_uid != owner->uid || st->st_gid != l->gid);
	bool chmod_it = (st->st_mode & 07777) != d->mode;

	if (chown_it && fchown(fd, owner->uid, l->gid) != 0)
		return failed(e, "set the owner of", d->path);
	if (chmod_it && fchmod(fd, d->mode) != 0)
		return failed(e, "set the mode of", d->path);
	if ((chown_it || chmod_it) && d->result == LAYOUT_KEPT)
		d->result = LAYOUT_REPAIRED;
	return true;
}

/* Gives open FD, at PATH, its owner, group and mode. */
static bool settle(const struct work *w, int fd, const char *path,
	const struct layout_owner *owner, bool made, struct err *e)
{
	struct layout_done d = {path, made ? LAYOUT_MADE : LAYOUT_KEPT,
		owner->name, w->l->group, DIR_MODE};
	struct stat st;

	if (fstat(fd, &st) != 0)
		return failed(e, "look at", path);
	if (!plain(&st))
		return err_set(e, ERR_INPUT,
			"%.150s is not a plain file of its own; move it away",
			path);
	if (S_ISREG(st.st_mode))
		d.mode = FILE_MODE;
	if (!set_rights(w->l, fd, &st, owner, &d, e))
		return false;
	w->each(w->ctx, &d);
	return true;
}

/*
 * Opens NAME in the state directory and settles it. Links are not followed:
 * what is inside meter/ is the broker's user's to arrange, and it must not
 * choose whose owner root changes.
 */
static bool settle_at(const struct work *w, const char *name,
	const struct layout_owner *owner, bool made, struct err *e)
{
	char path[CLI_PATH_MAX];
	bool done;
	int fd;

	if (!cli_state_path(w->c, name, path, sizeof(path), e))
		return false;
	fd = openat(
		w->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return failed(e, "open", path);
	done = settle(w, fd, path, owner, made, e);
	(void)close(fd);
	return done;
}

/* A file that may be missing. */
static bool settle_file(const struct work *w, const char *name,
	const struct layout_owner *owner, bool made, struct err *e)
{
	struct stat st;

	if (fstatat(w->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
		errno == ENOENT)
		return true;
	return settle_at(w, name, owner, made, e);
}

static bool make_dir(const struct work *w, const char *name,
	const struct layout_owner *owner, struct err *e)
{
	bool made = mkdirat(w->dir, name, DIR_MODE) == 0;
	char path[CLI_PATH_MAX];

	if (!cli_state_path(w->c, name, path, sizeof(path), e))
		return false;
	if (!made && errno != EEXIST)
		return failed(e, "make", path);
	return settle_at(w, name, owner, made, e);
}

/* ------------------------------------------------------- the state directory */

/* Makes PATH and what is missing above it. *made: PATH itself was. */
static bool make_path(const char *path, bool *made, struct err *e)
{
	char part[CLI_PATH_MAX];
	size_t n = strlen(path);

	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		*made = mkdir(part, i < n ? 0755 : DIR_MODE) == 0;
		if (!*made && errno != EEXIST)
			return failed(e, "make", part);
	}
	return true;
}

static bool ours(const char *name)
{
	static const char *const known[] = {".", "..", "live", "usage", "meter",
		"lost+found", REGISTRY_FILE, REGISTRY_FILE "-wal",
		REGISTRY_FILE "-shm"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	return false;
}

/* A directory without a registry must hold nothing of anybody else: giving
 * /etc to the broker's group is one typing error away. */
static bool check_ours(const char *path, struct err *e)
{
	DIR *dir = opendir(path);
	const char *name = "";
	char found[256] = "";
	bool done = true;

	if (dir == NULL)
		return failed(e, "open", path);
	while (done && name != NULL && found[0] == '\0') {
		done = file_folder_next(dir, path, &name, e);
		if (done && name != NULL && !ours(name))
			(void)snprintf(found, sizeof(found), "%s", name);
	}
	(void)closedir(dir);
	if (!done || found[0] == '\0')
		return done;
	return err_set(e, ERR_INPUT,
		"%.120s is no state directory: it holds '%.80s' and no "
		"registry; give --state a directory of its own",
		path, found);
}

static bool is_file(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* No descriptor of the registry is open here while SQLite has it open:
 * closing one would drop SQLite's locks. */
static bool make_registry(const struct work *w, struct err *e)
{
	static const char *const names[] = {
		REGISTRY_FILE, REGISTRY_FILE "-wal", REGISTRY_FILE "-shm"};
	bool made[3];
	char path[CLI_PATH_MAX];

	for (size_t i = 0; i < 3; i++)
		made[i] = !is_file(w->dir, names[i]);
	if (!cli_state_path(w->c, REGISTRY_FILE, path, sizeof(path), e) ||
		!registry_create(path, w->c->actor, w->c->now_s, e))
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (!settle_file(w, names[i], &w->l->admin, made[i], e))
			return false;
	}
	return true;
}

static bool fill(const struct work *w, bool made, struct err *e)
{
	const struct layout *l = w->l;

	if (!is_file(w->dir, REGISTRY_FILE) && !check_ours(w->c->state, e))
		return false;
	return settle(w, w->dir, w->c->state, &l->admin, made, e) &&
	       make_registry(w, e) && make_dir(w, "live", &l->feed, e) &&
	       settle_file(w, LIVE_FILE, &l->feed, false, e) &&
	       settle_file(w, LIVE_FILE "-wal", &l->feed, false, e) &&
	       settle_file(w, LIVE_FILE "-shm", &l->feed, false, e) &&
	       make_dir(w, "usage", &l->feed, e) &&
	       make_dir(w, "meter", &l->broker, e) &&
	       settle_file(w, "meter/meter.seg", &l->broker, false, e);
}

bool layout_apply(const struct cli *c, const struct layout *l,
	void (*each)(void *ctx, const struct layout_done *d), void *ctx,
	struct err *e)
{
	struct work w = {c, l, -1, each, ctx};
	bool made = false, done;

	(void)umask(027);
	if (!make_path(c->state, &made, e))
		return false;
	w.dir = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.dir < 0)
		return failed(e, "open", c->state);
	done = fill(&w, made, e);
	(void)close(w.dir);
	return done;
}

/* ---------------------------------------------------------------- the way in */

static bool passes(const struct layout *l, const struct stat *st)
{
	if (l->broker.uid == 0)
		return true;
	if (st->st_uid == l->broker.uid)
		return (st->st_mode & S_IXUSR) != 0;
	if (st->st_gid == l->broker_gid || st->st_gid == l->gid)
		return (st->st_mode & S_IXGRP) != 0;
	return (st->st_mode & S_IXOTH) != 0;
}

void layout_barrier(
	const struct layout *l, const char *path, char out[static CLI_PATH_MAX])
{
	char *real = realpath(path, NULL);
	struct stat st;

	out[0] = '\0';
	for (size_t i = 1; real != NULL && real[i] != '\0'; i++) {
		if (real[i] != '/')
			continue;
		real[i] = '\0';
		if (stat(real, &st) == 0 && !passes(l, &st)) {
			(void)snprintf(out, CLI_PATH_MAX, "%s", real);
			break;
		}
		real[i] = '/';
	}
	free(real);
}
