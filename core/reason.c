/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reason.h"

static const char *const reason_names[] = {
#define REASON_NAME(c, name, text) [REASON_##c] = #name,
	REASONS(REASON_NAME)
#undef REASON_NAME
};

static const char *const reason_texts[] = {
#define REASON_TEXT(c, name, text) [REASON_##c] = (text),
	REASONS(REASON_TEXT)
#undef REASON_TEXT
};

const char *reason_name(enum reason r)
{
	return reason_names[r < REASON_COUNT ? r : REASON_UNAVAILABLE];
}

const char *reason_text(enum reason r)
{
	return reason_texts[r < REASON_COUNT ? r : REASON_UNAVAILABLE];
}
