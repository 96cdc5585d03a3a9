#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Includes point inwards, and every header compiles alone.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

sources '*.c' '*.h' | "$python" -B tests/support/layering.py
