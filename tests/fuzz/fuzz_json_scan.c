/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan() against an independent grammar and against cJSON.
 */
#include "tests/support/json_oracle.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};

	if (size <= JSON_ORACLE_MAX)
		(void)json_oracle_check(text);
	return 0;
}
