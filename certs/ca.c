/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/ca.h"

#include "certs/build.h"
#include "certs/ca_private.h"
#include "certs/chain.h"
#include "certs/pem_file.h"
#include "core/utf8.h"
#include "io/file.h"
#include "io/json_scan.h"
#include "io/x509.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CA_JSON_MAX ((size_t)4096)      /* bytes */
#define CA_KEY_MAX  ((size_t)64 * 1024) /* bytes */

struct ca {
	STACK_OF(X509) *chain;
	enum ca_key_place place;
	EVP_PKEY *key;        /* of ca.key, once read */
	struct pkcs11 *token; /* once opened */
	char uri[PKCS11_URI_MAX];
	char name[CA_NAME_MAX + 1];
	uint32_t pen;
};

X509 *ca_cert(const struct ca *ca)
{
	return sk_X509_value(ca->chain, 0);
}

STACK_OF(X509) *ca_chain(const struct ca *ca)
{
	return ca->chain;
}

EVP_PKEY *ca_public(const struct ca *ca)
{
	return X509_get0_pubkey(ca_cert(ca));
}

const char *ca_name(const struct ca *ca)
{
	return ca->name;
}

uint32_t ca_pen(const struct ca *ca)
{
	return ca->pen;
}

enum ca_key_place ca_key_place(const struct ca *ca)
{
	return ca->place;
}

const char *ca_key_uri(const struct ca *ca)
{
	return ca->place == CA_KEY_TOKEN ? ca->uri : NULL;
}

void ca_free(struct ca **ca)
{
	if (*ca == NULL)
		return;
	chain_free(&(*ca)->chain);
	EVP_PKEY_free((*ca)->key); /* wipes the key */
	pkcs11_close(&(*ca)->token);
	free(*ca);
	*ca = NULL;
}

bool ca_sign(const struct ca *ca, X509 *x, struct err *e)
{
	const EVP_MD *md = key_digest(ca_public(ca));

	if (ca->token != NULL)
		return pkcs11_sign(ca->token, x, md, e);
	if (ca->key == NULL)
		return err_set(e, ERR_CONFLICT, "the CA's key is not open");
	return X509_sign(x, ca->key, md) > 0 ||
	       build_err(e, "sign the certificate");
}

EVP_PKEY_CTX *ca_signer(const struct ca *ca)
{
	EVP_PKEY_CTX *ctx = NULL;

	if (ca->key != NULL)
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ca->key, NULL);
	if (ctx != NULL && EVP_PKEY_sign_init(ctx) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

/* ------------------------------------------------------------------- paths */

void ca_paths_fini(struct ca_paths *paths)
{
	for (int i = 0; i < CA_FILES; i++)
		free(paths->p[i]);
}

bool ca_paths_init(struct ca_paths *paths, const char *dir, struct err *e)
{
	static const char *const SUFFIX[CA_FILES] = {
		[CA_CRT] = ".crt", [CA_KEY] = ".key", [CA_JSON] = ".json"};
	bool done = true;

	for (int i = 0; i < CA_FILES; i++) {
		paths->p[i] = path_join(dir, "ca", SUFFIX[i]);
		done = done && paths->p[i] != NULL;
	}
	if (done)
		return true;
	ca_paths_fini(paths);
	(void)err_set(e, ERR_ENVIRONMENT, "out of memory");
	return false;
}

/* ---------------------------------------------------------------- settings */

bool ca_name_check(const char *name, struct err *e)
{
	struct str s = str_from(name);

	if (s.n != 0 && s.n <= CA_NAME_MAX && utf8_valid(s))
		return true;
	return err_set(e, ERR_INPUT,
		"a CA's name is 1 to %d bytes of text without control "
		"characters; give it with --name",
		CA_NAME_MAX);
}

/* The key "key" or its absence. */
static bool place_read(const cJSON *key, struct ca *ca)
{
	struct err ignored;

	if (key == NULL)
		ca->place = CA_KEY_FILE;
	else if (cJSON_IsNull(key))
		ca->place = CA_KEY_NONE;
	else if (cJSON_IsString(key) &&
		 pkcs11_uri_check(key->valuestring, &ignored)) {
		ca->place = CA_KEY_TOKEN;
		memcpy(ca->uri, key->valuestring, strlen(key->valuestring) + 1);
	} else
		return false;
	return true;
}

static bool fields_read(const cJSON *root, struct ca *ca)
{
	const cJSON *version =
		cJSON_GetObjectItemCaseSensitive(root, "version");
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
	const cJSON *pen = cJSON_GetObjectItemCaseSensitive(root, "pen");
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(root, "key");
	struct err ignored;

	/* These fields, and no other. */
	if (!cJSON_IsObject(root) ||
		cJSON_GetArraySize(root) != (key != NULL ? 4 : 3) ||
		!cJSON_IsNumber(version) || !cJSON_IsString(name) ||
		!cJSON_IsNumber(pen) || !place_read(key, ca))
		return false;
	if (version->valuedouble != 1 || pen->valuedouble < 0 ||
		pen->valuedouble > UINT32_MAX ||
		!ca_name_check(name->valuestring, &ignored))
		return false;
	memcpy(ca->name, name->valuestring, strlen(name->valuestring) + 1);
	ca->pen = (uint32_t)pen->valuedouble;
	return true;
}

static bool json_load(struct ca *ca, const char *path, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	cJSON *root = NULL;
	bool done = false;

	if (!file_read(path, CA_JSON_MAX, &text, &len, e))
		return false;
	if (json_scan((struct str){text, len}, CA_JSON_MAX, NULL)) {
		root = cJSON_ParseWithLengthOpts(text, len + 1, NULL, true);
		done = fields_read(root, ca);
	}
	cJSON_Delete(root);
	file_text_free(&text, len);
	if (!done)
		return err_set(e, ERR_INPUT,
			"%.200s is not a CA's settings: {\"version\": 1, "
			"\"name\": TEXT, \"pen\": NUMBER}",
			path);
	return true;
}

/* --------------------------------------------------------------------- key */

/* A key that others can read is no secret any more. */
static bool key_mode_check(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s can be read by others (mode %04o): if nobody "
			"has, run chmod 600; otherwise make a new CA",
			path, (unsigned)st.st_mode & 07777u);
	return true;
}

bool ca_key_read(const char *path, EVP_PKEY **out, struct err *e)
{
	EVP_PKEY *key = NULL;
	char *text = NULL;
	size_t len = 0;
	BIO *bio;

	if (!key_mode_check(path, e) ||
		!file_read(path, CA_KEY_MAX, &text, &len, e))
		return false;
	bio = BIO_new_mem_buf(text, (int)len);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(
			bio, NULL, x509_no_passphrase, NULL);
	(void)BIO_free(bio);
	file_text_free(&text, len);
	ERR_clear_error();
	if (key == NULL)
		return err_set(e, ERR_INPUT,
			"%.200s holds no unencrypted private key in PEM", path);
	*out = key;
	return true;
}

static bool key_load(struct ca *ca, const char *path, struct err *e)
{
	bool match;

	if (ca->place != CA_KEY_FILE)
		return true;
	if (!ca_key_read(path, &ca->key, e))
		return false;
	match = X509_check_private_key(ca_cert(ca), ca->key) == 1;
	ERR_clear_error();
	return match ||
	       err_set(e, ERR_INPUT,
		       "%.200s is not the key of the ca.crt beside it", path);
}

bool ca_open_key(struct ca *ca, const struct pkcs11_pin *pin, struct err *e)
{
	bool match;

	if (ca->place == CA_KEY_NONE)
		return err_set(e, ERR_CONFLICT,
			"the CA '%s' has no key here: its certificates are "
			"issued elsewhere, and registered with weir cert add; "
			"or import it with its key into another folder",
			ca->name);
	if (ca->place == CA_KEY_FILE || ca->token != NULL)
		return true;
	if (!pkcs11_open(ca->uri, pin, &ca->token, e))
		return false;
	match = EVP_PKEY_eq(pkcs11_public(ca->token), ca_public(ca)) == 1;
	ERR_clear_error();
	if (match)
		return true;
	pkcs11_close(&ca->token);
	return err_set(e, ERR_INPUT,
		"the token's key is not the key of the CA '%s'", ca->name);
}

/* -------------------------------------------------------------------- load */

static bool crt_load(
	struct ca *ca, const char *path, const char *dir, struct err *e)
{
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return err_set(e, ERR_ENVIRONMENT,
			"there is no CA in %.200s; run weir ca init, or name "
			"its folder with --ca",
			dir);
	if (!chain_load(path, &ca->chain, e))
		return false;
	/* What reads keys and extensions caches them, which threads that share
	 * the CA must not do at once. */
	if ((X509_get_extension_flags(ca_cert(ca)) & EXFLAG_CA) == 0 ||
		ca_public(ca) == NULL) {
		ERR_clear_error();
		return err_set(
			e, ERR_INPUT, "%.200s is not a CA's certificate", path);
	}
	return true;
}

static bool load(const char *dir, bool key, struct ca **out, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	struct ca_paths paths;
	bool done;

	if (ca == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (!ca_paths_init(&paths, dir, e)) {
		ca_free(&ca);
		return false;
	}
	done = crt_load(ca, paths.p[CA_CRT], dir, e) &&
	       json_load(ca, paths.p[CA_JSON], e) &&
	       (!key || key_load(ca, paths.p[CA_KEY], e));
	ca_paths_fini(&paths);
	if (done)
		*out = ca;
	else
		ca_free(&ca);
	return done;
}

bool ca_look(const char *dir, struct ca **out, struct err *e)
{
	return load(dir, false, out, e);
}

bool ca_load(const char *dir, struct ca **out, struct err *e)
{
	return load(dir, true, out, e);
}
