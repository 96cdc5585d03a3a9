/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir ca: the certificate authority of the fleet.
 */
#include "certs/chain.h"
#include "certs/issue.h"
#include "certs/key.h"
#include "certs/pem_file.h"
#include "cli/ca_dir.h"
#include "cli/ca_open.h"
#include "cli/output.h"
#include "io/values.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_DEFAULT "Weir fleet"

/* --NAME, LOW to HIGH, DEFAULT when it was not given. */
static bool number_option(const struct cli *c, const char *name,
	const int64_t range[static 2], int64_t *value, struct err *e)
{
	const char *v = args_get(c->args, name);
	char what[32];

	if (v == NULL)
		return true;
	(void)snprintf(what, sizeof(what), "--%s", name);
	return number_parse(what, str_from(v), range[0], range[1], value, e);
}

static bool key_type_option(
	const struct cli *c, enum key_type *type, struct err *e)
{
	const char *v = args_get(c->args, "key-type");

	return v == NULL || key_type_parse(str_from(v), type, e);
}

static const int64_t DAYS_RANGE[2] = {1, CERT_DAYS_MAX};
static const int64_t PEN_RANGE[2] = {1, UINT32_MAX};

/* -------------------------------------------------------- init, import, show */

/* Where its key is, for people; JSON has a word and the URI. */
static const char *key_place_text(const struct ca *ca)
{
	switch (ca_key_place(ca)) {
	case CA_KEY_FILE:
		return "ca.key";
	case CA_KEY_TOKEN:
		return ca_key_uri(ca);
	case CA_KEY_NONE:
		break;
	}
	return "not here: its certificates are issued elsewhere";
}

static const char *key_place_name(const struct ca *ca)
{
	return ca_key_place(ca) == CA_KEY_NONE   ? NULL
	       : ca_key_place(ca) == CA_KEY_FILE ? "file"
						 : "token";
}

static void print_ca(const struct cli *c, const struct ca *ca,
	const struct certificate *cert)
{
	char hex[FINGERPRINT_HEX], from[TIME_TEXT], to[TIME_TEXT];
	struct x509_names names;
	cJSON *o;

	x509_names(ca_cert(ca), &names);
	fingerprint_format(cert->fingerprint, hex);
	if (c->json) {
		o = json_new();
		json_str(o, "dir", c->ca);
		json_str(o, "name", ca_name(ca));
		if (ca_pen(ca) != 0)
			json_int(o, "pen", ca_pen(ca));
		else
			json_str(o, "pen", NULL);
		json_str(o, "subject", names.subject);
		json_str(o, "serial", names.serial);
		json_str(o, "key", names.key);
		json_str(o, "key_place", key_place_name(ca));
		json_str(o, "key_uri", ca_key_uri(ca));
		json_int(o, "not_before_s", cert->not_before_s);
		json_int(o, "not_after_s", cert->not_after_s);
		json_str(o, "fingerprint", hex);
		json_print(o);
		return;
	}
	time_format(cert->not_before_s, from);
	time_format(cert->not_after_s, to);
	print_field("CA", "%s", ca_name(ca));
	print_field("folder", "%s", c->ca);
	if (ca_pen(ca) != 0)
		print_field("enterprise", "%" PRIu32, ca_pen(ca));
	print_field("subject", "%s", names.subject);
	print_field("key", "%s", names.key);
	print_field("key is in", "%s", key_place_text(ca));
	print_field("valid", "%s to %s%s", from, to,
		c->now_s > cert->not_after_s ? ", so expired" : "");
	print_field("serial", "%s", names.serial);
	print_field("fingerprint", "%s", hex);
}

static bool show(const struct cli *c, struct err *e)
{
	struct certificate cert;
	struct ca *ca = NULL;
	char path[CLI_PATH_MAX];
	bool ok;

	/* Names the option when there is no folder to look in. */
	if (!cli_ca_path(c, "ca.crt", path, sizeof(path), e) ||
		!ca_load(c->ca, &ca, e))
		return false;
	ok = x509_read(ca_cert(ca), &cert, e);
	if (ok)
		print_ca(c, ca, &cert);
	ca_free(&ca);
	return ok;
}

static bool run_show(struct cli *c, struct err *e)
{
	return show(c, e);
}

static bool run_init(struct cli *c, struct err *e)
{
	const char *name = args_get(c->args, "name");
	int64_t days = CA_DAYS_DEFAULT, pen = 0;
	struct ca_options o = {.now_s = c->now_s, .pin = &CLI_PIN};
	char path[CLI_PATH_MAX];

	o.key_uri = args_get(c->args, "key");
	if (!number_option(c, "days", DAYS_RANGE, &days, e) ||
		!number_option(c, "pen", PEN_RANGE, &pen, e) ||
		!key_type_option(c, &o.key_type, e) ||
		!cli_ca_path(c, "ca.crt", path, sizeof(path), e))
		return false;
	if (o.key_uri != NULL && args_has(c->args, "key-type"))
		return err_set(e, ERR_INPUT,
			"the token's key is of the type it is: leave "
			"--key-type out");
	o.name = name != NULL ? name : NAME_DEFAULT;
	o.days = (int)days;
	o.pen = (uint32_t)pen;
	if (!ca_create(c->ca, &o, e))
		return false;
	ca_dir_note(c);
	if (!show(c, e))
		return false;
	if (!c->json && o.key_uri == NULL)
		(void)puts("\nKeep ca.key away from the broker, and a copy of "
			   "it safe: without it no more\ncertificates can be "
			   "made. Brokers and devices get ca.crt.");
	return true;
}

static void warn_no_root(const struct cli *c)
{
	struct ca *ca = NULL;
	struct err e;

	if (!ca_look(c->ca, &ca, &e))
		return;
	if (!chain_is_root(
		    sk_X509_value(ca_chain(ca), sk_X509_num(ca_chain(ca)) - 1)))
		print_note("warning: this is no root, and the one above it is "
			   "missing: add that to the broker's cafile, or the "
			   "broker takes no certificate of this CA");
	ca_free(&ca);
}

static bool run_import(struct cli *c, struct err *e)
{
	struct ca_import i = {.cert = args_get(c->args, "cert"),
		.key = args_get(c->args, "key"),
		.name = args_get(c->args, "name"),
		.now_s = c->now_s,
		.pin = &CLI_PIN};
	char path[CLI_PATH_MAX];
	int64_t pen = 0;

	if (i.cert == NULL)
		return err_set(e, ERR_INPUT,
			"which CA? Give its certificate with --cert FILE");
	if (!number_option(c, "pen", PEN_RANGE, &pen, e) ||
		!cli_ca_path(c, "ca.crt", path, sizeof(path), e))
		return false;
	i.pen = (uint32_t)pen;
	if (!ca_import(c->ca, &i, e))
		return false;
	warn_no_root(c);
	ca_dir_note(c);
	return show(c, e);
}

/* --------------------------------------------------------------------- server */

struct server {
	const char *names[SERVER_NAMES_MAX]; /* hosts, then addresses */
	size_t n_hosts, n;
	const char *out; /* the folder */
	int64_t days;
};

static bool collect(const struct cli *c, const char *option, struct server *s,
	struct err *e)
{
	const char *v;
	size_t at = 0;

	while ((v = args_each(c->args, option, &at)) != NULL) {
		if (s->n == SERVER_NAMES_MAX)
			return err_set(e, ERR_INPUT,
				"more than %d names and addresses",
				SERVER_NAMES_MAX);
		s->names[s->n++] = v;
	}
	return true;
}

static void print_server(
	const struct cli *c, const struct server *s, int64_t not_after_s)
{
	char to[TIME_TEXT];
	cJSON *o, *list;
	size_t i;

	if (c->json) {
		char path[CLI_PATH_MAX];

		o = json_new();
		(void)snprintf(path, sizeof(path), "%s/server.crt", s->out);
		json_str(o, "certificate", path);
		(void)snprintf(path, sizeof(path), "%s/server.key", s->out);
		json_str(o, "key", path);
		json_int(o, "not_after_s", not_after_s);
		list = json_array(o, "names");
		for (i = 0; i < s->n; i++)
			json_push(list, cJSON_CreateString(s->names[i]));
		json_print(o);
		return;
	}
	time_format(not_after_s, to);
	print_field("certificate", "%s/server.crt", s->out);
	print_field("key", "%s/server.key, which the broker's user must read",
		s->out);
	for (i = 0; i < s->n; i++)
		print_field(i == 0 ? "names" : "and", "%s", s->names[i]);
	print_field("valid until", "%s", to);
}

static bool make_server(struct cli *c, const struct ca *ca,
	const struct server *s, struct err *e)
{
	const struct server_names n = {
		s->names, s->n_hosts, s->names + s->n_hosts, s->n - s->n_hosts};
	const struct issue_options o = {
		.now_s = c->now_s, .days = (int)s->days};
	enum key_type type = KEY_P256;
	struct certificate cert;
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	bool ok;

	ok = key_type_option(c, &type, e) && key_generate(type, &key, e) &&
	     issue_server(ca, &n, key, &o, &x, e) && x509_read(x, &cert, e) &&
	     dir_make(s->out, e) && pem_pair_save(s->out, "server", key, x, e);
	if (ok)
		print_server(c, s, cert.not_after_s);
	EVP_PKEY_free(key);
	X509_free(x);
	return ok;
}

static bool run_server(struct cli *c, struct err *e)
{
	struct server s = {
		.out = args_get(c->args, "out"), .days = SERVER_DAYS_DEFAULT};
	struct ca *ca = NULL;
	bool ok;

	if (!number_option(c, "days", DAYS_RANGE, &s.days, e) ||
		!collect(c, "host", &s, e))
		return false;
	s.n_hosts = s.n;
	if (!collect(c, "ip", &s, e))
		return false;
	if (s.n == 0)
		return err_set(e, ERR_INPUT,
			"which names do clients connect to? Give --host, or "
			"--ip");
	if (!cli_ca_open(c, &ca, e))
		return false;
	if (s.out == NULL)
		s.out = c->ca;
	ok = make_server(c, ca, &s, e);
	ca_free(&ca);
	if (ok)
		ca_dir_note(c);
	return ok;
}

/* ---------------------------------------------------------------------- table */

static const struct opt INIT_OPTIONS[] = {
	{"name", '\0', OPT_VALUE, "N",
		"the organisation in all its certificates (" NAME_DEFAULT ")"},
	{"pen", '\0', OPT_VALUE, "N",
		"IANA enterprise number, for cert issue --sim-in-cert"},
	{"days", '\0', OPT_VALUE, "N", "validity (3650)"},
	{"key-type", '\0', OPT_VALUE, "T",
		"p256 (so unless said), p384, rsa2048, rsa3072"},
	{"key", '\0', OPT_VALUE, "URI",
		"sign with a key in a token: pkcs11:token=…;object=…"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt IMPORT_OPTIONS[] = {
	{"cert", '\0', OPT_VALUE, "FILE",
		"its certificate, those above it behind"},
	{"key", '\0', OPT_VALUE, "FILE|URI",
		"its key: a file, '-', or pkcs11:token=…;object=…"},
	{"name", '\0', OPT_VALUE, "N",
		"the organisation in certificates (as in its own)"},
	{"pen", '\0', OPT_VALUE, "N",
		"IANA enterprise number, for cert issue --sim-in-cert"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt SERVER_OPTIONS[] = {
	{"host", '\0', OPT_LIST, "H", "a DNS name of the broker"},
	{"ip", '\0', OPT_LIST, "A", "an address of the broker"},
	{"days", '\0', OPT_VALUE, "N", "validity (365)"},
	{"key-type", '\0', OPT_VALUE, "T",
		"p256 (so unless said), p384, rsa2048, rsa3072"},
	{"out", '\0', OPT_VALUE, "DIR", "where to (the CA's folder)"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command ca_commands[] = {
	{
		.name = "ca init",
		.usage = "[--name N] [--pen N] [--days N] [--key-type T|--key "
			 "URI]",
		.summary = "Make the fleet's certificate authority",
		.help = "Makes ca.crt and ca.key (mode 0600) in the CA's "
			"folder (--ca); what is there is never\noverwritten. "
			"The broker refuses to start when it can read ca.key."
			"\n\n"
			"  weir --ca /root/fleet-ca ca init --name 'Example "
			"Ltd'\n\n"
			"With --key the key is in a PKCS #11 token, and stays "
			"there. Its PIN comes from the\nfile that the URI "
			"names with pin-source, from $WEIR_CA_PIN, or from the "
			"terminal.\n\n"
			"  weir ca init --key 'pkcs11:token=hsm;object=ca?"
			"pin-source=file:/root/pin'\n",
		.options = INIT_OPTIONS,
		.run = run_init,
	},
	{
		.name = "ca import",
		.usage = "--cert FILE [--key FILE|URI] [--name N] [--pen N]",
		.summary = "Use a CA from elsewhere",
		.help = "Takes a CA that you have, with its key to issue with, "
			"or without: then its\ncertificates are issued "
			"elsewhere, and cert add takes only what comes from "
			"it.\nA key in a token stays there (see ca init).\n\n"
			"  weir ca import --cert corporate.crt --key "
			"corporate.key\n",
		.options = IMPORT_OPTIONS,
		.run = run_import,
	},
	{
		.name = "ca server",
		.usage = "--host H… [--ip A…] [--days N] [--key-type T] [--out "
			 "DIR]",
		.summary = "Make the broker's certificate and key",
		.help = "Makes server.crt and server.key for the names that "
			"clients connect to.\n\n"
			"  weir ca server --host mqtt.example.net --ip "
			"192.0.2.7 --out /etc/weir\n",
		.options = SERVER_OPTIONS,
		.run = run_server,
	},
	{
		.name = "ca show",
		.usage = "",
		.summary = "Show the CA",
		.help = "  weir ca show --json\n",
		.run = run_show,
	},
	{.name = NULL},
};
