/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its elements follow. */
struct json_block {
	struct json_block *next;
	_Alignas(max_align_t) char elements[];
};

/* ------------------------------------------------------------------ errors */

void json_reader_fail(struct json_reader *r, const char *fmt, ...)
{
	char message[ERR_MSG_MAX];
	struct err *e = errs_next(r->errs);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	(void)err_set(e, ERR_INPUT, "%s", message);
	(void)err_at(e, "%s", r->at.text);
}

static const char *type_name(const cJSON *value)
{
	if (cJSON_IsString(value))
		return "a string";
	if (cJSON_IsNumber(value))
		return "a number";
	if (cJSON_IsBool(value))
		return cJSON_IsTrue(value) ? "true" : "false";
	if (cJSON_IsArray(value))
		return "an array";
	return cJSON_IsObject(value) ? "an object" : "null";
}

void json_reader_wrong(
	struct json_reader *r, const char *wanted, const cJSON *value)
{
	json_reader_fail(r, "must be %s, not %s", wanted, type_name(value));
}

/* ------------------------------------------------------------------ memory */

void *json_reader_array(struct json_reader *r, size_t n, size_t size)
{
	struct json_block *block = NULL;

	if (n == 0)
		return NULL;
	if (n <= (SIZE_MAX - sizeof(*block)) / size)
		block = calloc(1, sizeof(*block) + n * size);
	if (block == NULL) {
		if (!r->no_memory)
			(void)err_set(errs_next(r->errs), ERR_ENVIRONMENT,
				"out of memory");
		r->no_memory = true;
		return NULL;
	}
	block->next = r->blocks;
	r->blocks = block;
	return block->elements;
}

void json_reader_fini(struct json_reader *r)
{
	while (r->blocks != NULL) {
		struct json_block *next = r->blocks->next;

		free(r->blocks);
		r->blocks = next;
	}
}

/* -------------------------------------------------------------------- keys */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance; B is at most JSON_READER_KEY_MAX bytes. */
static size_t distance(struct str a, struct str b)
{
	size_t row[JSON_READER_KEY_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = row[j];
			row[j] = least(replaced, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[b.n];
}

/* The accepted key that differs least from KEY, if it is like it at all. */
static const char *nearest(
	struct str key, const struct json_key *keys, size_t n_keys)
{
	const char *best = NULL;
	size_t best_d = key.n / 2 + 1; /* beyond it, not alike */

	if (key.n > JSON_READER_KEY_MAX)
		return NULL;
	for (size_t i = 0; i < n_keys; i++) {
		size_t d = distance(key, str_from(keys[i].key));

		if (keys[i].take != NULL && d < best_d) {
			best = keys[i].key;
			best_d = d;
		}
	}
	return best;
}

static void fail_unknown(struct json_reader *r, struct str key,
	const char *what, const struct json_key *keys, size_t n_keys)
{
	const char *like = nearest(key, keys, n_keys);
	char list[ERR_MSG_MAX / 2] = "";
	size_t used = 0;

	if (like != NULL) {
		json_reader_fail(r, "unknown key; did you mean \"%s\"?", like);
		return;
	}
	for (size_t i = 0; i < n_keys && used < sizeof(list); i++) {
		if (keys[i].take != NULL)
			used += (size_t)snprintf(list + used,
				sizeof(list) - used, "%s%s",
				used > 0 ? ", " : "", keys[i].key);
	}
	json_reader_fail(r, "unknown key; %s has: %s", what, list);
}

static const struct json_key *find_key(
	const char *key, const struct json_key *keys, size_t n_keys)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].key, key) == 0)
			return &keys[i];
	}
	return NULL;
}

/* ------------------------------------------------------------------ values */

void json_read_object(struct json_reader *r, const cJSON *value,
	const char *what, const struct json_key *keys, size_t n_keys,
	void *into)
{
	size_t up = r->at.n;
	const cJSON *member;

	if (!cJSON_IsObject(value)) {
		json_reader_wrong(r, "an object", value);
		return;
	}
	for (size_t i = 0; i < n_keys; i++) {
		if (keys[i].required && cJSON_GetObjectItemCaseSensitive(
						value, keys[i].key) == NULL)
			json_reader_fail(r, "\"%s\" is missing in %s",
				keys[i].key, what);
	}
	cJSON_ArrayForEach (member, value) {
		const struct json_key *k =
			find_key(member->string, keys, n_keys);

		json_path_key(&r->at, str_from(member->string), JSON_DECODED);
		if (k == NULL)
			fail_unknown(r, str_from(member->string), what, keys,
				n_keys);
		else if (k->take == NULL)
			json_reader_fail(r, "%s", k->why);
		else
			k->take(r, member, into);
		json_path_cut(&r->at, up);
	}
}

void json_read_number(struct json_reader *r, const cJSON *value, uint64_t min,
	uint64_t max, uint64_t *out)
{
	if (!cJSON_IsNumber(value))
		json_reader_fail(
			r, "must be a whole number, not %s", type_name(value));
	else if (value->valuedouble < (double)min ||
		 value->valuedouble > (double)max)
		json_reader_fail(r, "must be from %llu to %llu, not %.0f",
			(unsigned long long)min, (unsigned long long)max,
			value->valuedouble);
	else
		*out = (uint64_t)value->valuedouble;
}

void json_read_bool(struct json_reader *r, const cJSON *value, bool *out)
{
	if (!cJSON_IsBool(value))
		json_reader_wrong(r, "true or false", value);
	else
		*out = cJSON_IsTrue(value);
}

void json_read_string(
	struct json_reader *r, const cJSON *value, struct str *out)
{
	if (!cJSON_IsString(value))
		json_reader_wrong(r, "a string", value);
	else
		*out = str_from(value->valuestring);
}

void json_read_strings(struct json_reader *r, const cJSON *value,
	bool (*valid)(struct str s), const char *wanted, const struct str **out,
	size_t *n)
{
	size_t up = r->at.n, count, i = 0;
	const cJSON *element;
	struct str *list;

	if (!cJSON_IsArray(value)) {
		json_reader_wrong(r, "an array of strings", value);
		return;
	}
	count = (size_t)cJSON_GetArraySize(value);
	list = json_reader_array(r, count, sizeof(*list));
	if (list == NULL)
		return;
	cJSON_ArrayForEach (element, value) {
		json_path_index(&r->at, i);
		json_read_string(r, element, &list[i]);
		if (cJSON_IsString(element) && valid != NULL && !valid(list[i]))
			json_reader_fail(r, "%s", wanted);
		json_path_cut(&r->at, up);
		i++;
	}
	*out = list;
	*n = count;
}
