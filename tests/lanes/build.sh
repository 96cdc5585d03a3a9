#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything compiles without a warning: gcc and clang, release flags.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release all
configure build-clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release
build build-clang
