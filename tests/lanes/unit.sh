#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ctest: unit tests, property tests, and the fuzz corpus replayed.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release all
run_ctest build
