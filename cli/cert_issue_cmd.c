/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert issue, sign and add: certificates that become a device's.
 *
 * Order: the registration is written in an open transaction, which checks all
 * there is to check; then the files appear, whole or not at all; then the
 * transaction commits. So a failure of any step leaves neither file nor
 * registration (the files of a failed commit are removed again, unless it may
 * have been committed all the same). Only a crash in the instant between leaves
 * files that are not registered: they let nobody in, and the next cert issue
 * names them instead of overwriting them. The other order could leave a
 * registered certificate whose key never was.
 */
#include "certs/chain.h"
#include "certs/issue.h"
#include "certs/key.h"
#include "certs/pem_file.h"
#include "cli/ca_dir.h"
#include "cli/ca_open.h"
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "io/values.h"
#include "io/x509.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A certificate on its way into the registry. */
struct issuing {
	struct device device;
	bool found;
	struct ca *ca; /* NULL: it comes from elsewhere */
	EVP_PKEY *key;
	X509 *cert;
	struct credential credential;
	struct registry *r; /* in a transaction */
};

static void issuing_fini(struct issuing *i)
{
	if (i->found)
		device_fini(&i->device);
	ca_free(&i->ca);
	EVP_PKEY_free(i->key);
	X509_free(i->cert);
	registry_close(&i->r);
}

/* Opens a transaction, and finds the device of the first word. */
static bool begin(struct cli *c, struct issuing *i, struct err *e)
{
	struct str id = cli_word(c, 0);

	if (!device_id_valid(id))
		return err_set(e, ERR_INPUT, "'%.*s' is no device id",
			id.n < 80 ? (int)id.n : 80, id.p);
	if (!cli_registry_begin(c, &i->r, e) ||
		!registry_device(i->r, id, &i->device, &i->found, e))
		return false;
	if (!i->found)
		return err_set(e, ERR_NOT_FOUND,
			"there is no device '%s'; see weir device add", id.p);
	if (i->device.status == DEVICE_RETIRED)
		return err_set(e, ERR_CONFLICT,
			"device '%s' is retired, and takes no certificate",
			id.p);
	return true;
}

/* A CA first: what it asks for must not wait with the registry locked. */
static bool begin_with_ca(struct cli *c, struct issuing *i, struct err *e)
{
	return cli_ca_open(c, &i->ca, e) && begin(c, i, e) &&
	       ca_dir_record(c, i->r, e);
}

static bool make(struct cli *c, struct issuing *i, struct err *e)
{
	const char *days = args_get(c->args, "days");
	int64_t n = DEVICE_DAYS_DEFAULT;
	struct issue_options o = {.now_s = c->now_s};

	if (days != NULL && !number_parse("--days", str_from(days), 1,
				    CERT_DAYS_MAX, &n, e))
		return false;
	o.days = (int)n;
	o.sim_in_cert = args_has(c->args, "sim-in-cert");
	return issue_device(i->ca, &i->device, i->key, &o, &i->cert, e);
}

/* Writes the registration, which the commit makes true. */
static bool enter(struct issuing *i, struct err *e)
{
	return x509_device_credential(
		       i->cert, i->device.id, &i->credential, e) &&
	       registry_credential_add(i->r, &i->credential, e);
}

static bool commit(struct issuing *i, struct err *e)
{
	int64_t seq;

	return registry_commit(i->r, &seq, e);
}

/* The files CERT and KEY (NULL: none) become those of a registered certificate,
 * or go. */
static bool commit_files(
	struct issuing *i, const char *cert, const char *key, struct err *e)
{
	if (commit(i, e))
		return true;
	if (registry_in_doubt(i->r)) {
		print_note("%s is kept%s: weir cert show tells whether it is "
			   "registered, weir cert add registers it",
			cert, key != NULL ? ", and its key" : "");
		return false;
	}
	(void)unlink(cert);
	if (key != NULL)
		(void)unlink(key);
	return false;
}

static void warn_left_out(const struct cli *c, const struct issuing *i)
{
	int kind;

	for (kind = SIMID_NONE + 1;
		args_has(c->args, "sim-in-cert") && kind < SIMID_KINDS; kind++)
		if (issue_left_out(i->ca, &i->device, (enum simid_kind)kind))
			print_note("warning: the %s is not in the certificate: "
				   "the CA has no enterprise number (weir ca "
				   "init --pen)",
				simid_name((enum simid_kind)kind));
}

/* CERT, KEY: files, NULL where there is none; TEXT: the PEM, or NULL. */
static void print_result(const struct cli *c, const struct issuing *i,
	const char *cert, const char *key, const char *text)
{
	const struct credential *cr = &i->credential;
	char hex[FINGERPRINT_HEX], to[TIME_TEXT];
	cJSON *o;

	fingerprint_format(cr->fingerprint, hex);
	if (c->json) {
		o = json_new();
		json_str(o, "device_id", cr->device_id);
		json_str(o, "fingerprint", hex);
		json_str(o, "serial", cr->serial);
		json_int(o, "not_before_s", cr->not_before_s);
		json_int(o, "not_after_s", cr->not_after_s);
		json_str(o, "certificate", cert);
		json_str(o, "key", key);
		if (text != NULL)
			json_str(o, "pem", text);
		json_print(o);
		return;
	}
	time_format(cr->not_after_s, to);
	print_field("device", "%s", cr->device_id);
	if (cert != NULL)
		print_field("certificate", "%s", cert);
	if (key != NULL)
		print_field("key", "%s", key);
	print_field("valid until", "%s", to);
	print_field("fingerprint", "%s", hex);
}

/* ---------------------------------------------------------------------- issue */

static bool save_pair(struct issuing *i, const char *dir, struct err *e)
{
	char *cert = path_join(dir, i->device.id, ".crt");
	char *key = path_join(dir, i->device.id, ".key");
	bool ok = false;

	if (cert == NULL || key == NULL) {
		(void)err_set(e, ERR_ENVIRONMENT, "out of memory");
	} else if (dir_make(dir, e) &&
		   pem_pair_save(dir, i->device.id, i->key, i->cert, e)) {
		ok = commit_files(i, cert, key, e);
	}
	free(cert);
	free(key);
	return ok;
}

bool run_cert_issue(struct cli *c, struct err *e)
{
	const char *dir = args_get(c->args, "out");
	const char *type = args_get(c->args, "key-type");
	enum key_type key_type = KEY_P256;
	struct issuing i = {.found = false};
	char *cert = NULL, *key = NULL;
	bool ok;

	if (dir == NULL)
		dir = ".";
	/* An RSA key takes a while: not with the registry locked either. */
	ok = (type == NULL || key_type_parse(str_from(type), &key_type, e)) &&
	     key_generate(key_type, &i.key, e) && begin_with_ca(c, &i, e) &&
	     make(c, &i, e) && enter(&i, e) && save_pair(&i, dir, e);
	if (ok) {
		warn_left_out(c, &i);
		cert = path_join(dir, i.device.id, ".crt");
		key = path_join(dir, i.device.id, ".key");
		print_result(c, &i, cert, key, NULL);
	}
	free(cert);
	free(key);
	issuing_fini(&i);
	return ok;
}

/* ----------------------------------------------------------------------- sign */

/* Into a file before the commit; on standard output after it, so that nobody
 * is handed a certificate that is not registered. */
static bool hand_out(struct cli *c, struct issuing *i, struct err *e)
{
	const char *out = args_get(c->args, "out");
	char *text = NULL;
	size_t len;

	if (out != NULL && strcmp(out, "-") != 0) {
		if (!pem_cert_save(out, i->cert, e) ||
			!commit_files(i, out, NULL, e))
			return false;
		print_result(c, i, out, NULL, NULL);
		return true;
	}
	if (!pem_cert_text(i->cert, &text, &len, e))
		return false;
	if (!commit(i, e)) {
		OPENSSL_free(text);
		return false;
	}
	if (c->json)
		print_result(c, i, NULL, NULL, text);
	else
		(void)fputs(text, stdout);
	OPENSSL_free(text);
	return true;
}

bool run_cert_sign(struct cli *c, struct err *e)
{
	const char *csr = args_get(c->args, "csr");
	struct issuing i = {.found = false};
	bool ok;

	if (csr == NULL)
		return err_set(e, ERR_INPUT,
			"which request? Give --csr FILE, or --csr -");
	/* The request first: standard input may be slow, and the registry is
	 * locked from begin() on. */
	ok = csr_load(csr, &i.key, e) && begin_with_ca(c, &i, e) &&
	     make(c, &i, e) && enter(&i, e) && hand_out(c, &i, e);
	if (ok)
		warn_left_out(c, &i);
	issuing_fini(&i);
	return ok;
}

/* ------------------------------------------------------------------------ add */

/*
 * Whether the CA of our folder has issued CHAIN. Another CA's certificate is
 * taken with a warning, since a fleet may have several; but not under our CA's
 * name, and not when the CA was imported without a key to say what to take.
 */
static bool check_issuer(
	const struct cli *c, STACK_OF(X509) *chain, struct err *e)
{
	struct ca *ca = NULL;
	struct err why;
	bool ours, ok;

	if (!cli_ca_find(c, &ca, e))
		return false;
	if (ca == NULL || chain_verify(chain, ca_chain(ca), &why)) {
		ca_free(&ca);
		return true;
	}
	ours = X509_NAME_cmp(X509_get_issuer_name(sk_X509_value(chain, 0)),
		       X509_get_subject_name(ca_cert(ca))) == 0;
	ok = why.code == ERR_INPUT && !ours && ca_key_place(ca) != CA_KEY_NONE;
	if (ok)
		print_note("warning: the certificate is not from the CA '%s': "
			   "the broker must trust its issuer besides (cafile)",
			ca_name(ca));
	else
		(void)err_set(e, why.code,
			"the certificate is not from the CA '%s' in %.100s: %s",
			ca_name(ca), c->ca, why.msg);
	ca_free(&ca);
	return ok;
}

/* What the certificate states of a SIM and the registry says otherwise. */
static void warn_stated(const struct issuing *i)
{
	struct certificate cert;
	int kind;

	if (!x509_read(i->cert, &cert, NULL))
		return;
	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++) {
		const char *stated = cert.stated[kind];

		if (stated[0] != '\0' &&
			!simid_same(&i->device.sim[kind], str_from(stated)))
			print_note("warning: the certificate states an %s that "
				   "is not the device's, so the broker will "
				   "refuse it (sim_mismatch)",
				simid_name((enum simid_kind)kind));
	}
}

bool run_cert_add(struct cli *c, struct err *e)
{
	const char *file = args_get(c->args, "cert");
	struct issuing i = {.found = false};
	STACK_OF(X509) *chain = NULL;
	bool ok;

	if (file == NULL)
		return err_set(
			e, ERR_INPUT, "which certificate? Give --cert FILE");
	if (!chain_load(file, &chain, e))
		return false;
	/* The first is the device's; the others, if any, lead to its CA. */
	i.cert = sk_X509_value(chain, 0);
	(void)X509_up_ref(i.cert);
	ok = begin(c, &i, e) && enter(&i, e) &&
	     cert_of_a_client(i.cert, c, &i.credential, e) &&
	     check_issuer(c, chain, e) && commit(&i, e);
	chain_free(&chain);
	if (ok) {
		warn_stated(&i);
		print_result(c, &i, file, NULL, NULL);
	}
	issuing_fini(&i);
	return ok;
}
