#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/run.sh [-v] [LANE…]
#
# The one test command, for people and for CI. Without a lane: all but
# soak, which takes hours, valgrind, which is slow, mosquitto21, which needs
# another broker than Debian 12's, and systemd, which boots a machine of its own. A lane is tests/lanes/LANE.sh; its output
# goes to a log in build-logs/, or with -v to the terminal too.
#
# Ends with `N passed, M failed`: the tests that ctest and pytest ran, and one
# for each lane that is a single check. Exit status: 0 all passed, 1 not,
# 2 usage, 3 a package is missing and cannot be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=(format shell layering build symbols unit examples integration asan
	tsan torture tidy cppcheck fuzz coverage bench)
rest='valgrind soak mosquitto21 systemd'

verbose=
lanes=()
for arg in "$@"; do
	case "$arg" in
	-v) verbose=1 ;;
	-h | --help)
		sed -n '4,/^$/{/^#/s/^# \{0,1\}//p}' "$0"
		printf 'lanes: %s %s\n' "${all[*]}" "$rest"
		exit 0
		;;
	*)
		if [[ ! $arg =~ ^[a-z0-9]+$ ]] || [ ! -f "tests/lanes/$arg.sh" ]; then
			printf 'tests/run.sh: no lane %s; lanes: %s %s\n' \
				"$arg" "${all[*]}" "$rest" >&2
			exit 2
		fi
		lanes+=("$arg")
		;;
	esac
done
[ "${#lanes[@]}" -gt 0 ] || lanes=("${all[@]}")

tests/support/install.sh tests
mkdir -p build-logs

# The closing lines of ctest and pytest in LOG.
closing() {
	grep -E '^[0-9]+% tests passed,|^=+ .*(passed|failed|error).* in [0-9.]+s' \
		"$1" || true
}

# Adds up the tests those lines count: sets n_passed and n_failed.
count() {
	local line

	n_passed=0 n_failed=0
	while IFS= read -r line; do
		if [[ $line =~ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
			n_failed=$((n_failed + BASH_REMATCH[1]))
			n_passed=$((n_passed + BASH_REMATCH[2] - BASH_REMATCH[1]))
			continue
		fi
		[[ ! $line =~ ([0-9]+)\ passed ]] ||
			n_passed=$((n_passed + BASH_REMATCH[1]))
		[[ ! $line =~ ([0-9]+)\ failed ]] ||
			n_failed=$((n_failed + BASH_REMATCH[1]))
		[[ ! $line =~ ([0-9]+)\ error ]] ||
			n_failed=$((n_failed + BASH_REMATCH[1]))
	done < <(closing "$1")
}

run_lane() { # LANE LOG
	if [ -n "$verbose" ]; then
		"tests/lanes/$1.sh" 2>&1 | tee "$2"
	else
		"tests/lanes/$1.sh" >"$2" 2>&1
	fi
}

passed=0 failed=0 failed_lanes=()
begin=$SECONDS
for lane in "${lanes[@]}"; do
	log=build-logs/$lane.log
	lane_begin=$SECONDS
	status=0
	run_lane "$lane" "$log" || status=$?
	took=$((SECONDS - lane_begin))
	count "$log"
	if [ "$status" -eq 0 ] && [ "$n_failed" -eq 0 ]; then
		[ "$n_passed" -gt 0 ] || n_passed=1
		closing "$log"
		printf 'lane %s: ok (%s s)\n' "$lane" "$took"
	else
		[ "$n_failed" -gt 0 ] || n_failed=1
		failed_lanes+=("$lane")
		[ -n "$verbose" ] || tail -n 60 "$log" | sed 's/^/    /'
		closing "$log"
		printf 'lane %s: FAILED (%s s), log: %s\n' \
			"$lane" "$took" "$log"
	fi
	passed=$((passed + n_passed))
	failed=$((failed + n_failed))
done

took=$((SECONDS - begin))
printf '\n%s lanes ok, %s failed%s (%s min %s s)\n' \
	$((${#lanes[@]} - ${#failed_lanes[@]})) "${#failed_lanes[@]}" \
	"${failed_lanes[*]:+: ${failed_lanes[*]}}" $((took / 60)) $((took % 60))
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
