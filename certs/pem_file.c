/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* syncfs */
#include "certs/pem_file.h"

#include "certs/p256.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

char *path_join(const char *dir, const char *name, const char *suffix)
{
	size_t n = strlen(dir) + 1 + strlen(name) + strlen(suffix) + 1;
	char *path = malloc(n);

	if (path != NULL)
		(void)snprintf(path, n, "%s/%s%s", dir, name, suffix);
	return path;
}

/* ------------------------------------------------------------------- files */

static bool write_all(int fd, struct str text)
{
	while (text.n != 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text.p += n;
			text.n -= (size_t)n;
		}
	}
	return true;
}

/* The content and mode of FD on disk; closes it. On false errno is set. */
static bool fd_finish(int fd, struct str text, mode_t mode)
{
	bool done =
		write_all(fd, text) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	int error = errno;

	if (close(fd) != 0 && done) {
		done = false;
		error = errno;
	}
	errno = error;
	return done;
}

bool pem_file_write(const char *path, struct str text, enum pem_access access,
	struct err *e)
{
	size_t n = strlen(path) + sizeof(".XXXXXX");
	char *temporary = malloc(n);
	bool done;
	int fd;

	if (temporary == NULL)
		return file_err(e, "create", path, ENOMEM);
	(void)snprintf(temporary, n, "%s.XXXXXX", path);
	/* mkstemp opens with O_EXCL and mode 0600. */
	fd = mkstemp(temporary);
	if (fd < 0) {
		(void)file_err(e, "create", path, errno);
		free(temporary);
		return false;
	}
	if (fd_finish(fd, text, access == PEM_PUBLIC ? 0644 : 0600))
		done = file_publish(temporary, path, e);
	else
		done = file_err(e, "write", path, errno);
	(void)unlink(temporary);
	free(temporary);
	return done;
}

bool pem_stage(const char *path, struct str text, enum pem_access access,
	struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags, 0600), error;
	bool done;

	if (fd < 0 && errno == EEXIST && unlink(path) == 0)
		fd = open(path, flags, 0600);
	if (fd < 0)
		return file_err(e, "create", path, errno);
	done = write_all(fd, text) &&
	       (access != PEM_PUBLIC || fchmod(fd, 0644) == 0);
	error = errno;
	if (close(fd) != 0 && done) {
		done = false;
		error = errno;
	}
	if (done)
		return true;
	(void)unlink(path);
	return file_err(e, "write", path, error);
}

bool pem_sync(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	bool done;

	if (fd < 0)
		return file_err(e, "open", dir, errno);
	done = syncfs(fd) == 0;
	error = errno;
	(void)close(fd);
	return done || file_err(e, "write to", dir, error);
}

/* The folder PATH, which may exist. */
static bool dir_one(const char *path, struct err *e)
{
	struct stat st;
	int error;

	if (mkdir(path, 0755) == 0)
		return true;
	error = errno;
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return true;
		error = ENOTDIR;
	}
	return file_err(e, "create the folder", path, error);
}

bool dir_make(const char *dir, struct err *e)
{
	char *path = strdup(dir);
	bool done = true;

	if (path == NULL)
		return file_err(e, "create the folder", dir, ENOMEM);
	for (char *p = path; done && *p != '\0'; p++) {
		if (*p != '/' || p == path)
			continue;
		*p = '\0';
		done = dir_one(path, e);
		*p = '/';
	}
	done = done && dir_one(path, e);
	free(path);
	return done;
}

/* --------------------------------------------------------------------- PEM */

static bool out_of_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory writing PEM");
}

static struct str bio_str(BIO *bio)
{
	char *p = NULL;
	long n = BIO_get_mem_data(bio, &p);

	return (struct str){p, n > 0 ? (size_t)n : 0};
}

/* The usual key of a device by its layout: OpenSSL's encoders write the same,
 * but look through all that they could write first, at ten times the cost. */
static bool p256_print(BIO *bio, const EVP_PKEY *key)
{
	unsigned char der[P256_PKCS8];
	struct p256 k;
	bool done;

	if (!p256_read(key, &k, NULL))
		return false;
	p256_pkcs8(&k, der);
	done = PEM_write_bio(bio, PEM_STRING_PKCS8INF, "", der, sizeof(der)) >
	       0;
	OPENSSL_cleanse(&k, sizeof(k));
	OPENSSL_cleanse(der, sizeof(der));
	return done;
}

static bool key_print(BIO *bio, const EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info;
	bool done;

	if (p256_is(key))
		return p256_print(bio, key);
	info = EVP_PKEY2PKCS8(key);
	done = info != NULL &&
	       PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info) == 1;
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes too */
	return done;
}

/* BIO_free wipes a memory BIO, and growing it wipes the old bytes. */
bool pem_key_text(const EVP_PKEY *key, char **text, size_t *len, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str s = {NULL, 0};
	char *copy = NULL;

	if (bio != NULL && key_print(bio, key)) {
		s = bio_str(bio);
		copy = OPENSSL_strndup(s.p, s.n);
	}
	(void)BIO_free(bio);
	if (copy == NULL)
		return out_of_memory(e);
	*text = copy;
	*len = s.n;
	return true;
}

bool pem_key_save(const char *path, const EVP_PKEY *key, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	bool done;

	if (!pem_key_text(key, &text, &len, e))
		return false;
	done = pem_file_write(path, (struct str){text, len}, PEM_PRIVATE, e);
	OPENSSL_clear_free(text, len);
	return done;
}

bool pem_cert_text(X509 *cert, char **text, size_t *len, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str s = {NULL, 0};
	char *copy = NULL;

	if (bio != NULL && PEM_write_bio_X509(bio, cert) == 1) {
		s = bio_str(bio);
		copy = OPENSSL_strndup(s.p, s.n);
	}
	(void)BIO_free(bio);
	if (copy == NULL)
		return out_of_memory(e);
	*text = copy;
	*len = s.n;
	return true;
}

bool pem_cert_save(const char *path, X509 *cert, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	bool done;

	if (!pem_cert_text(cert, &text, &len, e))
		return false;
	done = pem_file_write(path, (struct str){text, len}, PEM_PUBLIC, e);
	OPENSSL_free(text);
	return done;
}

/* RFC 7468 §2: "-----BEGIN ", label, "-----"; lines of 64 characters, which
 * stand for 48 bytes. */
#define PEM_ROW 48

static char *put_text(char *at, struct str s)
{
	memcpy(at, s.p, s.n);
	return at + s.n;
}

static char *put_line(char *at, struct str what, struct str label)
{
	at = put_text(at, what);
	at = put_text(at, label);
	return put_text(at, STR("-----\n"));
}

size_t pem_text(
	const char *label, const unsigned char *der, size_t n, char *out)
{
	struct str name = {label, strnlen(label, PEM_LABEL_MAX)};
	char *at = put_line(out, STR("-----BEGIN "), name);

	for (size_t i = 0; i < n; i += PEM_ROW) {
		size_t row = n - i < PEM_ROW ? n - i : PEM_ROW;

		at += EVP_EncodeBlock((unsigned char *)at, der + i, (int)row);
		*at++ = '\n';
	}
	at = put_line(at, STR("-----END "), name);
	*at = '\0';
	return (size_t)(at - out);
}

bool pem_chain_save(const char *path, STACK_OF(X509) *chain, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool done = bio != NULL;

	for (int i = 0; done && i < sk_X509_num(chain); i++)
		done = PEM_write_bio_X509(bio, sk_X509_value(chain, i)) == 1;
	if (done)
		done = pem_file_write(path, bio_str(bio), PEM_PUBLIC, e);
	else
		(void)out_of_memory(e);
	(void)BIO_free(bio);
	return done;
}

bool pem_pair_save(const char *dir, const char *name, const EVP_PKEY *key,
	X509 *cert, struct err *e)
{
	char *key_path = path_join(dir, name, ".key");
	char *cert_path = path_join(dir, name, ".crt");
	bool done = false;

	if (key_path == NULL || cert_path == NULL)
		(void)out_of_memory(e);
	/* Looked at first, so that a key is not made durable for nothing. */
	else if (access(cert_path, F_OK) == 0)
		(void)file_taken(e, cert_path);
	else if (key == NULL || pem_key_save(key_path, key, e)) {
		done = pem_cert_save(cert_path, cert, e);
		if (!done && key != NULL)
			(void)unlink(key_path);
	}
	free(key_path);
	free(cert_path);
	return done;
}
