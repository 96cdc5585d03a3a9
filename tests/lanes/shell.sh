#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every script is clean under shellcheck.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

sources '*.sh' '.ci/run' | xargs shellcheck -x
