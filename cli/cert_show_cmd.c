/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert show: a certificate file, and what the registry says of it.
 */
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "cli/records.h"
#include "io/values.h"
#include "io/x509.h"

#include <string.h>
#include <unistd.h>

struct shown {
	struct certificate cert;
	struct x509_names names;
	bool looked; /* there is a registry that could be asked */
	bool found, barred;
	struct credential credential;
};

static bool look_up(const struct cli *c, struct shown *s, struct err *e)
{
	char path[CLI_PATH_MAX];
	struct registry *r = NULL;

	/* A certificate can be looked at where there is no registry. */
	if (!cli_state_path(c, REGISTRY_FILE, path, sizeof(path), e))
		return false;
	if (access(path, R_OK) != 0)
		return true;
	s->looked = registry_open(path, REGISTRY_READ, &r, e) &&
		    registry_credential(r, s->cert.fingerprint, &s->credential,
			    &s->found, e) &&
		    registry_key_barred(r, s->cert.spki, &s->barred, e);
	registry_close(&r);
	return s->looked;
}

/* SIM identifiers in a certificate are text from outside: shown as the mask of
 * one, unless they are asked for. */
static const char *stated_text(
	bool show, const char *stated, char out[static SIMID_MAX + 2])
{
	size_t n = strlen(stated), i;

	memcpy(out, stated, n + 1);
	for (i = 6; !show && i + 2 < n; i++)
		out[i] = '*';
	if (!show && n < 12)
		memset(out, '*', n < 4 ? n : 4);
	return out;
}

/* Masks in TEXT what S states of a SIM: an EID stands in the subject. */
static void mask_stated(const struct shown *s, char *text)
{
	char mask[SIMID_MAX + 2];
	int kind;

	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++) {
		const char *stated = s->cert.stated[kind];
		char *at = stated[0] != '\0' ? strstr(text, stated) : NULL;

		for (; at != NULL; at = strstr(at + 1, stated))
			memcpy(at, stated_text(false, stated, mask),
				strlen(stated));
	}
}

static void print_names(const struct cli *c, const struct shown *s)
{
	struct x509_names names = s->names, *n = &names;

	if (!c->show_ids) {
		mask_stated(s, names.subject);
		mask_stated(s, names.serial_number);
		mask_stated(s, names.cn);
	}

	print_field("subject", "%s", n->subject);
	print_field("issuer", "%s", n->issuer);
	print_field("serial", "%s", n->serial);
	if (n->cn[0] != '\0')
		print_field("common name", "%s", n->cn);
	if (n->serial_number[0] != '\0')
		print_field("serialNumber", "%s", n->serial_number);
	if (n->hw_type[0] != '\0')
		print_field("hardware", "type %s, serial %s", n->hw_type,
			n->hw_serial);
	print_field("key", "%s", n->key);
	print_field("use", "%s",
		n->is_ca         ? "a CA's"
		: n->client_auth ? "TLS client"
				 : "not for TLS clients");
}

static void print_registered(const struct cli *c, const struct shown *s)
{
	if (!s->looked)
		print_field("registered",
			"unknown: no registry that can be read in %s",
			c->state);
	else if (!s->found)
		print_field("registered", "no");
	else
		print_field("registered", "to %s, %s", s->credential.device_id,
			credential_state(&s->credential, c->now_s));
	if (s->barred)
		print_field("key", "revoked as compromised: never accepted "
				   "again");
}

static void print_people(const struct cli *c, const struct shown *s)
{
	char hex[FINGERPRINT_HEX], from[TIME_TEXT], to[TIME_TEXT];
	char text[SIMID_MAX + 2];
	int kind;

	print_names(c, s);
	time_format(s->cert.not_before_s, from);
	time_format(s->cert.not_after_s, to);
	print_field("valid", "%s to %s%s", from, to,
		c->now_s > s->cert.not_after_s    ? ", so expired"
		: c->now_s < s->cert.not_before_s ? ", so not yet"
						  : "");
	fingerprint_format(s->cert.fingerprint, hex);
	print_field("fingerprint", "%s", hex);
	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++)
		if (s->cert.stated[kind][0] != '\0')
			print_field(simid_name((enum simid_kind)kind), "%s",
				stated_text(c->show_ids, s->cert.stated[kind],
					text));
	if (!s->cert.usable)
		print_field("problem", "%s; the broker refuses it",
			s->cert.problem);
	print_registered(c, s);
}

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static void json_names(cJSON *o, const struct x509_names *n)
{
	json_str(o, "subject", n->subject);
	json_str(o, "issuer", n->issuer);
	json_str(o, "serial", n->serial);
	json_str(o, "cn", or_null(n->cn));
	json_str(o, "serial_number", or_null(n->serial_number));
	json_str(o, "hw_type", or_null(n->hw_type));
	json_str(o, "hw_serial", or_null(n->hw_serial));
	json_str(o, "key", n->key);
	json_bool(o, "is_ca", n->is_ca);
	json_bool(o, "client_auth", n->client_auth);
}

static void print_json(const struct shown *s)
{
	char hex[FINGERPRINT_HEX];
	cJSON *o = json_new(), *sim;
	int kind;

	json_names(o, &s->names);
	json_int(o, "not_before_s", s->cert.not_before_s);
	json_int(o, "not_after_s", s->cert.not_after_s);
	fingerprint_format(s->cert.fingerprint, hex);
	json_str(o, "fingerprint", hex);
	fingerprint_format(s->cert.spki, hex);
	json_str(o, "spki", hex);
	json_bool(o, "usable", s->cert.usable);
	json_str(o, "problem", or_null(s->cert.problem));
	sim = json_object(o, "stated");
	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++)
		json_str(sim, simid_name((enum simid_kind)kind),
			or_null(s->cert.stated[kind]));
	json_bool(o, "key_barred", s->barred);
	if (s->found && !cJSON_AddItemToObject(o, "credential",
				credential_json(&s->credential)))
		json_str(o, "credential", NULL);
	if (!s->found)
		json_str(o, "credential", NULL);
	json_print(o);
}

bool run_cert_show(struct cli *c, struct err *e)
{
	struct shown s = {.looked = false};
	X509 *x = NULL;
	bool ok;

	if (!x509_load(c->args->words[0], &x, e))
		return false;
	x509_names(x, &s.names);
	ok = x509_read(x, &s.cert, e) && look_up(c, &s, e);
	X509_free(x);
	if (ok && c->json)
		print_json(&s);
	else if (ok)
		print_people(c, &s);
	return ok;
}
