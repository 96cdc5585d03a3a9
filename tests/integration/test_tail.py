# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody watches weir tail while devices connect, are refused, lose
rights, and the broker is stopped, killed, restarted and begins its meter anew.

Question: does every event come, once, in order, with who, what and why? Do the
filters hold? Is what could not be read told as lost? Does it end as other
programs do?

Expected: the event within a second; what does not fit never; the number of
events lost exactly; a line when the broker stops, starts or has another meter;
no error when the reader of its output goes.
"""

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

import pytest

from clients import refused_connect
from harness import BUILD, DEADLINE_S, Broker


class Tail:
    """weir tail at work; its lines as they come."""

    def __init__(self, fleet, *args):
        env = dict(os.environ, WEIR_STATE=str(fleet.state))
        self.p = subprocess.Popen(
            [BUILD / "bin" / "weir", "tail", *map(str, args)], env=env,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # A job in the background ignores it, and its children with it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.put(line)

    def line(self):
        return self.lines.get(timeout=DEADLINE_S)

    def until(self, pattern):
        while True:
            line = self.line()
            if re.search(pattern, line):
                return line

    def event(self, **want):
        """The next line, which must be so; but for a look at a meter that is
        just being made."""
        got = json.loads(self.line())
        if got.get("state") == "unknown" and want.get("state") == "running":
            got = json.loads(self.line())
        assert {k: got.get(k) for k in want} == want, got
        return got

    def close(self):
        if self.p.poll() is None:
            self.p.terminate()
        self.p.wait(DEADLINE_S)
        self.thread.join()
        self.p.stdout.close()
        self.p.stderr.close()


@pytest.fixture
def tail(closing):
    return lambda *a: closing(Tail(*a))


def past(fleet, *args):
    return [json.loads(x) for x in fleet.weir(
        "--json", "tail", "--no-follow", *args).splitlines()]


def test_follows(fleet, broker, wire, tail):
    d = fleet.device("meter")
    t = tail(fleet, "--json", "-n", "all", "--device", d)
    w = wire(broker, d).admitted()
    came = t.event(type="connect", device=d.id, value=None, text=d.id,
                   address="127.0.0.1", reason=None)
    assert came["class"] == "meter"
    assert abs(time.time() - came["t_ms"] / 1000) < DEADLINE_S
    assert came["t_s"] == came["t_ms"] // 1000
    w.publish(f"m/{d}/up")  # allowed: no event
    w.publish("m/other/up", b"x", 1)
    t.event(type="refusal", action="publish", reason="no_rule", qos=1,
            text="m/other/up", value=0)
    w.subscribe("m/#", 2)
    t.event(type="refusal", action="subscribe", reason="filter_too_wide",
            text="m/#")
    again = wire(broker, d).admitted()
    t.event(type="takeover", device=d.id)
    t.event(type="connect", device=d.id)
    t.event(type="disconnect", device=d.id)
    fleet.weir("suspend", d, "--wait", "5s")
    gone = [t.event(device=d.id) for _ in range(2)]
    assert {x["type"] for x in gone} == {"status", "disconnect"}
    [status] = [x for x in gone if x["type"] == "status"]
    assert status["text"] == "suspended" and status["value"] > 0
    again.ended()
    assert refused_connect(wire(broker, d))
    t.event(type="refusal", action="connect", reason="device_suspended")


def test_people(fleet, broker, wire, tail):
    d = fleet.device("worker")
    t = tail(fleet, "-n", "all", "--device", d)
    w = wire(broker, d).admitted(client_id=f"{d}/1")
    w.publish("x/\u00e4", b"x")
    w.disconnect()
    stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  "
    assert re.search(stamp + rf"connect    {d} \(worker\)  as {d}/1  from "
                     r"127\.0\.0\.1$", t.line())
    assert re.search(stamp + rf"refusal    {d} \(worker\)  publish x/\u00e4: "
                     r"no_rule  from 127\.0\.0\.1$", t.line())
    assert re.search(stamp + rf"disconnect {d} \(worker\)  as {d}/1 after "
                     r"\d+s  from 127\.0\.0\.1$", t.line())


def test_filters(fleet, broker, wire):
    d, other = fleet.device("meter"), fleet.device("sensor")
    for x in (d, other):
        w = wire(broker, x).admitted()
        w.publish("m/none/up", b"x", 1)
        w.publish(f"m/{x}/small", b"s" * 17, 1)
        w.disconnect()
    both = ["--device", d, "--device", other]
    assert len(past(fleet, *both)) == 8
    assert {x["device"] for x in past(fleet, "-n", "all", "--class", "sensor")
            } == {other.id}
    assert [x["reason"] for x in past(fleet, "--device", d, "--type",
                                      "refusal")] == ["no_rule", "size"]
    assert [x["text"] for x in past(fleet, *both, "--reason", "size")] == [
        f"m/{d}/small"]
    assert [x["type"] for x in past(fleet, "--device", d, "--type", "connect",
                                    "--type", "disconnect")] == [
        "connect", "disconnect"]
    # Newest N that fit, in the order they happened.
    assert [x["type"] for x in past(fleet, "-n", 2, "--device", d)] == [
        "refusal", "disconnect"]
    assert past(fleet, "-n", 0) == []
    assert past(fleet, "--device", d, "--class", "sensor") == []


def test_flood_is_told_as_lost(own_fleet, own_broker, tail):
    """A reader that is stopped while more happens than the ring holds."""
    ids = "\n".join(str(own_fleet.device("meter", cert=None))
                    for _ in range(60))
    t = tail(own_fleet, "--json", "-n", "all", "--type", "status")

    def change(action):
        done = own_fleet.run(action, "-", stdin=ids)
        assert done.returncode == 0, done.stderr
        return own_fleet.status()["registry"]["change_seq"]

    before = change("suspend")
    for _ in range(60):
        t.event(type="status")
    t.p.send_signal(signal.SIGSTOP)
    action = "quarantine"
    while (now := change(action)) < before + 4400:
        action = "suspend" if action == "quarantine" else "quarantine"
    own_broker.applied()
    t.p.send_signal(signal.SIGCONT)
    got = lost = 0
    while got + lost < now - before:
        line = json.loads(t.line())
        lost += line.get("lost", 0)
        got += line["type"] == "status"
    assert lost >= now - before - 4096 and got > 0
    assert got + lost == now - before
    # And what comes after it comes.
    change("suspend")
    t.event(type="status")


def test_restart(own_fleet, wire, tail):
    d = own_fleet.device("meter")
    t = tail(own_fleet, "--json")
    with Broker(own_fleet) as b:
        t.event(type="broker", state="running", generation=1, new_meter=False)
        t.event(type="policy")
        w = wire(b, d).admitted()
        t.event(type="connect", device=d.id)
        b.kill()
        t.event(type="broker", state="stopped", generation=1)
        b.start()
        t.event(type="broker", state="running", generation=2, new_meter=False)
        t.event(type="policy")
        wire(b, d).admitted()
        t.event(type="connect", device=d.id)
        w.close()


def test_meter_begun_anew(own_fleet, wire, tail):
    """The plugin sets a file aside that it cannot go on with."""
    d = own_fleet.device("meter")
    with Broker(own_fleet) as b:
        t = tail(own_fleet, "--json")
        t.event(type="policy")
        wire(b, d).admitted()
        t.event(type="connect", device=d.id)
        b.kill()
        t.event(type="broker", state="stopped")
        path = own_fleet.state / "meter" / "meter.seg"
        path.rename(path.with_name("old"))
        t.event(type="broker", state="never_ran", new_meter=True)
        b.start()
        t.event(type="broker", state="running", generation=1)
        t.event(type="policy")
        wire(b, d).admitted()
        t.event(type="connect", device=d.id)


def test_cut_short_is_no_crash(own_fleet, wire, tail):
    with Broker(own_fleet) as b:
        t = tail(own_fleet, "--json")
        t.event(type="policy")
        wire(b, own_fleet.device("meter")).admitted()
        t.event(type="connect")
        b.kill()
        t.event(type="broker", state="stopped")
        os.truncate(own_fleet.state / "meter" / "meter.seg", 4096)
        t.event(type="broker", state="unknown", new_meter=True)
        b.start()  # sets it aside
        t.event(type="broker", state="running")


def test_reader_goes(fleet, broker):
    """As with head: no message, no waiting for the next event."""
    env = dict(os.environ, WEIR_STATE=str(fleet.state))
    with subprocess.Popen([BUILD / "bin" / "weir", "tail", "-n", "0"], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.close()
        assert p.wait(DEADLINE_S) in (0, -signal.SIGPIPE)
        assert p.stderr.read() == b""


def test_cut_while_it_is_read(fleet, broker):
    """The kernel says so by a signal: a message and a status, no crash."""
    env = dict(os.environ, WEIR_STATE=str(fleet.state))
    with subprocess.Popen([BUILD / "bin" / "weir", "tail", "-n", "all"],
                          env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        p.stdout.readline()
        p.send_signal(signal.SIGBUS)
        assert p.wait(DEADLINE_S) == 3
        assert b"cut short while it was read" in p.stderr.read()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(fleet, broker, wire, tail, sig):
    d = fleet.device("meter")
    t = tail(fleet, "-n", "all", "--device", d)
    wire(broker, d).admitted()
    t.until(rf"connect +{d} ")
    t.p.send_signal(sig)
    assert t.p.wait(DEADLINE_S) == -sig
    assert t.p.stderr.read() == ""


@pytest.mark.parametrize("args,status,says", [
    (["--device", "nobody"], 1, "not registered"),
    (["--class", "nobody"], 1, "neither in the policy"),
    (["--type", "refusals"], 2, "did you mean refusal"),
    (["--type", "none"], 2, "no type of event"),
    (["--reason", "no-rule"], 2, "did you mean no_rule"),
    (["-n", "-1"], 2, "whole number"),
    (["-n", "4097"], 2, "whole number"),
    (["word"], 2, "one word too many"),
])
def test_refused_arguments(fleet, broker, args, status, says):
    done = fleet.run("tail", "--no-follow", *args)
    assert done.returncode == status and done.stdout == ""
    assert says in done.stderr, done.stderr


def test_never_ran(own_fleet):
    done = own_fleet.run("tail", "--no-follow")
    assert (done.returncode, done.stdout) == (0, "")
    assert "has not run with this state directory" in done.stderr
