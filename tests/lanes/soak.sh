#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# For a night, outside CI: each fuzz target for WEIR_SOAK_FUZZ_S seconds
# (1800), torture with every allocation, the broker and the command killed
# WEIR_KILLS times (200), gaps in delivery measured, and the integration tests
# WEIR_SOAK_ROUNDS times over (10; 0: not at all, nor the two before): a test
# that fails once is a bug. What came out is written to docs/soak/<date>-<time>.md, to be committed.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

seconds=${WEIR_SOAK_FUZZ_S:-1800}
rounds=${WEIR_SOAK_ROUNDS:-10}
result=docs/soak/$(date -u +%Y-%m-%d-%H%M).md
logs=build-logs/soak
mkdir -p docs/soak "$logs"
status=0

# One line a target: name, executions, coverage, corpus; from a log of the
# lane fuzz.
fuzz_table() { # LOG
	awk '
	function row() {
		if (name != "")
			printf "| `%s` | %s | %s | %s | %s |\n", name, n,
				edges, inputs, bad == "" ? "none" : bad
	}
	/^fuzz [a-z0-9_]+:/ {
		row()
		name = $2; sub(":", "", name)
		n = edges = inputs = "?"; bad = ""
	}
	/DONE +cov:/ {
		for (i = 1; i < NF; i++) {
			if ($i == "cov:") edges = $(i + 1)
			if ($i == "corp:") inputs = $(i + 1)
		}
		sub("/.*", "", inputs)
	}
	/number_of_executed_units:/ { n = $2 }
	/^SUMMARY:/ { bad = $0; gsub("[|]", "/", bad) }
	END { row() }' "$1"
}

head_of_tree() {
	git -c safe.directory="$PWD" describe --always --dirty 2>/dev/null ||
		echo unknown
}

{
	printf '# Soak, %s\n\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
	printf 'Commit %s; %s, %s processors; clang %s.\n' "$(head_of_tree)" \
		"$(uname -sm)" "$jobs" "$(clang -dumpversion)"
} >"$result"

begin=$SECONDS
WEIR_FUZZ_S=$seconds tests/lanes/fuzz.sh 2>&1 | tee "$logs/fuzz.log" ||
	status=1
{
	printf '\n## Fuzzing\n\n%s s a target, %s at once, ASan and UBSan.\n\n' \
		"$seconds" "${WEIR_FUZZ_JOBS:-$jobs}"
	printf '| target | executions | edges | inputs | finding |\n'
	printf '|---|---|---|---|---|\n'
	fuzz_table "$logs/fuzz.log"
} >>"$result"

WEIR_TORTURE_N=0 tests/lanes/torture.sh 2>&1 | tee "$logs/torture.log" ||
	status=1
{
	printf '\n## Allocation failures\n\n'
	printf 'Each allocation failing, alone and with all after it.\n\n'
	printf '```\n'
	grep -E ' allocations, | allocation [0-9]+ failing' "$logs/torture.log" ||
		echo 'it did not run'
	printf '```\n'
} >>"$result"

if [ "$rounds" -gt 0 ]; then
	build_release weir weir-feed mosquitto_weir slow_clock bench_fill bench_swarm
	WEIR_KILLS=${WEIR_KILLS:-200} run_pytest build \
		tests/integration/test_kill.py 2>&1 |
		tee "$logs/kill.log" || status=1
	{
		printf '\n## Kills\n\n```\n'
		grep -E ' kill(s|ed) |=+ .* in [0-9.]+s' "$logs/kill.log" ||
			echo 'it did not run'
		printf '```\n'
	} >>"$result"
	run_as_root build tests/bench/gap.py 2>&1 | tee "$logs/gap.log" ||
		status=1
	{
		printf '\n## Gaps in delivery\n\n'
		grep -E '^(\||[0-9]{4}-)' "$logs/gap.log" ||
			echo 'it did not run'
	} >>"$result"
	printf '\n## Integration tests\n\n' >>"$result"
	for ((i = 1; i <= rounds; i++)); do
		echo "integration tests, round $i of $rounds"
		run_pytest build 2>&1 | tee "$logs/integration-$i.log" ||
			status=1
		printf -- '- round %s: %s\n' "$i" \
			"$(tail -n 1 "$logs/integration-$i.log" |
				tr -d '=' | xargs)" >>"$result"
	done
fi

[ "$status" -eq 0 ] && word='nothing was found' || word='see above'
printf '\n%s min in all; %s.\n' "$(((SECONDS - begin) / 60))" "$word" \
	>>"$result"
cat "$result"
exit "$status"
