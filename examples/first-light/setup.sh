#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh WEIR: the example's registry, in $WEIR_STATE, made with the weir
# command at WEIR. Certificates are not needed to ask what a device may do;
# the quickstart issues them.
set -euo pipefail

weir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$weir" init ${WEIR_BROKER_USER:+--broker-user "$WEIR_BROKER_USER"}
"$weir" policy apply "$here/policy.json" --yes

"$weir" device add till-7 --class payment-terminal \
	--iccid 8944010000000000017 --imei 356638061234511
"$weir" device add till-8 --class payment-terminal \
	--iccid 8944010000000000025 --imei 356638061234529
"$weir" device add meter-12 --class meter \
	--iccid 8944010000000000033 --attr zone=north
"$weir" device add meter-13 --class meter \
	--iccid 8944010000000000041
"$weir" device add ledger --class backend
