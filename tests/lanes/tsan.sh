#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The meter under ThreadSanitizer: it is the one thing that several threads of
# control share (the plugin writes, commands read, by mapping one file).
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure build-tsan -DCMAKE_C_COMPILER=clang \
	-DCMAKE_BUILD_TYPE=RelWithDebInfo -DWEIR_SANITIZE=thread
build build-tsan test_meter test_meter_threads test_event test_meter_slot \
	test_meter_total

export TSAN_OPTIONS=halt_on_error=1
run_ctest build-tsan -R '^unit\.(event|meter|meter_(slot|threads|total))$'
