/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a CA comes from: made here, or imported.
 */
#include "certs/build.h"
#include "certs/ca_private.h"
#include "certs/chain.h"
#include "certs/pem_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* What goes into the folder. All borrowed. */
struct content {
	const char *name;
	uint32_t pen;
	const EVP_PKEY *key; /* NULL: ca.json says where it is */
	const char *uri;     /* NULL, too: elsewhere */
	STACK_OF(X509) *chain;
};

/* -------------------------------------------------------------------- save */

static bool key_place_add(cJSON *root, const struct content *c)
{
	if (c->key != NULL)
		return true;
	if (c->uri == NULL)
		return cJSON_AddNullToObject(root, "key") != NULL;
	return cJSON_AddStringToObject(root, "key", c->uri) != NULL;
}

static bool json_save(const char *path, const struct content *c, struct err *e)
{
	cJSON *root = cJSON_CreateObject();
	char *text = NULL;
	bool done;

	if (cJSON_AddNumberToObject(root, "version", 1) != NULL &&
		cJSON_AddStringToObject(root, "name", c->name) != NULL &&
		cJSON_AddNumberToObject(root, "pen", c->pen) != NULL &&
		key_place_add(root, c))
		text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	done = pem_file_write(path, str_from(text), PEM_PUBLIC, e);
	cJSON_free(text);
	return done;
}

static bool none_exists(const struct ca_paths *paths, struct err *e)
{
	for (int i = 0; i < CA_FILES; i++) {
		if (access(paths->p[i], F_OK) == 0)
			return err_set(e, ERR_CONFLICT,
				"%.200s exists already: a CA is never "
				"overwritten; choose another folder with --ca",
				paths->p[i]);
	}
	return true;
}

/* The certificate last: where it is, the CA is whole. */
static bool all_save(
	const struct ca_paths *paths, const struct content *c, struct err *e)
{
	if (c->key != NULL && !pem_key_save(paths->p[CA_KEY], c->key, e))
		return false;
	if (json_save(paths->p[CA_JSON], c, e)) {
		if (pem_chain_save(paths->p[CA_CRT], c->chain, e))
			return true;
		(void)unlink(paths->p[CA_JSON]);
	}
	if (c->key != NULL)
		(void)unlink(paths->p[CA_KEY]);
	return false;
}

/* ------------------------------------------------------------------ create */

/* A CA in the making: its key, wherever it is. */
struct making {
	EVP_PKEY *key;        /* of ca.key; NULL: in the token */
	struct pkcs11 *token; /* NULL: key */
	STACK_OF(X509) *chain;
};

static void making_fini(struct making *m)
{
	EVP_PKEY_free(m->key);
	pkcs11_close(&m->token);
	chain_free(&m->chain);
}

static EVP_PKEY *public_key(const struct making *m)
{
	return m->token != NULL ? pkcs11_public(m->token) : m->key;
}

static bool self_sign(const struct making *m, X509 *x, struct err *e)
{
	const EVP_MD *md = key_digest(public_key(m));

	if (m->token != NULL)
		return pkcs11_sign(m->token, x, md, e);
	return X509_sign(x, m->key, md) > 0 ||
	       build_err(e, "sign the CA certificate");
}

static bool extensions_add(X509 *x, struct err *e)
{
	return build_extension(x, x, NID_basic_constraints,
		       "critical,CA:TRUE,pathlen:0", e) &&
	       build_extension(x, x, NID_key_usage,
		       "critical,keyCertSign,cRLSign", e) &&
	       build_extension(x, x, NID_subject_key_identifier, "hash", e);
}

static bool cert_fill(X509 *x, const struct making *m,
	const struct ca_options *o, struct err *e)
{
	char cn[CA_NAME_MAX + sizeof(" CA")];

	(void)snprintf(cn, sizeof(cn), "%s CA", o->name);
	if (!build_validity(x, o->now_s, o->days, NULL, e) ||
		!build_subject(x, "O", MBSTRING_UTF8, o->name, e) ||
		!build_subject(x, "CN", MBSTRING_UTF8, cn, e))
		return false;
	if (X509_set_issuer_name(x, X509_get_subject_name(x)) != 1)
		return build_err(e, "set the issuer");
	return extensions_add(x, e) && self_sign(m, x, e);
}

/* Fills M->chain, of one certificate. */
static bool cert_make(
	struct making *m, const struct ca_options *o, struct err *e)
{
	X509 *x = build_new(public_key(m), e);
	bool done = x != NULL && cert_fill(x, m, o, e);

	if (done) {
		m->chain = sk_X509_new_null();
		done = m->chain != NULL && sk_X509_push(m->chain, x) > 0;
		if (!done)
			(void)build_err(e, "keep the CA certificate");
	}
	if (!done)
		X509_free(x);
	return done;
}

static bool key_get(struct making *m, const struct ca_options *o, struct err *e)
{
	if (o->key_uri == NULL)
		return key_generate(o->key_type, &m->key, e);
	return pkcs11_open(o->key_uri, o->pin, &m->token, e) &&
	       key_acceptable(pkcs11_public(m->token), e);
}

bool ca_create(const char *dir, const struct ca_options *o, struct err *e)
{
	struct making m = {.key = NULL};
	struct ca_paths paths;
	bool done;

	if (!ca_name_check(o->name, e) || !ca_paths_init(&paths, dir, e))
		return false;
	done = none_exists(&paths, e) && key_get(&m, o, e) &&
	       cert_make(&m, o, e) && dir_make(dir, e);
	if (done) {
		const struct content c = {
			o->name, o->pen, m.key, o->key_uri, m.chain};

		done = all_save(&paths, &c, e);
	}
	making_fini(&m);
	ca_paths_fini(&paths);
	return done;
}

/* ------------------------------------------------------------------ import */

/* The first FIELD of X's subject as text; "" when it has none that fits. */
static bool subject_text(
	X509 *x, int field, char out[static CA_NAME_MAX + 1], struct err *e)
{
	const X509_NAME *name = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(name, field, -1);
	unsigned char *text = NULL;
	int n = 0;

	out[0] = '\0';
	if (at >= 0)
		n = ASN1_STRING_to_UTF8(
			&text, X509_NAME_ENTRY_get_data(
				       X509_NAME_get_entry(name, at)));
	if (n > 0 && n <= CA_NAME_MAX && memchr(text, 0, (size_t)n) == NULL) {
		memcpy(out, text, (size_t)n);
		out[n] = '\0';
	}
	OPENSSL_free(text);
	ERR_clear_error();
	return n >= 0 || err_set(e, ERR_INPUT,
				 "its subject is no text, or there is no "
				 "memory to read it; give the CA a --name");
}

static bool name_choose(const struct ca_import *i, X509 *x,
	char out[static CA_NAME_MAX + 1], struct err *e)
{
	if (i->name != NULL) {
		if (!ca_name_check(i->name, e))
			return false;
		memcpy(out, i->name, strlen(i->name) + 1);
		return true;
	}
	if (!subject_text(x, NID_organizationName, out, e))
		return false;
	if (out[0] == '\0' && !subject_text(x, NID_commonName, out, e))
		return false;
	return ca_name_check(out, e);
}

/* Reads or opens the key, if there is one, and compares. */
static bool import_key(
	struct making *m, const struct ca_import *i, struct err *e)
{
	EVP_PKEY *wanted = X509_get0_pubkey(sk_X509_value(m->chain, 0));
	bool same;

	if (i->key == NULL)
		return true;
	if (pkcs11_is_uri(i->key) ? !pkcs11_open(i->key, i->pin, &m->token, e)
				  : !ca_key_read(i->key, &m->key, e))
		return false;
	same = EVP_PKEY_eq(wanted, public_key(m)) == 1;
	ERR_clear_error();
	return same || err_set(e, ERR_INPUT,
			       "%.120s is not the key of the certificate in "
			       "%.120s",
			       i->key, i->cert);
}

static bool import_check(struct making *m, const struct ca_import *i,
	char name[static CA_NAME_MAX + 1], struct err *e)
{
	if (!chain_load(i->cert, &m->chain, e))
		return false;
	if (!chain_check_order(m->chain, i->now_s, e))
		return err_at(e, "%.180s", i->cert);
	return name_choose(i, sk_X509_value(m->chain, 0), name, e) &&
	       import_key(m, i, e);
}

bool ca_import(const char *dir, const struct ca_import *i, struct err *e)
{
	char name[CA_NAME_MAX + 1] = "";
	struct making m = {.key = NULL};
	struct ca_paths paths;
	bool done;

	if (!ca_paths_init(&paths, dir, e))
		return false;
	done = none_exists(&paths, e) && import_check(&m, i, name, e) &&
	       dir_make(dir, e);
	if (done) {
		const struct content c = {name, i->pen, m.key,
			m.token != NULL ? i->key : NULL, m.chain};

		done = all_save(&paths, &c, e);
	}
	making_fini(&m);
	ca_paths_fini(&paths);
	return done;
}
