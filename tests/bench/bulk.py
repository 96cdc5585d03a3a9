#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/bulk.py: how many certificates does `weir cert bulk` make a second
and core, and how many could it make if it did nothing but make a P-256 key and
one ECDSA signature for each? Run by hand.

By turns, so that all have the same machine, and all on one processor core:

  openssl   a key by EVP_PKEY_generate (bench_issue: `openssl speed` of OpenSSL
            3.0 does not measure that for elliptic curves), and a signature as
            `openssl speed ecdsap256` has it
  issue     key, certificate and both as PEM, as cert bulk makes them, without
            disk and registry (bench_issue)
  bundle    the whole command `weir cert bulk --jobs 1 --bundle`, from the start
            of the process to its end, of a new registry into a new folder
  files     the same without --bundle: two files for each device

Medians are printed, in microseconds a certificate: processor time (user and
kernel), and the clock, which waiting for the disk and other work make longer.

    WEIR_BUILD        build tree with weir and bench_issue
    WEIR_BULK         certificates (100000)
    WEIR_BULK_ROUNDS  turns (5)
    WEIR_BULK_DIR     where registry and folder are made (a new one in /tmp)
    WEIR_BULK_REALTIME  not empty: on that core before all other work
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
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", REPO / "build"))
N = int(os.environ.get("WEIR_BULK", "100000"))
ROUNDS = int(os.environ.get("WEIR_BULK_ROUNDS", "5"))
POLICY = {"version": 1, "classes": {"device": {
    "publish": ["d/${device}/#"], "subscribe": ["d/${device}/#"]}}}


def run(*args):
    return subprocess.run([str(x) for x in args], check=True, text=True,
                          capture_output=True, timeout=3600).stdout


def crypto(ca):
    """Of OpenSSL a key and a signature, and of weir all but disk and
    registry."""
    key, _, issue = (float(x.split()[1]) for x in run(
        BUILD / "bin/bench_issue", 1, ca).splitlines())
    said = run("openssl", "speed", "-seconds", "1", "ecdsap256")
    rate = re.search(r"nistp256\)\s+\S+\s+\S+\s+(\S+)", said).group(1)
    return {"key": key, "signature": 1e6 / float(rate), "issue": issue}


def prepare(folder):
    weir = (BUILD / "bin/weir", "--state", folder / "state", "--ca",
            folder / "ca")
    run(*weir, "init", "--broker-user", "root")
    (folder / "policy.json").write_text(json.dumps(POLICY))
    run(*weir, "policy", "apply", folder / "policy.json", "--yes")
    run(*weir, "ca", "init", "--name", "Bench")
    (folder / "m.csv").write_text(
        "id,class\n" + "".join(f"b-{i:07d},device\n" for i in range(N)))
    return weir


def bulk(weir, folder, form):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    from_s = time.monotonic()
    done = json.loads(run(*weir, "--json", "cert", "bulk", folder / "m.csv",
                          "--out", folder / "out", "--jobs", 1, *form))
    clock = time.monotonic() - from_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done["issued"] == N and done["failed"] == 0, done
    return {"user": (after.ru_utime - before.ru_utime) / N * 1e6,
            "kernel": (after.ru_stime - before.ru_stime) / N * 1e6,
            "clock": clock / N * 1e6}


def turn(found):
    for name, form in (("bundle", ["--bundle"]), ("files", [])):
        folder = pathlib.Path(tempfile.mkdtemp(
            prefix="weir-bulk-", dir=os.environ.get("WEIR_BULK_DIR")))
        try:
            weir = prepare(folder)
            if form:
                for k, v in crypto(folder / "ca").items():
                    found.setdefault(k, []).append(v)
            for k, v in bulk(weir, folder, form).items():
                found.setdefault((name, k), []).append(v)
        finally:
            shutil.rmtree(folder)


def main():
    load, found = os.getloadavg()[0], {}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if os.environ.get("WEIR_BULK_REALTIME"):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    for _ in range(ROUNDS):
        turn(found)
    us = {k: statistics.median(v) for k, v in found.items()}
    could = us["key"] + us["signature"]

    def row(what, value):
        print(f"| {what} | {value:.1f} | {1e6 / value:,.0f} | "
              f"{100 * could / value:.0f} % |")

    print(f"{datetime.date.today()}, {N} certificates, median of {ROUNDS}, "
          f"load {load:.0f}\n")
    print("| of one certificate | µs | a second and core | of what OpenSSL "
          "could |\n|---|---|---|---|")
    row(f"OpenSSL: a key ({us['key']:.1f}) and a signature "
        f"({us['signature']:.1f})", could)
    row("issued, without disk and registry", us["issue"])
    for name in ("bundle", "files"):
        user, kernel = us[name, "user"], us[name, "kernel"]
        row(f"{name}: the command's processor time ({user:.1f} its own, "
            f"{kernel:.1f} the kernel's)", user + kernel)
        row(f"{name}: by the clock", us[name, "clock"])


if __name__ == "__main__":
    main()
