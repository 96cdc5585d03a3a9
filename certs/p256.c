/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/p256.h"

#include "certs/build.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

bool p256_is(const EVP_PKEY *key)
{
	char curve[64] = "";

	return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	       EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
	       strcmp(curve, SN_X9_62_prime256v1) == 0;
}

bool p256_read(const EVP_PKEY *key, struct p256 *out, struct err *e)
{
	unsigned char native[P256_BYTES];
	struct p256 k;
	OSSL_PARAM get[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY,
				    native, sizeof(native)),
		OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, k.point,
			sizeof(k.point)),
		OSSL_PARAM_construct_end()};
	BIGNUM *n = NULL;
	bool done =
		EVP_PKEY_get_params(key, get) == 1 &&
		get[1].return_size == sizeof(k.point) &&
		OSSL_PARAM_get_BN(&get[0], &n) == 1 &&
		BN_bn2binpad(n, k.secret, sizeof(k.secret)) == sizeof(k.secret);

	if (done)
		*out = k;
	BN_clear_free(n);
	OPENSSL_cleanse(native, sizeof(native));
	OPENSSL_cleanse(&k, sizeof(k));
	return done || build_err(e, "read a key");
}

/* ------------------------------------------------------------------- making */

struct p256_maker {
	EC_GROUP *group;
	EC_POINT *point;
	BIGNUM *secret;
	BN_CTX *scratch;
};

void p256_maker_free(struct p256_maker **m)
{
	struct p256_maker *x = *m;

	if (x == NULL)
		return;
	*m = NULL;
	EC_POINT_clear_free(x->point);
	EC_GROUP_free(x->group);
	BN_clear_free(x->secret);
	BN_CTX_free(x->scratch);
	free(x);
}

struct p256_maker *p256_maker_new(struct err *e)
{
	struct p256_maker *m = calloc(1, sizeof(*m));

	if (m != NULL) {
		m->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
		m->secret = BN_secure_new();
		m->scratch = BN_CTX_secure_new();
		if (m->group != NULL)
			m->point = EC_POINT_new(m->group);
		if (m->secret != NULL && m->scratch != NULL && m->point != NULL)
			return m;
		p256_maker_free(&m);
	}
	(void)build_err(e, "make a key");
	return NULL;
}

/*
 * SEC 1 §3.2.1: "Randomly or pseudorandomly select an integer d in the interval
 * [1, n - 1]. Compute Q = dG." As EVP_PKEY_generate does it, with the private
 * random generator, and in a time that says nothing of d.
 */
bool p256_make(struct p256_maker *m, struct p256 *out, struct err *e)
{
	const BIGNUM *order = EC_GROUP_get0_order(m->group);
	bool done;

	BN_set_flags(m->secret, BN_FLG_CONSTTIME);
	do {
		done = BN_priv_rand_range_ex(m->secret, order, 0, m->scratch) ==
		       1;
	} while (done && BN_is_zero(m->secret));
	done = done &&
	       EC_POINT_mul(m->group, m->point, m->secret, NULL, NULL,
		       m->scratch) == 1 &&
	       EC_POINT_point2oct(m->group, m->point,
		       POINT_CONVERSION_UNCOMPRESSED, out->point,
		       sizeof(out->point), m->scratch) == sizeof(out->point) &&
	       BN_bn2binpad(m->secret, out->secret, sizeof(out->secret)) ==
		       sizeof(out->secret);
	BN_clear(m->secret);
	return done || build_err(e, "make a key");
}

/* ------------------------------------------------------------------ writing */

/*
 *     SEQUENCE { 0, { id-ecPublicKey, prime256v1 },
 *         OCTET STRING { SEQUENCE { 1, OCTET STRING, [1] BIT STRING } } }
 */
static const unsigned char PKCS8_HEAD[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00,
	0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30,
	0x6b, 0x02, 0x01, 0x01, 0x04, P256_BYTES};
static const unsigned char PKCS8_MIDDLE[] = {
	0xa1, 0x44, 0x03, P256_POINT + 1, 0x00};
_Static_assert(
	sizeof(PKCS8_HEAD) + P256_BYTES + sizeof(PKCS8_MIDDLE) + P256_POINT ==
		P256_PKCS8,
	"the lengths in PKCS8_HEAD");

void p256_pkcs8(const struct p256 *k, unsigned char out[static P256_PKCS8])
{
	memcpy(out, PKCS8_HEAD, sizeof(PKCS8_HEAD));
	out += sizeof(PKCS8_HEAD);
	memcpy(out, k->secret, P256_BYTES);
	out += P256_BYTES;
	memcpy(out, PKCS8_MIDDLE, sizeof(PKCS8_MIDDLE));
	memcpy(out + sizeof(PKCS8_MIDDLE), k->point, P256_POINT);
}

/* SEQUENCE { { id-ecPublicKey, prime256v1 }, BIT STRING } */
static const unsigned char SPKI_HEAD[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07,
	0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
	0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, P256_POINT + 1, 0x00};
_Static_assert(sizeof(SPKI_HEAD) + P256_POINT == P256_SPKI,
	"the lengths in SPKI_HEAD");

void p256_spki(const unsigned char point[static P256_POINT],
	unsigned char out[static P256_SPKI])
{
	memcpy(out, SPKI_HEAD, sizeof(SPKI_HEAD));
	memcpy(out + sizeof(SPKI_HEAD), point, P256_POINT);
}
