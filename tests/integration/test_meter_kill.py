# SPDX-License-Identifier: Apache-2.0
"""
Scenario: the broker is killed with -9 at random moments while devices publish
with QoS 1, receive, and connect again; another process reads the meter all the
time.

Question: is anything lost, or counted twice? Does a reader ever see a counter go
down, or one that was never written?

Expected: of each device, what was counted between two starts is at least what
the broker had acknowledged, and at most what was sent. What its connection
carried is at least what its packets were. No counter ever goes down.

WEIR_KILLS sets how often (10), WEIR_SEED the seed; both are printed.
"""

import json
import os
import random
import threading

import pytest

from clients import Publisher, Wire
from harness import Broker, Fleet

KILLS = int(os.environ.get("WEIR_KILLS", "10"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))
DEVICES = 4
POLICY = {"version": 1, "classes": {"meter": {
    "publish": ["k/${device}"], "subscribe": ["k/${device}"]}}}
DOWN = ("t_s", "last_seen_s", "connections", "connected_since_s")


@pytest.fixture
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


class Reader:
    """Reads all devices again and again, in a process each time."""

    def __init__(self, fleet):
        self.fleet, self.seen, self.reads = fleet, {}, 0
        self.wrong, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.over.is_set():
            self.look()

    def look(self):
        for line in self.fleet.weir("--json", "usage", "--top", "100", "--sort",
                                    "connects").splitlines():
            now = json.loads(line)
            before = self.seen.get(now["device"], {})
            self.wrong += [
                (now["device"], k, before[k], v) for k, v in now.items()
                if isinstance(v, int) and k not in DOWN
                and v < before.get(k, 0)]
            self.seen[now["device"]] = now
        self.reads += 1

    def end(self):
        self.over.set()
        self.thread.join()


def test_nothing_lost(fleet, capsys):
    rng = random.Random(SEED)
    devices = [fleet.device("meter") for _ in range(DEVICES)]
    acked = sent = 0
    pause = threading.Event()
    broker = Broker(fleet)
    with broker as b:
        for d in devices:
            Wire(b, d).admitted().close()
    reader = Reader(fleet)
    for _ in range(KILLS):
        before = {d.id: fleet.json("usage", d) for d in devices}
        broker.start()
        publishers = [Publisher(broker, d) for d in devices]
        pause.wait(rng.uniform(0.05, 0.6))
        broker.kill()
        for p in publishers:
            p.thread.join()
            now, was = fleet.json("usage", p.device), before[p.device.id]
            n = now["messages_in"] - was["messages_in"]
            assert p.acked <= n <= p.sent, (p.device, p.acked, n, p.sent)
            assert now["payload_bytes_in"] - was["payload_bytes_in"] == n * p.SIZE
            more = now["mqtt_bytes_in"] - was["mqtt_bytes_in"]
            assert now["wire_bytes_in"] - was["wire_bytes_in"] >= more
            acked, sent = acked + p.acked, sent + p.sent
    reader.end()
    broker.close()
    with capsys.disabled():
        print(f"\n    {KILLS} kills, WEIR_SEED={SEED}: {acked} messages "
              f"acknowledged, {sent} sent, {reader.reads} reads of all devices")
    assert reader.wrong == []
    assert acked > 0 and reader.reads > KILLS
