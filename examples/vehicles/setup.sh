#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh WEIR: this example's registry, in $WEIR_STATE.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../setup.sh" "$1" "$here"
