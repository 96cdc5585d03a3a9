/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle of a page of metrics finds fault.
 */
#include "tests/support/prom_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_oracle(void **state)
{
	static const char *const bad[] = {
		"x 1\n",
		"# HELP a b\n",
		"# HELP a b\n# TYPE a gauge\na 1",
		"# HELP a b\n# TYPE a gauge\na 1\na 2\n",
		"# HELP a b\n# TYPE a gauge\n# HELP a b\n# TYPE a gauge\n",
		"# HELP a b\n# TYPE b gauge\na 1\n",
		"# HELP a b\n# TYPE a summary\na 1\n",
		"# HELP a b\n# TYPE a gauge\nb 1\n",
		"# HELP a b\n# TYPE a counter\na -1\n",
		"# HELP a b\n# TYPE a gauge\na 1.\n",
		"# HELP a b\n# TYPE a gauge\na  1\n",
		"# HELP a b\n# TYPE a gauge\na 1 \n",
		"# HELP a b\n# TYPE a gauge\na{} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\\\"\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"1\",} 1\n",
		"# HELP a b\n# TYPE a gauge\n\na 1\n",
	};
	const char *good = "# HELP a b\n# TYPE a gauge\na{x=\"1\"} -1.5\n";
	struct str where;

	(void)state;
	assert_null(prom_problem(str_from(good), &where));
	assert_null(prom_problem(STR(""), &where));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (prom_problem(str_from(bad[i]), &where) == NULL)
			fail_msg("taken for good: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
