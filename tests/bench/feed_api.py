#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/feed_api.py: how long does weir-feed take for an answer about a
large fleet, and how long do others wait meanwhile? Run by hand, as root.

The registry holds the devices, and bench_pulse plays a broker where they all
say something each second. Each request is made over a new connection, five
times; another client asks for /api/v1/health all the while, over a new
connection each: the longest that it waited is printed beside. All pages of the
whole list must have every device, once.

Then many ask for what takes longest at once, again and again for a while: how
many are answered, how many told to come again, and how long does that other
client wait?

    WEIR_BUILD             build tree with weir, weir-feed, bench_pulse
    WEIR_FEED_API_DEVICES  how many: several, with blanks between ("100000")
    WEIR_FEED_API_CROWD    how many at once (100)
"""

import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from feed_support import Feed  # noqa: E402
from harness import BUILD, Fleet  # noqa: E402

DEVICES = [int(x) for x in
           os.environ.get("WEIR_FEED_API_DEVICES", "100000").split()]
CROWD = int(os.environ.get("WEIR_FEED_API_CROWD", "100"))
CROWD_S = 10
ROUNDS = 5
CLASSES = 20
REQUESTS = [
    "devices?limit=100",
    "devices?limit=1000",
    "devices?status=suspended&limit=1000",
    "devices?connected=false&limit=1000",
    "devices?sort=wire_bytes_in&limit=100",
    "devices?class=class-07&sort=wire_bytes_in&limit=100",
    "devices/device-0000077",
    "classes",
    "usage/top?limit=100",
]


class Waiting:
    """Somebody who asks for little, again and again, and how long it took."""

    def __init__(self, feed):
        self.feed, self.took, self.stop = feed, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop:
            begin = time.monotonic()
            assert self.feed.get("/api/v1/health").status == 200
            self.took.append((time.monotonic() - begin) * 1e3)
            time.sleep(0.002)

    def typical(self):
        """Of what longest() forgets."""
        return f"{statistics.median(self.took):.1f}" if self.took else "–"

    def longest(self):
        took, self.took = self.took, []
        return f"{max(took):.1f}" if took else "–"

    def end(self):
        self.stop = True
        self.thread.join()


def crowd(feed, waiting):
    """CROWD clients that ask for the longest of REQUESTS for CROWD_S seconds."""
    statuses, end = [], time.monotonic() + CROWD_S
    text = (b"GET /api/v1/devices?sort=wire_bytes_in&limit=100 HTTP/1.1\r\n"
            b"Host: localhost\r\nConnection: close\r\n\r\n")

    def run():
        while time.monotonic() < end:
            with feed.raw(timeout=120) as s:
                s.sendall(text)
                head = s.recv(12)
                while s.recv(65536):
                    pass
            statuses.append(head[9:12])

    waiting.longest()
    threads = [threading.Thread(target=run) for _ in range(CROWD)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"\n{CROWD} at once: {statuses.count(b'200')} answered, "
          f"{statuses.count(b'503')} told to come again; others waited, ms: "
          f"{waiting.typical()}, longest {waiting.longest()}", flush=True)


def register(fleet, n):
    lines = ["id,class,attr.site,status\n"]
    lines += (f"device-{i:07},class-{i % CLASSES:02},s{i % 9},"
              f"{'suspended' if i % 10000 == 7 else 'active'}\n"
              for i in range(n))
    path = fleet.root / "devices.csv"
    path.write_text("".join(lines))
    subprocess.run([BUILD / "bin" / "weir", "--state", fleet.state, "device",
                    "import", path], check=True, timeout=600,
                   capture_output=True)


def all_pages(feed, n):
    """Seconds that it takes to read the whole list."""
    begin, seen, cursor = time.monotonic(), set(), ""
    while cursor is not None:
        told = feed.ok("/api/v1/devices?limit=1000"
                       + (f"&cursor={cursor}" if cursor else ""))
        ids = [x["device"]["id"] for x in told["devices"]]
        assert seen.isdisjoint(ids)
        seen.update(ids)
        cursor = told["next"]
    assert len(seen) == n
    return time.monotonic() - begin


def measure(n):
    fleet = Fleet({"version": 1, "classes": {}})
    pulse = None
    try:
        register(fleet, n)
        pulse = subprocess.Popen(
            [BUILD / "bin" / "bench_pulse", fleet.state, str(n), "600",
             str(CLASSES)], stdout=subprocess.PIPE, text=True)
        assert pulse.stdout.readline() == "ready\n"
        with Feed(fleet) as feed:
            time.sleep(3)  # until it has looked at all of them
            waiting = Waiting(feed)
            try:
                time.sleep(3)
                print(f"| {n:,} | nothing | | | {waiting.longest()} |")
                for request in REQUESTS:
                    took, size = [], 0
                    waiting.longest()
                    for _ in range(ROUNDS):
                        begin = time.monotonic()
                        got = feed.get("/api/v1/" + request)
                        took.append((time.monotonic() - begin) * 1e3)
                        assert got.status == 200, got.text
                        size = len(got.body)
                    print(f"| {n:,} | `{request}` "
                          f"| {statistics.median(took):.1f} "
                          f"| {size / 1e3:.0f} | {waiting.longest()} |",
                          flush=True)
                crowd(feed, waiting)
            finally:
                waiting.end()
            print(f"\n{n:,}: the whole list in pages of 1,000: "
                  f"{all_pages(feed, n):.1f} s\n", flush=True)
    finally:
        if pulse is not None:
            pulse.kill()
            pulse.wait()
        fleet.remove()


def main():
    print(f"load {os.getloadavg()[0]:.1f} at the beginning\n")
    print("| devices | asked for | ms: median | kB | others waited, ms: longest |")
    print("|---|---|---|---|---|")
    for n in DEVICES:
        measure(n)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


main()
