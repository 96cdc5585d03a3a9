/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert import: certificates that devices have already, from files; the
 * device's id is in each.
 */
#include "certs/pem_file.h"
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "cli/records.h"
#include "io/file.h"
#include "io/registry_import.h"
#include "io/x509.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum id_from { FROM_CN, FROM_SAN_URI, FROM_SERIAL };

struct importing {
	const struct cli *c;
	enum id_from from;
	const char *class_name; /* of devices that are new */
	struct registry *r;
	uint64_t added, devices, before;
	size_t n_errors;
	struct err last;
};

static bool note_error(struct importing *i, const struct err *e)
{
	if (i->n_errors++ != 0)
		print_err(&i->last);
	i->last = *e;
	return e->code != ERR_ENVIRONMENT && i->n_errors < ERRS_MAX;
}

/* ---------------------------------------------------------------------- ids */

/* The id that X states where --id-from says. */
static bool id_read(const struct importing *i, X509 *x,
	char out[static DEVICE_ID_MAX + 1], struct err *e)
{
	static const char *const what[] = {"common name (CN)",
		"URI in its subjectAltName", "serialNumber in its subject"};
	struct x509_names names;
	const char *text = names.cn;
	char uri[256];

	x509_names(x, &names);
	if (i->from == FROM_SERIAL)
		text = names.serial_number;
	if (i->from == FROM_SAN_URI) {
		text = uri;
		if (!x509_san_uri(x, uri, sizeof(uri), e))
			return false;
		/* A whole URN can be an id; of a URL its last part can. */
		if (strrchr(uri, '/') != NULL)
			text = strrchr(uri, '/') + 1;
	}
	if (text[0] == '\0')
		return err_set(e, ERR_INPUT, "the certificate has no %s",
			what[i->from]);
	if (!device_id_valid(str_from(text)))
		return err_set(e, ERR_INPUT,
			"the certificate's %s, '%.80s', is no device id",
			what[i->from], text);
	memcpy(out, text, strlen(text) + 1); /* an id fits */
	return true;
}

static bool take_cert(struct importing *i, X509 *x, struct err *e)
{
	struct fleet_entry entry = {.line = 0};
	struct import_outcome o;
	struct credential c;
	bool done;

	if (!id_read(i, x, entry.device.id, e) ||
		!x509_device_credential(x, entry.device.id, &c, e) ||
		!cert_of_a_client(x, i->c, &c, e))
		return false;
	entry.device.id_len = (uint8_t)strlen(entry.device.id);
	entry.credentials = &c;
	entry.n_credentials = 1;
	(void)snprintf(entry.device.class_name, sizeof(entry.device.class_name),
		"%s", i->class_name);
	done = registry_import(i->r, &entry, IMPORT_MATCH, &o, e);
	if (done && o.certs_kept != 0)
		return err_set(e, ERR_CONFLICT,
			"this certificate of device '%s' is revoked, and stays "
			"so",
			entry.device.id);
	i->added += done ? o.certs_added : 0;
	i->before += done && o.certs_added == 0;
	i->devices += done && o.added;
	return done;
}

/* -------------------------------------------------------------------- files */

static bool take_file(struct importing *i, const char *path)
{
	struct err e = {.code = ERR_NONE};
	X509 *x = NULL;
	bool done = x509_load(path, &x, &e);

	if (done && !take_cert(i, x, &e)) {
		done = false;
		(void)err_at(&e, "%.180s", path);
	}
	X509_free(x);
	return done || note_error(i, &e);
}

/* What may hold a certificate: keys and lists lie beside them. */
static bool is_certificate_name(const char *name)
{
	static const char *const suffix[] = {".crt", ".pem", ".cer", ".der"};
	size_t n = strlen(name);

	for (size_t k = 0; k < sizeof(suffix) / sizeof(suffix[0]); k++) {
		if (n > 4 && strcmp(name + n - 4, suffix[k]) == 0)
			return true;
	}
	return false;
}

static bool take_name(struct importing *i, const char *dir, const char *name)
{
	char *path = path_join(dir, name, "");
	struct err e;
	bool more;

	if (path == NULL) {
		(void)err_set(&e, ERR_ENVIRONMENT, "out of memory");
		return note_error(i, &e);
	}
	more = take_file(i, path);
	free(path);
	return more;
}

static bool take_folder(struct importing *i, const char *path)
{
	DIR *dir = opendir(path);
	const char *name = "";
	struct err e;
	bool more = true;

	if (dir == NULL) {
		(void)file_err(&e, "read the folder", path, errno);
		return note_error(i, &e);
	}
	while (more && name != NULL) {
		if (!file_folder_next(dir, path, &name, &e))
			more = note_error(i, &e);
		else if (name != NULL && is_certificate_name(name))
			more = take_name(i, path, name);
	}
	(void)closedir(dir);
	return more;
}

static void take_all(struct importing *i)
{
	const struct args *a = i->c->args;
	bool more = true;

	for (size_t k = 0; more && k < a->n_words; k++) {
		struct stat st;

		more = stat(a->words[k], &st) == 0 && S_ISDIR(st.st_mode)
			       ? take_folder(i, a->words[k])
			       : take_file(i, a->words[k]);
	}
	if (!more && i->last.code != ERR_ENVIRONMENT)
		print_note(
			"%d errors; what follows was not looked at", ERRS_MAX);
}

/* ---------------------------------------------------------------------- run */

static bool read_options(struct importing *i, struct err *e)
{
	static const char *const from[] = {"cn", "san-uri", "serialnumber"};
	const char *id_from = args_get(i->c->args, "id-from");
	size_t k = 0;

	i->class_name = args_get(i->c->args, "class");
	if (i->class_name == NULL || !class_name_valid(str_from(i->class_name)))
		return err_set(e, ERR_INPUT,
			"--class C is missing or no class name: new devices "
			"need one");
	while (id_from != NULL && k < 3 && strcmp(id_from, from[k]) != 0)
		k++;
	if (id_from == NULL || k == 3)
		return err_set(e, ERR_INPUT,
			"where is the device's id? Give --id-from cn, san-uri "
			"or serialnumber");
	i->from = (enum id_from)k;
	return true;
}

static bool commit(struct importing *i, struct err *e)
{
	struct bulk_audit a = {.action = "cert.import"};
	int64_t seq;

	if (!registry_bulk_begin(i->r, e))
		return false;
	take_all(i);
	if (i->n_errors != 0) {
		*e = i->last;
		return false;
	}
	a.devices = (int64_t)i->devices;
	a.credentials = (int64_t)i->added;
	return registry_bulk_end(i->r, &a, e) && registry_commit(i->r, &seq, e);
}

static void print_result(const struct importing *i)
{
	cJSON *o;

	if (!i->c->json) {
		(void)printf("certificates: %" PRIu64 " added, %" PRIu64
			     " there before; devices: %" PRIu64 " added\n",
			i->added, i->before, i->devices);
		return;
	}
	o = json_new();
	json_int(o, "added", (int64_t)i->added);
	json_int(o, "there_before", (int64_t)i->before);
	json_int(o, "devices_added", (int64_t)i->devices);
	json_print(o);
}

bool run_cert_import(struct cli *c, struct err *e)
{
	struct importing i = {.c = c};
	bool done = read_options(&i, e) && cli_registry_begin(c, &i.r, e) &&
		    commit(&i, e);

	if (done) {
		print_result(&i);
		warn_unless_class(i.r, i.class_name);
	}
	registry_close(&i.r);
	return done;
}
