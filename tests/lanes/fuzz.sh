#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each fuzz target for WEIR_FUZZ_S seconds (20), from its committed corpus,
# WEIR_FUZZ_JOBS of them at once (one a processor).
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

seconds=${WEIR_FUZZ_S:-20}
at_once=${WEIR_FUZZ_JOBS:-$jobs}
configure build-fuzz -DCMAKE_C_COMPILER=clang -DWEIR_FUZZ=ON \
	-DCMAKE_BUILD_TYPE=RelWithDebInfo
build build-fuzz

mapfile -t targets < <(find build-fuzz -name 'fuzz_*' -type f -executable |
	sort)
if [ "${#targets[@]}" -eq 0 ]; then
	echo 'no fuzz target was built'
	exit 1
fi
# One target, its output in a log of its own: several run at once.
fuzz() { # TARGET NAME
	local target=$1 name=$2 found=build-fuzz/corpus/$2 corpus options=()

	mkdir -p "$found"
	# What a run finds stays in the build tree; what is worth keeping is
	# committed by hand.
	corpus=("$found")
	[ ! -d "tests/fuzz/corpus/$name" ] || corpus+=("tests/fuzz/corpus/$name")
	[ ! -f "tests/fuzz/$name.dict" ] ||
		options+=("-dict=tests/fuzz/$name.dict")
	echo "fuzz $name: $seconds s, $at_once targets at once"
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 "${options[@]}" \
		-artifact_prefix="build-fuzz/crashes/$name-" \
		"${corpus[@]}" 2>&1
}

status=0
mkdir -p build-fuzz/crashes build-fuzz/logs
for ((i = 0; i < ${#targets[@]}; i += at_once)); do
	running=()
	for target in "${targets[@]:i:at_once}"; do
		name=${target##*/fuzz_}
		fuzz "$target" "$name" >"build-fuzz/logs/$name.log" &
		running+=("$!:$name")
	done
	for one in "${running[@]}"; do
		wait "${one%%:*}" || status=1
		cat "build-fuzz/logs/${one#*:}.log"
	done
done
exit "$status"
