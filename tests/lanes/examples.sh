#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a stranger runs first: the quickstart, and the example policies'
# expected decisions.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release weir weir-feed mosquitto_weir
tests/support/golden.sh
examples/quickstart.sh --once
