/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's attributes as text. Oracle: what is accepted keeps the rules of
 * core/device.h and comes back equal from its one printed form; what is
 * refused is said, and touches nothing.
 */
#include "io/attrs_json.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct list {
	struct attr *attrs;
	char *bytes;
	uint16_t n;
};

static void list_free(struct list *l)
{
	free(l->attrs);
	free(l->bytes);
}

static void check_rules(const struct list *l)
{
	size_t same = 1;

	CHECK(l->n <= DEVICE_ATTRS_MAX);
	CHECK(l->n != 0 || (l->attrs == NULL && l->bytes == NULL));
	if (l->attrs == NULL) {
		CHECK(l->n == 0);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		CHECK(attr_name_valid(l->attrs[i].name));
		CHECK(attr_value_valid(l->attrs[i].value));
		if (i == 0)
			continue;
		CHECK(str_cmp(l->attrs[i - 1].name, l->attrs[i].name) <= 0);
		same = str_eq(l->attrs[i - 1].name, l->attrs[i].name) ? same + 1
								      : 1;
		CHECK(same <= ATTR_VALUES_MAX);
		for (size_t k = 1; k < same; k++)
			CHECK(!str_eq(
				l->attrs[i - k].value, l->attrs[i].value));
	}
}

static void check_equal(const struct list *a, const struct list *b)
{
	CHECK(a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		CHECK(str_eq(a->attrs[i].name, b->attrs[i].name));
		CHECK(str_eq(a->attrs[i].value, b->attrs[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct list first = {NULL, NULL, 7}, again = {NULL, NULL, 0};
	char *printed = NULL, *once_more = NULL;
	struct err e = {0};

	if (!attrs_json_parse(text, &first.attrs, &first.n, &first.bytes, &e)) {
		CHECK(check_report(&e) && e.code == ERR_INPUT);
		CHECK(first.attrs == NULL && first.bytes == NULL &&
			first.n == 7);
		return 0;
	}
	check_rules(&first);
	CHECK(attrs_json_format(first.attrs, first.n, &printed, &e));
	CHECK(attrs_json_parse(
		str_from(printed), &again.attrs, &again.n, &again.bytes, &e));
	check_equal(&first, &again);
	CHECK(attrs_json_format(again.attrs, again.n, &once_more, &e));
	CHECK(strcmp(printed, once_more) == 0);
	free(printed);
	free(once_more);
	list_free(&first);
	list_free(&again);
	return 0;
}
