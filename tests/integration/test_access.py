# SPDX-License-Identifier: Apache-2.0
"""
Scenario: admitted devices publish, subscribe, receive, leave wills and retained
messages, share subscriptions and take sessions over, inside and outside their
class's rules, with MQTT 3.1.1 and 5; a backend listens to all of it.

Question: does exactly what the rules allow pass, and is each device told as its
protocol can tell?

Expected: what is allowed arrives; what is refused never does, before or after a
change of policy or a restart of the broker, and the log has one line with its
reason. That something did not arrive is seen by what was sent after it and
did: a broker keeps the order of one client's messages to another.
"""

import pytest

import policies
from clients import (REFUSED, REFUSED_V311, Closed, Message, refused_connect,
                     text)
from harness import VERSION, Broker

ANSWER_TOPIC, USER_PROPERTY = b"\x08", b"\x26"


@pytest.fixture
def backend(fleet, broker, paho, version):
    d = fleet.device("backend")
    return paho(broker, d, version=version).connect()


@pytest.fixture
def meter(fleet, broker, wire, version):
    return wire(broker, fleet.device("meter"), version).admitted()


def denied(version):
    return REFUSED if version == 5 else REFUSED_V311


# ------------------------------------------------------------------- publishing


def test_allowed_publish_arrives(meter, backend):
    d = meter.device
    backend.listening("m/#")
    for qos in (0, 1, 2):
        topic = f"m/{d}/q2"
        assert meter.publish(topic, f"qos {qos}", qos) in (None, 0)
        assert backend.until(topic, b"qos %d" % qos) == []


@pytest.mark.parametrize("what, reason, sent", [
    ("m/another/up", "no_rule", {}),
    ("other/up", "no_rule", {}),
    ("m/{d}/up/more", "no_rule", {}),
    ("m/{d}", "no_rule", {}),
    ("$weir/x", "no_rule", {}),
    ("m/{d}/up", "qos", {"qos": 2}),
    ("m/{d}/up", "retain", {"retain": True}),
    ("m/{d}/small", "size", {"payload": "seventeen bytes .."[:17]}),
])
def test_refused_publish_never_arrives(
        fleet, broker, meter, paho, version, what, reason, sent):
    d = meter.device
    ear = paho(broker, fleet.device("ops"), version=version).connect()
    ear.listening("#")
    mark = broker.mark()
    topic, args = what.format(d=d), {"payload": "bad", **sent}
    code = meter.publish(topic, **args)
    # "If the Server implementation does not authorize a PUBLISH … it has no
    # way of informing that Client" (MQTT 3.1.1 §3.3.5.2).
    assert code == (REFUSED if version == 5 else 0)
    broker.refused("publish", reason, mark, device=d, topic=topic)
    assert meter.publish(f"m/{d}/up", "after") == 0
    assert [m for m in ear.until(f"m/{d}/up", b"after")
            if m.payload == args["payload"].encode()] == []
    options = ["--qos", args.get("qos", 1), "--bytes", len(args["payload"])]
    options += ["--retain"] if "retain" in sent else []
    assert fleet.explain(d, "publish", topic, *options) == reason


def test_size_and_retain_that_are_allowed(meter, backend):
    d = meter.device
    backend.listening("m/#")
    meter.publish(f"m/{d}/small", b"x" * 16)
    meter.publish(f"m/{d}/keep", "kept", retain=True)
    assert backend.until(f"m/{d}/small", b"x" * 16) == []
    assert backend.until(f"m/{d}/keep", b"kept") == []


def test_qos0_is_refused_in_silence(broker, meter, backend):
    d = meter.device
    backend.listening("m/#")
    mark = broker.mark()
    meter.publish("m/another/up", "bad", qos=0)
    meter.publish(f"m/{d}/up", "good", qos=0)
    assert backend.until(f"m/{d}/up", b"good") == []
    broker.refused("publish", "no_rule", mark, device=d, qos=0)


def test_properties_are_payload(fleet, broker, wire, paho):
    """They reach whoever receives the message: `max_bytes` is for both."""
    d = fleet.device("meter")
    ear = paho(broker, fleet.device("backend"), version=5).connect()
    ear.listening("m/#")
    w = wire(broker, d, 5).admitted()
    small, mark = f"m/{d}/small", broker.mark()
    for payload, value, code in (("x" * 8, "xx", 0), ("x" * 8, "xxx", REFUSED),
                                 ("", "x" * 65535, REFUSED), ("x" * 16, None, 0)):
        props = b"" if value is None else (
            USER_PROPERTY + text("k") + text(value))
        assert w.publish(small, payload, props=props) == code, (payload, value)
    broker.refused("publish", "size", mark, device=d, bytes=17)
    w.publish(f"m/{d}/up", "last")
    assert [len(m.payload) for m in ear.until(f"m/{d}/up", b"last")] == [8, 16]


def test_response_topic(fleet, broker, wire, paho):
    d = fleet.device("meter")
    ear = paho(broker, fleet.device("backend"), version=5).connect()
    ear.listening("m/#")
    w = wire(broker, d, 5).admitted()
    mark = broker.mark()
    for answer, code in ((f"m/{d}/cmd/answer", 0), ("m/other/cmd/x", REFUSED),
                         ("m/+/cmd/x", REFUSED), ("$SYS/x", REFUSED)):
        try:
            got = w.publish(f"m/{d}/up", answer, 1, False,
                            ANSWER_TOPIC + text(answer))
        except Closed:
            # A wildcard there is a protocol error to the broker itself.
            assert "+" in answer
            w = wire(broker, d, 5).admitted()
            continue
        assert got == code, answer
    broker.refused("publish", "response_topic", mark, device=d)
    w.publish(f"m/{d}/up", "last")
    seen = ear.until(f"m/{d}/up", b"last")
    assert [m.payload.decode() for m in seen] == [f"m/{d}/cmd/answer"]


def test_on_deny_disconnect(fleet, broker, wire, version):
    d = fleet.device("strict")
    w = wire(broker, d, version).admitted()
    assert w.publish(f"m/{d}/up") == 0
    w.publish("m/another/up")
    w.ended()
    w = wire(broker, d, version).admitted()
    assert w.subscribe("m/#") == denied(version)
    w.ended()


# ------------------------------------------------------- subscribing, receiving


@pytest.mark.parametrize("filters, reason", [
    (["m/{d}/cmd/#", "m/{d}/cmd", "m/{d}/cmd/a/+", "zone/+/news",
      "zone/x/news"], None),
    (["#", "+/#", "m/#", "m/+/cmd/#", "m/{d}/#", "m/{d}/+/x",
      "zone/#", "zone/+/+", "zone/+/news/#"], "filter_too_wide"),
    (["m/another/cmd/#", "nothing", "zone/x/other", "$SYS/broker/version"],
     "no_rule"),
])
def test_subscribe(fleet, meter, version, filters, reason):
    d = meter.device
    for f in (f.format(d=d) for f in filters):
        code = meter.subscribe(f, 1)
        assert code == (denied(version) if reason else 1), f
        told = fleet.explain(d, "subscribe", f, "--qos", 1)
        assert told in ([reason, "filter_too_wide"] if reason
                        else ["allowed"]), f


def test_subscribe_qos(broker, meter, version):
    d = meter.device
    assert meter.subscribe(f"m/{d}/calm", 0) == 0
    assert meter.subscribe(f"m/{d}/calm", 1) == denied(version)
    broker.refused("subscribe", "qos", device=d)
    assert meter.subscribe(f"m/{d}/cmd/#", 2) == 2


def test_union_of_rules_covers(fleet, broker, wire, backend, version):
    """a/+ and a/+/+/# allow a/+/# together, and b/x and b/y never b/+."""
    d = fleet.device("cover")
    w = wire(broker, d, version).admitted()
    assert w.subscribe("a/+/#", 1) == 1
    for f in ("a/#", "b/+", "b/#", "+/x"):
        assert w.subscribe(f, 1) == denied(version), f
    assert w.subscribe("b/x", 1) == 1
    for topic in ("a", "a/1", "a/1/2", "a/1/2/3", "b/z", "b/x"):
        backend.publish(topic)
    assert [m.topic for m in w.until("b/x")] == ["a/1", "a/1/2", "a/1/2/3"]


def test_allowed_delivery(meter, backend):
    d = meter.device
    assert meter.subscribe(f"m/{d}/cmd/#", 1) == 1
    backend.publish(f"m/{d}/cmd/go", "now")
    assert meter.until(f"m/{d}/cmd/go", b"now") == []


def test_refused_subscription_gets_nothing(meter, backend, version):
    d = meter.device
    assert meter.subscribe("zone/#", 1) == denied(version)
    assert meter.subscribe(f"m/{d}/cmd/#", 1) == 1
    backend.publish("zone/x/news")
    backend.publish(f"m/{d}/cmd/go")
    assert meter.until(f"m/{d}/cmd/go") == []


def test_retained_is_delivered_where_allowed(
        fleet, broker, wire, meter, backend, version):
    d = meter.device
    backend.publish(f"m/{d}/cmd/set", "kept", retain=True)
    backend.publish("zone/r/news", "kept", retain=True)
    backend.publish("zone/r/secret", "kept", retain=True)
    other = wire(broker, fleet.device("meter"), version).admitted()
    assert other.subscribe(f"m/{d}/cmd/#", 1) == denied(version)
    assert other.subscribe("zone/#", 1) == denied(version)
    assert other.subscribe("zone/r/news", 1) == 1
    assert other.until("zone/r/news") == []
    assert meter.subscribe(f"m/{d}/cmd/#", 1) == 1
    assert meter.until(f"m/{d}/cmd/set") == []
    for topic in (f"m/{d}/cmd/set", "zone/r/news", "zone/r/secret"):
        backend.publish(topic, "", retain=True)


def test_shared_subscriptions(fleet, broker, wire, meter, version):
    d = meter.device
    w = wire(broker, fleet.device("backend"), version).admitted()
    assert w.subscribe("$share/workers/m/+/up", 1) == 1
    for f in ("$share/others/m/+/up", "$share/workers/m/#",
              "$share/workers/s/x", "$share/workers/$SYS/#"):
        assert w.subscribe(f, 1) == denied(version), f
    meter.publish(f"m/{d}/q2", "not shared")
    meter.publish(f"m/{d}/up", "shared")
    assert w.until(f"m/{d}/up", b"shared") == []


def test_device_may_not_share(meter, version):
    d = meter.device
    assert meter.subscribe(f"$share/workers/m/{d}/cmd/#") == denied(version)


def test_sys_is_closed_unless_listed(fleet, broker, wire, version):
    ops = wire(broker, fleet.device("ops"), version).admitted()
    for f in ("$SYS/#", "$SYS/broker/version", "$SYS/+/version"):
        assert ops.subscribe(f) == denied(version), f
    assert ops.subscribe("#") == 0
    ops.publish("$SYS/broker/version", "forged")
    watch = wire(broker, fleet.device("watch"), version).admitted()
    assert watch.subscribe("$SYS/#") == denied(version)
    assert watch.subscribe("$SYS/broker/version") == 0
    watch.until("$SYS/broker/version",
                b"mosquitto version %d.%d.%d" % VERSION)
    ops.publish("last")
    assert [m for m in ops.until("last") if m.topic.startswith("$")] == []


def test_control_is_refused(fleet, broker, wire, version):
    w = wire(broker, fleet.device("ops"), version).admitted()
    mark = broker.mark()
    w.publish("$CONTROL/dynamic-security/v1", "{}")
    broker.refused("publish", "no_rule", mark)


# ------------------------------------------------------------------------ wills


@pytest.mark.parametrize("retain", [False, True], ids=["plain", "retained"])
@pytest.mark.parametrize("where, reason", [
    ("m/{d}/will", None), ("m/{d}/keep", None),
    ("m/another/will", "no_rule"), ("other", "no_rule")])
def test_will(fleet, broker, wire, backend, version, where, reason, retain):
    d = fleet.device("meter")
    topic = where.format(d=d)
    if retain and where == "m/{d}/will":
        reason = "retain"
    backend.listening("m/#")
    mark = broker.mark()
    w = wire(broker, d, version).admitted(
        will=Message(topic, "gone", 1, retain))
    w.close()
    if reason is None:
        assert backend.until(topic, b"gone") == []
        return
    broker.refused("publish", reason, mark, device=d, topic=topic)
    wire(broker, d, version).admitted().publish(f"m/{d}/up", "back")
    assert backend.until(f"m/{d}/up", b"back") == []


def test_delayed_will(fleet, broker, wire, backend):
    """MQTT 5: it is judged when it is published, after the session's end."""
    d = fleet.device("meter")
    backend.listening("m/#")
    for topic, comes in ((f"m/{d}/will", True), ("m/another/will", False)):
        mark = broker.mark()
        w = wire(broker, d, 5).admitted(
            clean=False, will=Message(topic, "late", 1, False), will_delay=1)
        w.close()
        if comes:
            assert backend.until(topic, b"late") == []
        else:
            broker.refused("publish", "no_rule", mark, topic=topic)


def test_will_of_a_revoked_device(fleet, broker, wire, backend, version):
    d = fleet.device("meter")
    backend.listening("m/#")
    mark = broker.mark()
    w = wire(broker, d, version).admitted(
        will=Message(f"m/{d}/will", "gone", 1, False))
    fleet.weir("cert", "revoke", d, "--wait", "5s")
    w.ended()
    broker.refused("publish", "certificate_revoked", mark, device=d)
    other = fleet.device("meter")
    wire(broker, other, version).admitted().publish(f"m/{other}/up")
    assert backend.until(f"m/{other}/up") == []


def test_no_will_after_a_proper_disconnect(meter, broker, backend, wire,
                                           version):
    d = meter.device
    backend.listening("m/#")
    w = wire(broker, d, version).admitted(
        will=Message(f"m/{d}/will", "gone", 1, False))
    w.disconnect()
    wire(broker, d, version).admitted().publish(f"m/{d}/up", "back")
    assert backend.until(f"m/{d}/up", b"back") == []


# -------------------------------------------------------------------- sessions


def test_takeover_by_the_same_device(meter, broker, wire, version):
    d = meter.device
    again = wire(broker, d, version).admitted()
    meter.ended()
    assert again.publish(f"m/{d}/up") == 0
    assert again.subscribe(f"m/{d}/cmd/#") == 0


def test_takeover_by_another_device(fleet, meter, broker, wire, version):
    d = meter.device
    thief = wire(broker, fleet.device("meter"), version)
    assert refused_connect(thief, d.id)
    assert meter.publish(f"m/{d}/up") == 0
    assert meter.subscribe(f"m/{d}/cmd/#") == 0


def test_subscription_from_before_a_policy_change(own_fleet, wire, version):
    d, ear = own_fleet.device("sensor"), own_fleet.device("backend")
    cls = dict(policies.SHARED["classes"]["sensor"])
    with Broker(own_fleet) as b:
        w = wire(b, d, version).admitted()
        assert w.subscribe(f"s/{d}/old/#", 1) == 1
        assert w.subscribe(f"s/{d}/cmd/#", 1) == 1
        source = wire(b, ear, version).admitted()
        source.publish(f"s/{d}/old/x", "before")
        assert w.until(f"s/{d}/old/x") == []
        cls["subscribe"] = ["s/${device}/cmd/#"]
        own_fleet.apply(policies.changed(sensor=cls))
        b.applied()
        mark = b.mark()
        source.publish(f"s/{d}/old/x", "after")
        source.publish(f"s/{d}/cmd/x")
        assert w.until(f"s/{d}/cmd/x") == []
        b.refused("receive", "no_rule", mark, device=d)


@pytest.mark.parametrize("change", ["offline", "after"])
def test_session_restored_from_disk(own_fleet, wire, version, change):
    """The right is lost while the broker is down, or after the restart with
    messages queued already: neither is delivered at the reconnect."""
    d, ear = own_fleet.device("sensor"), own_fleet.device("backend")
    cls = dict(policies.SHARED["classes"]["sensor"])
    cls["subscribe"] = ["s/${device}/cmd/#"]
    with Broker(own_fleet) as b:
        w = wire(b, d, version).admitted(clean=False)
        for f in ("old", "cmd"):
            assert w.subscribe(f"s/{d}/{f}/#", 1) == 1
        w.disconnect()
        b.stop()
        if change == "offline":
            own_fleet.apply(policies.changed(sensor=cls))
        b.start()
        source = wire(b, ear, version).admitted()
        source.publish(f"s/{d}/old/x", "secret")
        source.publish(f"s/{d}/cmd/x", "fine")
        if change == "after":
            own_fleet.apply(policies.changed(sensor=cls))
            b.applied()
        w = wire(b, d, version).admitted(clean=False)
        assert w.present
        assert w.until(f"s/{d}/cmd/x", b"fine") == []
        source.publish(f"s/{d}/old/x", "secret")
        source.publish(f"s/{d}/cmd/x", "last")
        assert w.until(f"s/{d}/cmd/x", b"last") == []


def test_session_of_a_retired_device_is_of_no_use(own_fleet, wire, version):
    d, ear = own_fleet.device("sensor"), own_fleet.device("backend")
    with Broker(own_fleet) as b:
        w = wire(b, d, version).admitted(clean=False)
        assert w.subscribe(f"s/{d}/cmd/#", 1) == 1
        w.disconnect()
        own_fleet.weir("retire", d, "--wait", "5s")
        wire(b, ear, version).admitted().publish(f"s/{d}/cmd/x", "secret")
        w = wire(b, d, version)
        assert refused_connect(w, clean=False)
        assert w.inbox == []
