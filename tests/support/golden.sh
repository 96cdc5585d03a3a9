#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# golden.sh [--update]: decides every request of each examples/*/expected.tsv
# with that example's policy and devices, and compares the verdicts with the
# ones committed there: a change of meaning shows as a diff in review.
# --update writes the new ones.
#
# Uses the weir of $WEIR_BUILD, default build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

weir=${WEIR_BUILD:-build}/bin/weir
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

for dir in examples/*/; do
	example=${dir%/}
	expected=$example/expected.tsv
	[ -f "$expected" ] || continue
	state=$work/${example##*/}
	WEIR_STATE=$state "$example/setup.sh" "$weir" >"$work/setup.log" 2>&1 || {
		cat "$work/setup.log"
		printf '%s: setup failed\n' "$example"
		status=1
		continue
	}
	# An example is copied: its policy gives nothing to warn of.
	if ! "$weir" --state "$state" policy check >/dev/null \
		2>"$work/warnings" || [ -s "$work/warnings" ]; then
		cat "$work/warnings"
		status=1
	fi
	# The first six columns are the question, the rest is the answer; lines
	# with # are comments, and the first line names the columns.
	grep -v '^#' "$expected" | cut -f 1-6 >"$work/question.tsv"
	"$weir" --state "$state" explain --batch "$work/question.tsv" \
		>"$work/answer.tsv"
	{
		grep '^#' "$expected" || true
		paste "$work/question.tsv" "$work/answer.tsv"
	} >"$work/actual.tsv"
	if [ "${1-}" = --update ]; then
		cp "$work/actual.tsv" "$expected"
	elif diff -u "$expected" "$work/actual.tsv"; then
		printf '%s: %s decisions as expected\n' "$example" \
			"$(wc -l <"$work/question.tsv")"
	else
		status=1
	fi
done
exit "$status"
