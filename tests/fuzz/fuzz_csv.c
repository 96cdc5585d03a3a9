/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of CSV. Oracle: what a text is split into, written again, is split
 * into the same; the length does not depend on what follows the record; what
 * is refused is said.
 */
#include "core/csv.h"
#include "tests/support/check.h"

#include <stdint.h>

#define FIELDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(const char *p, size_t n)
{
	char *copy = malloc(n + 1);

	CHECK(copy != NULL);
	memcpy(copy, p, n);
	return copy;
}

/* FIELDS as one record, with a line end. */
static char *written(const struct str *f, size_t n, size_t *len)
{
	size_t room = n + 1, at = 0;
	char *out;

	for (size_t i = 0; i < n; i++)
		room += CSV_FIELD_MAX(f[i].n);
	out = malloc(room);
	CHECK(out != NULL);
	for (size_t i = 0; i < n; i++) {
		at += csv_field(f[i], out + at);
		out[at++] = i + 1 < n ? ',' : '\n';
	}
	CHECK(at <= room);
	*len = at;
	return out;
}

static void check_same(const struct str *f, size_t n)
{
	struct str again[FIELDS];
	size_t len, n_again = 0, measured = 0;
	char *text = written(f, n, &len);

	CHECK(csv_record((struct str){text, len}, false, &measured, NULL) ==
		CSV_RECORD);
	CHECK(measured == len);
	CHECK(csv_split(text, len, again, FIELDS, &n_again, NULL));
	CHECK(n_again == n);
	for (size_t i = 0; i < n; i++)
		CHECK(str_eq(f[i], again[i]));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size}, f[FIELDS];
	size_t len = size + 7, n = 0, shorter = 0;
	struct err e = {0};
	char *record;

	if (csv_record(text, true, &len, &e) != CSV_RECORD) {
		CHECK(check_report(&e) && e.code == ERR_INPUT);
		CHECK(len == size + 7);
		return 0;
	}
	CHECK(len <= size);
	if (len < size || (size != 0 && data[size - 1] == '\n')) {
		CHECK(csv_record((struct str){text.p, len}, false, &shorter,
			      NULL) == CSV_RECORD);
		CHECK(shorter == len);
	}
	record = copy_of(text.p, len);
	if (csv_split(record, len, f, FIELDS, &n, &e)) {
		CHECK(n >= 1 && n <= FIELDS);
		check_same(f, n);
	} else {
		CHECK(check_report(&e) && n == 0);
	}
	free(record);
	return 0;
}
