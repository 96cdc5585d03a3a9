# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices of classes with limits send, subscribe and connect as fast as
they can, over several connections and reconnects; others are in classes, or
are themselves set, to be observed.

Question: does each limit hold for the device, whatever it does to reset it,
and for it alone? Does observing let pass what rules refuse, and nothing else?

Expected: of a flood the backend gets the burst and what the rate adds, never
more; rate and quota are the reasons logged and sent (0x87 in MQTT 5); a new
connection, client id or session starts nothing anew; another device of the
class is not touched. What is observed arrives, with a line `weir: observed`
that says the reason; `$` topics do not.
"""

import time

import pytest

import policies
from clients import (PUBACK, REFUSED, REFUSED_V311, Message, refused_connect,
                     text)
from harness import READ_AHEAD, Broker, Fleet
from hostile import (USER_PROPERTY, answers, codes, is_over, pour, prop,
                     publication, subscription)

LIMITED = policies.changed(
    rated={"publish": ["m/${device}/up", "m/${device}/will"],
           "client_ids": ["${device}", "${device}/*"],
           "limits": {"messages_per_s": 5}},
    daily={"publish": ["m/${device}/up"],
           "limits": {"bytes_per_day": 1000}},
    bytes={"publish": ["m/${device}/up"],
           "limits": {"bytes_per_s": 100}},
    dialer={"publish": ["m/${device}/up"],
            "limits": {"connects_per_min": 3}},
    listener={"subscribe": ["t/#"],
              "client_ids": ["${device}", "${device}/*"],
              "limits": {"subscriptions": 3}},
    hasty={"subscribe": ["t/#"], "limits": {"subscribes_per_s": 2}},
    stormy={"publish": ["m/${device}/up", "m/${device}/will"],
            "subscribe": ["t/#"],
            "limits": {"refusals_per_s": 20}},
    legacy={"publish": ["m/${device}/up"], "subscribe": ["t/+"],
            "mode": "observe"},
)


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(LIMITED)
    yield f
    f.remove()


@pytest.fixture(scope="module")
def broker(fleet):
    with Broker(fleet) as b:
        yield b


def refused_code(version):
    return REFUSED if version == 5 else 0


def got(backend, fleet, broker, wire, topic):
    """How many messages of TOPIC the backend has, all sent so far counted."""
    end = fleet.device("ops")
    w = wire(broker, end).admitted()
    w.publish(f"m/{end}/end")
    return len([m for m in backend.until(f"m/{end}/end")
                if m.topic == topic])


def test_burst_then_rate(fleet, broker, wire, version):
    d, other = fleet.device("rated"), fleet.device("rated")
    backend = wire(broker, fleet.device("backend")).admitted()
    assert backend.subscribe("m/#", 1) == 1
    w = wire(broker, d, version).admitted()
    mark, start = broker.mark(), time.monotonic()
    codes = [w.publish(f"m/{d}/up") for _ in range(50)]
    took = time.monotonic() - start
    passed = got(backend, fleet, broker, wire, f"m/{d}/up")
    assert 5 <= passed <= 5 + 5 * took + 1
    assert codes[:5] == [0] * 5
    assert refused_code(version) in codes[5:]
    broker.refused("publish", "rate", mark, device=d)
    # one device's flood is no other's
    assert wire(broker, other, version).admitted().publish(
        f"m/{other}/up") == 0


def test_nothing_resets_a_rate(fleet, broker, wire):
    d = fleet.device("rated")
    backend = wire(broker, fleet.device("backend")).admitted()
    assert backend.subscribe("m/#", 1) == 1
    start = time.monotonic()
    for i in range(8):
        # a new connection, by turns of another client id, clean and not
        w = wire(broker, d).admitted(f"{d}/{i % 3}", clean=i % 2 == 0)
        for _ in range(5):
            w.publish(f"m/{d}/up")
        w.close()
    took = time.monotonic() - start
    passed = got(backend, fleet, broker, wire, f"m/{d}/up")
    assert 5 <= passed <= 5 + 5 * took + 1


def test_bytes_of_a_day(fleet, broker, wire, version):
    d = fleet.device("daily")
    w = wire(broker, d, version).admitted()
    topic = f"m/{d}/up"
    packet = 2 + 2 + len(topic) + 2 + 100 + (1 if 104 + len(topic) > 127
                                             else 0)
    mark, n = broker.mark(), 1000 // packet
    assert [w.publish(topic, b"x" * 100) for _ in range(n)] == [0] * n
    w.publish(topic, b"x" * 100)
    broker.refused("publish", "quota", mark, device=d)
    w.close()
    w = wire(broker, d, version).admitted()
    assert w.publish(topic, b"x" * 100) == refused_code(version)


def flood(w, subscribes, n=1000):
    """Many requests that no rule allows, in as few TLS records as may be."""
    pour(w, b"".join(
        subscription(w, f"flood/{i}", pid=i + 1) if subscribes else
        publication(w, f"flood/{i}", b"", 1, i + 1) for i in range(n)))


def refusals(fleet, d):
    used = fleet.json("usage", d.id)
    return used["refused_publishes"] + used["refused_subscribes"]


@pytest.mark.parametrize("subscribes", [False, True])
def test_a_flood_is_cut(fleet, broker, wire, version, subscribes):
    """After the refusals of a second nothing more is read."""
    d = fleet.device("stormy")
    backend = wire(broker, fleet.device("backend")).admitted()
    assert backend.subscribe("m/#", 1) == 1
    start = time.monotonic()
    w = wire(broker, d, version).admitted(
        will=Message(f"m/{d}/will", "gone", 0, False))
    flood(w, subscribes)
    assert is_over(answers(w))
    took = time.monotonic() - start
    # Of what comes between two ticks each second's share passes; no packet of the
    # flood has less than 12 bytes.
    assert 21 <= refusals(fleet, d) <= 22 + 20 * took + READ_AHEAD // 12
    assert backend.until(f"m/{d}/will") == []
    # It is no ban.
    again = wire(broker, d, version).admitted()
    assert again.publish(f"m/{d}/up") == 0


def test_what_is_no_flood_goes_on(fleet, broker, wire, version):
    """As many as a second allows, at once; and what is allowed, beside."""
    d = fleet.device("stormy")
    w = wire(broker, d, version).admitted()
    flood(w, False, 20)
    got = answers(w)
    assert codes(w, got, PUBACK) == [refused_code(version)] * 20
    assert not is_over(got)
    for _ in range(100):
        assert w.publish(f"m/{d}/up") == 0


def test_refused_deliveries_are_no_flood(own_fleet, wire):
    """They are the publisher's doing."""
    own_fleet.apply(LIMITED)
    d, ops = own_fleet.device("stormy"), own_fleet.device("ops")
    with Broker(own_fleet) as b:
        w, sender = wire(b, d).admitted(), wire(b, ops).admitted()
        assert w.subscribe("t/#", 1) == 1
        own_fleet.apply(policies.changed(
            stormy={"publish": ["m/${device}/up"],
                    "limits": {"refusals_per_s": 20}}), "--wait", "5s")
        for i in range(200):
            assert sender.publish(f"t/{i}") == 0
        assert own_fleet.json("usage", d.id)["refused_deliveries"] == 200
        assert w.publish(f"m/{d}/up") == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_resets_nothing(own_fleet, wire, end):
    """A day's quota and a minute's connects are in the meter."""
    own_fleet.apply(LIMITED)
    daily, dialer = own_fleet.device("daily"), own_fleet.device("dialer")
    broker = Broker(own_fleet)
    with broker as b:
        w = wire(b, daily, 5).admitted()
        assert w.publish(f"m/{daily}/up", b"x" * 900) == 0
        for _ in range(3):
            wire(b, dialer, 5).admitted()
        if end == "kill":
            b.kill()
    with broker as b:
        mark = b.mark()
        w = wire(b, daily, 5).admitted()
        assert w.publish(f"m/{daily}/up", b"x" * 100) == REFUSED
        b.refused("publish", "quota", mark, device=daily)
        assert w.publish(f"m/{daily}/up", b"x" * 10) == 0
        assert refused_connect(wire(b, dialer, 5))
        b.refused("connect", "rate", mark, device=dialer)


def test_large_message_is_paid_for_after(fleet, broker, wire):
    d = fleet.device("bytes")
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"m/{d}/up", b"x" * 100000) == 0
    mark = broker.mark()
    assert w.publish(f"m/{d}/up", b"x") == REFUSED
    broker.refused("publish", "rate", mark, device=d)


def test_properties_are_bytes(fleet, broker, wire):
    """What MQTT 5 sends beside the payload reaches whoever receives it, so it
    counts as the payload does."""
    d, e = fleet.device("daily"), fleet.device("bytes")
    hidden = prop(USER_PROPERTY, text("k") + text("x" * 900))
    w = wire(broker, d, 5).admitted()
    mark = broker.mark()
    assert w.publish(f"m/{d}/up", b"", props=hidden) == 0
    assert w.publish(f"m/{d}/up", b"", props=hidden) == REFUSED
    broker.refused("publish", "quota", mark, device=d)
    # what was refused has not used the day up
    assert w.publish(f"m/{d}/up", b"") == 0
    w = wire(broker, e, 5).admitted()
    mark = broker.mark()
    assert w.publish(f"m/{e}/up", b"", props=hidden) == 0
    assert w.publish(f"m/{e}/up", b"") == REFUSED
    broker.refused("publish", "rate", mark, device=e)


def test_connects(fleet, broker, wire, version):
    d = fleet.device("dialer")
    for _ in range(3):
        wire(broker, d, version).admitted().close()
    mark = broker.mark()
    assert refused_connect(wire(broker, d, version))
    broker.refused("connect", "rate", mark, device=d)


def test_subscriptions(fleet, broker, wire, version):
    d = fleet.device("listener")
    refusal = REFUSED if version == 5 else REFUSED_V311
    w = wire(broker, d, version).admitted()
    assert [w.subscribe(f"t/{i}") for i in range(3)] == [0] * 3
    mark = broker.mark()
    assert w.subscribe("t/3") == refusal
    broker.refused("subscribe", "quota", mark, device=d)
    # one that it has is no new one; another client of the device is no other
    assert w.subscribe("t/1") == 0
    worker = wire(broker, d, version).admitted(f"{d}/w")
    assert worker.subscribe("t/1") == refusal
    # what is given up, one by one or with its session, is free again
    unsubscribe(w, "t/0")
    assert w.subscribe("t/9") == 0
    assert worker.subscribe("t/1") == refusal
    w.disconnect()
    if version == 4:
        assert worker.subscribe("t/1") == 0
    w = wire(broker, d, version).admitted()
    assert [w.subscribe(f"t/{i}") for i in range(5, 7)] == [0] * 2


def unsubscribe(w, topic):
    from clients import UNSUBACK, UNSUBSCRIBE, text
    w.send(UNSUBSCRIBE, w._next_pid() + (b"\0" if w.v5 else b"")
           + text(topic), 2)
    w.expect(UNSUBACK)


def test_subscribes(fleet, broker, wire):
    d = fleet.device("hasty")
    w = wire(broker, d, 5).admitted()
    start, codes = time.monotonic(), []
    for i in range(20):
        codes.append(w.subscribe(f"t/{i}"))
    allowed = len([c for c in codes if c == 0])
    assert codes[:2] == [0, 0]
    assert allowed <= 2 + 2 * (time.monotonic() - start) + 1
    assert REFUSED in codes


def test_limits_taken_up(own_fleet, own_broker, wire):
    """A policy that brings limits is in force on live connections."""
    d = own_fleet.device("meter")
    w = wire(own_broker, d, 5).admitted()
    assert [w.publish(f"m/{d}/up") for _ in range(50)] == [0] * 50
    own_fleet.apply(policies.changed(
        meter={"publish": ["m/${device}/up"],
               "limits": {"messages_per_s": 1}}), "--wait", "10s")
    assert REFUSED in [w.publish(f"m/{d}/up") for _ in range(5)]
    own_fleet.apply(policies.SHARED, "--wait", "10s")
    assert [w.publish(f"m/{d}/up") for _ in range(50)] == [0] * 50


def observed(broker, action, reason, mark, device):
    broker.await_log(rf"weir: observed {action} device={device} "
                     rf".*reason={reason}", mark)


def test_observed_class(fleet, broker, wire, version):
    d = fleet.device("legacy")
    backend = wire(broker, fleet.device("ops")).admitted()
    assert backend.subscribe("#", 2) == 2
    w = wire(broker, d, version).admitted()
    mark = broker.mark()
    assert w.publish("anything/at/all") == 0
    backend.until("anything/at/all")
    observed(broker, "publish", "no_rule", mark, d)
    assert w.publish(f"m/{d}/up", qos=2) == 0
    observed(broker, "publish", "qos", mark, d)
    assert w.publish(f"m/{d}/up", retain=True) == 0
    observed(broker, "publish", "retain", mark, d)
    assert w.subscribe("#") == 0
    observed(broker, "subscribe", "filter_too_wide", mark, d)
    assert backend.publish("some/where") == 0
    w.until("some/where")
    observed(broker, "receive", "no_rule", mark, d)
    assert not broker.logged(f"weir: refused .*device={d}", mark)


def test_observing_stops_at_the_broker_s_own(fleet, broker, wire, version):
    d = fleet.device("legacy")
    w = wire(broker, d, version).admitted()
    refusal = REFUSED if version == 5 else REFUSED_V311
    mark = broker.mark()
    assert w.subscribe("$SYS/#") == refusal
    broker.refused("subscribe", "no_rule", mark, device=d)
    assert w.subscribe("$share/g/t/a") == refusal
    assert w.publish("$CONTROL/dynamic-security/v1") == refused_code(version)
    broker.refused("publish", "no_rule", mark, device=d)


def test_observed_device(fleet, broker, wire):
    d, other = fleet.device("meter"), fleet.device("meter")
    fleet.weir("device", "set", d.id, "--mode", "observe", "--wait", "10s")
    mark = broker.mark()
    assert wire(broker, d, 5).admitted().publish("else/where") == 0
    observed(broker, "publish", "no_rule", mark, d)
    assert wire(broker, other, 5).admitted().publish("else/where") == REFUSED
    fleet.weir("device", "set", d.id, "--mode", "enforce", "--wait", "10s")
    assert wire(broker, d, 5).admitted().publish("else/where") == REFUSED


def test_quarantine_is_not_observed(fleet, broker, wire):
    d = fleet.device("legacy")
    fleet.weir("quarantine", d.id, "--wait", "10s")
    w = wire(broker, d, 5).admitted()
    mark = broker.mark()
    assert w.publish("anything") == REFUSED
    broker.refused("publish", "quarantined", mark, device=d)
    assert w.publish(f"fw/{d}/state") == 0
