#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Instructions a decision costs, counted by callgrind, against their ceilings.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release all
tests/bench/run.sh
