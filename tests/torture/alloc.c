/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/alloc.h"

#include "tests/support/check.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <string.h>

/* What the linker makes of malloc() and so on in Weir's objects. */
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);

static struct {
	enum alloc_failure how;
	bool counting, fired;
	uint64_t k, n;
	int64_t live;
} state;

static bool fails(void)
{
	bool hit;

	if (!state.counting)
		return false;
	state.n++;
	hit = (state.how == ALLOC_ONCE && state.n == state.k) ||
	      (state.how == ALLOC_ON && state.n >= state.k);
	if (hit) {
		state.fired = true;
		errno = ENOMEM;
	}
	return hit;
}

/* Counts the new block P. */
static void *got(void *p)
{
	if (p != NULL)
		state.live++;
	return p;
}

/* ----------------------------------------------------------- Weir's objects */

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : got(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : got(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q;

	if (fails())
		return NULL;
	q = __real_realloc(p, n);
	return p == NULL ? got(q) : q;
}

void __wrap_free(void *p)
{
	if (p != NULL)
		state.live--;
	__real_free(p);
}

char *__wrap_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = __wrap_malloc(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *__wrap_strdup(const char *s)
{
	return __wrap_strndup(s, strlen(s));
}

/* ------------------------------------------------------------------- SQLite */

static sqlite3_mem_methods sqlite_own;

static void *sqlite_malloc(int n)
{
	return fails() ? NULL : got(sqlite_own.xMalloc(n));
}

static void *sqlite_realloc(void *p, int n)
{
	return fails() ? NULL : sqlite_own.xRealloc(p, n);
}

static void sqlite_free(void *p)
{
	if (p != NULL)
		state.live--;
	sqlite_own.xFree(p);
}

static void install_sqlite(void)
{
	sqlite3_mem_methods ours;

	CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own) ==
		SQLITE_OK);
	ours = sqlite_own;
	ours.xMalloc = sqlite_malloc;
	ours.xRealloc = sqlite_realloc;
	ours.xFree = sqlite_free;
	CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK);
	/* What SQLite allocates once and for all, it has now. */
	CHECK(sqlite3_initialize() == SQLITE_OK);
}

/* ------------------------------------------------------------------ OpenSSL */

static void *openssl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : __real_malloc(n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : __real_realloc(p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	__real_free(p);
}

/* --------------------------------------------------------------- the switch */

void alloc_install(void)
{
	cJSON_Hooks hooks = {__wrap_malloc, __wrap_free};

	CHECK(CRYPTO_set_mem_functions(
		      openssl_malloc, openssl_realloc, openssl_free) == 1);
	install_sqlite();
	cJSON_InitHooks(&hooks);
}

void alloc_arm(enum alloc_failure how, uint64_t k)
{
	state.how = how;
	state.k = k;
	state.n = 0;
	state.fired = false;
	state.counting = true;
}

uint64_t alloc_disarm(void)
{
	state.counting = false;
	return state.n;
}

bool alloc_fired(void)
{
	return state.fired;
}

uint64_t alloc_count(void)
{
	return state.n;
}

int64_t alloc_live(void)
{
	return state.live;
}
