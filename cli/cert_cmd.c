/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert: the credentials of devices.
 */
#include "cli/cert_cmd.h"

#include "cli/output.h"
#include "cli/records.h"
#include "cli/wait.h"
#include "io/values.h"
#include "io/x509.h"

#include <stdlib.h>
#include <string.h>

bool cert_need_device(struct registry *r, struct str id, struct err *e)
{
	struct device d = {.n_attrs = 0};
	bool found = false;

	if (device_id_valid(id) && !registry_device(r, id, &d, &found, e))
		return false;
	if (found)
		device_fini(&d);
	return found || err_set(e, ERR_NOT_FOUND,
				"there is no device '%.*s'; see weir device "
				"list",
				id.n < 80 ? (int)id.n : 80, id.p);
}

bool cert_of_a_client(X509 *x, const struct cli *c, const struct credential *cr,
	struct err *e)
{
	struct x509_names names;

	x509_names(x, &names);
	if (names.is_ca)
		return err_set(e, ERR_INPUT,
			"this is a CA's certificate, not a device's");
	if (!names.client_auth)
		return err_set(e, ERR_INPUT,
			"the certificate is not for TLS clients: its "
			"extendedKeyUsage lacks clientAuth");
	if (c->now_s > cr->not_after_s)
		return err_set(
			e, ERR_INPUT, "the certificate has expired already");
	return true;
}

/* --------------------------------------------------------------------- revoke */

struct revoking {
	bool compromised, wait;
	int64_t wait_s;
	size_t n, cap;
	struct credential *list;
};

static bool wanted(const struct revoking *v, const struct credential *c)
{
	if (!v->compromised)
		return c->status == CREDENTIAL_ACTIVE;
	return strcmp(c->reason, "key_compromise") != 0;
}

static bool note_credential(void *ctx, const struct credential *c)
{
	struct revoking *v = ctx;

	if (!wanted(v, c))
		return true;
	if (v->n == v->cap) {
		size_t cap = v->cap != 0 ? 2 * v->cap : 8;
		struct credential *more = need_memory(cap, sizeof(*more));

		if (v->n != 0)
			memcpy(more, v->list, v->n * sizeof(*more));
		free(v->list);
		v->list = more;
		v->cap = cap;
	}
	v->list[v->n++] = *c;
	return true;
}

/* The credentials of the device, or the one of --fingerprint. */
static bool find_wanted(const struct cli *c, struct registry *r,
	struct revoking *v, struct err *e)
{
	const char *fp = args_get(c->args, "fingerprint");
	struct credential_filter f = {.device_id = cli_word(c, 0).p};
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct credential cr;
	bool found = false;

	if (fp != NULL) {
		if (!fingerprint_parse(str_from(fp), fingerprint, e) ||
			!registry_credential(r, fingerprint, &cr, &found, e))
			return false;
		if (!found)
			return err_set(e, ERR_NOT_FOUND,
				"this certificate is not registered; see weir "
				"cert list");
		/* What is not wanted: the registry says why not. */
		if (!wanted(v, &cr))
			return registry_credential_revoke(
				r, fingerprint, v->compromised, e);
		return note_credential(v, &cr);
	}
	if (!cert_need_device(r, cli_word(c, 0), e) ||
		!registry_credentials(r, &f, note_credential, v, e))
		return false;
	return v->n != 0 ||
	       err_set(e, ERR_CONFLICT,
		       "device '%s' has no certificate to revoke; see weir "
		       "cert list %s",
		       f.device_id, f.device_id);
}

/* Bars a key with all of its certificates at once, so one of the list may be
 * done by the time its turn comes. */
static bool revoke_all(struct registry *r, struct revoking *v, struct err *e)
{
	size_t i;

	for (i = 0; i < v->n; i++) {
		const uint8_t *fp = v->list[i].fingerprint;
		struct credential now = {.status = CREDENTIAL_NONE};
		bool found = false;

		if (!registry_credential(r, fp, &now, &found, e))
			return false;
		if (wanted(v, &now) &&
			!registry_credential_revoke(r, fp, v->compromised, e))
			return false;
	}
	return true;
}

static void print_revoked(const struct cli *c, const struct revoking *v,
	const struct wait_result *w)
{
	char hex[FINGERPRINT_HEX];
	cJSON *o = NULL, *list = NULL;
	size_t i;

	if (c->json) {
		o = json_new();
		json_str(o, "device_id", v->list[0].device_id);
		json_bool(o, "compromised", v->compromised);
		list = json_array(o, "fingerprints");
	}
	for (i = 0; i < v->n; i++) {
		fingerprint_format(v->list[i].fingerprint, hex);
		if (c->json)
			json_push(list, cJSON_CreateString(hex));
		else
			(void)printf("%s: certificate %s revoked%s\n",
				v->list[i].device_id, hex,
				v->compromised ? ", its key barred" : "");
	}
	if (c->json && v->wait)
		wait_json(o, w);
	if (c->json)
		json_print(o);
	else if (v->wait)
		wait_print(w);
}

static bool revoke(const struct cli *c, struct registry *r, struct revoking *v,
	struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	struct registry_heads heads;
	struct change_range range;
	bool ok;

	if (!registry_heads(r, &heads, e) || !find_wanted(c, r, v, e) ||
		!revoke_all(r, v, e) || !registry_commit(r, &range.last, e))
		return false;
	range.after = heads.change_seq;
	if (v->wait && !wait_changes(c, r, range, v->wait_s, &w, e))
		return false;
	print_revoked(c, v, &w);
	ok = wait_finish(&w, e);
	wait_fini(&w);
	return ok;
}

static bool run_revoke(struct cli *c, struct err *e)
{
	struct revoking v = {.compromised = args_has(c->args, "compromised")};
	struct registry *r = NULL;
	bool ok;

	if ((args_get(c->args, "fingerprint") != NULL) ==
		(c->args->n_words != 0))
		return err_set(e, ERR_INPUT,
			"give a device, or --fingerprint F for one "
			"certificate");
	if (!wait_option(c, &v.wait, &v.wait_s, e) ||
		!cli_registry_begin(c, &r, e))
		return false;
	ok = revoke(c, r, &v, e);
	free(v.list);
	registry_close(&r);
	return ok;
}

/* ---------------------------------------------------------------------- table */

#define DAYS_OPTION                                                            \
	{                                                                      \
		"days", '\0', OPT_VALUE, "N", "validity (730)"                 \
	}
#define SIM_OPTION                                                             \
	{                                                                      \
		"sim-in-cert", '\0', OPT_FLAG, NULL,                           \
			"put its SIM identifiers into it"                      \
	}
#define END_OPTION                                                             \
	{                                                                      \
		NULL, '\0', OPT_FLAG, NULL, NULL                               \
	}

static const struct opt ISSUE_OPTIONS[] = {
	{"out", '\0', OPT_VALUE, "DIR", "where to (.)"},
	{"key-type", '\0', OPT_VALUE, "T",
		"p256 (so unless said), p384, rsa2048, rsa3072"},
	DAYS_OPTION,
	SIM_OPTION,
	END_OPTION,
};

static const struct opt SIGN_OPTIONS[] = {
	{"csr", '\0', OPT_VALUE, "FILE", "the PKCS #10 request, or '-'"},
	{"out", '\0', OPT_VALUE, "FILE", "where to (standard output)"},
	DAYS_OPTION,
	SIM_OPTION,
	END_OPTION,
};

static const struct opt ADD_OPTIONS[] = {
	{"cert", '\0', OPT_VALUE, "FILE", "the certificate, PEM or DER"},
	END_OPTION,
};

static const struct opt LIST_OPTIONS[] = {
	{"expires-within", '\0', OPT_VALUE, "DUR",
		"only active ones that expire so soon, or have"},
	{"unused", '\0', OPT_FLAG, NULL,
		"only active ones that the device did not connect by last"},
	END_OPTION,
};

static const struct opt RETIRE_OLD_OPTIONS[] = {
	{"seen-new", '\0', OPT_FLAG, NULL,
		"those of devices that have connected by a newer one"},
	{"yes", '\0', OPT_FLAG, NULL, "do not ask, however many"},
	WAIT_OPTION,
	END_OPTION,
};

static const struct opt REVOKE_OPTIONS[] = {
	{"fingerprint", '\0', OPT_VALUE, "F", "only this certificate"},
	{"compromised", '\0', OPT_FLAG, NULL,
		"bar the key too: no certificate of it is accepted again"},
	WAIT_OPTION,
	END_OPTION,
};

static const struct opt BULK_OPTIONS[] = {
	{"out", '\0', OPT_VALUE, "DIR", "where keys and certificates go"},
	{"bundle", '\0', OPT_FLAG, NULL, "few files with many devices each"},
	{"jobs", '\0', OPT_VALUE, "N", "threads (one per processor)"},
	{"key-type", '\0', OPT_VALUE, "T",
		"p256 (so unless said), p384, rsa2048, rsa3072"},
	DAYS_OPTION,
	SIM_OPTION,
	{"any-check-digit", '\0', OPT_FLAG, NULL,
		"admit an ICCID whose check digit is wrong"},
	END_OPTION,
};

static const struct opt IMPORT_OPTIONS[] = {
	{"id-from", '\0', OPT_VALUE, "F",
		"where the device's id is: cn, san-uri, serialnumber"},
	{"class", '\0', OPT_VALUE, "C", "of devices that are new"},
	END_OPTION,
};

const struct command cert_commands[] = {
	{
		.name = "cert issue",
		.usage = "ID [--out DIR] [--key-type T] [--days N] "
			 "[--sim-in-cert]",
		.summary = "Make a key and certificate for a device",
		.help = "Makes DIR/ID.key (mode 0600) and DIR/ID.crt, and "
			"registers the certificate. Never\noverwrites. A new "
			"certificate does not end an old one: see cert "
			"revoke.\n\n"
			"  weir cert issue pump-1 --out ./certs\n",
		.options = ISSUE_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_cert_issue,
	},
	{
		.name = "cert sign",
		.usage = "ID --csr FILE|- [--out FILE|-] [--days N] "
			 "[--sim-in-cert]",
		.summary = "Sign a device's own key",
		.help = "The key stays in the device. Of the request only the "
			"key counts; what the certificate\nsays comes from "
			"the registry. A key that another device has is "
			"refused.\n\n"
			"  weir cert sign pump-1 --csr pump-1.csr --out "
			"pump-1.crt\n",
		.options = SIGN_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_cert_sign,
	},
	{
		.name = "cert add",
		.usage = "ID --cert FILE",
		.summary = "Register a certificate issued elsewhere",
		.help = "The broker must trust its issuer besides (cafile). "
			"FILE may hold, behind the\ndevice's certificate, "
			"those "
			"that lead to its CA. See ca import.\n\n"
			"  weir cert add pump-1 --cert iotsafe.crt\n",
		.options = ADD_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_cert_add,
	},
	{
		.name = "cert bulk",
		.usage = "MANIFEST|- --out DIR [--bundle] [--jobs N] "
			 "[--key-type T] [--days N] [--sim-in-cert] "
			 "[--any-check-digit]",
		.summary = "Certificates for all devices of a file",
		.help = "MANIFEST is CSV with a line of column names, or JSON "
			"Lines: id, class, iccid, imsi,\nimei, eid, mode, "
			"attr.NAME; csr, where the device has its key. Adds "
			"devices that are\nnew. Stopped or killed, the same "
			"command goes on. What failed is in DIR/failed.csv,\n"
			"and the exit status 1.\n\n"
			"DIR gets ID.key and ID.crt of each device; with "
			"--bundle, which is several times as fast,\n"
			"bundle-NNNNNN.jsonl with a line for each: id, "
			"certificate, key.\n\n"
			"  weir cert bulk batch-7.csv --out batch-7\n"
			"  weir cert bulk batch-7.csv --out batch-7 "
			"--bundle\n",
		.options = BULK_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_cert_bulk,
	},
	{
		.name = "cert import",
		.usage = "PATH… --id-from cn|san-uri|serialnumber --class C",
		.summary = "Register certificates that devices have already",
		.help = "PATH is a certificate, or a folder of .crt, .pem, "
			".cer and .der files. All or nothing.\nDevices that "
			"are new get class C. The broker must trust the issuer "
			"(cafile).\n\n"
			"  weir cert import ./fleet --id-from cn --class "
			"pump\n",
		.options = IMPORT_OPTIONS,
		.words_min = 1,
		.words_max = WORDS_ANY,
		.run = run_cert_import,
	},
	{
		.name = "cert show",
		.usage = "FILE",
		.summary = "Show a certificate, and whose it is",
		.help = "  weir cert show pump-1.crt\n",
		.words_min = 1,
		.words_max = 1,
		.run = run_cert_show,
	},
	{
		.name = "cert list",
		.usage = "[ID] [--expires-within DUR] [--unused]",
		.summary = "List registered certificates",
		.help = "--unused asks the broker's meter: it knows the last "
			"certificate of each device that\nhas connected.\n\n"
			"  weir cert list --expires-within 30d\n",
		.options = LIST_OPTIONS,
		.words_max = 1,
		.run = run_cert_list,
	},
	{
		.name = "cert retire-old",
		.usage = "--seen-new [ID…] [--yes] [--wait DUR]",
		.summary = "End certificates that newer ones have replaced",
		.help = "For each device that has connected by a newer "
			"certificate, ends the active ones that\nwere "
			"registered before it and not issued after it. A "
			"device that has not used its\nnew one keeps all. Asks "
			"when there are several to end.\n\n"
			"  weir cert retire-old --seen-new --yes --wait 10s\n",
		.options = RETIRE_OLD_OPTIONS,
		.words_max = WORDS_ANY,
		.run = run_cert_retire_old,
	},
	{
		.name = "cert revoke",
		.usage = "ID|--fingerprint F [--compromised] [--wait DUR]",
		.summary = "End a device's certificates",
		.help = "Ends all active certificates of the device, or one; "
			"live connections that showed one\nare closed. "
			"--compromised bars the keys of all its certificates, "
			"revoked ones too.\n\n"
			"  weir cert revoke pump-1 --compromised --wait 5s\n",
		.options = REVOKE_OPTIONS,
		.words_max = 1,
		.run = run_revoke,
	},
	{.name = NULL},
};
