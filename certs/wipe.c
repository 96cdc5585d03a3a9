/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

static void *get(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n != 0 ? malloc(n) : NULL;
}

static void release(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p != NULL)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

/* Always moves: realloc() would leave the old bytes where it moves from. */
static void *resize(void *p, size_t n, const char *file, int line)
{
	void *q;
	size_t old;

	if (p == NULL)
		return get(n, file, line);
	if (n == 0) {
		release(p, file, line);
		return NULL;
	}
	q = malloc(n);
	if (q == NULL)
		return NULL;
	old = malloc_usable_size(p);
	memcpy(q, p, old < n ? old : n);
	release(p, file, line);
	return q;
}

void wipe_install(void)
{
	(void)CRYPTO_set_mem_functions(get, resize, release);
}
