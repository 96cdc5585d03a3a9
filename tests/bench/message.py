#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""
tests/bench/message.py: what does a message cost the broker, with Weir and with
its peers? Run by hand, as root.

One device publishes to one subscriber: QoS 0, 64 bytes, each in a TLS record
of its own. Compared, all with mutual TLS:

    bare            no access control
    weir            everything on: decisions, meter, wire bytes
    acl pattern     acl_file: one pattern for all devices
    acl per user    acl_file: 8 rules for each device
    dynsec shared   dynamic-security: one role for all devices
    dynsec per role dynamic-security: a role for each device

with as many devices known to each as asked for. Three figures:

- Instructions a message, counted by callgrind: the difference of two run
  lengths. For Weir also those inside its callbacks: two checks and one message
  event. They repeat from run to run, whatever else the machine does.
- CPU time of the broker's process a message, natively, by turns: the best of
  the rounds, and the median of the ratios to the bare broker of the same round;
  the same ratio of the messages a second that got through.

- System calls a message, counted by strace: a lock that has to wait is one too.

    WEIR_BUILD             build tree with weir, plugin, bench_fill
    WEIR_MESSAGE_DEVICES   devices known (1000 10000)
    WEIR_MESSAGE_ROUNDS    native rounds (5; 0: instructions only)
    WEIR_MESSAGE_ONLY      names, comma separated, of those to run (all)
"""

import collections
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))

from clients import PUBLISH, Wire, text, varint  # noqa: E402
from harness import BUILD, Broker, Device, Fleet  # noqa: E402

DEVICES = [int(n) for n in os.environ.get(
    "WEIR_MESSAGE_DEVICES", "1000 10000").split()]
ROUNDS = int(os.environ.get("WEIR_MESSAGE_ROUNDS", "5"))
ONLY = os.environ.get("WEIR_MESSAGE_ONLY")
SHORT, LONG = 1000, 5000
"""Messages of the two runs whose difference counts."""

NATIVE, TRACED, START_S = 60000, 20000, 600
TICKS_S = os.sysconf("SC_CLK_TCK")
CALLBACKS = ("on_acl_check", "on_message")
DYNSEC = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
POLICY = {"version": 1, "classes": {
    "device": {"publish": ["b/${device}/up"],
               "subscribe": ["b/${device}/cmd/#"]},
    "backend": {"publish": ["b/+/cmd/#"], "subscribe": ["b/#"]}}}


class World:
    """A fleet of N devices, and a broker of each kind that knows them."""

    def __init__(self, n):
        self.n, self.fleet = n, Fleet(POLICY)
        self.device = self._first("device", n)
        self.backend = self._first("backend", 1)
        self.users = [f"device-{i}" for i in range(n)]

    def _first(self, cls, n):
        """Registers N of the class; the first, with its files."""
        done = subprocess.run(
            [BUILD / "bin" / "bench_fill", self.fleet.state, self.fleet.ca,
             str(n), cls], stdout=subprocess.PIPE, text=True, check=True)
        pem = re.findall(r"-----BEGIN.*?-----END [A-Z ]+-----\n", done.stdout,
                         re.S)
        d = Device(f"{cls}-0", self.fleet.certs / f"{cls}-0.crt",
                   self.fleet.certs / f"{cls}-0.key")
        d.key.write_text(pem[0])
        d.crt.write_text(pem[1])
        return d

    # ------------------------------------------------------ kinds of broker

    def broker(self, kind):
        b = Broker(self.fleet)
        if kind != "weir":
            conf = [x for x in b.conf.read_text().splitlines()
                    if not x.startswith("plugin")]
            conf += ["use_identity_as_username true"]
            conf += getattr(self, "_" + kind.replace(" ", "_"))(b)
            b.conf.write_text("\n".join(conf) + "\n")
        return b

    def _bare(self, _):
        return []

    def _file(self, b, name, content):
        path = b.dir / name
        path.write_text(content)
        shutil.chown(path, "mosquitto", "mosquitto")
        return path

    def _acl_pattern(self, b):
        return ["acl_file " + str(self._file(
            b, "acl", "pattern write b/%u/up\npattern read b/%u/cmd/#\n"
            "user backend-0\ntopic read b/#\ntopic write b/+/cmd/#\n"))]

    def _acl_per_user(self, b):
        rules = "".join(
            f"user {u}\n" + "".join(f"topic write b/{u}/{k}\n"
                                    for k in range(6))
            + f"topic read b/{u}/cmd/#\ntopic write b/{u}/up\n"
            for u in self.users)
        return ["acl_file " + str(self._file(
            b, "acl", rules + "user backend-0\ntopic read b/#\n"
            "topic write b/+/cmd/#\n"))]

    def _dynsec(self, b, roles, role_of):
        def acl(kind, topic):
            return {"acltype": kind, "topic": topic, "priority": 0,
                    "allow": True}
        roles = [{"rolename": name, "acls": [
            acl("publishClientSend", up), acl("subscribePattern", cmd),
            acl("publishClientReceive", cmd)]} for name, up, cmd in roles]
        roles.append({"rolename": "backend", "acls": [
            acl("subscribePattern", "b/#"), acl("publishClientReceive", "b/#"),
            acl("publishClientSend", "b/+/cmd/#")]})
        clients = [{"username": u, "roles": [{"rolename": role_of(u)}]}
                   for u in (*self.users, "backend-0")]
        config = {"defaultACLAccess": {
            "publishClientSend": False, "publishClientReceive": False,
            "subscribe": False, "unsubscribe": True},
            "clients": clients, "groups": [], "roles": roles}
        return [f"plugin {DYNSEC}", "plugin_opt_config_file "
                + str(self._file(b, "dynsec.json", json.dumps(config)))]

    def _dynsec_shared(self, b):
        return self._dynsec(
            b, [("device", "b/+/up", "b/+/cmd/#")],
            lambda u: "backend" if u.startswith("backend") else "device")

    def _dynsec_per_role(self, b):
        return self._dynsec(
            b, [(u, f"b/{u}/up", f"b/{u}/cmd/#") for u in self.users],
            lambda u: "backend" if u.startswith("backend") else u)


KINDS = ["bare", "weir", "acl pattern", "acl per user", "dynsec shared",
         "dynsec per role"]


class Flow:
    """The device and the subscriber, connected."""

    def __init__(self, broker, world):
        self.ear = Wire(broker, world.backend).admitted(keepalive=0)
        assert self.ear.subscribe("b/#") == 0
        self.mouth = Wire(broker, world.device).admitted(keepalive=0)
        body = text(f"b/{world.device}/up") + b"x" * 64
        self.packet = bytes([PUBLISH << 4]) + varint(len(body)) + body

    def send(self, n):
        """N messages, until the subscriber has them all."""
        want = n * len(self.packet)
        done = threading.Thread(target=self._take, args=(want,))
        done.start()
        for _ in range(n):
            self.mouth.sock.sendall(self.packet)
        done.join()

    def _take(self, want):
        while want > 0:
            got = len(self.ear.sock.recv(65536))
            assert got != 0, "the broker has ended the connection"
            want -= got

    def close(self):
        self.mouth.close()
        self.ear.close()


def instructions(world, kind, n):
    """Of the whole run, and of Weir's callbacks in it."""
    broker = world.broker(kind)
    out = pathlib.Path(tempfile.mkdtemp(dir=broker.dir)) / "callgrind"
    shutil.chown(out.parent, "mosquitto", "mosquitto")
    os.environ["WEIR_BROKER_WRAPPER"] = (
        f"valgrind --quiet --tool=callgrind --callgrind-out-file={out}")
    try:
        with contextlib.closing(broker.spawn()):
            # Slowed down fifty times, it reads a long acl_file for minutes.
            broker.await_log("running$", 0, START_S)
            broker.turn()
            flow = Flow(broker, world)
            flow.send(n)
            flow.close()
    finally:
        del os.environ["WEIR_BROKER_WRAPPER"]
    told = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100",
         "--show-percs=no", str(out)], capture_output=True, text=True,
        check=True).stdout
    counts = {"all": int(re.search(r"([\d,]+) +PROGRAM TOTALS", told)[1]
                         .replace(",", ""))}
    for name in CALLBACKS:
        found = re.search(rf"([\d,]+) .*:{name} .*mosquitto_weir", told)
        counts[name] = int(found[1].replace(",", "")) if found else 0
    return counts


def per_message(world, kind):
    short = instructions(world, kind, SHORT)
    long = instructions(world, kind, LONG)
    return {k: (long[k] - short[k]) / (LONG - SHORT) for k in long}


def system_calls(world, kind):
    """A message, of all kinds together."""
    with world.broker(kind) as broker:
        flow = Flow(broker, world)
        told = broker.dir / "strace"
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-o", told, "-p", str(broker.process.pid)],
            stderr=subprocess.PIPE, text=True)
        assert "attached" in tracer.stderr.readline()
        flow.send(TRACED)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        tracer.stderr.close()
        flow.close()
    total = told.read_text().splitlines()[-1].split()
    assert total[-1] == "total", total
    return int(total[3]) / TRACED


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def native(world, kind):
    """CPU time and time of a message, in µs."""
    with world.broker(kind) as broker:
        flow = Flow(broker, world)
        flow.send(2000)
        before, begin = cpu_s(broker.process.pid), time.monotonic()
        flow.send(NATIVE)
        wall = time.monotonic() - begin
        took = cpu_s(broker.process.pid) - before
        flow.close()
        return took / NATIVE * 1e6, wall / NATIVE * 1e6


def main():
    kinds = [k for k in KINDS if not ONLY or k in ONLY.split(",")]
    if "bare" not in kinds:
        sys.exit("message.py: WEIR_MESSAGE_ONLY must have bare in it")
    print("| devices | | instructions a message | above bare | of them in "
          "Weir's callbacks | system calls a message | CPU, best, µs | CPU, "
          "ratio to bare | throughput, ratio to bare |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in DEVICES:
        world = World(n)
        try:
            rounds = collections.defaultdict(list)
            for _ in range(ROUNDS):
                for kind in kinds:
                    rounds[kind].append(native(world, kind))
            bare = None
            for kind in kinds:
                x = per_message(world, kind)
                bare = bare or x["all"]
                calls = sum(x[k] for k in CALLBACKS)
                mine, theirs = rounds[kind], rounds["bare"]
                native_part = " |  | "
                if mine:
                    cpu = [a[0] / b[0] for a, b in zip(mine, theirs)]
                    rate = [b[1] / a[1] for a, b in zip(mine, theirs)]
                    native_part = (f"{min(x[0] for x in mine):.2f} | "
                                   f"{statistics.median(cpu):.2f} | "
                                   f"{statistics.median(rate):.2f}")
                print(f"| {n} | {kind} | {x['all']:.0f} | "
                      f"{x['all'] - bare:+.0f} | "
                      f"{f'{calls:.0f}' if kind == 'weir' else ''} | "
                      f"{system_calls(world, kind):.2f} | "
                      f"{native_part} |",
                      flush=True)
        finally:
            world.fleet.remove()
    print(f"\n{datetime.date.today()}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}; {LONG - SHORT} messages counted, "
          f"{NATIVE} timed in each of {ROUNDS} rounds")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
