/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/class_text.h"

#include <inttypes.h>
#include <string.h>

const char *mode_text(bool observe)
{
	return observe ? "observe" : "enforce";
}

const char *fallback_text(enum fallback f)
{
	return f == FALLBACK_ALLOW ? "allow" : "broker";
}

bool mode_find(const char *name, bool *out)
{
	bool observe = strcmp(name, mode_text(true)) == 0;

	if (!observe && strcmp(name, mode_text(false)) != 0)
		return false;
	*out = observe;
	return true;
}

void class_limits_each(const struct policy_class *c,
	void (*each)(void *ctx, enum limit limit, uint64_t max), void *ctx)
{
	const struct limits *l = c != NULL ? policy_class_limits(c) : NULL;

	for (int i = 0; l != NULL && i < LIMITS; i++) {
		if (l->max[i] != 0)
			each(ctx, (enum limit)i, l->max[i]);
	}
}

/* Key and number: 16 and 20 bytes at most, so all fit. */
static void append(void *ctx, enum limit limit, uint64_t max)
{
	char *out = ctx;
	size_t at = strlen(out);

	(void)snprintf(out + at, CLASS_LIMITS_TEXT - at, "%s%s %" PRIu64,
		at != 0 ? ", " : "", limit_key(limit), max);
}

void class_limits_text(
	const struct policy_class *c, char out[static CLASS_LIMITS_TEXT])
{
	out[0] = '\0';
	class_limits_each(c, append, out);
}

static void add(void *ctx, enum limit limit, uint64_t max)
{
	json_int(ctx, limit_key(limit), (int64_t)max);
}

void class_limits_json(cJSON *o, const struct policy_class *c)
{
	class_limits_each(c, add, json_object(o, "limits"));
}
