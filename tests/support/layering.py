#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the includes of the C files whose names come on standard input.

Includes point inwards: programs, then io, then core. A new arrow changes
MAY_INCLUDE here and the module graph in docs/ARCHITECTURE.md together.
"""
import os
import re
import subprocess
import sys

# folder: the folders it may include
MAY_INCLUDE = {
    "core": {"core"},
    "io": {"io", "core"},
    "certs": {"certs", "io", "core"},
    "cli": {"cli", "certs", "io", "core"},
    "plugin": {"plugin", "io", "core"},
    "feed": {"feed", "io", "core"},
    # What others start from: nothing of ours.
    "examples": set(),
}
# What tests check they may include; support/ is theirs.
TESTS_MAY = set(MAY_INCLUDE) | {"tests"}

# header pattern: the only folders that may include it
ONLY_IN = [
    (r"mosquitto.*\.h|mosquitto/.*", {"plugin", "examples"}),
    (r"libwebsockets\.h", {"feed"}),
    (r"sqlite3\.h", {"io"}),
]

# core is pure: C's own headers without I/O, clock, locale or signals.
CORE_SYSTEM = {
    "inttypes.h", "limits.h", "stdarg.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdlib.h", "string.h",
}
CORE_EXTRA = {
    # vsnprintf formats a message; the lane `symbols` holds it to that.
    ("core/err.c", "stdio.h"),
    # SSE2, which every x86-64 has: instructions, no calls.
    ("core/token.h", "emmintrin.h"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            if m:
                yield number, m.group(1) == '"', m.group(2)


def check_include(path, quoted, header):
    """Why PATH may not include HEADER, or None."""
    folder = path.split("/")[0]
    target = header.split("/")[0]
    if quoted:
        if not os.path.exists(header):
            return f'"{header}": name it from the repository root'
        allowed = TESTS_MAY if folder == "tests" else MAY_INCLUDE[folder]
        if target not in allowed:
            return (f"{folder} may not include {target}: it may include "
                    + " ".join(sorted(allowed)))
        return None
    if target in MAY_INCLUDE and os.path.exists(header):
        return f'<{header}>: our own headers take "quotes"'
    for pattern, folders in ONLY_IN:
        if re.fullmatch(pattern, header) and folder not in folders | {"tests"}:
            return f"<{header}>: only " + " ".join(sorted(folders)) + " may"
    if (folder == "core" and header not in CORE_SYSTEM
            and (path, header) not in CORE_EXTRA):
        return f"<{header}>: core is pure; see CORE_SYSTEM in {__file__}"
    return None


def check_file(path):
    problems = []
    found = list(includes(path))
    if path.split("/")[0] not in set(MAY_INCLUDE) | {"tests"}:
        return [f"{path}:1: error: no layer has C code in this folder"]
    for number, quoted, header in found:
        why = check_include(path, quoted, header)
        if why:
            problems.append(f"{path}:{number}: error: {why}")
    own = path[:-2] + ".h"
    if path.endswith(".c") and os.path.exists(own):
        if not found or found[0][2] != own:
            problems.append(
                f'{path}:1: error: its own header "{own}" comes first')
    return problems


def compiles_alone(header, flags):
    run = subprocess.run(
        ["gcc", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-D_POSIX_C_SOURCE=200809L", "-I.", *flags, "-x", "c", "-"],
        input=f'#include "{header}"\n#include "{header}"\n',
        capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    return [f"{header}:1: error: does not compile alone, twice",
            run.stderr.rstrip()]


def main():
    files = sys.stdin.read().split()
    flags = subprocess.run(
        ["pkg-config", "--cflags", "libcjson", "sqlite3", "libcrypto",
         "libwebsockets"],
        check=True, capture_output=True, text=True).stdout.split()
    problems = []
    for path in files:
        problems += check_file(path)
        if path.endswith(".h"):
            problems += compiles_alone(path, flags)
    if not files:
        problems.append("layering.py: no file was named")
    print(*problems, sep="\n")
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
