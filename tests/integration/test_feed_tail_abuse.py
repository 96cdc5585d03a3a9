# SPDX-License-Identifier: Apache-2.0
"""
Scenario: programs ask for the tail of a fleet who may not, ask for what there is
not, or send what no client may send.

Question: is each refused before the upgrade, or ended with the right code?
Expected: yes; and nobody else notices.
"""

import re
import shutil
import struct

import pytest

import feed_support
from tail_clients import (BINARY, CLOSE, CONTINUED, PING, PONG, TEXT, Ended,
                          RawTail, past)


# ------------------------------------------------------------- who is refused


@pytest.mark.parametrize("query,place,says", [
    ("events=refusals", "events", "no type of event"),
    ("events=none", "events", "neither events nor counters"),
    ("reason=no-rule", "reason", "no reason"),
    ("reason=no_rule&events=connect", "reason", "refusal and observed"),
    ("device=a%2Fb", "device", "cannot be the name"),
    ("class=%C3%A4", "class", "cannot be the name"),
    ("counters=0s", "counters", "between 1s and 60s"),
    ("counters=1", "counters", ""),
    ("last=4097", "last", "whole number"),
    ("after=x", "after", "no cursor"),
    ("after=0123456789abcdef-5&last=1", "after", "not both"),
    ("colour=red", None, "colour"),
    ("events=connect&events=refusal", None, "events"),
])
def test_refused_arguments(feed, query, place, says):
    got = feed.get(f"/api/v1/tail?{query}", Connection="Upgrade",
                   Upgrade="websocket", Sec_WebSocket_Version="13",
                   Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==")
    assert got.status == 400
    assert says in got.detail()
    if place is not None:
        assert got.json()["place"] == place


@pytest.mark.parametrize("headers,status", [
    ({"Upgrade": None}, 426),
    ({"Upgrade": "h2c"}, 426),
    ({"Connection": "keep-alive"}, 426),
    ({"Sec_WebSocket_Version": "8"}, 426),
    ({"Sec_WebSocket_Version": None}, 426),
    ({"Sec_WebSocket_Key": None}, 400),
    ({"Sec_WebSocket_Key": "AAAA"}, 400),
    ({"Sec_WebSocket_Key": "!" * 22 + "=="}, 400),
])
def test_refused_handshakes(feed, raw, headers, status):
    c = raw(feed, **headers)
    assert c.status == status, c.head
    assert "application/problem+json" in c.head
    if status == 426:
        assert re.search(r"(?i)^Upgrade: websocket\r?$", c.head, re.M)


def test_who_may(own_fleet, own_broker, tail, raw):
    mine = own_fleet.weir("token", "add", "mine").strip()
    config = {"loopback_needs_token": True}
    with feed_support.Feed(own_fleet, config=config) as f:
        assert raw(f).status == 401
        assert raw(f, Authorization="Bearer weir_" + "A" * 43).status == 401
        assert raw(f, Authorization=f"Bearer {mine}",
                   Origin="http://elsewhere.example").status == 403
        assert raw(f, Authorization=f"Bearer {mine}",
                   Host="elsewhere.example").status == 421
        t = tail(f, token=mine)
        f.token = mine
        tail(f)
        own_fleet.weir("token", "revoke", "mine")
        assert t.ended() == 1008
        assert raw(f, Authorization=f"Bearer {mine}").status == 401


def test_over_tls(own_fleet, own_broker, wire, tail):
    """Many messages at once, each whole; one that does not read holds up
    nobody there either."""
    def readable(name):
        copy = own_fleet.root / f"feed-{name}"
        shutil.copy(own_fleet.root / "server" / name, copy)
        shutil.chown(copy, feed_support.USER, feed_support.USER)
        copy.chmod(0o400)
        return str(copy)

    config = {"tls": {"cert": readable("server.crt"),
                      "key": readable("server.key")}}
    d = own_fleet.device("meter")
    for _ in range(30):
        w = wire(own_broker, d).admitted()
        w.publish("none/at/all", b"x", 1)
        w.disconnect()
    with feed_support.Feed(own_fleet, config=config).trust() as f:
        beside = RawTail(f, "/api/v1/tail?last=4096&counters=1s", receive=4096)
        t = tail(f, last=4096)
        assert [t.event() for _ in range(90)] == past(own_fleet)[:90]
        wire(own_broker, d).admitted()
        while t.event()["type"] != "connect":
            pass
        beside.close()


def test_other_methods(feed):
    assert feed.post("/api/v1/tail", {}).status == 405
    assert feed.get("/api/v1/tail").status == 426


def test_no_extension(feed, raw):
    """Compression would take memory for each client, and is not spoken."""
    c = raw(feed, Sec_WebSocket_Extensions="permessage-deflate",
            Sec_WebSocket_Protocol="mqtt")
    assert c.status == 101
    assert "sec-websocket-extensions" not in c.head.lower()
    assert "sec-websocket-protocol" not in c.head.lower()
    assert c.message()["type"] == "hello"


# ------------------------------------------------------ what the client sends


@pytest.mark.parametrize("first,data,more,code", [
    (0x80 | TEXT, b"hello", {}, 1003),
    (0x80 | BINARY, b"\0" * 100, {}, 1003),
    (TEXT, b"a", {}, 1003),  # a first fragment
    (0x80 | TEXT, b"", {}, 1003),
    (0x80 | CONTINUED, b"a", {}, 1002),
    (0x80 | TEXT, b"hello", {"mask": None}, 1002),
    (0x80 | PING, b"", {"mask": None}, 1002),
    (PING, b"", {}, 1002),  # in fragments
    (0x80 | PING, b"x" * 126, {}, 1002),
    (0xC0 | PING, b"", {}, 1002),  # a reserved bit
    (0x90 | TEXT, b"", {}, 1002),
    (0x83, b"", {}, 1002),
    (0x8B, b"", {}, 1002),
    (0x80 | CLOSE, b"\x03", {}, 1002),
    (0x80 | CLOSE, struct.pack("!H", 999), {}, 1002),
    (0x80 | CLOSE, struct.pack("!H", 1005), {}, 1002),
    (0x80 | CLOSE, struct.pack("!H", 5000), {}, 1002),
    # More than there can be in the world.
    (0x80 | BINARY, b"x", {"length": b"\xff" + b"\x7f" + b"\xff" * 7}, None),
    (0x80 | BINARY, b"x", {"length": b"\xff" * 9}, None),
])
def test_abuse(feed, raw, first, data, more, code):
    c = raw(feed)
    assert c.message()["type"] == "hello"
    c.send(first, data, **more)
    got = c.ended()
    assert got == code if code else got in (1002, 1003, 1009), got
    assert feed.ok("/api/v1/health")["status"] == "ok"


def test_pings_are_answered(feed, raw):
    c = raw(feed)
    c.message()
    c.send(0x80 | PING, b"are you there")
    first, data = c.frame()
    assert (first, data) == (0x80 | PONG, b"are you there")
    c.send(0x80 | PONG, b"unasked for")  # RFC 6455 §5.5.3: it may be
    # A frame in pieces, with a pause wherever there can be one.
    for b in b"\x89\x81\0\0\0\0a":
        c.sock.sendall(bytes([b]))
    assert c.frame() == (0x80 | PONG, b"a")
    # Many at once: the last one's answer is enough.
    c.sock.sendall(b"".join(b"\x89\x81\0\0\0\0" + bytes([i])
                            for i in range(256)))
    while (got := c.frame()) != (0x80 | PONG, b"\xff"):
        assert got[0] == 0x80 | PONG


def test_frames_at_once(feed, raw):
    """They may come in one piece with the request."""
    c = raw(feed, behind=b"\x89\x81\0\0\0\0a")
    got = [c.frame() for _ in range(2)]
    assert (0x80 | PONG, b"a") in got


def test_closes_as_it_is_told(feed, raw):
    c = raw(feed)
    c.message()
    c.send(0x80 | CLOSE, struct.pack("!H", 1000) + b"bye")
    with pytest.raises(Ended) as e:
        c.message()
    assert e.value.code == 1000
    assert c.sock.recv(1) == b""
