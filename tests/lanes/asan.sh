#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Unit and integration tests under AddressSanitizer and UBSan, with the
# instrumented plugin inside the real broker.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

build_asan

# The brokers' reports: the user mosquitto writes them, so not in the tree.
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
chmod 1777 "$reports"
cp tests/support/lsan.supp "$reports/lsan.supp"
chmod 0755 "$reports"/lsan.supp

export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$reports/lsan.supp:print_suppressions=0
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1

status=0
run_ctest build-asan || status=1

# mosquitto itself is not instrumented: the runtime comes by LD_PRELOAD.
WEIR_BROKER_PRELOAD=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")
export WEIR_BROKER_PRELOAD
[ -f "$WEIR_BROKER_PRELOAD" ]
export ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$reports/report
run_pytest build-asan -n "$((jobs + 1))" --dist loadfile tests/integration || status=1

# A report is a failure even where no test noticed. A file whose only line says
# that a thread could not be looked at is none: LeakSanitizer was looking when a
# test killed the process.
for r in "$reports"/report*; do
	[ -e "$r" ] || continue
	cat "$r"
	! grep -qvE '^==[0-9]+==Unable to get registers from thread [0-9]+\.$' \
		"$r" || status=1
done
exit "$status"
