/* SPDX-License-Identifier: Apache-2.0 */
/* Debian 12 has no provider for PKCS #11, only the engine, and OpenSSL 3 calls
 * all engines deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "io/pkcs11.h"

#include "io/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/engine.h>
#include <openssl/err.h>

#define SCHEME "pkcs11:"

struct pkcs11 {
	ENGINE *engine; /* its library stays loaded while the key is used */
	EVP_PKEY *key, *public;
	pthread_mutex_t lock;
};

/* --------------------------------------------------------------------- URI */

/* A URI, taken apart. */
struct uri {
	char key[PKCS11_URI_MAX]; /* without its query: the engine's part */
	char pin_source[PKCS11_URI_MAX], module[PKCS11_URI_MAX]; /* "" : none */
	bool names_key;
};

bool pkcs11_is_uri(const char *text)
{
	return strncmp(text, SCHEME, sizeof(SCHEME) - 1) == 0;
}

/* The byte that "%XX" at the front of S stands for; -1 when it is none. */
static int escape_value(struct str s)
{
	int high, low;

	if (s.n < 3)
		return -1;
	high = OPENSSL_hexchar2int((unsigned char)s.p[1]);
	low = OPENSSL_hexchar2int((unsigned char)s.p[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* S without its percent-encoding. */
static bool decode(struct str s, char out[static PKCS11_URI_MAX])
{
	size_t n = 0;

	while (s.n != 0) {
		size_t step = s.p[0] == '%' ? 3 : 1;
		int value = step == 3 ? escape_value(s) : s.p[0];

		if (value <= 0 || n + 1 >= PKCS11_URI_MAX)
			return false;
		out[n++] = (char)value;
		s.p += step;
		s.n -= step;
	}
	out[n] = '\0';
	return true;
}

/* Takes "name=value" off the front of *REST, up to SEPARATOR. */
static bool attribute_take(
	struct str *rest, char separator, struct str *name, struct str *value)
{
	const char *end = memchr(rest->p, separator, rest->n);
	size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	const char *equals = memchr(rest->p, '=', n);

	if (equals == NULL)
		return false;
	*name = (struct str){rest->p, (size_t)(equals - rest->p)};
	*value = (struct str){equals + 1, n - name->n - 1};
	rest->p += n + (end != NULL ? 1 : 0);
	rest->n -= n + (end != NULL ? 1 : 0);
	return value->n != 0;
}

static bool malformed(struct err *e)
{
	return err_set(e, ERR_INPUT,
		"this is not the URI of a key: "
		"pkcs11:token=T;object=O[?pin-source=file:PATH]"
		"[&module-path=PATH] (RFC 7512)");
}

/* What the engine does not know it would ignore, and take another key. */
static bool path_attribute(
	struct str name, const char *value, struct uri *u, struct err *e)
{
	static const char *const KNOWN[] = {"token", "serial", "model",
		"manufacturer", "type", "object", "id"};
	enum { TYPE = 4, N = 7 };
	int i = 0;

	while (i < N && !str_eq(name, str_from(KNOWN[i])))
		i++;
	if (i == N)
		return err_set(e, ERR_INPUT,
			"a key's URI has no '%.*s' here; name it by token, "
			"object, id, serial, model or manufacturer",
			name.n < 32 ? (int)name.n : 32, name.p);
	if (i == TYPE && strcmp(value, "private") != 0)
		return err_set(e, ERR_INPUT,
			"the URI names a '%.32s', not a private key", value);
	u->names_key = u->names_key || i > TYPE;
	return true;
}

static bool path_parse(struct str path, struct uri *u, struct err *e)
{
	char text[PKCS11_URI_MAX];
	struct str name, value;

	while (path.n != 0) {
		if (!attribute_take(&path, ';', &name, &value) ||
			!decode(value, text))
			return malformed(e);
		if (!path_attribute(name, text, u, e))
			return false;
	}
	return true;
}

static bool query_parse(struct str query, struct uri *u, struct err *e)
{
	struct str name, value;

	while (query.n != 0) {
		char *to = NULL;

		if (!attribute_take(&query, '&', &name, &value))
			return malformed(e);
		if (str_eq(name, STR("pin-value")))
			return err_set(e, ERR_INPUT,
				"no PIN in a URI: whoever may list processes "
				"would read it; put it into a file with mode "
				"0600 and name that with pin-source");
		if (str_eq(name, STR("pin-source")))
			to = u->pin_source;
		else if (str_eq(name, STR("module-path")))
			to = u->module;
		if (to == NULL || to[0] != '\0' || !decode(value, to))
			return malformed(e);
	}
	if (strncmp(u->pin_source, "file:", 5) == 0)
		memmove(u->pin_source, u->pin_source + 5,
			strlen(u->pin_source + 5) + 1);
	if (u->pin_source[0] != '\0' && u->pin_source[0] != '/')
		return err_set(e, ERR_INPUT,
			"pin-source is a file, with its whole path: "
			"pin-source=file:/…");
	return true;
}

static bool uri_parse(const char *uri, struct uri *u, struct err *e)
{
	const char *path = uri + sizeof(SCHEME) - 1;
	size_t n;

	memset(u, 0, sizeof(*u));
	if (!pkcs11_is_uri(uri) || strlen(uri) >= PKCS11_URI_MAX)
		return malformed(e);
	for (const char *p = uri; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			return malformed(e);
	}
	n = strcspn(path, "?");
	memcpy(u->key, uri, sizeof(SCHEME) - 1 + n);
	if (!path_parse((struct str){path, n}, u, e))
		return false;
	if (path[n] == '?' && !query_parse(str_from(path + n + 1), u, e))
		return false;
	return u->names_key ||
	       err_set(e, ERR_INPUT,
		       "the URI does not say which key: add object= or id=");
}

bool pkcs11_uri_check(const char *uri, struct err *e)
{
	struct uri u;

	return uri_parse(uri, &u, e);
}

/* --------------------------------------------------------------------- PIN */

/* The first line of the file PATH. */
static bool pin_read(
	const char *path, char out[static PKCS11_PIN_MAX], struct err *e)
{
	char *text = NULL;
	size_t len = 0, n;
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s holds a PIN and can be read by others (mode "
			"%04o): run chmod 600",
			path, (unsigned)st.st_mode & 07777u);
	if (!file_read(path, 4096, &text, &len, e))
		return false;
	n = strcspn(text, "\r\n");
	if (n < PKCS11_PIN_MAX) {
		memcpy(out, text, n);
		out[n] = '\0';
	}
	file_text_free(&text, len);
	return n < PKCS11_PIN_MAX ||
	       err_set(e, ERR_INPUT, "%.160s: a PIN has at most %d bytes", path,
		       PKCS11_PIN_MAX - 1);
}

static bool pin_get(const char *uri, const struct uri *u,
	const struct pkcs11_pin *pin, char out[static PKCS11_PIN_MAX],
	struct err *e)
{
	if (u->pin_source[0] != '\0')
		return pin_read(u->pin_source, out, e);
	if (pin != NULL)
		return pin->ask(pin->ctx, uri, out, e);
	out[0] = '\0';
	return true;
}

/* --------------------------------------------------------------- open, sign */

static bool engine_err(struct err *e, const char *what, const char *remedy)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, ERR_ENVIRONMENT, "%s%s%s; %s", what,
		reason != NULL ? ": " : "", reason != NULL ? reason : "",
		remedy);
}

/* The engine, loaded and told of MODULE ("" : p11-kit's) and PIN. */
static ENGINE *engine_open(const char *module, const char *pin, struct err *e)
{
	ENGINE *engine;

	(void)OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, NULL);
	engine = ENGINE_by_id("pkcs11");
	if (engine == NULL) {
		(void)engine_err(e, "OpenSSL has no engine pkcs11",
			"install libengine-pkcs11-openssl");
		return NULL;
	}
	/* QUIET: it would print on standard error what we say better. */
	if (ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 0) == 1 &&
		(module[0] == '\0' || ENGINE_ctrl_cmd_string(engine,
					      "MODULE_PATH", module, 0) == 1) &&
		ENGINE_init(engine) == 1) {
		if (pin[0] == '\0' ||
			ENGINE_ctrl_cmd_string(engine, "PIN", pin, 0) == 1)
			return engine;
		(void)ENGINE_finish(engine);
	}
	(void)engine_err(e, "the engine pkcs11 does not start",
		"is module-path the token's library?");
	(void)ENGINE_free(engine);
	return NULL;
}

static void engine_close(ENGINE *engine)
{
	(void)ENGINE_finish(engine);
	(void)ENGINE_free(engine);
}

/* OpenSSL's providers cannot take a foreign key, nor compare one. */
static EVP_PKEY *public_of(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	const unsigned char *p = der;
	EVP_PKEY *public = n > 0 ? d2i_PUBKEY(NULL, &p, n) : NULL;

	OPENSSL_free(der);
	return public;
}

/* ENGINE is taken when it succeeds. */
static bool key_open(
	ENGINE *engine, const char *uri, struct pkcs11 *k, struct err *e)
{
	k->key = ENGINE_load_private_key(engine, uri, NULL, NULL);
	if (k->key == NULL)
		return engine_err(e, "the token does not open the key",
			"check the PIN and the URI (p11tool --list-all), and "
			"that the token is there");
	k->public = public_of(k->key);
	if (k->public != NULL && pthread_mutex_init(&k->lock, NULL) == 0) {
		k->engine = engine;
		return true;
	}
	(void)engine_err(e, "the token does not show the key's public half",
		"keep the public key on the token too");
	EVP_PKEY_free(k->public);
	EVP_PKEY_free(k->key);
	return false;
}

bool pkcs11_open(const char *uri, const struct pkcs11_pin *pin,
	struct pkcs11 **out, struct err *e)
{
	struct pkcs11 *k = calloc(1, sizeof(*k));
	char text[PKCS11_PIN_MAX] = "";
	ENGINE *engine = NULL;
	bool done = false;
	struct uri u;

	if (k == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (uri_parse(uri, &u, e) && pin_get(uri, &u, pin, text, e))
		engine = engine_open(u.module, text, e);
	OPENSSL_cleanse(text, sizeof(text));
	if (engine != NULL) {
		done = key_open(engine, u.key, k, e);
		if (!done)
			engine_close(engine);
	}
	if (done)
		*out = k;
	else
		free(k);
	return done;
}

void pkcs11_close(struct pkcs11 **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_free((*k)->public);
	EVP_PKEY_free((*k)->key);
	engine_close((*k)->engine);
	(void)pthread_mutex_destroy(&(*k)->lock);
	free(*k);
	*k = NULL;
}

EVP_PKEY *pkcs11_public(const struct pkcs11 *k)
{
	return k->public;
}

bool pkcs11_sign(struct pkcs11 *k, X509 *x, const EVP_MD *md, struct err *e)
{
	bool done;

	(void)pthread_mutex_lock(&k->lock);
	done = X509_sign(x, k->key, md) > 0;
	(void)pthread_mutex_unlock(&k->lock);
	return done || engine_err(e, "the token does not sign",
			       "is it still there, and may the key sign?");
}
