# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a person, and a script, change what devices may do with the weir
command, with no broker and beside one, and wait until it is in force.

Question: does each command do what docs/CLI.md says, all or nothing, and is
what --wait and status tell what the broker did?

Expected: as in test_cli.py; a wait ends as the broker says, or in time.

The broker is played by this file: it holds meter.seg locked and writes its
header as core/meter.h lays it out. The real one has its own tests.
"""

import fcntl
import json
import mmap
import struct
import threading
import time

import pytest

from harness import eventually


# -------------------------------------------------------------- status changes


def status_of(weir, name):
    return weir.json("device", "show", name)["status"]


def test_status_changes(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    for verb, want in [("suspend", "suspended"), ("release", "active"),
                       ("quarantine", "quarantined"), ("release", "active"),
                       ("retire", "retired")]:
        done = weir.json(verb, "d1", "--reason", "why")
        assert (done["status"], done["devices"]) == (want, ["d1"])
        shown = weir.json("device", "show", "d1")
        assert (shown["status"], shown["status_reason"]) == (want, "why")
    for verb in ("suspend", "quarantine", "release"):
        weir.fails(2, verb, "d1", says="retired")
    weir.fails(2, "device", "add", "d1", "--class", "c", says="d1")


def test_status_for_a_while(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    done = weir.json("suspend", "d1", "--for", "2h")
    assert abs(done["status_until_s"] - time.time() - 7200) < 60
    shown = weir.json("device", "show", "d1")
    assert shown["effective_status"] == "suspended"
    weir.sql("UPDATE device SET status_until_s = 1000")
    shown = weir.json("device", "show", "d1")
    assert shown["status"] == "suspended"
    assert shown["effective_status"] == "active"
    assert [d["id"] for d in weir.lines(
        "device", "list", "--status", "active")] == ["d1"]
    assert weir.lines("device", "list", "--status", "suspended") == []


def test_status_is_all_or_nothing(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    weir.ok("device", "add", "d3", "--class", "c")
    before = weir.revision()
    weir.fails(1, "suspend", "d1", "d2", "d3", says="d2")
    assert (status_of(weir, "d1"), status_of(weir, "d3")) == (
        "active", "active")
    assert weir.revision() == before


def test_ids_from_standard_input(weir):
    for i in range(3):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    before = weir.revision()
    done = weir.json("suspend", "-", stdin=b"d1\r\n\nd0\nd1")
    assert done["devices"] == ["d0", "d1"]
    assert weir.revision() == before + 1
    assert status_of(weir, "d2") == "active"
    done = weir.json("release", "-", stdin=b"")
    assert done["devices"] == []
    weir.fails(2, "suspend", "-", stdin=b"d0\nd/1\n",
               says="standard input:2")
    weir.fails(2, "suspend", "-", stdin=b"d0\0x\n", says="standard input:1")
    weir.fails(2, "suspend", "-", stdin=b"d" * 5000)
    assert status_of(weir, "d2") == "active"


def test_whole_class(weir):
    for name, cls in [("a", "x"), ("b", "x"), ("c", "y"), ("s", "x"),
                      ("r", "x")]:
        weir.ok("device", "add", name, "--class", cls)
    weir.ok("suspend", "s")
    weir.ok("retire", "r")
    before = weir.revision()
    weir.fails(2, "quarantine", "--class", "x", says="2 devices")
    weir.fails(2, "quarantine", "--class", "x", "a", "--yes", says="not both")
    assert weir.revision() == before
    # A suspended device is not let back in by a quarantine of its class.
    done = weir.json("quarantine", "--class", "x", "--yes")
    assert done["devices"] == ["a", "b"]
    assert weir.json("suspend", "--class", "x", "--yes")["devices"] == [
        "a", "b"]
    assert weir.json("release", "--class", "x", "--yes")["devices"] == [
        "a", "b", "s"]
    assert weir.json("suspend", "--class", "none", "--yes")["devices"] == []
    assert status_of(weir, "c") == "active"
    assert weir.json("retire", "--class", "y", "--yes")["devices"] == ["c"]


@pytest.mark.parametrize("args", [
    ("suspend",),
    ("suspend", "d1", "--for", "2"),
    ("suspend", "d1", "--for", "0s"),
    ("suspend", "d1", "--wait", "soon"),
    ("suspend", "d1", "--reason", "x" * 201),
    ("suspend", "d1", "--reason", "a\nb"),
    ("release", "d1", "--for", "2h"),
    ("retire", "d1", "--for", "2h"),
])
def test_status_usage(weir, args):
    weir.ok("device", "add", "d1", "--class", "c")
    weir.fails(2, *args)
    assert status_of(weir, "d1") == "active"


# ------------------------------------------------------------- wait, and status

HEADER_SIZE, SEGMENT_SIZE, OUTCOMES_AT, OUTCOME = 432, 0x1000000, 0x1000, 80
AT = {"generation": 24, "pid": 32, "started_s": 40, "heartbeat_s": 48,
      "applied_change": 56, "policy_revision": 64, "connected": 80,
      "closed": 88, "refused": 96, "load_error_s": 104, "applied_live": 0xff0}


class Broker:
    """Holds meter.seg as the plugin does."""

    def __init__(self, state):
        self.file = open(state / "meter" / "meter.seg", "w+b")
        self.file.truncate(SEGMENT_SIZE)
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        self.map = mmap.mmap(self.file.fileno(), SEGMENT_SIZE)
        struct.pack_into("<8sIIQ", self.map, 0, b"WEIRSEG1", 2, HEADER_SIZE,
                         SEGMENT_SIZE)
        self.set(generation=3, pid=4242, started_s=int(time.time()) - 60,
                 heartbeat_s=int(time.time()), policy_revision=1)

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<q", self.map, AT[name], value)

    def load_error(self, text):
        struct.pack_into("<II256s", self.map, 112, 2, len(text), text)

    def outcome(self, change, closed, device):
        struct.pack_into("<IIq64s", self.map,
                         OUTCOMES_AT + (change % 256) * OUTCOME, 2, closed,
                         change, device.encode())

    def stop(self):
        self.map.close()
        self.file.close()


@pytest.fixture
def broker(weir):
    b = Broker(weir.state)
    yield b
    b.stop()


def test_wait_without_a_broker(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    assert "no broker runs" in weir.ok("suspend", "d1", "--wait", "5s")
    b = Broker(weir.state)
    b.stop()
    done = weir.json("release", "d1", "--wait", "5s")
    assert done["wait"]["state"] == "no_broker"
    assert done["wait"]["unknown"] == 0
    assert "wait" not in weir.json("suspend", "d1")


def test_wait_until_applied(weir, broker):
    for i in (1, 2):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    first = weir.change_seq() + 1

    def apply():
        # The plugin sees the commit, closes what it must, then says so.
        eventually("it is committed",
                   lambda: weir.change_seq() == first + 1)
        broker.outcome(first, 2, "d1")
        broker.outcome(first + 1, 0, "d2")
        broker.set(applied_change=first + 1)

    plugin = threading.Thread(target=apply)
    plugin.start()
    done = weir.json("suspend", "d1", "d2", "--wait", "10s")
    plugin.join()
    assert done["wait"]["state"] == "applied"
    assert done["wait"]["closed"] == [{"device_id": "d1", "connections": 2}]
    assert done["wait"]["unknown"] == 0
    assert 0 <= done["wait"]["waited_ms"] < 10000
    broker.set(applied_change=first + 2)
    broker.outcome(first + 2, 1, "d1")
    text = weir.ok("release", "d1", "--wait", "10s")
    assert "d1: 1 connection closed" in text and " ms" in text


def test_device_set_waits(weir, broker):
    weir.ok("device", "add", "d1", "--class", "c")
    broker.set(applied_change=1)
    broker.outcome(1, 1, "d1")
    done = weir.json("device", "set", "d1", "--class", "k", "--wait", "5s")
    assert done["class"] == "k"
    assert done["wait"]["closed"] == [{"device_id": "d1", "connections": 1}]
    # Applied, and the segment no longer says what it closed.
    broker.set(applied_change=2)
    done = weir.json("device", "set", "d1", "--class", "m", "--wait", "5s")
    assert (done["wait"]["unknown"], done["wait"]["closed"]) == (1, [])
    # Nothing changed: there is nothing to wait for.
    done = weir.json("device", "set", "d1", "--class", "m", "--wait", "5s")
    assert done["wait"]["state"] == "applied"
    weir.fails(3, "device", "set", "d1", "--class", "c", "--wait", "0s",
               says="committed")


def test_wait_times_out(weir, broker):
    weir.ok("device", "add", "d1", "--class", "c")
    done = weir("--json", "suspend", "d1", "--wait", "0s")
    assert done.returncode == 3
    assert b"4242" in done.stderr and b"committed" in done.stderr
    assert json.loads(done.stdout)["wait"]["state"] == "timeout"
    assert status_of(weir, "d1") == "suspended"


def test_wait_with_a_hostile_meter(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    (weir.state / "meter" / "meter.seg").write_bytes(b"WEIRSEG1")
    text = weir.fails(3, "suspend", "d1", "--wait", "1s", says="meter.seg")
    assert "it is committed" in text
    assert status_of(weir, "d1") == "suspended"
    assert weir.json("status")["broker"]["state"] == "unknown"
    assert "unknown: " in weir.ok("status")


def test_wait_for_a_policy_that_the_broker_refuses(weir, broker):
    """It is stored all the same, and the message says so."""
    file = weir.folder / "new.json"
    file.write_text('{"version": 1, "classes": {"new": {}}}')
    broker.set(load_error_s=int(time.time()) + 60)
    broker.load_error(b"no room")
    done = weir("--json", "policy", "apply", file, "--wait", "5s")
    assert done.returncode == 3
    assert b"it is committed, but the broker keeps" in done.stderr
    assert b"no room" in done.stderr
    wait = json.loads(done.stdout)["wait"]
    assert (wait["state"], wait["error"]) == ("refused", "no room")
    assert "new" in weir.json("policy", "show")["text"]


def test_status_of_the_broker(weir):
    never = weir.json("status")
    assert never["broker"]["state"] == "never_ran"
    assert "has not run" in weir.ok("status")
    b = Broker(weir.state)
    b.set(connected=7, applied_change=0)
    weir.ok("device", "add", "d1", "--class", "c")
    weir.ok("suspend", "d1")
    s = weir.json("status")
    assert s["broker"]["state"] == "running"
    assert (s["broker"]["pid"], s["broker"]["connected"]) == (4242, 7)
    assert (s["broker"]["generation"], s["broker"]["load_error"]) == (3, None)
    text = weir.ok("status")
    assert "pid 4242" in text and "0 of 1 in force" in text
    b.set(applied_change=1, load_error_s=1795351180)
    b.load_error(b"no room")
    s = weir.json("status")
    assert s["broker"]["load_error"] == "no room"
    text = weir.ok("status")
    assert "all in force" in text
    assert "no room, at 2026-11-22T12:39:40Z" in text
    b.stop()
    s = weir.json("status")
    assert (s["broker"]["state"], s["broker"]["connected"]) == ("stopped", 0)
    assert "stopped, last seen" in weir.ok("status")


def test_status_counts(weir):
    for i in range(4):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    weir.ok("suspend", "d0")
    weir.ok("quarantine", "d1")
    weir.ok("retire", "d2")
    s = weir.json("status")
    assert s["registry"]["devices"] == {
        "active": 1, "suspended": 1, "quarantined": 1, "retired": 1}
    assert s["registry"]["credentials"] == {
        "active": 0, "revoked": 0, "expiring_30d": 0}
    assert (s["audit"]["action"], s["audit"]["device_id"]) == (
        "device.retire", "d2")
    assert s["registry"]["revision"] == 8
