#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pytest against a real mosquitto that runs as the user mosquitto.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_release weir weir-feed mosquitto_weir slow_clock
# Files side by side, one more than there are processors: much of it is waiting.
run_pytest build -n "$((jobs + 1))" --dist loadfile tests/integration
