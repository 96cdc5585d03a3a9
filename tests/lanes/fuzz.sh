#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each fuzz target for WEIR_FUZZ_S seconds (20), from its committed corpus.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

seconds=${WEIR_FUZZ_S:-20}
configure build-fuzz -DCMAKE_C_COMPILER=clang -DWEIR_FUZZ=ON \
	-DCMAKE_BUILD_TYPE=RelWithDebInfo
build build-fuzz

mapfile -t targets < <(find build-fuzz -name 'fuzz_*' -type f -executable |
	sort)
if [ "${#targets[@]}" -eq 0 ]; then
	echo 'no fuzz target was built'
	exit 1
fi
status=0
for target in "${targets[@]}"; do
	name=${target##*/}
	name=${name#fuzz_}
	found=build-fuzz/corpus/$name
	mkdir -p "$found" build-fuzz/crashes
	# What a run finds stays in the build tree; what is worth keeping is
	# committed by hand.
	corpus=("$found")
	[ ! -d "tests/fuzz/corpus/$name" ] || corpus+=("tests/fuzz/corpus/$name")
	options=()
	[ ! -f "tests/fuzz/$name.dict" ] ||
		options+=("-dict=tests/fuzz/$name.dict")
	echo "fuzz $name: $seconds s"
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 "${options[@]}" \
		-artifact_prefix="build-fuzz/crashes/$name-" \
		"${corpus[@]}" || status=1
done
exit "$status"
