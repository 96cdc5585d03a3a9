#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# clang-tidy over every C file, with the repository's .clang-tidy.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh

configure_lint
# A C file that no target compiles would be checked by no lane.
"$python" - <<'PY'
import json, os, subprocess, sys
root = os.getcwd()
known = {os.path.relpath(e["file"], root)
         for e in json.load(open("build-lint/compile_commands.json"))}
files = subprocess.run(
    ["git", "-c", "safe.directory=" + root, "ls-files", "*.c"],
    check=True, capture_output=True, text=True).stdout.split()
missing = [f for f in files if f not in known and os.path.exists(f)]
for f in missing:
    print(f"{f}: no target compiles it: add it to its CMakeLists.txt")
sys.exit(bool(missing))
PY
# Warnings in system headers are counted on standard error, not shown.
sources '*.c' | xargs -n 1 -P "$jobs" \
	clang-tidy --quiet -p build-lint 2>&1 |
	{ grep -vE '^[0-9]+ warnings? generated\.$' || true; }
