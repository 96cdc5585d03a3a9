/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/cursor.h"

#include <string.h>

#define CHECK 4u /* bytes of the checksum, behind the place */

_Static_assert(((CURSOR_MAX + CHECK) * 4 + 2) / 3 + 1 <= CURSOR_TEXT, "fits");

/* FNV-1a. */
static uint32_t hash(uint32_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT32_C(16777619);
	return h;
}

#define HASH_BEGIN UINT32_C(2166136261)

static uint32_t hash_str(uint32_t h, struct str s)
{
	/* With its end: "a=bc" is not "ab=c". */
	return hash(hash(h, s.n != 0 ? s.p : "", s.n), "", 1);
}

uint32_t cursor_bind(const struct ask *q)
{
	uint32_t sum = hash_str(HASH_BEGIN, q->path);

	for (size_t i = 0; i < q->n_args; i++) {
		const struct ask_arg *a = &q->arg[i];

		if (!str_eq(a->name, STR("cursor")) &&
			!str_eq(a->name, STR("limit")))
			sum += hash_str(
				hash_str(HASH_BEGIN, a->name), a->value);
	}
	return sum;
}

static void checksum(
	uint32_t bind, const uint8_t *p, size_t n, uint8_t out[static CHECK])
{
	const uint8_t b[4] = {(uint8_t)(bind >> 24), (uint8_t)(bind >> 16),
		(uint8_t)(bind >> 8), (uint8_t)bind};
	uint32_t h = hash(hash(HASH_BEGIN, b, sizeof(b)), p, n);

	for (size_t i = 0; i < CHECK; i++)
		out[i] = (uint8_t)(h >> (24 - 8 * i));
}

/* -------------------------------------------------------------------- text */

/* Source: RFC 4648 §5. */
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_";

void cursor_format(
	uint32_t bind, const uint8_t *p, size_t n, char out[static CURSOR_TEXT])
{
	uint8_t all[CURSOR_MAX + CHECK];
	unsigned bits = 0, have = 0;
	size_t at = 0;

	if (n > CURSOR_MAX)
		n = CURSOR_MAX;
	memcpy(all, p, n);
	checksum(bind, p, n, all + n);
	for (size_t i = 0; i < n + CHECK; i++) {
		bits = (bits << 8 | all[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			out[at++] = base64url[bits >> (have - 6) & 63];
	}
	if (have != 0)
		out[at++] = base64url[bits << (6 - have) & 63];
	out[at] = '\0';
}

/* TEXT's bytes into OUT; false when it is no base64url, or not as it would be
 * written: each place has one text. */
static bool decode(
	struct str text, uint8_t out[static CURSOR_MAX + CHECK], size_t *n)
{
	unsigned bits = 0, have = 0;

	*n = 0;
	if (text.n >= CURSOR_TEXT || text.n % 4 == 1)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char *at =
			memchr(base64url, text.p[i], sizeof(base64url) - 1);

		if (at == NULL)
			return false;
		bits = (bits << 6 | (unsigned)(at - base64url)) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (*n == CURSOR_MAX + CHECK)
			return false;
		out[(*n)++] = (uint8_t)(bits >> have & 255);
	}
	return (bits & ((1U << have) - 1)) == 0 && *n >= CHECK;
}

bool cursor_parse(struct str text, uint32_t bind,
	uint8_t out[static CURSOR_MAX], size_t *n, struct err *e)
{
	uint8_t all[CURSOR_MAX + CHECK], check[CHECK];
	size_t len;

	if (decode(text, all, &len)) {
		checksum(bind, all, len - CHECK, check);
		if (memcmp(check, all + len - CHECK, CHECK) == 0) {
			*n = len - CHECK;
			memcpy(out, all, *n);
			return true;
		}
	}
	(void)err_set(e, ERR_INPUT,
		"this is no cursor of this list; give back, unchanged, what an "
		"answer to the same path and arguments (limit aside) gave, or "
		"leave it out to begin anew");
	return err_at(e, "cursor");
}

void cursor_put(uint64_t n, uint8_t out[static 8])
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (uint8_t)(n >> (56 - 8 * i));
}

uint64_t cursor_take(const uint8_t p[static 8])
{
	uint64_t n = 0;

	for (size_t i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}
