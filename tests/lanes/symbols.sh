#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# core is pure, the plugin exports its three entry points, and no banned
# function is called.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release weir mosquitto_weir
tests/support/symbols.sh build
