/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/siphash.h"
#include "tests/support/guard.h"

/* Key 00 01 … 0f, texts 00 01 … of so many bytes. Source: the paper's appendix A
 * (15 bytes), and vectors.h of the authors' reference implementation. */
static void test_vectors(void **state)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} table[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{2, UINT64_C(0x0d6c8009d9a94f5a)},
		{7, UINT64_C(0xab0200f58b01d137)},
		{8, UINT64_C(0x93f5f5799a932462)},
		{15, UINT64_C(0xa129ca6149be45e5)},
	};
	const struct siphash_key key = {
		UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct siphash_key other = {key.k0, key.k1 ^ 1};
		struct str s = {text, table[i].n};

		assert_true(siphash(&key, s) == table[i].hash);
		assert_true(siphash(&other, s) != table[i].hash);
	}
}

/* No byte beyond the text is read, and each one counts. */
static void test_bounds(void **state)
{
	const struct siphash_key key = {1, 2};
	char text[40] = "";
	struct guard g;

	(void)state;
	guard_init(&g, sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		uint64_t hash =
			siphash(&key, guard_put(&g, (struct str){text, n}));

		for (size_t i = 0; i < n; i++) {
			text[i] = 1;
			assert_true(
				siphash(&key, (struct str){text, n}) != hash);
			text[i] = 0;
		}
	}
	guard_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
