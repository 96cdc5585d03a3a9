/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "certs/mint.h"

#include "certs/build.h"
#include "certs/key.h"
#include "io/x509.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define SERIAL_BYTES    16
#define SERIALS         256 /* taken from the random generator at once */
#define SKI_BYTES       20
#define SIGNATURE_MAX   72 /* two integers of 33 bytes, with their heads */
#define COMMON_NAME_MAX 64u
#define SAMPLE_ID       "sample"

/* RFC 5280 §4.1: what is to be signed is
 *
 *     SEQUENCE { version, serialNumber,
 *         signature, issuer, validity,            middle
 *         subject SEQUENCE { O …,                 organisation
 *             CN }, subjectPublicKeyInfo,
 *         [3] extensions }                        extensions
 */
struct mint {
	const struct ca *ca;
	EVP_PKEY_CTX *signer;
	EVP_MD *sha256, *sha1;
	EVP_MD_CTX *digest;
	struct p256_maker *keys;
	unsigned char
		*sample; /* DER; middle and organisation are parts of it */
	struct str middle, organisation;
	unsigned char extensions[MINT_CERT_MAX];
	size_t extensions_n, ski_at;
	struct credential credential; /* the sample's */
	unsigned char serials[SERIALS][SERIAL_BYTES];
	size_t serials_left;
	uint64_t struck;
};

void mint_free(struct mint **m)
{
	struct mint *x = *m;

	if (x == NULL)
		return;
	*m = NULL;
	EVP_PKEY_CTX_free(x->signer);
	EVP_MD_CTX_free(x->digest);
	EVP_MD_free(x->sha256);
	EVP_MD_free(x->sha1);
	p256_maker_free(&x->keys);
	OPENSSL_free(x->sample);
	free(x);
}

/* ---------------------------------------------------------------------- DER */

#define HEAD_MAX       4 /* of lengths below 65536 */
#define SEQUENCE_TAG   0x30
#define INTEGER_TAG    0x02
#define BIT_STRING_TAG 0x03

static const unsigned char VERSION_3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
/* RFC 5758 §3.2: ecdsa-with-SHA256, without parameters. */
static const unsigned char ECDSA_SHA256[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
/* SET { SEQUENCE { commonName, UTF8String } } but for three lengths, which the
 * longest id keeps below 128. */
static const unsigned char COMMON_NAME[] = {
	0x31, 0, 0x30, 0, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0};
_Static_assert(DEVICE_ID_MAX <= COMMON_NAME_MAX, "an id is a common name");

static unsigned char *put(unsigned char *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static size_t head_size(size_t n)
{
	return n < 128 ? 2 : n < 256 ? 3 : 4;
}

static unsigned char *put_head(unsigned char *p, unsigned char tag, size_t n)
{
	*p++ = tag;
	if (n >= 256) {
		*p++ = 0x82;
		*p++ = (unsigned char)(n >> 8);
	} else if (n >= 128) {
		*p++ = 0x81;
	}
	*p++ = (unsigned char)n;
	return p;
}

static unsigned char *put_name(unsigned char *p, const char *id, size_t n)
{
	unsigned char *at = p;

	p = put(p, COMMON_NAME, sizeof(COMMON_NAME));
	at[1] = (unsigned char)(sizeof(COMMON_NAME) - 2 + n);
	at[3] = (unsigned char)(sizeof(COMMON_NAME) - 4 + n);
	at[10] = (unsigned char)n;
	return put(p, id, n);
}

struct coin {
	const char *id;
	const unsigned char *serial;
	size_t serial_n; /* content of the INTEGER */
	const unsigned char *spki;
	const unsigned char *ski;
};

/* What is to be signed for C, into OUT of MINT_CERT_MAX bytes; how many. */
static size_t put_tbs(struct mint *m, const struct coin *c, unsigned char *out)
{
	size_t id_n = strlen(c->id);
	size_t subject = m->organisation.n + sizeof(COMMON_NAME) + id_n;
	size_t n = sizeof(VERSION_3) + 2 + c->serial_n + m->middle.n +
		   head_size(subject) + subject + P256_SPKI + m->extensions_n;
	unsigned char *p = put_head(out, SEQUENCE_TAG, n);

	p = put(p, VERSION_3, sizeof(VERSION_3));
	p = put_head(p, INTEGER_TAG, c->serial_n);
	p = put(p, c->serial, c->serial_n);
	p = put(p, m->middle.p, m->middle.n);
	p = put_head(p, SEQUENCE_TAG, subject);
	p = put(p, m->organisation.p, m->organisation.n);
	p = put_name(p, c->id, id_n);
	p = put(p, c->spki, P256_SPKI);
	memcpy(m->extensions + m->ski_at, c->ski, SKI_BYTES);
	p = put(p, m->extensions, m->extensions_n);
	return (size_t)(p - out);
}

static size_t put_cert(const unsigned char *tbs, size_t tbs_n,
	const unsigned char *signature, size_t signature_n, unsigned char *out)
{
	size_t n = tbs_n + sizeof(ECDSA_SHA256) + 3 + signature_n;
	unsigned char *p = put_head(out, SEQUENCE_TAG, n);

	p = put(p, tbs, tbs_n);
	p = put(p, ECDSA_SHA256, sizeof(ECDSA_SHA256));
	p = put_head(p, BIT_STRING_TAG, 1 + signature_n);
	*p++ = 0; /* unused bits */
	return (size_t)(put(p, signature, signature_n) - out);
}

/* ---------------------------------------------------------------------- die */

/* The element at *P, whole; *P goes behind it. *CONTENT may be NULL. */
static bool take(const unsigned char **p, const unsigned char *end,
	struct str *whole, struct str *content)
{
	const unsigned char *at = *p, *in = *p;
	int tag, class;
	long n;
	int r = at < end ? ASN1_get_object(&in, &n, &tag, &class, end - at)
			 : 0x80;

	if ((r & 0x81) != 0 || n > end - in)
		return false;
	if (content != NULL)
		*content = (struct str){(const char *)in, (size_t)n};
	*whole = (struct str){(const char *)at, (size_t)(in - at) + (size_t)n};
	*p = in + n;
	return true;
}

static const unsigned char *end_of(struct str s)
{
	return (const unsigned char *)s.p + s.n;
}

/* Cuts the die out of the sample of N bytes; *tbs is what it signs. */
static bool cut(struct mint *m, size_t n, struct str *tbs)
{
	enum {
		VERSION,
		SERIAL,
		ALGORITHM,
		ISSUER,
		VALIDITY,
		SUBJECT,
		SPKI,
		EXTENSIONS,
		PARTS
	};
	const unsigned char *p = m->sample;
	struct str part[PARTS], whole, content, subject = {NULL, 0}, last;

	if (!take(&p, m->sample + n, &whole, &content))
		return false;
	p = (const unsigned char *)content.p;
	if (!take(&p, end_of(content), tbs, &content))
		return false;
	p = (const unsigned char *)content.p;
	for (int i = 0; i < PARTS; i++) {
		if (!take(&p, end_of(content), &part[i],
			    i == SUBJECT ? &subject : NULL))
			return false;
	}
	if (part[EXTENSIONS].n > sizeof(m->extensions))
		return false;
	m->middle = (struct str){part[ALGORITHM].p,
		(size_t)(part[SUBJECT].p - part[ALGORITHM].p)};
	memcpy(m->extensions, part[EXTENSIONS].p, part[EXTENSIONS].n);
	m->extensions_n = part[EXTENSIONS].n;
	/* The subject's last name is CN. */
	p = (const unsigned char *)subject.p;
	last = (struct str){subject.p, 0};
	while (p < end_of(subject)) {
		if (!take(&p, end_of(subject), &last, NULL))
			return false;
	}
	m->organisation = (struct str){subject.p, (size_t)(last.p - subject.p)};
	return true;
}

/* Where the identifier of the key is to be put: there alone. */
static bool find_ski(struct mint *m, X509 *sample)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(sample);
	const unsigned char *from = m->extensions;
	const unsigned char *at;

	if (ski == NULL || ASN1_STRING_length(ski) != SKI_BYTES)
		return false;
	at = memmem(
		from, m->extensions_n, ASN1_STRING_get0_data(ski), SKI_BYTES);
	if (at == NULL)
		return false;
	m->ski_at = (size_t)(at - from);
	at += SKI_BYTES;
	return memmem(at, m->extensions_n - (size_t)(at - from),
		       ASN1_STRING_get0_data(ski), SKI_BYTES) == NULL;
}

/* True when the die gives the sample again. */
static bool fits(
	struct mint *m, X509 *sample, const struct p256 *key, struct str tbs)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(sample);
	unsigned char again[MINT_CERT_MAX], spki[P256_SPKI];
	unsigned char number[SERIAL_BYTES + 1], *p = number;
	struct coin c = {.id = SAMPLE_ID, .serial = number, .spki = spki};

	/* Room for the longest id and serial number. */
	if (tbs.n + COMMON_NAME_MAX + SERIAL_BYTES + SIGNATURE_MAX +
			sizeof(ECDSA_SHA256) + (size_t)4 * HEAD_MAX >
		sizeof(again))
		return false;
	c.serial_n = (size_t)ASN1_STRING_length(serial);
	if (c.serial_n == 0 || c.serial_n > SERIAL_BYTES)
		return false;
	if (ASN1_STRING_get0_data(serial)[0] >= 0x80)
		*p++ = 0;
	memcpy(p, ASN1_STRING_get0_data(serial), c.serial_n);
	c.serial_n += (size_t)(p - number);
	c.ski = ASN1_STRING_get0_data(X509_get0_subject_key_id(sample));
	p256_spki(key->point, spki);
	return put_tbs(m, &c, again) == tbs.n &&
	       memcmp(again, tbs.p, tbs.n) == 0;
}

/* *usable: M is one that gives the certificates of issue.h. */
static bool die_cut(struct mint *m, EVP_PKEY *key,
	const struct issue_options *o, bool *usable, struct err *e)
{
	struct device d = {.id = SAMPLE_ID, .id_len = sizeof(SAMPLE_ID) - 1};
	struct p256 bytes;
	struct str tbs;
	X509 *x = NULL;
	int n;
	bool done;

	if (!issue_device(m->ca, &d, key, o, &x, e))
		return false;
	n = i2d_X509(x, &m->sample);
	done = (n > 0 || build_err(e, "write a certificate")) &&
	       p256_read(key, &bytes, e) &&
	       x509_device_credential(x, d.id, &m->credential, e);
	*usable = done && cut(m, (size_t)n, &tbs) && find_ski(m, x) &&
		  fits(m, x, &bytes, tbs);
	/* Each has its own. */
	memset(m->credential.device_id, 0, sizeof(m->credential.device_id));
	memset(m->credential.serial, 0, sizeof(m->credential.serial));
	OPENSSL_cleanse(&bytes, sizeof(bytes));
	X509_free(x);
	return done;
}

static bool tools_get(struct mint *m, struct err *e)
{
	m->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	m->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	m->digest = EVP_MD_CTX_new();
	m->signer = ca_signer(m->ca);
	if (m->sha256 == NULL || m->sha1 == NULL || m->digest == NULL ||
		m->signer == NULL)
		return build_err(e, "set up signing");
	m->keys = p256_maker_new(e);
	return m->keys != NULL;
}

bool mint_new(const struct ca *ca, const struct issue_options *o,
	struct mint **out, struct err *e)
{
	struct issue_options options = *o;
	EVP_PKEY *key = NULL;
	bool usable = false, done;
	struct mint *m;

	*out = NULL;
	if (o->sim_in_cert || ca_key_place(ca) != CA_KEY_FILE ||
		!p256_is(ca_public(ca)))
		return true;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	m->ca = ca;
	options.lean = false;
	done = tools_get(m, e) && key_generate(KEY_P256, &key, e) &&
	       die_cut(m, key, &options, &usable, e);
	EVP_PKEY_free(key);
	if (done && usable)
		*out = m;
	else
		mint_free(&m);
	return done;
}

/* ------------------------------------------------------------------ striking */

static bool digest(struct mint *m, const EVP_MD *md, const unsigned char *p,
	size_t n, unsigned char *out)
{
	return EVP_DigestInit_ex2(m->digest, md, NULL) == 1 &&
	       EVP_DigestUpdate(m->digest, p, n) == 1 &&
	       EVP_DigestFinal_ex(m->digest, out, NULL) == 1;
}

/* A serial number of 128 random bits. Without those that begin with eight zeros
 * its bytes are always as many. */
static const unsigned char *serial_next(struct mint *m)
{
	const unsigned char *serial;

	do {
		if (m->serials_left == 0) {
			if (RAND_bytes((unsigned char *)m->serials,
				    sizeof(m->serials)) != 1)
				return NULL;
			m->serials_left = SERIALS;
		}
		serial = m->serials[--m->serials_left];
	} while (serial[0] == 0);
	return serial;
}

static void serial_print(
	const unsigned char serial[static SERIAL_BYTES], char *out)
{
	static const char HEX[] = "0123456789ABCDEF";

	for (size_t i = 0; i < SERIAL_BYTES; i++) {
		*out++ = HEX[serial[i] >> 4];
		*out++ = HEX[serial[i] & 15];
	}
	*out = '\0';
}

static bool strike(struct mint *m, const char *id,
	const unsigned char serial[static SERIAL_BYTES], struct minted *out)
{
	unsigned char number[1 + SERIAL_BYTES] = {0};
	unsigned char tbs[MINT_CERT_MAX], hash[32], ski[SKI_BYTES];
	unsigned char spki[P256_SPKI], signature[SIGNATURE_MAX];
	size_t signed_n = sizeof(signature), n;
	bool positive = serial[0] < 0x80;
	struct coin c = {.id = id, .spki = spki, .ski = ski};

	memcpy(number + 1, serial, SERIAL_BYTES);
	c.serial = positive ? number + 1 : number;
	c.serial_n = positive ? SERIAL_BYTES : SERIAL_BYTES + 1;
	p256_spki(out->key.point, spki);
	if (!digest(m, m->sha1, out->key.point, P256_POINT, ski) ||
		!digest(m, m->sha256, spki, sizeof(spki), out->credential.spki))
		return false;
	n = put_tbs(m, &c, tbs);
	/* Without memory OpenSSL 3.0 gives a length of -1, and says it has
	 * signed. */
	if (!digest(m, m->sha256, tbs, n, hash) ||
		EVP_PKEY_sign(m->signer, signature, &signed_n, hash,
			sizeof(hash)) != 1 ||
		signed_n > sizeof(signature))
		return false;
	out->cert_n = put_cert(tbs, n, signature, signed_n, out->cert);
	return digest(m, m->sha256, out->cert, out->cert_n,
		out->credential.fingerprint);
}

static bool key_holds(X509 *x, const struct p256 *k)
{
	unsigned char der[P256_PKCS8];
	const unsigned char *p = der;
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key;
	bool holds;

	p256_pkcs8(k, der);
	key = d2i_AutoPrivateKey(NULL, &p, sizeof(der));
	if (key != NULL)
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	holds = ctx != NULL && EVP_PKEY_check(ctx) == 1 &&
		X509_check_private_key(x, key) == 1;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	OPENSSL_cleanse(der, sizeof(der));
	return holds;
}

static bool same_credential(
	const struct credential *a, const struct credential *b)
{
	return memcmp(a->fingerprint, b->fingerprint, FINGERPRINT_LEN) == 0 &&
	       memcmp(a->spki, b->spki, FINGERPRINT_LEN) == 0 &&
	       strcmp(a->device_id, b->device_id) == 0 &&
	       strcmp(a->serial, b->serial) == 0 &&
	       strcmp(a->issuer, b->issuer) == 0 &&
	       a->not_before_s == b->not_before_s &&
	       a->not_after_s == b->not_after_s && a->status == b->status;
}

/* What was struck, as OpenSSL and the broker read it. */
static bool check(const struct mint *m, const struct minted *c, struct err *e)
{
	const unsigned char *p = c->cert;
	X509 *x = d2i_X509(NULL, &p, (long)c->cert_n);
	struct credential read;
	bool holds =
		x != NULL && p == c->cert + c->cert_n &&
		X509_verify(x, ca_public(m->ca)) == 1 &&
		key_holds(x, &c->key) &&
		x509_device_credential(x, c->credential.device_id, &read, e) &&
		same_credential(&read, &c->credential);

	X509_free(x);
	ERR_clear_error();
	return holds ||
	       err_set(e, ERR_ENVIRONMENT,
		       "the certificate of '%s' does not hold when it is read "
		       "again: memory or OpenSSL is at fault; nothing of this "
		       "batch is registered",
		       c->credential.device_id);
}

bool mint_strike(
	struct mint *m, const char *id, struct minted *out, struct err *e)
{
	const unsigned char *serial = serial_next(m);
	bool done;

	if (serial == NULL)
		return build_err(e, "make a serial number");
	if (!p256_make(m->keys, &out->key, e))
		return false;
	out->credential = m->credential;
	memcpy(out->credential.device_id, id, strlen(id) + 1);
	serial_print(serial, out->credential.serial);
	done = strike(m, id, serial, out) ||
	       build_err(e, "sign the certificate");
	if (done && m->struck++ % MINT_CHECKED == 0)
		done = check(m, out, e);
	if (!done)
		OPENSSL_cleanse(&out->key, sizeof(out->key));
	return done;
}
