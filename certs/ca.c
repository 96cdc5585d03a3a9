/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/ca.h"

#include "certs/build.h"
#include "certs/key.h"
#include "certs/pem_file.h"
#include "core/utf8.h"
#include "io/file.h"
#include "io/json_scan.h"
#include "io/x509.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define CA_JSON_MAX ((size_t)4096)      /* bytes */
#define CA_KEY_MAX  ((size_t)64 * 1024) /* bytes */

struct ca {
	X509 *cert;
	EVP_PKEY *key;
	char name[CA_NAME_MAX + 1];
	uint32_t pen;
};

X509 *ca_cert(const struct ca *ca)
{
	return ca->cert;
}

EVP_PKEY *ca_key(const struct ca *ca)
{
	return ca->key;
}

const char *ca_name(const struct ca *ca)
{
	return ca->name;
}

uint32_t ca_pen(const struct ca *ca)
{
	return ca->pen;
}

void ca_free(struct ca **ca)
{
	if (*ca == NULL)
		return;
	X509_free((*ca)->cert);
	EVP_PKEY_free((*ca)->key); /* wipes the key */
	free(*ca);
	*ca = NULL;
}

/* ------------------------------------------------------------------- paths */

enum { CA_CRT, CA_KEY, CA_JSON, CA_FILES };

struct paths {
	char *p[CA_FILES];
};

static void paths_fini(struct paths *paths)
{
	for (int i = 0; i < CA_FILES; i++)
		free(paths->p[i]);
}

static bool paths_init(struct paths *paths, const char *dir, struct err *e)
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
	paths_fini(paths);
	(void)err_set(e, ERR_ENVIRONMENT, "out of memory");
	return false;
}

/* ------------------------------------------------------------------ create */

static bool name_check(const char *name, struct err *e)
{
	struct str s = str_from(name);

	if (s.n != 0 && s.n <= CA_NAME_MAX && utf8_valid(s))
		return true;
	return err_set(e, ERR_INPUT,
		"a CA's name is 1 to %d bytes of text without control "
		"characters",
		CA_NAME_MAX);
}

static bool extensions_add(X509 *x, struct err *e)
{
	return build_extension(x, x, NID_basic_constraints,
		       "critical,CA:TRUE,pathlen:0", e) &&
	       build_extension(x, x, NID_key_usage,
		       "critical,keyCertSign,cRLSign", e) &&
	       build_extension(x, x, NID_subject_key_identifier, "hash", e);
}

static bool cert_fill(
	X509 *x, EVP_PKEY *key, const struct ca_options *o, struct err *e)
{
	char cn[CA_NAME_MAX + sizeof(" CA")];

	(void)snprintf(cn, sizeof(cn), "%s CA", o->name);
	if (!build_validity(x, o->now_s, o->days, NULL, e) ||
		!build_subject(x, "O", MBSTRING_UTF8, o->name, e) ||
		!build_subject(x, "CN", MBSTRING_UTF8, cn, e))
		return false;
	if (X509_set_issuer_name(x, X509_get_subject_name(x)) != 1)
		return build_err(e, "set the issuer");
	if (!extensions_add(x, e))
		return false;
	if (X509_sign(x, key, EVP_sha256()) <= 0)
		return build_err(e, "sign the CA certificate");
	return true;
}

static bool json_save(
	const char *path, const struct ca_options *o, struct err *e)
{
	cJSON *root = cJSON_CreateObject();
	char *text = NULL;
	bool done;

	if (cJSON_AddNumberToObject(root, "version", 1) != NULL &&
		cJSON_AddStringToObject(root, "name", o->name) != NULL &&
		cJSON_AddNumberToObject(root, "pen", o->pen) != NULL)
		text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	done = pem_file_write(path, str_from(text), PEM_PUBLIC, e);
	cJSON_free(text);
	return done;
}

static bool none_exists(const struct paths *paths, struct err *e)
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
static bool all_save(const struct paths *paths, const struct ca_options *o,
	EVP_PKEY *key, X509 *cert, struct err *e)
{
	if (!pem_key_save(paths->p[CA_KEY], key, e))
		return false;
	if (!json_save(paths->p[CA_JSON], o, e)) {
		(void)unlink(paths->p[CA_KEY]);
		return false;
	}
	if (!pem_cert_save(paths->p[CA_CRT], cert, e)) {
		(void)unlink(paths->p[CA_KEY]);
		(void)unlink(paths->p[CA_JSON]);
		return false;
	}
	return true;
}

bool ca_create(const char *dir, const struct ca_options *o, struct err *e)
{
	struct paths paths;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	bool done = false;

	if (!name_check(o->name, e) || !paths_init(&paths, dir, e))
		return false;
	if (!none_exists(&paths, e) || !key_generate(&key, e))
		goto out;
	cert = build_new(key, e);
	done = cert != NULL && cert_fill(cert, key, o, e) && dir_make(dir, e) &&
	       all_save(&paths, o, key, cert, e);
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	paths_fini(&paths);
	return done;
}

/* -------------------------------------------------------------------- load */

static bool fields_read(const cJSON *root, struct ca *ca)
{
	const cJSON *version =
		cJSON_GetObjectItemCaseSensitive(root, "version");
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
	const cJSON *pen = cJSON_GetObjectItemCaseSensitive(root, "pen");
	struct err ignored;

	/* Three fields, and these three: there is no other. */
	if (!cJSON_IsObject(root) || cJSON_GetArraySize(root) != 3 ||
		!cJSON_IsNumber(version) || !cJSON_IsString(name) ||
		!cJSON_IsNumber(pen))
		return false;
	if (version->valuedouble != 1 || pen->valuedouble < 0 ||
		pen->valuedouble > UINT32_MAX ||
		!name_check(name->valuestring, &ignored))
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

static bool key_load(struct ca *ca, const char *path, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	BIO *bio;

	if (!key_mode_check(path, e) ||
		!file_read(path, CA_KEY_MAX, &text, &len, e))
		return false;
	bio = BIO_new_mem_buf(text, (int)len);
	if (bio != NULL)
		ca->key = PEM_read_bio_PrivateKey(
			bio, NULL, x509_no_passphrase, NULL);
	(void)BIO_free(bio);
	file_text_free(&text, len);
	ERR_clear_error();
	if (ca->key == NULL)
		return err_set(e, ERR_INPUT,
			"%.200s holds no unencrypted private key in PEM", path);
	return true;
}

static bool match_check(const struct ca *ca, const char *dir, struct err *e)
{
	bool match = X509_check_private_key(ca->cert, ca->key) == 1;

	ERR_clear_error();
	if ((X509_get_extension_flags(ca->cert) & EXFLAG_CA) == 0)
		return err_set(e, ERR_INPUT,
			"%.200s/ca.crt is not a CA's certificate", dir);
	if (!match)
		return err_set(e, ERR_INPUT,
			"%.200s: ca.key is not the key of ca.crt", dir);
	return true;
}

bool ca_load(const char *dir, struct ca **out, struct err *e)
{
	struct ca *ca = calloc(1, sizeof(*ca));
	struct paths paths;

	if (ca == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (!paths_init(&paths, dir, e)) {
		ca_free(&ca);
		return false;
	}
	if (access(paths.p[CA_CRT], F_OK) != 0 && errno == ENOENT)
		(void)err_set(e, ERR_ENVIRONMENT,
			"there is no CA in %.200s; run weir ca init, or name "
			"its folder with --ca",
			dir);
	else if (x509_load(paths.p[CA_CRT], &ca->cert, e) &&
		 key_load(ca, paths.p[CA_KEY], e) && match_check(ca, dir, e) &&
		 json_load(ca, paths.p[CA_JSON], e)) {
		*out = ca;
		ca = NULL;
	}
	paths_fini(&paths);
	if (ca == NULL)
		return true;
	ca_free(&ca);
	return false;
}
