#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The unit tests take at least 95 % of core's branches.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure build-coverage -DCMAKE_BUILD_TYPE=Debug -DWEIR_COVERAGE=ON
build build-coverage
find build-coverage -name '*.gcda' -delete
run_ctest build-coverage
gcovr --root . --object-directory build-coverage --filter 'core/' \
	--exclude-unreachable-branches --exclude-throw-branches \
	--branches --print-summary --fail-under-branch 95 build-coverage
