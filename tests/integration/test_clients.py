# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody starts from one of examples/clients: C with libmosquitto,
Python with paho, JavaScript with MQTT.js, against a broker with Weir.

Question: does each do what examples/clients/README.md says, with the broker
there, gone and back, with a right refused, taken and given back?

Expected: it publishes with confirmation and obeys commands; a topic that is
refused is not sent again; it comes back after a restart of the broker, in the
session that kept its commands; while it is suspended it asks seldom; when it
is killed, its will says so; a session that is refused is given up for a clean
one.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from clients import Client
from harness import DEADLINE_S, REPO, Broker, Fleet

EXAMPLES = REPO / "examples" / "clients"
REFUSED_S = 2
SETTINGS = {"INTERVAL_S": "0.2", "RETRY_S": "0.2", "RETRY_MAX_S": "1.0",
            "REFUSED_S": f"{REFUSED_S}.0"}
"""The C client takes them when it is compiled, the others from outside."""
POLICY = {
    "version": 1,
    "classes": {
        "device": {
            "publish": ["dev/${device}/telemetry",
                        {"topic": "dev/${device}/status", "retain": True}],
            "subscribe": ["dev/${device}/cmd/+"],
            "limits": {"connects_per_min": 60}},
        "old": {
            "publish": [{"topic": "dev/${device}/telemetry", "max_qos": 2}],
            "subscribe": ["dev/${device}/cmd/+"]},
        "backend": {"publish": ["dev/+/cmd/+"], "subscribe": ["dev/#"]}}}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The command of each client, built in a copy."""
    here = tmp_path_factory.mktemp("clients")
    for name in ("c", "javascript"):
        shutil.copytree(EXAMPLES / name, here / name,
                        ignore=shutil.ignore_patterns("node_modules",
                                                      "device"))
    for command, folder in ((["make", "CFLAGS=-O2 -Wall -Wextra -Werror "
                              + " ".join(f"-D{k}={v}" for k, v
                                         in SETTINGS.items())], "c"),
                            (["npm", "ci", "--no-audit", "--no-fund"],
                             "javascript")):
        done = subprocess.run(command, cwd=here / folder, capture_output=True,
                              text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return {"c": [here / "c" / "device"],
            "python": [sys.executable, EXAMPLES / "python" / "device.py"],
            "javascript": ["node", here / "javascript" / "device.js"]}


@pytest.fixture
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


class Program:
    """A running client; its lines are awaited as a broker's are."""

    def __init__(self, command, broker, device, *topics):
        self.lines, self.cond = [], threading.Condition()
        self.process = subprocess.Popen(
            [str(x) for x in (*command, "localhost", broker.port, device.id,
                              broker.fleet.ca / "ca.crt", device.crt,
                              device.key, *topics)],
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **SETTINGS))
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.cond:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self.cond.notify_all()

    def mark(self):
        with self.cond:
            return len(self.lines)

    def said(self, pattern, mark=0):
        with self.cond:
            return [x for _, x in self.lines[mark:] if re.search(pattern, x)]

    def until(self, pattern, mark=0, n=1):
        """Waits for N lines that match; the position behind the last."""
        def found():
            hits = [i for i in range(mark, len(self.lines))
                    if re.search(pattern, self.lines[i][1])]
            return hits[n - 1] + 1 if len(hits) >= n else 0
        with self.cond:
            got = self.cond.wait_for(found, DEADLINE_S)
            assert got, (pattern, self.lines[mark:])
            return got

    def end(self, sig):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(timeout=DEADLINE_S)
        self.reader.join(timeout=DEADLINE_S)
        self.process.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print("\n".join(x for _, x in self.lines[-60:]))
        self.end(signal.SIGKILL)


def backend(broker, device):
    return Client(broker, device).connect().listening("dev/#")


@pytest.mark.parametrize("language", ["c", "python", "javascript"])
def test_publishes_obeys_and_gives_up_what_is_refused(programs, fleet,
                                                      language):
    device, service = fleet.device("device"), fleet.device("backend")
    telemetry = f"dev/{device.id}/telemetry"
    with Broker(fleet) as broker:
        there = backend(broker, service)
        with Program(programs[language], broker, device, telemetry,
                     "dev/other/telemetry") as p:
            p.until("^connected$")
            p.until("^listening$")
            p.until("^refused dev/other/telemetry 135$")
            at = p.until(f"^sent {telemetry}$", n=3)
            there.until(f"dev/{device.id}/status", b"online")
            there.until(telemetry)
            there.publish(f"dev/{device.id}/cmd/blink", "now")
            p.until(f"^command dev/{device.id}/cmd/blink now$")
            # What was refused is left alone for long, and then asked again.
            p.until("^refused dev/other/telemetry 135$", n=2)
            first, second = [t for t, x in p.lines if x.startswith("refused")]
            assert second - first >= REFUSED_S / 2
            assert len(broker.logged("refused publish .*dev/other")) <= 2
            p.until(f"^sent {telemetry}$", at, n=3)
            assert p.end(signal.SIGTERM) == 0
        there.until(f"dev/{device.id}/status", b"offline")
        assert "lost" not in [m.payload.decode() for m in there.messages]
        there.close()


@pytest.mark.parametrize("language", ["c", "python", "javascript"])
def test_comes_back(programs, fleet, language):
    device, service = fleet.device("device"), fleet.device("backend")
    telemetry = f"dev/{device.id}/telemetry"
    command = f"dev/{device.id}/cmd/go"
    broker = Broker(fleet)
    with broker:
        with Program(programs[language], broker, device, telemetry) as p:
            at = p.until(f"^sent {telemetry}$")
            broker.stop()
            at = p.until("^retry in ", at, n=3)
            # Never at once, and never longer than the longest.
            waits = [float(x.split()[2]) for x in p.said("^retry in ")]
            assert all(0.1 <= x <= 1 for x in waits), waits
            assert not p.said("^(connected|sent)", at)
            broker.start()
            at = p.until("^connected, session resumed$", at)
            at = p.until(f"^sent {telemetry}$", at)
            there = backend(broker, service)
            there.publish(command, "one")
            p.until(f"^command {command} one$", at)
            p.end(signal.SIGKILL)
            there.until(f"dev/{device.id}/status", b"lost")
        # Its session waits for it, and with it what it is told meanwhile.
        there.publish(command, "two")
        with Program(programs[language], broker, device, telemetry) as p:
            p.until("^connected, session resumed$")
            p.until(f"^command {command} two$")
        there.close()


@pytest.mark.parametrize("language", ["c", "python", "javascript"])
def test_asks_seldom_while_suspended(programs, fleet, language):
    device = fleet.device("device")
    telemetry = f"dev/{device.id}/telemetry"
    with Broker(fleet) as broker, Program(programs[language], broker, device,
                                          telemetry) as p:
        at, log = p.until(f"^sent {telemetry}$"), broker.mark()
        fleet.weir("suspend", device.id, "--wait", "10s")
        at = p.until("^connect refused 135$", at)
        begin = at
        for _ in range(3):
            at = p.until("^once with a clean session$", at)
            at = p.until("^retry in ", at)
        waits = [float(x.split()[2]) for x in p.said("^retry in ", begin)]
        assert all(REFUSED_S / 2 <= x <= REFUSED_S for x in waits), waits
        # Twice for each time that it tried: with its session and without.
        assert len(p.said("^connect refused 135$")) == 2 * len(waits)
        assert len(p.said("^connected")) == 1
        assert len(broker.logged("refused connect .*device_suspended",
                                 log)) >= 2
        fleet.weir("release", device.id, "--wait", "10s")
        at = p.until("^connected", at)
        p.until(f"^sent {telemetry}$", at)


@pytest.mark.parametrize("language", ["c", "python", "javascript"])
def test_gives_up_a_session_that_is_refused(programs, fleet, language):
    """A class that lets QoS 2 in, and a device in quarantine: session_stale."""
    device = fleet.device("old")
    with Broker(fleet) as broker, Program(
            programs[language], broker, device,
            f"dev/{device.id}/telemetry") as p:
        at, log = p.until("^sent "), broker.mark()
        fleet.weir("quarantine", device.id, "--wait", "10s")
        at = p.until("^connect refused 135$", at)
        broker.refused("connect", "session_stale", log)
        at = p.until("^once with a clean session$", at)
        at = p.until("^connected$", at)
        # In quarantine nothing else is allowed: it says so, and stays.
        p.until("^refused dev/.*/telemetry 135$", at)
        p.until("^refused dev/.*/cmd/. 135$", at)
        assert not p.said("^retry", at)
