# SPDX-License-Identifier: Apache-2.0
"""
Scenario: programs tail a fleet over a WebSocket while devices connect, are
refused, send, and the broker and the feed are stopped, killed and begun anew;
some read slowly, or not at all.

Question: does each get every event that it asked for, once, in order, with the
members of `weir tail --json`, and the counters of `weir usage --json`? Is what
it could not get told?

Expected: yes; and nobody else notices one that is stuck.

WEIR_KILLS sets how often the feed is killed (10), WEIR_SEED the seed; both are
printed.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import pytest
import websocket

import feed_support
from clients import Closed
from harness import BUILD, DEADLINE_S, Broker, eventually
from tail_clients import Ended, RawTail, past

KILLS = int(os.environ.get("WEIR_KILLS", "10"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture(scope="module")
def never_reads(broker, feed):
    """One that asks for all there is and does not take it, as long as the tests
    of this file take. With the time at which it stopped."""
    c = RawTail(feed, "/api/v1/tail?counters=1s&last=4096", receive=4096)
    assert c.status == 101
    yield c, time.monotonic()
    c.close()


# -------------------------------------------------------------------- events


@pytest.mark.usefixtures("never_reads")
def test_follows(fleet, broker, feed, wire, tail):
    d, other = fleet.device("meter"), fleet.device("sensor")
    t = tail(feed, device=d)
    assert t.hello["broker"] == "running"
    assert t.hello["unseen_devices"] == [d.id]
    w = wire(broker, d).admitted()
    came = t.event(type="connect", device=d.id, text=d.id, reason=None)
    assert came["class"] == "meter" and came["address"] == "127.0.0.1"
    w.publish(f"m/{d}/up")  # allowed: no event
    wire(broker, other).admitted().publish("m/x/up", b"x", 1)  # another's
    w.publish("m/other/up", b"x", 1)
    t.event(type="refusal", action="publish", reason="no_rule", qos=1,
            text="m/other/up", value=0)
    w.disconnect()
    t.event(type="disconnect", device=d.id)
    fleet.weir("suspend", d, "--wait", "5s")
    t.event(type="status", device=d.id)


def test_same_as_weir_tail(fleet, broker, feed, wire, tail):
    """Every member of every event, in the same order."""
    d = fleet.device("worker")
    t = tail(feed, device=d)
    for i in range(5):
        w = wire(broker, d).admitted(client_id=f"{d}/{i}")
        w.subscribe("#", 0)
        w.publish(f"x/\u00e4/{i}", b"x")
        w.publish("y" * 200, b"x")
        w.disconnect()
    fleet.weir("suspend", d, "--wait", "5s")
    for event in past(fleet, "--device", d):
        got = t.event()
        assert got == event
        assert list(got) == list(event)
    mixed, want = tail(feed, last=4096), past(fleet)
    assert [mixed.event() for _ in want] == want


def test_filters(fleet, broker, feed, wire, tail):
    d, other = fleet.device("meter"), fleet.device("sensor")
    tails = {
        "events": tail(feed, events="refusal,disconnect", device=d),
        "reason": tail(feed, reason="size", device=f"{other},{d}"),
        "class": tail(feed, events="connect", **{"class": "sensor"}),
    }
    for x in (d, other):
        w = wire(broker, x).admitted()
        w.publish("m/none/up", b"x", 1)
        w.publish(f"m/{x}/small", b"s" * 17, 1)
        w.disconnect()
    for reason in ("no_rule", "size"):
        tails["events"].event(type="refusal", reason=reason, device=d.id)
    tails["events"].event(type="disconnect", device=d.id)
    tails["reason"].event(type="refusal", device=d.id, text=f"m/{d}/small")
    tails["class"].event(type="connect", device=other.id)
    # The newest that fit, in the order they happened.
    t = tail(feed, last=2, device=d, events="refusal")
    assert [t.event()["reason"] for _ in range(2)] == ["no_rule", "size"]


def test_nothing_is_lost_for_who_keeps_up(fleet, broker, feed, wire, tail):
    d = fleet.device("meter")
    t = tail(feed, device=d)
    w = wire(broker, d).admitted()
    t.event(type="connect")
    for i in range(100):
        again = wire(broker, d).admitted()
        t.event(type="takeover")
        t.event(type="connect")
        t.event(type="disconnect")
        if i % 10 == 0:
            again.ping()
    assert past(fleet, "--device", d)[-1]["type"] == "disconnect"
    with contextlib.suppress(Closed):
        w.close()


# ------------------------------------------------------------------ counters


def numbers(fleet, id):
    told = json.loads(fleet.weir("--json", "usage", id))
    return {k: told[k] for k in told
            if k not in ("broker", "class_median", "refusals", "last_address",
                         "last_connect", "last_refusal")}


def test_counters(fleet, broker, feed, wire, tail):
    d, other = fleet.device("meter"), fleet.device("sensor")
    for x in (d, other):
        wire(broker, x).admitted().disconnect()
    t = tail(feed, events="none", counters="1s")
    said = {}
    for x in (d, other):
        want = numbers(fleet, x)
        while {k: said.get(x.id, {}).get(k) for k in want} != want:
            said.update(t.round())
        assert set(said[x.id]) == set(want) | {"type"}
    # From now on what changes, and only that.
    w = wire(broker, d).admitted()
    for i in range(7):
        w.publish(f"m/{d}/up", b"x" * i)
    w.disconnect()
    want = numbers(fleet, d)
    got = None
    while got is None or {k: got[k] for k in want} != want:
        told = t.round()
        assert other.id not in told
        got = told.get(d.id, got)


def test_counters_of_some(fleet, broker, feed, wire, tail):
    d, other = fleet.device("meter"), fleet.device("strict")
    tails = {d.id: tail(feed, counters="1s", events="none", device=d),
             other.id: tail(feed, counters="1s", events="none",
                            **{"class": "strict"})}
    for x in (d, other):
        wire(broker, x).admitted()
    for id, t in tails.items():
        while not (got := t.round()):
            pass
        assert set(got) == {id}


# ------------------------------------------------------------ broker and feed


def test_broker_restarts(own_fleet, own_feed, wire, tail):
    d = own_fleet.device("meter")
    t = tail(own_feed)
    assert t.hello["broker"] == "never_ran"
    with Broker(own_fleet) as b:
        t.next("broker", state="running", generation=1)
        t.event(type="policy")
        wire(b, d).admitted()
        t.event(type="connect", device=d.id)
        b.kill()
        t.next("broker", state="stopped", generation=1, new_meter=False)
        b.start()
        t.next("broker", state="running", generation=2, new_meter=False)
        t.event(type="policy")
        wire(b, d).admitted()
        t.event(type="connect", device=d.id)


def test_meter_begun_anew(own_fleet, own_feed, wire, tail):
    d = own_fleet.device("meter")
    with Broker(own_fleet) as b:
        t = tail(own_feed, counters="1s")
        while (got := t.read())["type"] != "event":
            assert got["type"] in ("round", "broker")
        wire(b, d).admitted()
        while (got := t.read())["type"] != "counters":
            pass
        assert got["device"] == d.id
        b.kill()
        path = own_fleet.state / "meter" / "meter.seg"
        path.rename(path.with_name("old"))
        while (got := t.read()).get("state") != "never_ran":
            pass
        assert got["new_meter"]
        b.start()
        other = own_fleet.device("meter")
        wire(b, other).admitted()
        events, device = [], None
        while device is None or len(events) < 2:
            got = t.read()
            if got["type"] == "event":
                events.append(got["event"]["type"])
            elif got["type"] == "counters":
                device = got["device"]
        assert events == ["policy", "connect"]
        assert device == other.id


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_feed_comes_back(own_fleet, own_broker, own_feed, wire, tail, stop):
    """Who has the cursor of the last message goes on behind it."""
    d = own_fleet.device("meter")
    t = tail(own_feed, device=d)
    w = wire(own_broker, d).admitted()
    cursor = t.next("event")["cursor"]
    for i in range(20 if stop == "kill" else 3):
        if stop == "kill":
            own_feed.kill()
            assert t.ended() is None
        else:
            own_feed.process.send_signal(signal.SIGTERM)
            assert t.ended() == 1001  # going away
            t.close()
            assert own_feed.end() == 0
        # What happens while nobody looks.
        w.publish(f"none/{i}", b"x", 1)
        own_feed.start()
        t = tail(own_feed, device=d, after=cursor)
        got = t.next("event")
        assert got["event"]["text"] == f"none/{i}"
        cursor = got["cursor"]


def test_resumes_at_hello_and_heartbeat(own_fleet, own_broker, own_feed, wire,
                                        tail):
    """Before anything has come, too."""
    d = own_fleet.device("meter")
    t = tail(own_feed)
    cursor = t.hello["cursor"] or eventually(
        "an event", lambda: tail(own_feed).hello["cursor"])
    own_feed.kill()
    wire(own_broker, d).admitted()
    own_feed.start()
    t = tail(own_feed, after=cursor)
    while (got := t.event())["type"] != "connect":
        assert got["type"] == "policy"
    # A cursor of nowhere: what there is, and that it is not all.
    t = tail(own_feed, after="0123456789abcdef-5")
    assert t.next("missed", by="client")["events"] is None
    assert t.event()["type"] == "policy"


class Reference:
    """What `weir tail` tells of the device while it goes on."""

    def __init__(self, fleet, device):
        self.events, env = [], dict(os.environ, WEIR_STATE=str(fleet.state))
        self.process = subprocess.Popen(
            [BUILD / "bin" / "weir", "--json", "tail", "-n", "all",
             "--device", str(device)], env=env, text=True,
            stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.thread.join()
        self.process.stdout.close()


def test_killed_while_much_happens(own_fleet, own_broker, own_feed, wire, tail,
                                   closing):
    """At random moments; who goes on with its last cursor has got every event
    in the end, once, in order."""
    print(f"\n    {KILLS} kills, WEIR_SEED={SEED}")
    chance, end = random.Random(SEED), threading.Event()
    d = own_fleet.device("meter")
    wire(own_broker, d).admitted().disconnect()
    want = closing(Reference(own_fleet, d))

    def happen():
        while not end.is_set():
            w = wire(own_broker, d).admitted()
            w.publish("none/at/all", b"x", 1)
            w.disconnect()

    noise = threading.Thread(target=happen)
    noise.start()
    got, cursor, kills = [], None, 0
    t = tail(own_feed, device=d, last=4096)
    try:
        while kills < KILLS:
            dies = threading.Timer(
                chance.uniform(0, 0.3), own_feed.process.kill)
            dies.start()
            with contextlib.suppress(Ended, ConnectionError,
                                     websocket.WebSocketException):
                while True:
                    m = t.next("event")
                    got.append(m["event"])
                    cursor = m["cursor"]
            dies.join()
            own_feed.kill()
            kills += 1
            own_feed.start()
            t = tail(own_feed, device=d,
                     **({"after": cursor} if cursor else {"last": 4096}))
    finally:
        end.set()
        noise.join()
    eventually("the last event", lambda: past(own_fleet)[-1] == (
        want.events or [None])[-1])
    while len(got) < len(want.events):
        got.append(t.event())
    assert got == want.events and len(got) > KILLS


# ---------------------------------------------------------------- many, slow


def memory_kb(feed):
    text = open(f"/proc/{feed.process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])


def test_stuck_ones_are_nobody_elses_business(own_fleet, own_broker, own_feed,
                                              tail, raw):
    """Twenty that never read, while more happens than is kept, and one that
    does. What they cost is bounded, the one gets all, and one of them, when it
    reads after all, is told what it has missed."""
    ids = "\n".join(str(own_fleet.device("meter", cert=None))
                    for _ in range(60))
    happened = 0

    def happen():
        nonlocal happened
        action = "quarantine" if happened // 60 % 2 else "suspend"
        done = own_fleet.run(action, "-", stdin=ids)
        assert done.returncode == 0, done.stderr
        for _ in range(60):
            reads.event(type="status")
        happened += 60

    reads = tail(own_feed, events="status")
    for _ in range(20):
        happen()
    before = memory_kb(own_feed)
    stuck = [raw(own_feed, path="/api/v1/tail?events=status&last=4096",
                 receive=4096) for _ in range(20)]
    while happened < 6000:
        happen()
    # 36 KiB that wait in each, and as much again that libwebsockets has copied.
    assert (memory_kb(own_feed) < before + 20 * 128 + 4096
                + (feed_support.KEPT >> 10))
    got = missed = 0
    assert stuck[0].message()["type"] == "hello"
    while got + missed < happened:
        m = stuck[0].message()
        got += m["type"] == "event"
        missed += m["events"] if m["type"] == "missed" else 0
    assert got + missed == happened and missed > 0
    happen()
    assert stuck[0].message()["type"] == "event"


def test_never_reads_ends(feed, never_reads):
    """After a minute without a sign of life."""
    c, since = never_reads
    left = since + 75 - time.monotonic()

    def gone():
        """Its socket is closed at the other side, or reset."""
        lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")
        mine = "%s:%04X" % ("0100007F", c.sock.getsockname()[1])
        for line in lines.splitlines()[1:]:
            _, here, there, state = line.split()[:4]
            if there == mine and here.endswith(f":{feed.port:04X}"):
                return state != "01"  # established
        return True

    assert eventually("its end", gone, timeout=max(left, 1))
    assert time.monotonic() - since >= 59
    assert feed.ok("/api/v1/health")["status"] == "ok"
