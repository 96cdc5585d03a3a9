#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# core, io and certs with each allocation failing in turn, under ASan and
# UBSan with the leak check. Of a scenario with more than WEIR_TORTURE_N
# allocations (500; 0: no limit) only as many, evenly spread.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure_asan
build build-asan torture

export UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
build-asan/bin/torture -n "${WEIR_TORTURE_N:-500}"
