/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbedtls_check CA CERT KEY client|server: whether Mbed TLS, which many modules
 * and microcontrollers have, takes CERT as one from CA for a TLS client or
 * server, and KEY as its key. Debian packages none of its programs. Exit status
 * 0: it does, 1: it does not, and says why; 2: usage.
 */
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct checked {
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
};

static int no(const char *why)
{
	(void)fprintf(stderr, "mbedtls_check: %s\n", why);
	return 1;
}

static int verify(struct checked *c)
{
	char text[512] = "";
	uint32_t flags = 0;

	if (mbedtls_x509_crt_verify(
		    &c->cert, &c->ca, NULL, NULL, &flags, NULL, NULL) == 0)
		return 0;
	(void)mbedtls_x509_crt_verify_info(text, sizeof(text), "", flags);
	return no(text);
}

static int check(struct checked *c, char **files, const char *oid, size_t n)
{
	if (mbedtls_x509_crt_parse_file(&c->ca, files[0]) != 0)
		return no("cannot read the CA's certificate");
	if (mbedtls_x509_crt_parse_file(&c->cert, files[1]) != 0)
		return no("cannot read the certificate");
	if (mbedtls_pk_parse_keyfile(&c->key, files[2], NULL) != 0)
		return no("cannot read the key");
	if (mbedtls_pk_check_pair(&c->cert.pk, &c->key) != 0)
		return no("the key is another one's");
	if (mbedtls_x509_crt_check_key_usage(
		    &c->cert, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
		return no("keyUsage lacks digitalSignature");
	if (mbedtls_x509_crt_check_extended_key_usage(&c->cert, oid, n) != 0)
		return no("extendedKeyUsage lacks the purpose");
	return verify(c);
}

int main(int argc, char **argv)
{
	struct checked c;
	bool client = argc == 5 && strcmp(argv[4], "client") == 0;
	int status;

	if (argc != 5 || (!client && strcmp(argv[4], "server") != 0)) {
		(void)fputs("usage: mbedtls_check CA CERT KEY client|server\n",
			stderr);
		return 2;
	}
	mbedtls_x509_crt_init(&c.ca);
	mbedtls_x509_crt_init(&c.cert);
	mbedtls_pk_init(&c.key);
	status = client ? check(&c, argv + 1, MBEDTLS_OID_CLIENT_AUTH,
				  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH))
			: check(&c, argv + 1, MBEDTLS_OID_SERVER_AUTH,
				  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
	mbedtls_pk_free(&c.key);
	mbedtls_x509_crt_free(&c.cert);
	mbedtls_x509_crt_free(&c.ca);
	return status;
}
