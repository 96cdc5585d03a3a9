#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/feed.py: what does weir-feed cost beside a fleet of 100,000 devices
that all say something each second? Run by hand, as root.

bench_pulse plays the broker: another process, which writes the meter as the
plugin does. Measured are weir-feed's processor time over a while (the history,
which it writes at each minute's end, included), its memory,
and how long a page of metrics takes, asked for all the while by another
process: its time by the clock from the first byte sent to the last one read.
Each page must be a good one (promtool).

    WEIR_BUILD          build tree with weir, weir-feed, bench_pulse
    WEIR_FEED_DEVICES   how many (100000), or several: "1000 100000"
    WEIR_FEED_SECONDS   how long (60)
    WEIR_FEED_TOP       devices named of the last minute (weir-feed's default)
    WEIR_FEED_CLASSES   of the fleet (20)
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from feed_support import Feed  # noqa: E402
from harness import BUILD, Fleet  # noqa: E402
from prometheus import promtool  # noqa: E402

DEVICES = [int(x) for x in
           os.environ.get("WEIR_FEED_DEVICES", "100000").split()]
SECONDS = int(os.environ.get("WEIR_FEED_SECONDS", "60"))
TOP = os.environ.get("WEIR_FEED_TOP")
CLASSES = os.environ.get("WEIR_FEED_CLASSES", "20")
BEGIN_S = 125
"""Until there has been a full minute, so that the page has all it can have."""

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    field = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[1]
    return sum(map(int, field.split()[11:13])) / TICKS


def memory(pid):
    """MB: what is in use, the most there was, and of it the process's own."""
    told = dict(x.split(":", 1) for x in pathlib.Path(
        f"/proc/{pid}/status").read_text().splitlines())
    return [int(told[k].split()[0]) * 1024 / 1e6
            for k in ("VmRSS", "VmHWM", "RssAnon")]


def ask(feed, until):
    """Pages until then, one each half second: ms and bytes of each."""
    took, size, text = [], [], ""
    while time.monotonic() < until:
        begin = time.monotonic()
        got = feed.get("/metrics")
        took.append((time.monotonic() - begin) * 1e3)
        assert got.status == 200, got.text
        size.append(len(got.body))
        text = got.text
        time.sleep(max(0, begin + 0.5 - time.monotonic()))
    return took, size, text


def measure(n):
    fleet = Fleet({"version": 1, "classes": {}})
    pulse = subprocess.Popen(
        [BUILD / "bin" / "bench_pulse", fleet.state, str(n),
         str(BEGIN_S + 2 * SECONDS + 60), CLASSES],
        stdout=subprocess.PIPE, text=True)
    config = {"metrics": {"top": int(TOP)}} if TOP else None
    try:
        assert pulse.stdout.readline() == "ready\n"
        with Feed(fleet, config=config) as feed:
            pid = feed.process.pid
            end = time.monotonic() + BEGIN_S
            while "weir_last_minute_seconds" not in feed.get("/metrics").text:
                assert time.monotonic() < end, "no full minute"
                time.sleep(1)
            before, begin = cpu_s(pid), time.monotonic()
            time.sleep(SECONDS)
            alone = (cpu_s(pid) - before) / (time.monotonic() - begin)
            before, begin = cpu_s(pid), time.monotonic()
            took, size, text = ask(feed, begin + SECONDS)
            asked = (cpu_s(pid) - before) / (time.monotonic() - begin)
            used, most, own = memory(pid)
        done = promtool("check", "metrics", stdin=text)
        assert done.returncode == 0, done.stderr
        # All this while the history was written.
        assert "\nweir_feed_history_error 0\n" in text
        lag = int(re.search(r"\nweir_feed_history_lag_seconds (\d+)", text)[1])
        assert lag < 90, lag
    finally:
        pulse.kill()
        pulse.wait()
        fleet.remove()
    print(f"| {n:,} | {alone * 100:.2f} | {asked * 100:.2f} | {used:.0f} "
          f"| {most:.0f} | {own:.0f} | {statistics.median(took):.1f} "
          f"| {max(took):.1f} | {max(size) / 1e3:.0f} |", flush=True)


def main():
    print(f"weir-feed beside so many devices that all say something each "
          f"second; {SECONDS} s each;\n{CLASSES} classes; load "
          f"{os.getloadavg()[0]:.1f} at the beginning\n")
    print("| devices | % of a core | asked for 2 pages a second | MB in use "
          "| at most | its own | page, ms: median | longest | kB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in DEVICES:
        measure(n)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


main()
