#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# cppcheck over every C file. Each suppression in cppcheck.supp has its
# reason; one that suppresses nothing fails the lane.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure_lint
mkdir -p build-lint/cppcheck
cppcheck --project=build-lint/compile_commands.json \
	--cppcheck-build-dir=build-lint/cppcheck -j "$jobs" --quiet \
	--std=c11 --enable=warning,performance,portability,information \
	--inline-suppr --suppressions-list=tests/support/cppcheck.supp \
	--error-exitcode=1 \
	--template='{file}:{line}:{column}: {severity}: {message} [{id}]'
