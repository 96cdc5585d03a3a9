#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/feed_tail.py: what do 200 clients of weir-feed's /api/v1/tail cost,
one of them stuck? Run by hand, as root.

Two questions, each by turns in one run:

- One another: devices are refused WEIR_TAIL_EVENTS times a second, and 199
  clients are told of each. How long after the broker's own stamp does an event
  come, without and with a client beside them that asks for all there is and
  reads nothing?
- The broker: devices send WEIR_TAIL_RATE messages a second to one backend. How
  many arrive, and how long do they take, without weir-feed, with it alone, and
  with it and 200 clients that get events and each second's counters, one of
  them stuck?

Clients and swarm run on the machine that they measure, and take of what there
is for broker and weir-feed.

    WEIR_BUILD          build tree with weir, weir-feed, plugin, bench_fill,
                        bench_swarm
    WEIR_TAIL_CLIENTS   clients, the stuck one among them (200)
    WEIR_TAIL_EVENTS    events a second (100)
    WEIR_TAIL_RATE      messages a second (2000)
    WEIR_TAIL_DEVICES   devices that send them (200)
    WEIR_TAIL_ROUNDS    rounds of two windows (11)
    WEIR_TAIL_WINDOW    seconds of a window (4)
    WEIR_TAIL_REALTIME  1: broker and swarm run before all other processes of
                        the machine (SCHED_FIFO), for one that others share
"""

import datetime
import multiprocessing
import os
import pathlib
import re
import selectors
import signal
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from feed_support import Feed  # noqa: E402
from harness import BUILD, Broker, Fleet, go_first  # noqa: E402
from tail_clients import RawTail  # noqa: E402

CLIENTS = int(os.environ.get("WEIR_TAIL_CLIENTS", "200"))
EVENTS = int(os.environ.get("WEIR_TAIL_EVENTS", "100"))
RATE = int(os.environ.get("WEIR_TAIL_RATE", "2000"))
DEVICES = int(os.environ.get("WEIR_TAIL_DEVICES", "200"))
ROUNDS = int(os.environ.get("WEIR_TAIL_ROUNDS", "11"))
WINDOW_S = float(os.environ.get("WEIR_TAIL_WINDOW", "4"))
REALTIME = os.environ.get("WEIR_TAIL_REALTIME") == "1"
TICKS_S = os.sysconf("SC_CLK_TCK")
POLICY = {"version": 1, "classes": {
    "sender": {"publish": ["g/${device}/up"]},
    "noisy": {"publish": ["quiet/${device}"]},
    "backend": {"subscribe": ["g/#"]}}}
STAMP = re.compile(rb'"t_ms":(\d+)')


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Reader:
    """One socket, and what came on it since the last question."""

    def __init__(self, tail):
        self.sock, self.left = tail.sock, tail.got
        self.sock.setblocking(False)
        self.messages = self.bytes = self.events = 0
        self.latency = []

    def read(self):
        more = self.sock.recv(1 << 20)
        assert more, "a reader's connection has ended"
        data, now_ms, at = self.left + more, time.time() * 1000, 0
        while len(data) - at >= 4:
            head, n = 2, data[at + 1]
            if n == 126:
                head, n = 4, int.from_bytes(data[at + 2:at + 4], "big")
            if len(data) - at < head + n:
                break
            if data.startswith(b'{"type":"event"', at + head):
                stamp = STAMP.search(data, at + head)
                self.latency.append(now_ms - int(stamp[1]))
                self.events += 1
            assert not data.startswith(b'{"type":"missed"', at + head), (
                "a reader has missed events")
            if data[at] == 0x89:
                self.sock.send(b"\x8a\x80\0\0\0\0")  # the answer to a ping
            self.messages += 1
            self.bytes += head + n
            at += head + n
        self.left = data[at:]


def read_all(feed, n, path, pipe):
    """A process of N clients; answers each line of PIPE with their figures."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = selectors.DefaultSelector()
    readers = []
    for _ in range(n):
        tail = RawTail(feed, path)
        assert tail.status == 101, tail.head
        readers.append(Reader(tail))
        watch.register(readers[-1].sock, selectors.EVENT_READ, readers[-1])
    watch.register(pipe, selectors.EVENT_READ, None)
    pipe.send("ready")
    while True:
        for key, _ in watch.select():
            if key.data is not None:
                key.data.read()
            elif pipe.recv() == "end":
                return
            else:
                pipe.send([(r.messages, r.bytes, r.events, r.latency)
                           for r in readers])
                for r in readers:
                    r.messages = r.bytes = r.events = 0
                    r.latency = []


class Readers:
    def __init__(self, feed, n, path):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=read_all, args=(feed, n, path, theirs), daemon=True)
        self.process.start()
        assert self.pipe.recv() == "ready"

    def sample(self):
        self.pipe.send("sample")
        return self.pipe.recv()

    def close(self):
        self.pipe.send("end")
        self.process.join()


def stuck(feed, path):
    """Asks for all there is, and reads nothing."""
    tail = RawTail(feed, path + ("&" if "?" in path else "?") + "last=4096",
                   receive=4096)
    assert tail.status == 101
    return tail


class Swarm:
    def __init__(self, broker, backend, devices, rate):
        self.process = subprocess.Popen(
            [BUILD / "bin" / "bench_swarm", str(broker.port),
             broker.fleet.ca / "ca.crt", backend, devices, str(rate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready")
        if REALTIME:
            go_first(broker.process.pid, 1)
            go_first(self.process.pid, 2)

    def sample(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return list(map(int, self.process.stdout.readline().split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def fill(fleet, n, cls):
    path = fleet.root / f"{cls}.pem"
    with path.open("w") as out:
        subprocess.run([BUILD / "bin" / "bench_fill", fleet.state, fleet.ca,
                        str(n), cls], stdout=out, check=True)
    return path


# ---------------------------------------------------------------- one another


def one_another(fleet, broker, files):
    rows = {False: [], True: []}
    swarm = Swarm(broker, files["backend"], files["noisy"], EVENTS)
    with Feed(fleet) as feed:
        readers = Readers(feed, CLIENTS - 1, "/api/v1/tail?events=refusal")
        # Of refusals that are alike the broker tells 50 at once, then one a
        # second: until then there are more than asked for.
        time.sleep(2)
        for turn in range(2 * ROUNDS):
            with_stuck = turn % 2 == 1
            beside = stuck(feed, "/api/v1/tail") if with_stuck else None
            readers.sample()
            before = cpu_s(feed.process.pid)
            time.sleep(WINDOW_S)
            told = readers.sample()
            late = [x for r in told for x in r[3]]
            events = {r[2] for r in told}
            # All are told of the same events, but for those at the ends.
            assert max(events) - min(events) <= 0.5 * EVENTS, events
            rows[with_stuck].append((
                statistics.median(late), percentile(late, 0.99), max(late),
                sum(r[2] for r in told) / WINDOW_S,
                (cpu_s(feed.process.pid) - before) / WINDOW_S * 100))
            if beside is not None:
                beside.close()
        readers.close()
    swarm.close()
    return rows


# ----------------------------------------------------------------- the broker


def beside_broker(kind, feed, window):
    """What WINDOW gives while there are a weir-feed and its clients, as KIND
    says; its CPU time, and the messages that its clients got."""
    if kind == "none":
        return window() + [0, 0]
    path, readers = "/api/v1/tail?counters=1s", None
    with feed:
        if kind == "clients":
            readers = Readers(feed, CLIENTS - 1, path)
            beside = stuck(feed, path)
        time.sleep(1)
        if readers is not None:
            readers.sample()
        before = cpu_s(feed.process.pid)
        row = window()
        row.append((cpu_s(feed.process.pid) - before) / WINDOW_S * 100)
        row.append(sum(r[0] for r in readers.sample()) / WINDOW_S
                   if readers is not None else 0)
        if readers is not None:
            beside.close()
            readers.close()
    return row


KINDS = {"none": "none", "alone": "alone",
         "clients": f"and {CLIENTS} clients, one of them stuck"}


def of_broker(fleet, broker, files):
    rows = {kind: [] for kind in KINDS}
    swarm = Swarm(broker, files["backend"], files["sender"], RATE)
    feed = Feed(fleet)

    def window():
        before = cpu_s(broker.process.pid)
        swarm.sample()
        time.sleep(WINDOW_S)
        told = swarm.sample()
        return [told[3] / WINDOW_S, told[5] / 1000, told[1] / 1000,
                (cpu_s(broker.process.pid) - before) / WINDOW_S * 100]

    time.sleep(2)
    for _ in range(ROUNDS):
        for kind in KINDS:
            rows[kind].append(beside_broker(kind, feed, window))
    swarm.close()
    return rows


def medians(rows):
    return [statistics.median(x) for x in zip(*rows)]


def ratios(without, rows, at):
    """To what is without, of windows of the same round: the median, and the
    range."""
    pairs = [b[at] / a[at] for a, b in zip(without, rows) if a[at]]
    return (f"{statistics.median(pairs):.2f} "
            f"({min(pairs):.2f}–{max(pairs):.2f})")


def main():
    fleet = Fleet(POLICY)
    try:
        files = {cls: fill(fleet, n, cls) for cls, n in (
            ("backend", 1), ("sender", DEVICES), ("noisy", EVENTS))}
        with Broker(fleet) as broker:
            rows = one_another(fleet, broker, files)
            print(f"{CLIENTS - 1} clients, {EVENTS} events a second")
            print("| beside them | median, ms | p99, ms | longest, ms | "
                  "messages a second, all | weir-feed, % of a core |")
            print("|---|---|---|---|---|---|")
            for name, key in (("nobody", False), ("a stuck one", True)):
                m = medians(rows[key])
                print(f"| {name} | {m[0]:.1f} | {m[1]:.1f} | {m[2]:.1f} | "
                      f"{m[3]:.0f} | {m[4]:.1f} |")
            print("| ratio, by pairs | " + " | ".join(
                ratios(rows[False], rows[True], i) for i in range(5)) + " |",
                flush=True)
            rows = of_broker(fleet, broker, files)
            print(f"\n{DEVICES} devices send {RATE} messages a second")
            print("| weir-feed | delivered a second | p99, ms | longest, ms | "
                  "broker, % of a core | weir-feed, % of a core | messages a "
                  "second to its clients |")
            print("|---|---|---|---|---|---|---|")
            for kind, name in KINDS.items():
                m = medians(rows[kind])
                print(f"| {name} | {m[0]:.0f} | {m[1]:.2f} | {m[2]:.1f} | "
                      f"{m[3]:.1f} | {m[4]:.1f} | {m[5]:.0f} |")
            for kind in ("alone", "clients"):
                print(f"| ratio, {kind} to none | " + " | ".join(ratios(
                    rows["none"], rows[kind], i) for i in range(4))
                    + " | | |")
    finally:
        fleet.remove()
    print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}; medians of {ROUNDS} windows of "
          f"{WINDOW_S:.0f} s each, by turns; "
          f"{'real-time' if REALTIME else 'usual'} priority")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
