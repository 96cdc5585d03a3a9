#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/gap.py: how long is the longest pause in delivery when something
changes? Run by hand, as root, on a machine that does nothing else.

Many devices (each with its certificate, registered) are connected by TLS and
send to one backend. In a window of one second something happens, and the
longest time between two deliveries at the backend is noted. It is measured
without the plugin (nothing, SIGHUP) and with it (nothing, a device added,
revoked, changed, a policy applied, SIGHUP), by turns, and printed as the median
of the rounds, beside the difference from SIGHUP without the plugin.

    WEIR_BUILD            build tree with weir, plugin, bench_fill, bench_swarm
    WEIR_GAP_REGISTERED   devices registered (10000)
    WEIR_GAP_CONNECTED    of them connected (8000)
    WEIR_GAP_RATE         messages a second, of all together (4000)
    WEIR_GAP_ROUNDS       rounds (5)
    WEIR_GAP_REALTIME     1: broker and swarm run before all other processes of
                          the machine (SCHED_FIFO), for one that others share

A window in which the swarm itself was late to send is taken again, for that is
the machine's doing: in real time the swarm goes before the broker, and cannot
be late because of it. How many there were is printed.
"""

import collections
import datetime
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from harness import BUILD, Broker, Fleet, go_first  # noqa: E402

REGISTERED = int(os.environ.get("WEIR_GAP_REGISTERED", "10000"))
CONNECTED = int(os.environ.get("WEIR_GAP_CONNECTED", "8000"))
RATE = int(os.environ.get("WEIR_GAP_RATE", "4000"))
ROUNDS = int(os.environ.get("WEIR_GAP_ROUNDS", "5"))
REALTIME = os.environ.get("WEIR_GAP_REALTIME") == "1"
WINDOW_S = 1.0
LATE_US = 1500
TRIES = 20
"""Windows taken for one that counts, before the machine is given up."""

Sample = collections.namedtuple("Sample", "gap latency late delivered devices p99")


def policy(n):
    """What applying changes: each class, among them the devices' own."""
    classes = {f"class-{i}": {
        "publish": [f"c{i}/{j}/{n}/${{device}}" for j in range(10)],
        "subscribe": [f"c{i}/{j}/${{device}}/#" for j in range(10)]}
        for i in range(50)}
    classes["device"] = {
        "publish": ["g/${device}/up", f"g/${{device}}/{n}"],
        "subscribe": ["g/${device}/cmd/#"]}
    classes["backend"] = {"publish": ["g/+/cmd/#"], "subscribe": ["g/#"]}
    return {"version": 1, "classes": classes}


def first(pid, priority):
    if REALTIME:
        go_first(pid, priority)


class Swarm:
    def __init__(self, broker, backend, devices):
        self.process = subprocess.Popen(
            [BUILD / "bin" / "bench_swarm", str(broker.port),
             broker.fleet.ca / "ca.crt", backend, devices, str(RATE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        begin = time.monotonic()
        ready = self.process.stdout.readline().split()
        assert ready[:1] == ["ready"], "the swarm did not get up"
        print(f"  {ready[1]} connected in {time.monotonic() - begin:.1f} s",
              flush=True)
        first(self.process.pid, 2)
        time.sleep(2)

    def sample(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Sample(*map(int, self.process.stdout.readline().split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self):
        self.fleet, self.n, self.again = Fleet(policy(0)), 0, 0
        self.samples = collections.defaultdict(list)
        self.devices = self._fill(REGISTERED, "device")
        self.backend = self._fill(1, "backend")
        self.connected = self.fleet.root / "connected.pem"
        lines = self.devices.read_text().split("-----BEGIN PRIVATE KEY-----")
        self.connected.write_text("-----BEGIN PRIVATE KEY-----".join(
            lines[:CONNECTED + 1]))

    def _fill(self, n, cls):
        path, begin = self.fleet.root / f"{cls}.pem", time.monotonic()
        with path.open("w") as f:
            subprocess.run([BUILD / "bin" / "bench_fill", self.fleet.state,
                            self.fleet.ca, str(n), cls], stdout=f, check=True)
        print(f"  {n} of class {cls} registered in "
              f"{time.monotonic() - begin:.1f} s", flush=True)
        return path

    # ---------------------------------------------------------------- events

    def nothing(self, _):
        pass

    def sighup(self, broker):
        broker.reload()

    def add(self, _):
        self.n += 1
        self.fleet.weir("device", "add", f"new-{self.n}", "--class", "device")
        self.fleet.weir("cert", "issue", f"new-{self.n}", "--out",
                        self.fleet.certs)

    def revoke(self, _):
        self.n += 1
        self.fleet.weir("cert", "revoke", f"device-{self.n}", "--wait", "10s")

    def change(self, _):
        self.n += 1
        self.fleet.weir("device", "set", f"device-{self.n}", "--attr",
                        "site=x", "--wait", "10s")

    def apply(self, _):
        self.n += 1
        self.fleet.apply(policy(self.n), "--wait", "10s")

    # ------------------------------------------------------------ measurement

    def window(self, broker, swarm, event):
        swarm.sample()
        begin = time.monotonic()
        event(broker)
        time.sleep(max(0, begin + WINDOW_S - time.monotonic()))
        return swarm.sample()

    def measure(self, broker, swarm, event):
        for _ in range(TRIES):
            sample = self.window(broker, swarm, event)
            if sample.late <= LATE_US:
                return sample
            self.again += 1
        sys.exit("gap.py: the machine has too much else to do")

    def run(self, plugin, events):
        with Broker(self.fleet) if plugin else Broker.bare(self.fleet) as broker:
            first(broker.process.pid, 1)
            swarm = Swarm(broker, self.backend, self.connected)
            for _ in range(ROUNDS):
                for name, event in events:
                    self.samples[name, plugin].append(
                        self.measure(broker, swarm, event))
            swarm.close()

    def table(self):
        base = statistics.median(
            s.gap for s in self.samples["SIGHUP", False]) / 1000
        print(f"\n| event | plugin | longest gap, ms | highest | latency, ms "
              f"| above SIGHUP without plugin, ms |\n|---|---|---|---|---|---|")
        for (name, plugin), samples in self.samples.items():
            gap = statistics.median(s.gap for s in samples) / 1000
            print(f"| {name} | {'yes' if plugin else 'no'} | {gap:.1f} | "
                  f"{max(s.gap for s in samples) / 1000:.1f} | "
                  f"{statistics.median(s.latency for s in samples) / 1000:.1f}"
                  f" | {gap - base:+.1f} |")
        rates = [s.delivered / WINDOW_S for x in self.samples.values() for s in x]
        print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, load "
              f"{os.getloadavg()[0]:.1f}; {REGISTERED} registered, "
              f"{self.samples['SIGHUP', True][0].devices} connected, "
              f"{statistics.median(rates):.0f} messages a second delivered; "
              f"medians of {ROUNDS}; "
              f"{'real-time' if REALTIME else 'usual'} priority; "
              f"{self.again} windows taken again")


def main():
    need = CONNECTED + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, need), hard),
                                                hard))
    bench = Bench()
    try:
        print("without the plugin", flush=True)
        bench.run(False, [("nothing", bench.nothing),
                          ("SIGHUP", bench.sighup)])
        print("with the plugin", flush=True)
        bench.run(True, [("nothing", bench.nothing),
                         ("add a device", bench.add),
                         ("revoke a certificate", bench.revoke),
                         ("change a device", bench.change),
                         ("apply a policy", bench.apply),
                         ("SIGHUP", bench.sighup)])
        bench.table()
    finally:
        bench.fleet.remove()


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main()
