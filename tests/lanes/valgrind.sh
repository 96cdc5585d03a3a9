#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The unit tests under valgrind's memcheck: reads of uninitialised memory,
# which the sanitizers of the other lanes do not see. Slow, so not in the
# default.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure build-valgrind -DCMAKE_BUILD_TYPE=Debug
build build-valgrind

status=0
n_failed=0 n=0
for test in build-valgrind/bin/test_*; do
	name=${test##*/test_}
	# Two schedulers at once: threads in valgrind take turns, so that the
	# readers of this one starve. tsan has it.
	[ "$name" != meter_threads ] || continue
	n=$((n + 1))
	echo "memcheck $name"
	valgrind --quiet --error-exitcode=99 --leak-check=full \
		--errors-for-leak-kinds=definite --trace-children=no \
		"$test" || {
		n_failed=$((n_failed + 1))
		status=1
	}
done
printf '%s%% tests passed, %s tests failed out of %s\n' \
	$(((n - n_failed) * 100 / n)) "$n_failed" "$n"
exit "$status"
