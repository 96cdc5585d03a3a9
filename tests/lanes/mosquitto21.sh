#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The plugin built with the headers of Mosquitto 2.1, and unit and integration
# tests with that broker. WEIR_MOSQUITTO_PREFIX names the prefix it is installed
# under (include/, sbin/mosquitto); without it, the system's must be one.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

prefix=${WEIR_MOSQUITTO_PREFIX-}
broker=${prefix:+$prefix/sbin/}mosquitto
PATH=$PATH:/usr/sbin
said=$("$broker" -h 2>/dev/null | sed -n '1s/^mosquitto version //p') || true
if [ -z "$said" ] || [ "$(printf '%s\n' 2.1 "$said" | sort -V | head -n 1)" \
	!= 2.1 ]; then
	printf 'mosquitto21: %s is %s, not Mosquitto 2.1 or newer: install one,
and set WEIR_MOSQUITTO_PREFIX to its prefix (it has include/mosquitto.h and
sbin/mosquitto)\n' "$broker" "${said:-no broker}" >&2
	exit 1
fi
printf 'Mosquitto %s, %s\n' "$said" "$(command -v "$broker")"

configure build-21 -DCMAKE_BUILD_TYPE=Release "-DWEIR_MOSQUITTO_PREFIX=$prefix"
build build-21

status=0
run_ctest build-21 || status=1
run_pytest build-21 || status=1
exit "$status"
