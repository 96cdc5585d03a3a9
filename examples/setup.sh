#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh WEIR FOLDER: the registry of the example in FOLDER, in $WEIR_STATE,
# made with the weir command at WEIR: its policy.json, and the devices of its
# devices.csv. Certificates are not needed to ask what a device may do.
set -euo pipefail

weir=$1 folder=$2

"$weir" init ${WEIR_BROKER_USER:+--broker-user "$WEIR_BROKER_USER"}
"$weir" policy apply "$folder/policy.json" --yes

# Each line is a device; the first names the columns, where attr.NAME may come
# several times. No field has a comma in it.
{
	IFS=, read -r -a columns
	while IFS=, read -r -a values; do
		options=() status=
		for i in "${!columns[@]}"; do
			value=${values[i]-}
			case ${columns[i]} in
			id) id=$value ;;
			status) status=$value ;;
			attr.*) [ -z "$value" ] ||
				options+=(--attr "${columns[i]#attr.}=$value") ;;
			*) [ -z "$value" ] ||
				options+=("--${columns[i]}" "$value") ;;
			esac
		done
		"$weir" device add "$id" "${options[@]}"
		[ "$status" != quarantined ] || "$weir" quarantine "$id"
	done
} <"$folder/devices.csv"
