#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The units of broker-conf/ under a real systemd: a Debian 12 of its own, booted in
# a container without network by systemd-nspawn, and set up by the commands of
# docs/OPERATIONS.md. Needs root, on a machine (not in a container that may not
# mount), and Debian's mirror (WEIR_DEBIAN_MIRROR) for the first run, which keeps
# what it got in build-systemd/.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

tests/support/install.sh systemd
build_release weir weir-feed mosquitto_weir
run_pytest build tests/systemd
