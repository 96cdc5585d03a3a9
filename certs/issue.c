/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/issue.h"

#include "certs/build.h"
#include "certs/key.h"
#include "core/simurn.h"
#include "io/x509.h"

#include <string.h>

#include <arpa/inet.h>
#include <openssl/err.h>

#define COMMON_NAME_MAX 64u /* X.520 ub-common-name */

/* ------------------------------------------------------------ both profiles */

static bool key_check(const struct ca *ca, EVP_PKEY *key,
	const struct issue_options *o, struct err *e)
{
	bool same;

	if (!o->lean && !key_acceptable(key, e))
		return false;
	same = EVP_PKEY_eq(key, ca_public(ca)) == 1;
	ERR_clear_error();
	if (same)
		return err_set(
			e, ERR_INPUT, "this is the CA's own key; make another");
	return true;
}

static bool validity_set(X509 *x, const struct ca *ca,
	const struct issue_options *o, struct err *e)
{
	const ASN1_TIME *end = X509_get0_notAfter(ca_cert(ca));
	char wanted[BUILD_DATE_MAX];
	char last[BUILD_DATE_MAX];

	if (!build_validity(
		    x, o->now_s, o->days, X509_get0_notBefore(ca_cert(ca)), e))
		return false;
	if (ASN1_TIME_compare(X509_get0_notAfter(x), end) <= 0)
		return true;
	build_date(X509_get0_notAfter(x), wanted);
	build_date(end, last);
	return err_set(e, ERR_INPUT,
		"the certificate would end on %s, but its CA ends on %s; ask "
		"for fewer days, or make a new CA",
		wanted, last);
}

/* RFC 5246 §7.4.2: a server's RSA key needs keyEncipherment for the RSA key
 * exchange, which is all that some old modules know, and what NSS asks for. */
static const char *key_usage(EVP_PKEY *key, const char *usage)
{
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
			       strcmp(usage, "serverAuth") == 0
		       ? "critical,digitalSignature,keyEncipherment"
		       : "critical,digitalSignature";
}

static bool extensions_add(X509 *x, const struct ca *ca, EVP_PKEY *key,
	const char *usage, struct err *e)
{
	X509 *issuer = ca_cert(ca);

	return build_extension(x, issuer, NID_basic_constraints,
		       "critical,CA:FALSE", e) &&
	       build_extension(
		       x, issuer, NID_key_usage, key_usage(key, usage), e) &&
	       build_extension(x, issuer, NID_ext_key_usage, usage, e) &&
	       build_extension(
		       x, issuer, NID_subject_key_identifier, "hash", e) &&
	       build_extension(x, issuer, NID_authority_key_identifier,
		       "keyid:always", e);
}

/* All but what stands in the subject behind O and in subjectAltName; given,
 * NULL with *e filled. USAGE: of extendedKeyUsage. */
static X509 *start(const struct ca *ca, EVP_PKEY *key,
	const struct issue_options *o, const char *usage, struct err *e)
{
	X509 *x;

	if (!key_check(ca, key, o, e))
		return NULL;
	x = o->lean ? build_lean(key, e) : build_new(key, e);
	if (x == NULL)
		return NULL;
	if (validity_set(x, ca, o, e) &&
		build_subject(x, "O", MBSTRING_UTF8, ca_name(ca), e) &&
		extensions_add(x, ca, key, usage, e)) {
		if (X509_set_issuer_name(
			    x, X509_get_subject_name(ca_cert(ca))) == 1)
			return x;
		(void)build_err(e, "set the issuer");
	}
	X509_free(x);
	return NULL;
}

/* Signs X, and reads it as the plugin will: what it refuses is not issued. */
static bool finish(X509 *x, const struct ca *ca, const struct issue_options *o,
	struct err *e)
{
	struct certificate c;

	if (!ca_sign(ca, x, e))
		return false;
	if (o->lean)
		return true;
	if (!x509_read(x, &c, e))
		return false;
	if (!c.usable)
		return err_set(e, ERR_INPUT,
			"the certificate would be refused: %s", c.problem);
	return true;
}

/* Adds NAMES (may be empty), signs; X is taken. */
static bool complete(X509 *x, const struct ca *ca, GENERAL_NAMES *names,
	const struct issue_options *o, X509 **out, struct err *e)
{
	bool done = (sk_GENERAL_NAME_num(names) <= 0 ||
			    build_alt_names(x, names, e)) &&
		    finish(x, ca, o, e);

	if (done)
		*out = x;
	else
		X509_free(x);
	return done;
}

/* ------------------------------------------------------------------ device */

bool issue_left_out(
	const struct ca *ca, const struct device *d, enum simid_kind kind)
{
	return ca_pen(ca) == 0 && d->sim[kind].kind != SIMID_NONE &&
	       (kind == SIMID_ICCID || kind == SIMID_IMSI);
}

/* Appends the identifiers that go into subjectAltName. */
static bool sim_names_add(const struct ca *ca, const struct device *d,
	GENERAL_NAMES *names, struct err *e)
{
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		char urn[SIMURN_MAX];
		size_t n = simurn_format(&d->sim[k], ca_pen(ca), urn);

		if (n != 0 && !build_alt_name(
				      names, GEN_URI, (struct str){urn, n}, e))
			return false;
	}
	return true;
}

static bool sim_add(X509 *x, const struct ca *ca, const struct device *d,
	GENERAL_NAMES *names, struct err *e)
{
	const struct simid *eid = &d->sim[SIMID_EID];
	bool eid_in_subject = ca_pen(ca) == 0 && eid->kind == SIMID_EID;

	if (!sim_names_add(ca, d, names, e))
		return false;
	if (eid_in_subject)
		return build_subject(x, "serialNumber", V_ASN1_PRINTABLESTRING,
			eid->digits, e);
	if (sk_GENERAL_NAME_num(names) > 0)
		return true;
	return err_set(e, ERR_INPUT,
		"device '%s' has no SIM identifier that its certificate can "
		"carry%s",
		d->id,
		issue_left_out(ca, d, SIMID_ICCID) ||
				issue_left_out(ca, d, SIMID_IMSI)
			? ": ICCID and IMSI need a CA with an enterprise "
			  "number (weir ca init --pen N)"
			: "; register one first");
}

bool issue_device(const struct ca *ca, const struct device *d, EVP_PKEY *key,
	const struct issue_options *o, X509 **out, struct err *e)
{
	GENERAL_NAMES *names;
	bool done = false;
	X509 *x;

	if (!device_id_valid(str_from(d->id)))
		return err_set(
			e, ERR_INPUT, "'%.64s' is not a device id", d->id);
	x = start(ca, key, o, "clientAuth", e);
	if (x == NULL)
		return false;
	names = sk_GENERAL_NAME_new_null();
	if (names == NULL)
		(void)build_err(e, "list names");
	else if (build_subject(x, "CN", MBSTRING_UTF8, d->id, e) &&
		 (!o->sim_in_cert || sim_add(x, ca, d, names, e))) {
		done = complete(x, ca, names, o, out, e);
		x = NULL;
	}
	GENERAL_NAMES_free(names);
	X509_free(x);
	return done;
}

/* ------------------------------------------------------------------ server */

static bool address_parse(
	const char *text, unsigned char bytes[static 16], size_t *n)
{
	if (inet_pton(AF_INET, text, bytes) == 1)
		*n = 4;
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*n = 16;
	else
		return false;
	return true;
}

static bool alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* RFC 1123 §2.1: letters, digits and inner hyphens, 1 to 63 of them. */
static bool label_valid(struct str s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!alphanumeric(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return true;
}

/* "192.0.2.300" is a mistyped address; no top-level domain is a number. */
static bool is_number(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return true;
}

/* A DNS name without its final dot; RFC 6125 §6.4.3 lets a "*" be the whole
 * first label of several. */
static bool host_valid(const char *host)
{
	struct str rest = str_from(host);

	if (rest.n == 0 || rest.n > 253)
		return false;
	if (rest.n > 2 && memcmp(rest.p, "*.", 2) == 0) {
		rest.p += 2;
		rest.n -= 2;
	}
	for (;;) {
		const char *dot = memchr(rest.p, '.', rest.n);
		size_t n = dot != NULL ? (size_t)(dot - rest.p) : rest.n;

		if (!label_valid((struct str){rest.p, n}))
			return false;
		if (dot == NULL)
			return !is_number(rest);
		rest.p += n + 1;
		rest.n -= n + 1;
		if (rest.n == 0)
			return false;
	}
}

static bool host_add(GENERAL_NAMES *names, const char *host, struct err *e)
{
	unsigned char bytes[16];
	size_t n;

	if (address_parse(host, bytes, &n))
		return err_set(e, ERR_INPUT,
			"'%.64s' is an address, not a host name; give it with "
			"--ip",
			host);
	if (!host_valid(host))
		return err_set(
			e, ERR_INPUT, "'%.128s' is not a host name", host);
	return build_alt_name(names, GEN_DNS, str_from(host), e);
}

static bool address_add(
	GENERAL_NAMES *names, const char *address, struct err *e)
{
	unsigned char bytes[16];
	size_t n = 0;

	if (!address_parse(address, bytes, &n))
		return err_set(e, ERR_INPUT,
			"'%.64s' is not an IPv4 or IPv6 address", address);
	return build_alt_name(
		names, GEN_IPADD, (struct str){(const char *)bytes, n}, e);
}

static bool server_names_add(
	GENERAL_NAMES *names, const struct server_names *n, struct err *e)
{
	for (size_t i = 0; i < n->n_hosts; i++) {
		if (!host_add(names, n->hosts[i], e))
			return false;
	}
	for (size_t i = 0; i < n->n_addresses; i++) {
		if (!address_add(names, n->addresses[i], e))
			return false;
	}
	return true;
}

static bool server_cn_add(X509 *x, const struct server_names *n, struct err *e)
{
	const char *cn = n->n_hosts != 0 ? n->hosts[0] : n->addresses[0];

	return strlen(cn) > COMMON_NAME_MAX ||
	       build_subject(x, "CN", MBSTRING_UTF8, cn, e);
}

bool issue_server(const struct ca *ca, const struct server_names *n,
	EVP_PKEY *key, const struct issue_options *o, X509 **out, struct err *e)
{
	GENERAL_NAMES *names;
	bool done = false;
	X509 *x;

	if (n->n_hosts + n->n_addresses == 0)
		return err_set(e, ERR_INPUT,
			"a server certificate needs the names that clients "
			"connect to: give --host or --ip");
	if (n->n_hosts + n->n_addresses > SERVER_NAMES_MAX)
		return err_set(e, ERR_INPUT,
			"a server certificate holds at most %d names",
			SERVER_NAMES_MAX);
	x = start(ca, key, o, "serverAuth", e);
	if (x == NULL)
		return false;
	names = sk_GENERAL_NAME_new_null();
	if (names == NULL)
		(void)build_err(e, "list names");
	else if (server_names_add(names, n, e) && server_cn_add(x, n, e)) {
		done = complete(x, ca, names, o, out, e);
		x = NULL;
	}
	GENERAL_NAMES_free(names);
	X509_free(x);
	return done;
}
