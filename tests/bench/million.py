#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/million.py: what does a registry of a million devices, each with a
certificate, cost? Run by hand, as root.

Beside a registry without a device it measures a broker's start (to the end of
the plugin's set-up) and its memory, before and after connects; then what the
plugin asks the registry at a connect, `weir device find` and `weir explain` as
whole commands, and `weir backup` beside a broker that serves: the longest time
that a ping of a connected device takes meanwhile.

    WEIR_BUILD           build tree with weir, plugin, bench_million
    WEIR_MILLION         devices (1000000)
    WEIR_MILLION_ROUNDS  starts and commands of each kind (21)
"""

import datetime
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from clients import Wire  # noqa: E402
from harness import BUILD, Broker, Fleet  # noqa: E402

N = int(os.environ.get("WEIR_MILLION", "1000000"))
ROUNDS = int(os.environ.get("WEIR_MILLION_ROUNDS", "21"))
POLICY = {"version": 1, "classes": {"device": {
    "publish": ["d/${device}/#"], "subscribe": ["d/${device}/#"]}}}


def memory(broker):
    """What is the process's own, KiB: pages of files can be dropped."""
    text = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0])


def start(broker):
    """Milliseconds until it serves."""
    begin, mark = time.monotonic(), broker.mark()
    broker.spawn()
    broker.await_log(r"mosquitto version \S+ running$", mark)
    took = (time.monotonic() - begin) * 1000
    broker.turn()
    return took


def starts(fleets, devices):
    """For each fleet, by turns, the median of its broker's starts; and what
    its memory is after a hundred connects of its device."""
    took, used = [[], []], [0, 0]
    brokers = [Broker(f) for f in fleets]
    for i in range(ROUNDS):
        for side, broker in enumerate(brokers):
            took[side].append(start(broker))
            for _ in range(100 if i == ROUNDS - 1 else 0):
                w = Wire(broker, devices[side])
                w.admitted()
                w.close()
            used[side] = memory(broker)
            broker.stop()
    for broker in brokers:
        broker.close()
    return [statistics.median(x) for x in took], used


def commands(fleet, *args, statuses=(0,)):
    """The median of a whole command, milliseconds."""
    took = []
    for _ in range(ROUNDS):
        begin = time.monotonic()
        done = fleet.run(*args)
        took.append((time.monotonic() - begin) * 1000)
        assert done.returncode in statuses, done.stderr
    return statistics.median(took)


def served(fleet, device, work):
    """The longest ping of a device while WORK is done, and while as long is
    waited; and how long WORK took."""
    longest, stop = [0.0, 0.0], threading.Event()
    with Broker(fleet) as broker:
        w = Wire(broker, device)
        w.admitted()

        def ping(phase):
            while not stop.is_set():
                begin = time.monotonic()
                w.ping()
                longest[phase] = max(longest[phase], time.monotonic() - begin)
                time.sleep(0.001)

        def phase(i, do):
            stop.clear()
            thread = threading.Thread(target=ping, args=(i,))
            thread.start()
            begin = time.monotonic()
            do()
            took = time.monotonic() - begin
            stop.set()
            thread.join()
            return took

        took = phase(1, work)
        phase(0, lambda: time.sleep(took))
        w.close()
    return longest[0] * 1000, longest[1] * 1000, took


def backup(fleet):
    subprocess.run([BUILD / "bin" / "weir", "--state", fleet.state, "backup",
                    fleet.root / "backup.db"], check=True, capture_output=True)


def main():
    empty, full = Fleet(POLICY), Fleet(POLICY)
    try:
        pair = [f.device("device", id="bench") for f in (empty, full)]
        begin = time.monotonic()
        done = subprocess.run(
            [BUILD / "bin" / "bench_million", full.state, str(N)],
            capture_output=True, text=True, check=True)
        mean, median, grown = done.stdout.split()
        size = (full.state / "registry.db").stat().st_size
        print(f"filled and asked in {time.monotonic() - begin:.0f} s",
              flush=True)
        rows = []
        (start_0, start_n), (used_0, used_n) = starts((empty, full), pair)
        rows += [
            ("broker's start, above a registry without devices", "ms",
             f"{start_n - start_0:+.1f} ({start_0:.1f}, {start_n:.1f})",
             "50"),
            ("broker's own memory after 100 connects, above the same", "MB",
             f"{(used_n - used_0) / 1024:+.1f}", "10"),
            ("memory that 10,000 connects of different devices take", "MB",
             f"{int(grown) / 1024:+.1f}", "10"),
            ("what a connect asks of the registry", "µs",
             f"{median} (mean {mean})", "50")]
        name = f"device-{N // 2:07d}"
        shown = full.json("device", "show", name)
        credential = shown["credentials"][0]
        for what, value in [("ICCID", shown["iccid"]), ("IMSI", shown["imsi"]),
                            ("IMEI", shown["imei"]),
                            ("fingerprint", credential["fingerprint"]),
                            ("serial number", credential["serial"])]:
            rows.append((f"device find by {what}", "ms",
                         f"{commands(full, 'device', 'find', value):.1f}",
                         "50"))
        for what, args in [
                ("device find of nobody", ("device", "find", "9" * 15)),
                ("explain ID publish", ("explain", name, "publish", "x"))]:
            took = commands(full, *args, statuses=(1,))
            rows.append((what, "ms", f"{took:.1f}", "50"))
        quiet, busy, took = served(
            full, pair[1], lambda: backup(full))
        rows.append((f"longest ping beside a backup ({took:.1f} s, "
                     f"{size / 2 ** 20:.0f} MiB), and without", "ms",
                     f"{busy:.1f}, {quiet:.1f}", ""))
        print(f"\n| | | measured | at most |\n|---|---|---|---|")
        for row in rows:
            print("| " + " | ".join(row) + " |")
        print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, load "
              f"{os.getloadavg()[0]:.1f}; {N} devices; medians of {ROUNDS}")
    finally:
        empty.remove()
        full.remove()


if __name__ == "__main__":
    main()
