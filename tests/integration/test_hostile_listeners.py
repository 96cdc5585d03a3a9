# SPDX-License-Identifier: Apache-2.0
"""
Scenario: brokers that are configured otherwise than the shipped file: with a
check of who sent a retained message, with a mount point, with a WebSocket
listener, and with a certificate's name taken for a user name, which asks the
plugin nothing; a hostile device on each.

Question: do the same rules hold on each?

Expected: yes; on the last, where nobody was asked who connects, whoever
connects may do nothing at all, its will included, and the log says why. The
well-behaved device is watched where it can connect.
"""

import contextlib
import types

import pytest

from clients import (DISCONNECT, REFUSED, REFUSED_V311, Closed, Message,
                     WebSocket, Wire, refused_connect)
from harness import Broker, websockets
from hostile import Ear, Watch, answers, fleet, is_over, pour, publication


@pytest.fixture
def guarded(fleet, capsys, request):
    """Starts a broker with more in its configuration, watched."""
    started = {}

    def start(extra="", **directives):
        # The same one again, when the test is measured and so repeated.
        how = (extra, *directives.items())
        if how not in started:
            b = Broker(fleet, extra=extra, **directives)
            stack.callback(b.close)
            started[how] = Watch(fleet, b.start())
            stack.callback(started[how].close)
        return started[how].broker
    start.watches = started.values()
    with contextlib.ExitStack() as stack:
        yield start
        for w in started.values():
            w.end(request.node.name, capsys)


def refusal(version):
    return REFUSED if version == 5 else REFUSED_V311


# ------------------------------------------------- who sent a retained message


def test_source_of_retained_messages(fleet, guarded, wire, version):
    """What a device may publish no more is delivered no more; nobody else's
    retained message is lost, whether its sender is there or not."""
    b = guarded(check_retain_source="true")
    one, two = fleet.device("rogue"), fleet.device("rogue")
    for d in (one, two):
        w = wire(b, d, version).admitted()
        assert w.publish(f"h/{d}/keep", "kept", retain=True) == 0
        assert w.publish(f"h/{d}/up", "bad", retain=True) in (0, REFUSED)
        if d is one:
            w.disconnect()

    def kept():
        ear = Ear(fleet, b)
        got = {m.topic for m in ear.heard() if m.retain}
        ear.close()
        return got
    assert kept() == {f"h/{one}/keep", f"h/{two}/keep"}
    fleet.weir("suspend", one, "--wait", "10s")
    assert kept() == {f"h/{two}/keep"}
    fleet.weir("retire", two, "--wait", "10s")
    assert kept() == set()


# ------------------------------------------------------------------ mount point


def test_mount_point(fleet, wire, closing, version):
    """The policy judges topics as the broker knows them, prefix and all: what
    was allowed without it is not, and nothing escapes it."""
    b = closing(Broker(fleet, extra="mount_point h/inner/\n")).start()
    d = fleet.device("rogue")
    w = wire(b, d, version).admitted()
    for topic in (f"h/{d}/up", f"../{d}/up", "inner/up", f"/{d}/up", "up"):
        assert w.publish(topic, "bad") == (REFUSED if version == 5 else 0)
    for f in (f"h/{d}/in/#", "#", f"$share/g/h/{d}/in/#", "$SYS/#"):
        assert w.subscribe(f) == refusal(version)
    d = fleet.device("rogue")
    w = wire(b, d, version).admitted(
        will=Message(f"h/{d}/up", "bad", 1, False))
    w.close()
    b.refused("publish", "no_rule", device=d, topic=f"h/inner/h/{d}/up")
    # By the name that the broker gives it, a rule allows it.
    crowd = wire(b, fleet.device("hub"), version).admitted()
    assert crowd.publish("x") == 0


# ------------------------------------------------------------------- WebSockets


@pytest.fixture
def web(fleet, guarded):
    """A broker that has a WebSocket listener too, and its port."""
    with websockets(fleet) as (port, extra):
        b = guarded(extra)
        yield types.SimpleNamespace(broker=b, fleet=b.fleet, port=port)


@pytest.fixture
def web_wire(web, closing):
    def make(device, version):
        w = closing(Wire(web, device, version))
        w.sock = WebSocket(w.sock)
        return w
    return make


def test_websockets(fleet, web, web_wire, closing, version):
    b = web.broker
    ear = closing(Ear(fleet, b))
    ear.heard()
    d, other = fleet.device("rogue"), fleet.device("rogue")
    w = web_wire(d, version).admitted(
        will=Message("h/other/up", "bad", 1, False))
    assert w.publish(f"h/{d}/up", "own") == 0
    for topic in (f"h/{other}/up", "h//up", "$SYS/x", "$CONTROL/x/v1"):
        assert w.publish(topic, "bad") == (REFUSED if version == 5 else 0)
    for f in ("#", f"h/{other}/in/#", "$share/workers/jobs/+"):
        assert w.subscribe(f) == refusal(version)
    assert w.subscribe(f"h/{d}/in/#") == 0
    # another's client id; no certificate that is registered; malformed
    assert refused_connect(web_wire(d, version), other.id)
    assert refused_connect(web_wire(fleet.sign(d.id), version), d.id)
    v = web_wire(other, version).admitted()
    v.sock.sendall(b"\xf0\xff\xff\xff\xff\xff")
    got = answers(v)
    assert got[-1][0] == DISCONNECT
    assert [m.payload for m in ear.heard()] == [b"own"]
    mark = b.mark()
    w.close()
    b.refused("publish", "no_rule", mark, device=d)
    assert ear.heard() == []


def test_a_flood_is_cut_over_websockets(web, web_wire, version):
    d = web.fleet.device("capped")
    w = web_wire(d, version).admitted()
    for i in range(1000):
        if not pour(w, publication(w, f"flood/{i}", b"", 1, i + 1)):
            break
    assert is_over(answers(w))
    assert web.fleet.json("usage", d.id)["refused_publishes"] < 1000


def test_websocket_of_a_device_that_loses_its_rights(
        fleet, web, web_wire, closing, version):
    """Live, and once more after a reload, which asks for all sessions."""
    b = web.broker
    ear = closing(Ear(fleet, b))
    ear.heard()
    d = fleet.device("rogue")
    w = web_wire(d, version).admitted(clean=False)
    b.reload()
    assert w.publish(f"h/{d}/up", "own") == 0
    fleet.weir("cert", "revoke", d, "--wait", "10s")
    b.reload()
    try:
        w.publish(f"h/{d}/up", "bad")
    except Closed:
        pass
    w.ended()
    assert refused_connect(web_wire(d, version), clean=False)
    assert [m.payload for m in ear.heard()] == [b"own"]


# --------------------------------------------------------- the plugin is not asked


@pytest.mark.parametrize("option", ["use_identity_as_username",
                                    "use_subject_as_username"])
def test_names_taken_from_certificates(fleet, wire, version, option):
    """Mosquitto 2.0 lets in whoever the CA signed and asks nobody: it is a
    stranger, whatever its name."""
    d = fleet.device("rogue")
    twin = fleet.sign(d.id)
    with Broker(fleet, extra=f"{option} true\n") as b:
        mark = b.mark()
        w = wire(b, twin, version).admitted(
            clean=False, will=Message(f"h/{d}/up", "bad", 1, False),
            will_delay=1)
        for topic in (f"h/{d}/up", "x"):
            assert w.publish(topic, "bad") == (REFUSED if version == 5 else 0)
        for f in ("#", f"h/{d}/in/#", "$SYS/broker/version"):
            assert w.subscribe(f) == refusal(version)
        b.await_log(f"never shown to Weir.*{option}", mark)
        b.refused("publish", "unavailable", mark, topic=f"h/{d}/up", device="-")
        before = len(b.lines)
        w.close()
        b.refused("publish", "unavailable", before, topic=f"h/{d}/up")
        # and a session of it, resumed, gets nothing
        v = wire(b, twin, version).admitted(clean=False)
        assert v.subscribe(f"h/{d}/in/#") == refusal(version)
