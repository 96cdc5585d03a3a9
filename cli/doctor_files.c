/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: owners, modes and dates of what the broker uses, and of what it must
 * not reach.
 */
#include "cli/doctor.h"

#include "io/segment.h"
#include "io/values.h"
#include "io/x509.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOON_S (INT64_C(30) * 86400)

void doctor_find_broker(struct doctor *d)
{
	char path[CLI_PATH_MAX];
	struct stat st;
	struct err e;

	/* A state directory that is not root's is for trying things out: its
	 * owner runs the broker too. */
	d->broker_known =
		cli_state_path(d->c, "meter", path, sizeof(path), &e) &&
		stat(path, &st) == 0 &&
		account_by_id(st.st_uid, &d->broker, &e);
	if (!d->broker_known)
		d->broker_known = account_by_name("mosquitto", &d->broker, &e);
}

/* The value of L as a path; false: it is none to look at. */
static bool path_of(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *l, char out[static CLI_PATH_MAX])
{
	char place[PLACE_MAX];

	if (l == NULL || l->value.n == 0 || l->value.n >= CLI_PATH_MAX)
		return false;
	(void)snprintf(out, CLI_PATH_MAX, "%.*s", STR_ARG(l->value));
	if (out[0] == '/')
		return true;
	doctor_place(conf, l, place);
	doctor_find(d, SEVERITY_WARNING, "file.relative", place,
		"write the absolute path",
		"%.*s is looked for where the broker is started",
		STR_ARG(l->value));
	return false;
}

/* ------------------------------------------------------------- certificates */

static void check_dates(struct doctor *d, const char *path)
{
	struct certificate crt;
	char when[TIME_TEXT];
	X509 *x = NULL;
	struct err e;
	bool read;

	if (!x509_load(path, &x, &e)) {
		doctor_find(d, SEVERITY_ERROR, "file.certificate", path,
			"put a certificate there: weir ca server --host H",
			"%s", e.msg);
		return;
	}
	read = x509_read(x, &crt, &e);
	X509_free(x);
	if (!read)
		return;
	time_format(crt.not_after_s, when);
	if (crt.not_after_s < d->c->now_s)
		doctor_find(d, SEVERITY_ERROR, "file.expired", path,
			"make a new one and restart the broker: weir ca "
			"server --host H",
			"expired at %s: devices that verify it do not connect",
			when);
	else if (crt.not_after_s < d->c->now_s + SOON_S)
		doctor_find(d, SEVERITY_WARNING, "file.expires", path,
			"make a new one and restart the broker: weir ca "
			"server --host H",
			"expires at %s", when);
	time_format(crt.not_before_s, when);
	if (crt.not_before_s > d->c->now_s)
		doctor_find(d, SEVERITY_ERROR, "file.not_yet", path,
			"set the clock right, or make a new one",
			"is not valid before %s", when);
}

/* False: said that it cannot be read. */
static bool readable(struct doctor *d, const char *path)
{
	if (!d->broker_known || account_may(&d->broker, path, ACCOUNT_READ))
		return true;
	doctor_find(d, SEVERITY_ERROR, "file.unreadable", path,
		"put it there, and let the broker's user read it and pass the "
		"folders above",
		"the broker's user %s cannot read it%s", d->broker.name,
		access(path, F_OK) != 0 ? ": it is not there" : "");
	return false;
}

static void check_crt(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *l)
{
	char path[CLI_PATH_MAX];

	if (path_of(d, conf, l, path) && readable(d, path))
		check_dates(d, path);
}

static void check_key(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *l)
{
	char path[CLI_PATH_MAX];
	struct stat st;

	if (!path_of(d, conf, l, path) || !readable(d, path) ||
		stat(path, &st) != 0)
		return;
	if ((st.st_mode & 07) != 0)
		doctor_find(d, SEVERITY_ERROR, "file.key_open", path,
			"chmod 0400 it, and give it to the broker's user",
			"everybody on this machine may read or replace the "
			"server's key (mode %04o)",
			(unsigned)st.st_mode & 07777);
	else if ((st.st_mode & 020) != 0)
		doctor_find(d, SEVERITY_WARNING, "file.key_open", path,
			"chmod 0400 it",
			"a group may replace the server's key (mode %04o)",
			(unsigned)st.st_mode & 07777);
}

/* ------------------------------------------------------- what the conf names */

/* A plugin or a configuration that others can write runs their code. */
static void check_code(struct doctor *d, const char *path, const char *what)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	if ((st.st_mode & 022) != 0 ||
		(st.st_uid != 0 && st.st_uid != geteuid()))
		doctor_find(d, SEVERITY_ERROR, "file.writable", path,
			"chown root: and chmod go-w it",
			"%s can be changed by others than root (owner %lu, "
			"mode %04o)",
			what, (unsigned long)st.st_uid,
			(unsigned)st.st_mode & 07777);
}

static void check_persistence(struct doctor *d, const struct broker_conf *conf)
{
	const struct broker_line *l = doctor_line(conf, "persistence_location");
	char path[CLI_PATH_MAX];

	if (!doctor_is_true(doctor_line(conf, "persistence")) ||
		!path_of(d, conf, l, path) || !d->broker_known)
		return;
	if (!account_may(&d->broker, path, ACCOUNT_WRITE | ACCOUNT_ENTER))
		doctor_find(d, SEVERITY_ERROR, "file.persistence", path,
			"make the folder, and give it to the broker's user",
			"the broker's user %s cannot write its sessions there: "
			"they are lost at a restart",
			d->broker.name);
}

static void check_plugins(struct doctor *d, const struct broker_conf *conf)
{
	static const char *const names[] = {
		"plugin", "auth_plugin", "global_plugin"};
	char path[CLI_PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (path_of(d, conf, doctor_line(conf, names[i]), path) &&
			readable(d, path))
			check_code(d, path, "the plugin");
	}
}

void doctor_conf_files(struct doctor *d, const struct broker_conf *conf)
{
	for (uint32_t i = 0; i <= conf->n_listeners; i++) {
		struct listener l;

		doctor_listener(conf, i, &l);
		check_crt(d, conf, l.cafile);
		check_crt(d, conf, l.certfile);
		check_key(d, conf, l.keyfile);
	}
	check_plugins(d, conf);
	check_persistence(d, conf);
	for (size_t i = 0; i < conf->n_files; i++)
		check_code(d, conf->files[i], "the broker's configuration");
}

/* --------------------------------------------------------- the state directory */

static void check_may(struct doctor *d, const char *path, unsigned access,
	bool may, const char *what)
{
	if (account_may(&d->broker, path, access) == may)
		return;
	doctor_find(d, SEVERITY_ERROR, "state.access", path,
		"run as root: weir init --broker-user USER",
		"the broker's user %s %s %s", d->broker.name,
		may ? "cannot" : "can", what);
}

static void check_private(struct doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 07) != 0)
		doctor_find(d, SEVERITY_ERROR, "state.open", path,
			"run as root: weir init",
			"everybody on this machine has access (mode %04o); "
			"SIM identifiers are in there",
			(unsigned)st.st_mode & 07777);
}

/* One path; ACCESS is what the broker's user needs, and OWN that it may write
 * there. */
static void check_path(
	struct doctor *d, const char *path, unsigned access, bool own)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	check_private(d, path);
	if (!d->broker_known)
		return;
	check_may(d, path, access, true, "use it as the plugin must");
	/* In a state directory for trying things out all belongs to one. */
	if (!own && st.st_uid != d->broker.uid)
		check_may(d, path, ACCOUNT_WRITE, false,
			"write there: whoever breaks into the broker could "
			"admit anybody");
	else if (!own && geteuid() == 0)
		doctor_find(d, SEVERITY_WARNING, "state.owner", path,
			"run as root: weir init --broker-user USER",
			"it belongs to the broker's user %s, which can admit "
			"anybody",
			d->broker.name);
}

/* The same of one in the state directory. */
static void check_state_path(
	struct doctor *d, const char *name, unsigned access, bool own)
{
	char path[CLI_PATH_MAX];
	struct err e;

	if (cli_state_path(d->c, name, path, sizeof(path), &e))
		check_path(d, path, access, own);
}

static void check_ca_key(struct doctor *d, const char *dir)
{
	char path[CLI_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/ca.key", dir);

	if (dir[0] == '\0' || n < 0 || (size_t)n >= sizeof(path) ||
		access(path, F_OK) != 0)
		return;
	if (d->broker_known && d->broker.uid != geteuid() &&
		account_may(&d->broker, path, ACCOUNT_READ))
		doctor_find(d, SEVERITY_ERROR, "ca.readable", path,
			"move it to another machine, or chmod 0600 it and give "
			"it to another user",
			"the broker's user %s can read the CA's key: whoever "
			"breaks into the broker could issue certificates",
			d->broker.name);
	else
		doctor_find(d, SEVERITY_NOTE, "ca.here", path,
			"keep it on another machine than the broker's",
			"the CA's key is on this machine");
}

void doctor_state_files(struct doctor *d)
{
	char path[CLI_PATH_MAX];
	struct err e;

	check_state_path(d, ".", ACCOUNT_ENTER, false);
	check_state_path(d, REGISTRY_FILE, ACCOUNT_READ, false);
	check_state_path(d, REGISTRY_FILE "-wal", ACCOUNT_READ, false);
	check_state_path(d, REGISTRY_FILE "-shm", ACCOUNT_READ, false);
	check_state_path(
		d, "meter", ACCOUNT_READ | ACCOUNT_WRITE | ACCOUNT_ENTER, true);
	check_path(d, d->c->meter, ACCOUNT_READ | ACCOUNT_WRITE, true);
	check_ca_key(d, d->c->ca);
	if (cli_state_path(d->c, "ca", path, sizeof(path), &e))
		check_ca_key(d, path);
}
