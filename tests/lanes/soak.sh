#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# For a night: fuzz each target for ten minutes, then the integration tests
# ten times over: a test that fails once is a bug.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

WEIR_FUZZ_S=${WEIR_FUZZ_S:-600} tests/lanes/fuzz.sh
build_release weir mosquitto_weir
for ((i = 1; i <= 10; i++)); do
	echo "integration tests, round $i of 10"
	run_pytest build
done
