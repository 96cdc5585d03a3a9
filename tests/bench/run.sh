#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Instructions per decision and per ACL callback, counted by callgrind in
# build/ (Release), against the ceilings of core/decide.h and plugin/access.h;
# what a connect asks of the registry; and what weir-feed does each second.
# Instruction counts repeat from run to run, whatever else the machine does.
set -euo pipefail
cd "$(dirname "$0")/../.."

calls=10000
status=0

# count FUNCTION PROGRAM ARGUMENT…: instructions per call of FUNCTION
count() {
	local out function=$1 program=$2

	shift 2
	out=$(valgrind --tool=callgrind --toggle-collect="$function" \
		--callgrind-out-file=/dev/null "build/bin/$program" "$@" 2>&1) || {
		printf 'bench: %s failed:\n%s\n' "$program" "$out" >&2
		return 1
	}
	printf '%s\n' "$out" |
		awk -v calls="$calls" '/Collected/ { print int($4 / calls) }'
}

# hold VALUE CEILING: marks a value above its ceiling
hold() {
	if [ "$1" -gt "$2" ]; then
		status=1
		printf '%s > %s!' "$1" "$2"
	else
		printf '%s' "$1"
	fi
}

printf 'instructions to allow one publish (topic of 3 levels, 24 bytes)\n'
printf '%8s %18s %42s\n' rules 'decide() <= 200' 'ACL callback asked the same again <= 190'
for rules in 1 8 50 1000; do
	decide=$(count decide bench_decide "$rules" "$calls")
	access=$(count access_check bench_access "$rules" "$calls")
	printf '%8s %18s %42s\n' "$rules" "$(hold "$decide" 200)" \
		"$(hold "$access" 190)"
	[ "$decide" -le 200 ] && [ "$access" -le 190 ] || status=1
done

# The time a million of them take is million.py's; this is what must not creep.
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
build/bin/weir --state "$state" init --broker-user "$(id -un)" >/dev/null
build/bin/weir --state "$state" device add first --class device \
	>/dev/null 2>&1
look_up=$(count look_up bench_million "$state" 1001)
printf '\ninstructions of a connect'"'"'s look-ups in the registry: %s\n' \
	"$(hold "$look_up" 60000)"
[ "$look_up" -le 60000 ] || status=1

# feed WHAT FUNCTION DIVISOR: instructions of weir-feed's work, by DIVISOR
feed() {
	rm -rf "$state/meter"
	mkdir "$state/meter"
	echo $(($(calls=10 count "$2" bench_feed "$state" "$1" 10) / $3))
}

printf '\ninstructions of weir-feed\n'
while read -r what function divisor ceiling text; do
	n=$(feed "$what" "$function" "$divisor")
	printf '%-58s %s\n' "$text" "$(hold "$n" "$ceiling")"
	[ "$n" -le "$ceiling" ] || status=1
done <<'END'
look watched 16384 250 to look at a device that has changed, each second
mark watched 16384 450 to look at it where a minute begins
find found 16384 650 to find who is unlike its class, each minute
page paged 1 4700000 for a page of metrics, 20 classes and 20 devices
END
exit "$status"
