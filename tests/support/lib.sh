# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the lanes share. Sourced by each with the repository root as the
# working directory.

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
# A pyenv or conda python3 ahead on PATH lacks Debian's packages.
python=/usr/bin/python3

# configure TREE CMAKE-ARGUMENT…: configures TREE. A tree that exists keeps
# its generator, so the quickstart's and ours can be the same.
configure() {
	local tree=$1 generator=()

	shift
	[ -f "$tree/CMakeCache.txt" ] || generator=(-G Ninja)
	cmake -S . -B "$tree" "${generator[@]}" -DWEIR_TESTS=ON "$@"
}

build() { # TREE [TARGET…]
	local tree=$1 targets=()

	shift
	[ $# -eq 0 ] || targets=(--target "$@")
	cmake --build "$tree" -j "$jobs" "${targets[@]}"
}

build_release() { # [TARGET…]
	configure build -DCMAKE_BUILD_TYPE=Release
	build build "$@"
}

configure_asan() {
	configure build-asan -DCMAKE_C_COMPILER=clang \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DWEIR_SANITIZE=address,undefined
}

build_asan() {
	configure_asan
	build build-asan
}

# The compile commands of every C file, with clang, and those files that are
# made.
configure_lint() {
	configure build-lint -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug
	build build-lint weir_generated
}

# sources PATTERN…: the files of the project that match, tracked or about to
# be, one a line; from the tree itself when this is no git checkout.
sources() {
	git -c safe.directory="$PWD" ls-files -co --exclude-standard -- "$@" \
		2>/dev/null | sort -u | while IFS= read -r f; do
		[ ! -f "$f" ] || printf '%s\n' "$f"
	done
}

# run_ctest TREE [CTEST-ARGUMENT…]
run_ctest() {
	local tree=$1

	shift
	ctest --test-dir "$tree" -j "$jobs" --timeout 300 --no-tests=error "$@"
}

# run_as_root TREE FILE [ARGUMENT…]: a Python program against TREE's weir and
# plugin. Root is needed to run brokers as the user mosquitto.
run_as_root() {
	local as_root=() keep=WEIR_BUILD,WEIR_BROKER_PRELOAD tree=$1

	shift
	keep+=,ASAN_OPTIONS,UBSAN_OPTIONS,LSAN_OPTIONS,WEIR_KILLS,WEIR_SEED
	keep+=,WEIR_GAP_REALTIME,WEIR_GAP_ROUNDS,WEIR_HOSTILE_REALTIME
	keep+=,WEIR_MOSQUITTO_PREFIX
	[ "$(id -u)" -eq 0 ] || as_root=(sudo "--preserve-env=$keep")
	WEIR_BUILD=$PWD/$tree "${as_root[@]}" "$python" -B "$@"
}

# run_pytest TREE [ARGUMENT…]: the integration tests, or what pytest's ARGUMENTs
# say.
run_pytest() {
	local tree=$1

	shift
	[ $# -gt 0 ] || set -- tests/integration
	run_as_root "$tree" -m pytest -p no:cacheprovider -ra --durations=5 "$@"
}
