#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# clang-format leaves every C file as it is.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

sources '*.c' '*.h' | xargs clang-format --dry-run -Werror
