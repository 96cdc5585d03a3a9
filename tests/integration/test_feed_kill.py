# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed and the broker are killed with -9 at random moments, one of
them or both, while devices publish and connect again; now and then the machine
"reboots": the meter, which was on a tmpfs, is gone.

Question: does the history say, of each device and of each class, what was
counted, no more and no less?

Expected: once both run again and the feed has caught up, the sum over the whole
history of each device and class is what all meters that there were have shown
of it; minutes are as told and none is told twice; events have consecutive
cursors.

WEIR_KILLS sets how often (10), WEIR_SEED the seed; both are printed.
"""

import json
import os
import random
import sqlite3
import threading

import pytest

from clients import Publisher
from feed_support import Feed
from harness import Broker, Fleet, eventually

KILLS = int(os.environ.get("WEIR_KILLS", "10"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))
DEVICES = 4
POLICY = {"version": 1, "classes": {
    "meter": {"publish": ["k/${device}"]},
    "pump": {"publish": ["k/${device}"]}}}
CLASSES = ["meter", "pump"]
COUNTED = ["messages_in", "payload_bytes_in", "mqtt_bytes_in", "wire_bytes_in",
           "wire_bytes_out", "connects", "disconnects"]


@pytest.fixture
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


class Truth:
    """What all meters that there were have counted."""

    def __init__(self, fleet, devices):
        self.fleet, self.devices = fleet, devices
        self.gone = {}
        """Of meters that are no more."""

    def _shown(self):
        shown = {("device", d.id): self.fleet.json("usage", d)
                 for d in self.devices}
        shown |= {("class", c): self.fleet.json("usage", "--class", c)
                  for c in CLASSES}
        return {(*who, k): told[k] for who, told in shown.items()
                for k in COUNTED}

    def now(self):
        return {k: v + self.gone.get(k, 0) for k, v in self._shown().items()}

    def reboot(self):
        """The meter goes; who asked before it went has this."""
        self.gone = self.now()
        (self.fleet.state / "meter" / "meter.seg").unlink()


def history(fleet, devices):
    told = {("device", d.id): ("usage", d) for d in devices}
    told |= {("class", c): ("usage", "--class", c) for c in CLASSES}
    told = {who: json.loads(fleet.weir("--json", *args, "--since",
                                       "2000-01-01T00:00:00Z"))
            for who, args in told.items()}
    return {(*who, k): x[k] for who, x in told.items() for k in COUNTED}


def check_events(fleet):
    with sqlite3.connect(
            f"file:{fleet.state}/usage/usage.db?mode=ro", uri=True) as db:
        cursors = [x for x, in db.execute("SELECT cursor FROM event ORDER BY cursor")]
        twice = db.execute(
            "SELECT t_ms, type, device, text, value, count(*) AS n FROM event "
            "WHERE type = 'connect' GROUP BY 1, 2, 3, 4, 5 HAVING n > 1"
        ).fetchall()
    assert cursors == list(range(1, len(cursors) + 1))
    return len(cursors), twice


class Killer:
    """Kills both, in any order and at any moment, and starts them again."""

    def __init__(self, fleet, rng):
        self.rng, self.pause = rng, threading.Event()
        self.broker, self.feed = Broker(fleet), Feed(fleet)
        self.killed = {"feed": 0, "broker": 0, "meter": 0}

    def __enter__(self):
        self.broker.start()
        self.feed.start()
        return self

    def __exit__(self, *_):
        for x in (self.feed, self.broker):
            if x.process is not None:
                x.kill()
            x.close()

    def wait(self, most_s):
        self.pause.wait(self.rng.uniform(0, most_s))

    def kill(self, what):
        {"feed": self.feed, "broker": self.broker}[what].kill()
        self.killed[what] += 1

    def kill_feed(self):
        """It looks at all when it starts: so that is when it dies, too."""
        self.kill("feed")
        for _ in range(self.rng.randrange(3)):
            self.feed.spawn()
            self.wait(0.15)
            self.kill("feed")
        self.feed.start()


def test_history_is_what_was_counted(fleet, capsys):
    rng = random.Random(SEED)
    devices = [fleet.device(CLASSES[i % 2]) for i in range(DEVICES)]
    truth = Truth(fleet, devices)
    with Killer(fleet, rng) as k:
        while sum(k.killed.values()) < KILLS:
            publishers = [Publisher(k.broker, d) for d in devices]
            k.wait(0.5)
            if rng.random() < 0.7:
                k.kill_feed()
                k.wait(0.3)
            k.kill("broker")
            for p in publishers:
                p.thread.join()
            # Its first look has all that was counted.
            k.kill_feed()
            want = truth.now()
            eventually("the history is what was counted",
                       lambda: history(fleet, devices) == want)
            if rng.random() < 0.15:
                k.kill("feed")
                truth.reboot()
                k.killed["meter"] += 1
                k.feed.start()
            k.broker.start()
        events, twice = check_events(fleet)
        messages = sum(n for (kind, _, what), n in truth.now().items()
                       if kind == "device" and what == "messages_in")
    with capsys.disabled():
        print(f"\n    WEIR_SEED={SEED}: killed {k.killed}; {messages} messages, "
              f"{events} events")
    assert twice == []
    assert messages > 0 and events > 0
