/* SPDX-License-Identifier: Apache-2.0 */
#include "io/attrs_json.h"

#include "core/utf8.h"
#include "io/json_scan.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* Attributes on their way in or out; names and values are borrowed. */
struct list {
	size_t n;
	struct attr a[DEVICE_ATTRS_MAX];
};

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

static bool name_ok(struct str name, struct err *e)
{
	/* Only what is safe on a terminal is repeated. */
	struct str shown = name.n <= 64 && utf8_valid(name) ? name : STR("?");

	if (attr_name_valid(name))
		return true;
	return err_set(e, ERR_INPUT,
		"attribute name '%.*s' is not valid: a letter, then up to %d "
		"letters, digits, '_' or '-'",
		STR_ARG(shown), ATTR_NAME_MAX - 1);
}

/* How many values NAME has. *twice: VALUE is one of them. */
static size_t list_values(
	const struct list *l, struct str name, struct str value, bool *twice)
{
	size_t n = 0;

	*twice = false;
	for (size_t i = 0; i < l->n; i++) {
		if (!str_eq(l->a[i].name, name))
			continue;
		n++;
		*twice = *twice || str_eq(l->a[i].value, value);
	}
	return n;
}

/* Adds NAME = VALUE behind the values NAME has. */
static bool list_add(
	struct list *l, struct str name, struct str value, struct err *e)
{
	const char *bad = NULL;
	bool twice;

	if (!name_ok(name, e))
		return false;
	if (!attr_value_valid(value))
		bad = "is not 1 to 128 bytes of UTF-8 without '/', '+', '#' "
		      "and control characters, not starting with '$'";
	else if (list_values(l, name, value, &twice) == ATTR_VALUES_MAX)
		bad = "is one too many: an attribute has at most 16";
	else if (twice)
		bad = "is there twice";
	else if (l->n == DEVICE_ATTRS_MAX)
		bad = "is one too many: a device has at most 64";
	if (bad != NULL)
		return err_set(e, ERR_INPUT, "a value of attribute '%.*s' %s",
			(int)name.n, name.p, bad);
	l->a[l->n++] = (struct attr){name, value};
	return true;
}

_Static_assert(ATTR_VALUE_MAX == 128 && ATTR_VALUES_MAX == 16 &&
		       DEVICE_ATTRS_MAX == 64,
	"the messages above state the limits");

/* By name; the order of one name's values is kept. */
static void list_sort(struct list *l)
{
	for (size_t i = 1; i < l->n; i++) {
		struct attr a = l->a[i];
		size_t j = i;

		for (; j > 0 && str_cmp(l->a[j - 1].name, a.name) > 0; j--)
			l->a[j] = l->a[j - 1];
		l->a[j] = a;
	}
}

static bool add_value(
	struct list *l, struct str name, const cJSON *v, struct err *e)
{
	if (!cJSON_IsString(v) || v->valuestring == NULL)
		return err_set(e, ERR_INPUT,
			"attribute '%.*s' is not a string or an array of "
			"strings",
			STR_ARG(name));
	return list_add(l, name, str_from(v->valuestring), e);
}

static bool add_member(struct list *l, const cJSON *m, struct err *e)
{
	struct str name = str_from(m->string);
	const cJSON *v;

	if (!name_ok(name, e))
		return false;
	if (!cJSON_IsArray(m))
		return add_value(l, name, m, e);
	if (m->child == NULL)
		return err_set(e, ERR_INPUT, "attribute '%.*s' has no value",
			STR_ARG(name));
	cJSON_ArrayForEach (v, m) {
		if (!add_value(l, name, v, e))
			return false;
	}
	return true;
}

static bool collect(struct list *l, const cJSON *root, struct err *e)
{
	const cJSON *m;

	if (!cJSON_IsObject(root))
		return err_set(
			e, ERR_INPUT, "the attributes are not a JSON object");
	cJSON_ArrayForEach (m, root) {
		if (!add_member(l, m, e))
			return false;
	}
	list_sort(l);
	return true;
}

/* The list on the heap: one block of structs, one of bytes. */
static bool list_copy(
	const struct list *l, struct attr **attrs, char **bytes, struct err *e)
{
	size_t len = 0;
	struct attr *a;
	char *b, *p;

	for (size_t i = 0; i < l->n; i++)
		len += l->a[i].name.n + l->a[i].value.n;
	a = calloc(l->n, sizeof(*a));
	b = malloc(len);
	if (a == NULL || b == NULL) {
		free(a);
		free(b);
		return no_memory(e);
	}
	p = b;
	for (size_t i = 0; i < l->n; i++) {
		struct str name = l->a[i].name, value = l->a[i].value;

		memcpy(p, name.p, name.n);
		memcpy(p + name.n, value.p, value.n);
		a[i].name = (struct str){p, name.n};
		a[i].value = (struct str){p + name.n, value.n};
		p += name.n + value.n;
	}
	*attrs = a;
	*bytes = b;
	return true;
}

/* What L holds, given to the caller of a function of the header. */
static bool list_give(const struct list *l, struct attr **attrs, uint16_t *n,
	char **bytes, struct err *e)
{
	struct attr *a = NULL;
	char *b = NULL;

	if (l->n != 0 && !list_copy(l, &a, &b, e))
		return false;
	*attrs = a;
	*bytes = b;
	*n = (uint16_t)l->n;
	return true;
}

bool attrs_json_read(const struct cJSON *root, struct attr **attrs, uint16_t *n,
	char **bytes, struct err *e)
{
	struct list l = {.n = 0};

	return collect(&l, root, e) && list_give(&l, attrs, n, bytes, e);
}

bool attrs_json_parse(struct str text, struct attr **attrs, uint16_t *n,
	char **bytes, struct err *e)
{
	cJSON *root;
	bool ok;

	if (!json_scan(text, ATTRS_JSON_MAX, e))
		return false;
	root = cJSON_ParseWithLength(text.p, text.n);
	if (root == NULL) /* of a text that was just found valid */
		return no_memory(e);
	ok = attrs_json_read(root, attrs, n, bytes, e);
	cJSON_Delete(root);
	return ok;
}

bool attrs_make(const struct attr *in, size_t n_in, struct attr **attrs,
	uint16_t *n, char **bytes, struct err *e)
{
	struct list l = {.n = 0};

	for (size_t i = 0; i < n_in; i++) {
		if (!list_add(&l, in[i].name, in[i].value, e))
			return false;
	}
	list_sort(&l);
	return list_give(&l, attrs, n, bytes, e);
}

static cJSON *new_string(struct str s)
{
	char text[ATTR_VALUE_MAX + 1];

	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return cJSON_CreateString(text);
}

/* The N values of one attribute: a string, or an array of them. */
static cJSON *new_values(const struct attr *a, size_t n)
{
	cJSON *array;

	if (n == 1)
		return new_string(a->value);
	array = cJSON_CreateArray();
	for (size_t i = 0; array != NULL && i < n; i++) {
		cJSON *v = new_string(a[i].value);

		if (v == NULL || !cJSON_AddItemToArray(array, v)) {
			cJSON_Delete(v);
			cJSON_Delete(array);
			return NULL;
		}
	}
	return array;
}

/* Adds the attribute that starts at A, of at most MAX values; returns how
 * many it took, 0 when memory ran out. */
static size_t add_attribute(cJSON *root, const struct attr *a, size_t max)
{
	char name[ATTR_NAME_MAX + 1];
	size_t n = 1;
	cJSON *v;

	while (n < max && str_eq(a[n].name, a->name))
		n++;
	memcpy(name, a->name.p, a->name.n);
	name[a->name.n] = '\0';
	v = new_values(a, n);
	if (v == NULL || !cJSON_AddItemToObject(root, name, v)) {
		cJSON_Delete(v);
		return 0;
	}
	return n;
}

bool attrs_json_format(
	const struct attr *attrs, size_t n, char **out, struct err *e)
{
	struct list l = {0};
	cJSON *root;
	char *text = NULL;
	size_t done = 0, took = 1;

	for (size_t i = 0; i < n; i++) {
		if (!list_add(&l, attrs[i].name, attrs[i].value, e))
			return false;
	}
	if (n == 0) { /* most have none */
		*out = strdup("{}");
		return *out != NULL || no_memory(e);
	}
	list_sort(&l);
	root = cJSON_CreateObject();
	while (root != NULL && done < l.n && took != 0) {
		took = add_attribute(root, l.a + done, l.n - done);
		done += took;
	}
	if (root != NULL && done == l.n)
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (text == NULL)
		return no_memory(e);
	*out = text; /* cJSON allocates with malloc unless hooks are set */
	return true;
}
