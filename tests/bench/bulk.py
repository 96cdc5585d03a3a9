#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/bulk.py: how many certificates does `weir cert bulk` make a second
and core, and how many could it make if it did nothing but make a P-256 key and
one ECDSA signature for each? Run by hand.

By turns, so that both have the same machine: bench_issue (that cryptography with
the EVP calls that weir makes), `openssl speed ecdsap256`, and `weir cert bulk
--jobs 1` of a new registry into a new folder. What counts is processor time of
the process, with and without the kernel's; medians are printed.

    WEIR_BUILD        build tree with weir and bench_issue
    WEIR_BULK         certificates (10000)
    WEIR_BULK_ROUNDS  turns (5)
    WEIR_BULK_DIR     where registry and folder are made (a new one in /tmp)
"""

import datetime
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", REPO / "build"))
N = int(os.environ.get("WEIR_BULK", "10000"))
ROUNDS = int(os.environ.get("WEIR_BULK_ROUNDS", "5"))
POLICY = {"version": 1, "classes": {"device": {
    "publish": ["d/${device}/#"], "subscribe": ["d/${device}/#"]}}}


def run(*args):
    return subprocess.run([str(x) for x in args], check=True, text=True,
                          capture_output=True, timeout=3600).stdout


def crypto():
    """Microseconds of a key, and of a signature."""
    said = run(BUILD / "bin/bench_issue", 1).split()
    return float(said[1]), float(said[3])


def openssl_sign():
    """Signatures a second, as OpenSSL's own program has them."""
    said = run("openssl", "speed", "-seconds", "1", "ecdsap256")
    return float(re.search(r"nistp256\)\s+\S+\s+\S+\s+(\S+)", said).group(1))


def bulk(folder):
    """Microseconds a certificate, the process's and the kernel's for it, and
    by the clock."""
    weir = (BUILD / "bin/weir", "--state", folder / "state", "--ca",
            folder / "ca")
    run(*weir, "init", "--broker-user", "root")
    (folder / "policy.json").write_text(json.dumps(POLICY))
    run(*weir, "policy", "apply", folder / "policy.json", "--yes")
    run(*weir, "ca", "init", "--name", "Bench")
    (folder / "m.csv").write_text(
        "id,class\n" + "".join(f"b-{i:07d},device\n" for i in range(N)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = json.loads(run(*weir, "--json", "cert", "bulk", folder / "m.csv",
                          "--out", folder / "out", "--jobs", 1))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done["issued"] == N and done["failed"] == 0, done
    return ((after.ru_utime - before.ru_utime) / N * 1e6,
            (after.ru_stime - before.ru_stime) / N * 1e6,
            done["elapsed_ms"] / N * 1e3)


def main():
    load = os.getloadavg()[0]
    keys, signs, speeds, users, kernels, clocks = ([] for _ in range(6))
    for _ in range(ROUNDS):
        key, sign = crypto()
        keys.append(key)
        signs.append(sign)
        speeds.append(openssl_sign())
        folder = pathlib.Path(tempfile.mkdtemp(
            prefix="weir-bulk-", dir=os.environ.get("WEIR_BULK_DIR")))
        try:
            user, kernel, clock = bulk(folder)
        finally:
            shutil.rmtree(folder)
        users.append(user)
        kernels.append(kernel)
        clocks.append(clock)
    key, sign, user, kernel, clock = (
        statistics.median(x) for x in (keys, signs, users, kernels, clocks))
    crypto_us = key + sign
    print(f"{datetime.date.today()}, {N} certificates, median of {ROUNDS}, "
          f"load {load:.0f}\n")
    print("| of one certificate | µs |\n|---|---|")
    print(f"| a P-256 key | {key:.1f} |")
    print(f"| an ECDSA signature (openssl speed: "
          f"{1e6 / statistics.median(speeds):.1f}) | {sign:.1f} |")
    print(f"| `cert bulk`, the process itself | {user:.1f} |")
    print(f"| `cert bulk`, the kernel for it | {kernel:.1f} |")
    print(f"| `cert bulk`, by the clock | {clock:.1f} |\n")
    print(f"{1e6 / (user + kernel):.0f} certificates a second and core, "
          f"{100 * crypto_us / (user + kernel):.0f} % of key and signature "
          f"alone ({1e6 / crypto_us:.0f}); without the kernel's time "
          f"{1e6 / user:.0f}, {100 * crypto_us / user:.0f} %")


if __name__ == "__main__":
    main()
