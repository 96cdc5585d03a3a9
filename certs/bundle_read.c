/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/bundle_private.h"

#include "io/json_scan.h"
#include "io/record_stream.h"

#include <stdlib.h>

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

static bool no_line(struct err *e)
{
	return err_set(e, ERR_INPUT,
		"this is no line of a bundle that weir cert bulk wrote; move "
		"the file away");
}

/* SHA-256 over the DER that the PEM TEXT holds. Where memory was what lacked,
 * that is said: what is no bundle may be removed. */
static bool fingerprint(
	const char *text, uint8_t out[static FINGERPRINT_LEN], struct err *e)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	bool done =
		bio != NULL &&
		PEM_read_bio(bio, &name, &header, &der, &n) == 1 &&
		strcmp(name, PEM_STRING_X509) == 0 && n > 0 &&
		EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL) == 1;
	bool starved = bio == NULL || ERR_GET_REASON(ERR_peek_last_error()) ==
					      ERR_R_MALLOC_FAILURE;

	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	(void)BIO_free(bio);
	ERR_clear_error();
	return done || (starved ? no_memory(e) : no_line(e));
}

/* cJSON frees the key as it is. */
static void wipe_key(const cJSON *root)
{
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(root, "key");

	if (cJSON_IsString(key))
		OPENSSL_cleanse(key->valuestring, strlen(key->valuestring));
}

/* What the line says, for SEEN. */
static bool members_read(const cJSON *root, bundle_seen *seen, void *ctx,
	bool *registered, struct err *e)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(root, "id");
	const cJSON *certificate =
		cJSON_GetObjectItemCaseSensitive(root, "certificate");
	uint8_t fp[FINGERPRINT_LEN];

	if (!cJSON_IsString(id) || !cJSON_IsString(certificate) ||
		!device_id_valid(str_from(id->valuestring)))
		return no_line(e);
	return fingerprint(certificate->valuestring, fp, e) &&
	       seen(ctx, id->valuestring, fp, registered, e);
}

static bool line_read(const struct record *r, bundle_seen *seen, void *ctx,
	bool *registered, struct err *e)
{
	struct err why = {.code = ERR_NONE};
	cJSON *root;
	bool done;

	if (!json_scan((struct str){r->p, r->n}, RECORD_MAX, &why))
		return why.code == ERR_ENVIRONMENT ? no_memory(e) : no_line(e);
	root = cJSON_ParseWithLength(r->p, r->n);
	if (root == NULL)
		return no_memory(e);
	done = members_read(root, seen, ctx, registered, e);
	wipe_key(root);
	cJSON_Delete(root);
	return done;
}

static bool lines_read(struct record_stream *s, bundle_seen *seen, void *ctx,
	uint64_t *count, struct err *e)
{
	struct record r = {.line = 0};
	bool end = false;

	while (record_next(s, &r, &end, e)) {
		bool registered = false;

		if (end)
			return true;
		if (!line_read(&r, seen, ctx, &registered, e)) {
			e->line = r.line;
			return false;
		}
		*count += registered;
	}
	return false;
}

bool bundle_read(const char *path, bundle_seen *seen, void *ctx,
	uint64_t *registered, struct err *e)
{
	struct record_stream *s = NULL;
	bool done;

	if (!record_open(path, &s, e))
		return false;
	done = lines_read(s, seen, ctx, registered, e);
	record_close(&s);
	if (!done && e->code == ERR_INPUT)
		(void)err_at(e, "%.180s", path);
	return done;
}
