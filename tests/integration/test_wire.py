# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a TCP proxy that counts stands between devices and the broker, while
they do what connections do: all QoS, retained, large and refused messages,
keepalive, wills, resumption, takeover, a kick, a lost connection, a shutdown of
the broker; MQTT 3.1.1 and 5, TLS 1.2 and 1.3, TCP and WebSocket.

Question: are a device's wire bytes those that went through its sockets? Do
MQTT bytes, the sums over devices, classes and rules, and the broker's own count
agree?

Expected: bytes in are equal to the proxy's. Bytes out are too, but for what the
broker writes to a socket that the client has closed: a close-notify, at most 64
bytes a connection. A connection that never became a device's is a stranger's.
"""

import contextlib
import json
import ssl

import pytest

from clients import (PUBCOMP, PUBLISH, PUBREL, Message, WebSocket, Wire,
                     refused_connect, text, varint)
from harness import VERSION, Broker, Fleet, eventually, websockets
from proxy import Proxy

POLICY = {
    "version": 1,
    "classes": {
        "meter": {"publish": [{"topic": "w/${device}/+", "max_qos": 2,
                               "retain": True}],
                  "subscribe": ["w/#"],
                  "client_ids": ["${device}", "${device}/*"]},
        "other": {"publish": ["o/${device}"], "subscribe": ["o/#", "w/#"]},
        "watch": {"subscribe": ["$SYS/#"]}},
    "quarantine": {}}
CLOSE_NOTIFY = 64
"""A TLS record with an alert, and an MQTT 5 DISCONNECT, with room."""


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


@pytest.fixture(scope="module")
def broker(fleet):
    with websockets(fleet) as (port, extra), Broker(fleet, extra=extra) as b:
        b.web_port = port
        yield b


def usage(fleet, device):
    return fleet.json("usage", device)


def sums(fleet):
    """Each counter over all devices, all classes, and all rules."""
    def lines(*args):
        return [json.loads(x) for x in
                fleet.weir("--json", "usage", *args).splitlines()]
    devices = lines("--top", "1000", "--sort", "connects")
    classes = lines()
    rules = [r for c in classes for r in c["rules"]]
    return devices, classes, rules


class Through:
    """A proxy before one of the broker's listeners, and the connections that
    went through it by device."""

    def __init__(self, broker, transport):
        self.proxy = Proxy(
            broker, broker.web_port if transport == "websockets" else None)
        self.transport, self.opened = transport, []
        # Mosquitto 2.1 writes a WebSocket's close frame past TLS, to which
        # the client answers by an alert that it does not read any more.
        past = transport == "websockets" and VERSION >= (2, 1)
        self.unread, self.past_tls = (CLOSE_NOTIFY, 4) if past else (0, 0)

    def wire(self, device, version, tls, like=None):
        w = Wire(self.proxy, device, version, tls, like)
        self.opened.append((device.id, self.proxy.pipe(w)))
        if self.transport == "websockets":
            w.sock = WebSocket(w.sock)
        return w

    def total(self, device):
        pipes = [p for id, p in self.opened if id == device.id]
        return (sum(p.to for p in pipes), sum(p.back for p in pipes),
                len(pipes))


@pytest.fixture(params=["mqtt", "websockets"])
def through(broker, request):
    t = Through(broker, request.param)
    yield t
    t.proxy.close()


@pytest.fixture(params=["1.2", "1.3"])
def tls(request):
    return {"1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}[request.param]


def agree(fleet, through, device):
    """The meter and the proxy, once all connections have ended."""
    def same():
        got = usage(fleet, device)
        to, back, n = through.total(device)
        least = back - n * through.past_tls
        return (to - n * through.unread <= got["wire_bytes_in"] <= to
                and least <= got["wire_bytes_out"] <= back + n * CLOSE_NOTIFY)
    try:
        eventually("the meter agrees with the proxy", same, 10)
    except AssertionError:
        got = usage(fleet, device)
        assert (got["wire_bytes_in"], got["wire_bytes_out"]
                ) == through.total(device)[:2]
        raise


def all_over(through):
    eventually("all connections have ended", lambda: all(
        p.over() for _, p in through.opened))


def test_mixed_traffic(fleet, broker, through, version, tls):
    d, e = fleet.device("meter"), fleet.device("meter")
    ear = through.wire(e, version, tls).admitted()
    assert ear.subscribe(f"w/{d}/#", 2) == 2
    w = through.wire(d, version, tls).admitted(
        will=Message(f"w/{d}/will", "gone", 1, False))
    for i, qos in enumerate((0, 1, 2, 0, 2)):
        w.publish(f"w/{d}/up", b"x" * (1 + 7000 * i), qos, retain=i == 1)
    w.publish("w/other/up", b"refused", 1)
    w.ping()
    # The subscriber has acknowledged all before it goes: the broker would not
    # read what comes after its DISCONNECT.
    while len(ear.inbox) < 5:
        kind, flags, body = ear.read()
        if kind == PUBLISH:
            ear._take_message(flags, body)
        elif kind == PUBREL:
            ear.send(PUBCOMP, body[:2])
    ear.ping()
    w.disconnect()
    ear.disconnect()
    all_over(through)
    for device in (d, e):
        agree(fleet, through, device)


def test_resumption(fleet, through, version, tls):
    d = fleet.device("meter")
    first = through.wire(d, version, tls).admitted(f"{d}/0")
    first.ping()
    for i in range(1, 4):
        w = through.wire(d, version, tls, like=first)
        w.admitted(f"{d}/{i}")
        assert first.ctx is w.ctx
        w.publish(f"w/{d}/up", b"resumed")
        w.disconnect()
    first.disconnect()
    all_over(through)
    agree(fleet, through, d)
    assert usage(fleet, d)["connects"] == 4


def test_ends_of_connections(fleet, broker, through, version, tls):
    """Taken over, lost, kicked, refused."""
    d = fleet.device("meter")
    first = through.wire(d, version, tls).admitted()
    second = through.wire(d, version, tls).admitted()
    first.ended()
    second.publish(f"w/{d}/up", b"x" * 300)
    second.close()
    third = through.wire(d, version, tls).admitted()
    fleet.weir("suspend", d, "--wait", "10s")
    third.ended()
    for _ in range(3):
        assert refused_connect(through.wire(d, version, tls))
    for _, p in through.opened:
        p.shut()
    all_over(through)
    agree(fleet, through, d)
    want = {"connects": 3, "disconnects": 3, "takeovers": 1,
            "refused_connects": 3}
    eventually(str(want), lambda: want.items() <= usage(fleet, d).items())


def test_reload_and_shutdown(own_fleet, version, tls):
    """The broker frees TCP clients at its end without a DISCONNECT."""
    fleet = own_fleet
    fleet.apply(POLICY)
    d = fleet.device("meter")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(fleet))
        through = Through(broker, "mqtt")
        stack.callback(through.proxy.close)
        w = through.wire(d, version, tls).admitted()
        w.publish(f"w/{d}/up", b"before")
        broker.reload()
        w.publish(f"w/{d}/up", b"after", 2)
        broker.stop()
        all_over(through)
    agree(fleet, through, d)
    got = usage(fleet, d)
    assert got["disconnects"] == got["connects"] == 1


def test_strangers(fleet, broker, through, tls):
    """A handshake without CONNECT, and a certificate nobody registered."""
    def strangers():
        return fleet.status()["broker"]["strangers"]
    before = strangers()
    through.wire(fleet.device("meter"), 4, tls).close()
    assert refused_connect(through.wire(fleet.sign("nobody"), 4, tls),
                           "nobody")
    eventually("two strangers", lambda: strangers() == before + 2)


# -------------------------------------------------------- what must add up


def encoded(topic, payload, qos):
    body = text(topic) + (b"\0\0" if qos else b"") + payload
    return len(bytes([PUBLISH << 4]) + varint(len(body)) + body)


def next_message(w):
    while not w.inbox:
        kind, flags, body = w.read()
        if kind == PUBLISH:
            w._take_message(flags, body)
    return w.inbox.pop(0)


def test_sums(own_fleet, closing):
    """MQTT bytes against an encoder; devices, classes, rules; $SYS."""
    fleet = own_fleet
    fleet.apply(POLICY)
    sent = mqtt = payload = refused = 0
    with Broker(fleet, extra="sys_interval 1\n") as b:
        ws = [closing(Wire(b, fleet.device(c))).admitted()
              for c in ("meter", "meter", "other")]
        ws[2].subscribe("o/#"), ws[0].subscribe("w/#")
        for i in range(60):
            w = ws[i % 3]
            topic = f"o/{w.device}" if i % 3 == 2 else f"w/{w.device}/{i % 7}"
            size, qos = (i * 37) % 300, i % 2
            w.publish(topic, b"p" * size, qos)
            sent += 1
            payload += size
            mqtt += encoded(topic, b"p" * size, qos)
            if i % 5 == 0:
                w.publish("nowhere", b"", 1)
                refused += 1
        for w in ws:
            w.ping()
        watch = closing(Wire(b, fleet.device("watch"))).admitted()
        watch.subscribe("$SYS/broker/publish/messages/received")
        while (n := int(next_message(watch).payload)) < sent + refused:
            pass
        assert n == sent + refused
    devices, classes, rules = sums(fleet)

    def over(rows, key):
        return sum(r[key] for r in rows)
    assert over(devices, "messages_in") == sent
    assert over(devices, "payload_bytes_in") == payload
    assert over(devices, "mqtt_bytes_in") == mqtt
    assert over(devices, "refused_publishes") == refused
    for key in ("messages_in", "payload_bytes_in", "mqtt_bytes_in",
                "messages_queued", "payload_bytes_queued",
                "mqtt_bytes_queued", "wire_bytes_in", "wire_bytes_out",
                "refused_publishes", "connects", "disconnects"):
        assert over(devices, key) == over(classes, key), key
    for rule, counter in (("messages", "messages"),
                          ("payload_bytes", "payload_bytes"),
                          ("mqtt_bytes", "mqtt_bytes")):
        for kind, way in (("publish", "in"), ("subscribe", "queued")):
            assert sum(r[rule] for r in rules if r["list"] == kind) == over(
                classes, f"{counter}_{way}"), (rule, kind)
