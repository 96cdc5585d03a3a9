#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# derive_conf.sh 'DIRECTIVE VALUE'… <mosquitto.conf >derived.conf
#
# Replaces the value of each named directive of a mosquitto.conf, so that the
# quickstart and the tests run the shipped file with a port and paths of
# their own. A directive that does not stand there exactly once is an error:
# the shipped file and its users cannot drift apart unnoticed.
set -euo pipefail

conf=$(cat)
for pair in "$@"; do
	name=${pair%% *}
	value=${pair#* }
	n=$(grep -c "^$name " <<<"$conf" || true)
	if [ "$n" -ne 1 ] || [ "$name" = "$pair" ]; then
		printf 'derive_conf.sh: %s: stands %s times, not once\n' \
			"$name" "$n" >&2
		exit 2
	fi
	conf=$(NAME=$name VALUE=$value awk '
		index($0, ENVIRON["NAME"] " ") == 1 {
			print ENVIRON["NAME"] " " ENVIRON["VALUE"]
			next
		}
		{ print }' <<<"$conf")
done
printf '%s\n' "$conf"
