# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices send a few packets whose bytes are known, are refused, come
and go; somebody asks weir usage, device show, explain and device list who did
what, while the broker runs, is gone, and before it ever ran.

Question: is every counter exact? Do devices, classes and rules add up? Is the
last refusal the last one, and does a wrong name look like one?

Expected: counters equal to the packets written by hand, for MQTT 3.1.1 and 5;
the sum over devices is the sum over classes and, of messages, over rules.
Exit status 1 for a device or class that neither the meter nor the registry
knows, 2 for options that make no sense, 3 for a meter that cannot be read.
"""

import json
import struct

import pytest

from clients import Message, refused_connect, varint
from harness import VERSION, Broker, eventually

THREE = ["messages", "payload_bytes", "mqtt_bytes"]


def packet_bytes(topic, payload, qos, v5=False, props=b""):
    """A PUBLISH packet's size: fixed header, topic, id, properties, payload."""
    body = 2 + len(topic) + (2 if qos else 0) + len(payload)
    if v5:
        body += len(varint(len(props))) + len(props)
    return 1 + len(varint(body)) + body


def usage(fleet, *args, **kw):
    return fleet.json("usage", *args, **kw)


def lines(fleet, *args):
    return [json.loads(x)
            for x in fleet.weir("--json", "usage", *args).splitlines()]


def counted(fleet, device, **want):
    """Waits until the device's counters are these."""
    def same():
        got = usage(fleet, device)
        return all(got[k] == v for k, v in want.items()) and got
    try:
        return eventually(f"{device}: {want}", same, 5)
    except AssertionError:
        got = usage(fleet, device)
        assert {k: got[k] for k in want} == want
        raise


def test_publishes_exact(fleet, broker, wire, version):
    d = fleet.device("meter")
    w = wire(broker, d, version).admitted()
    sizes = [0, 1, 100, 120, 20000]
    mqtt = payload = 0
    for n in sizes:
        w.publish(f"m/{d}/up", b"p" * n, qos=0)
        w.publish(f"m/{d}/up", b"p" * n, qos=1)
        w.publish(f"m/{d}/q2", b"p" * n, qos=2)
        payload += 3 * n
        mqtt += sum(packet_bytes(f"m/{d}/up", b"p" * n, q, version == 5)
                    for q in (0, 1, 2))
    w.ping()
    got = counted(fleet, d, messages_in=3 * len(sizes),
                  payload_bytes_in=payload, mqtt_bytes_in=mqtt)
    assert got["device"] == d.id and got["class"] == "meter"
    assert got["refusals"] == {} and got["last_refusal"] is None
    assert got["messages_queued"] == got["observed"] == 0


def test_queued(fleet, broker, wire, version):
    """What the broker queues for a subscriber, at the publisher's QoS."""
    d, ear = fleet.device("meter"), fleet.device("backend")
    e = wire(broker, ear, version).admitted()
    assert e.subscribe(f"m/{d}/up", 1) == 1
    w = wire(broker, d).admitted()
    for n, qos in ((10, 0), (300, 1)):
        w.publish(f"m/{d}/up", b"p" * n, qos=qos)
    w.ping()
    counted(fleet, ear, messages_queued=2, payload_bytes_queued=310,
            mqtt_bytes_queued=packet_bytes(f"m/{d}/up", b"p" * 10, 0,
                                           version == 5)
            + packet_bytes(f"m/{d}/up", b"p" * 300, 1, version == 5),
            messages_in=0)


def test_sent(fleet, broker, wire, version):
    """Mosquitto 2.1 tells what it really sends, at the QoS it has then; 2.0
    does not."""
    d, ear = fleet.device("meter"), fleet.device("backend")
    e = wire(broker, ear, version).admitted()
    assert e.subscribe(f"m/{d}/up", 0) == 0
    w = wire(broker, d).admitted()
    w.publish(f"m/{d}/up", b"p" * 300, qos=1)
    e.until(f"m/{d}/up")
    size = packet_bytes(f"m/{d}/up", b"p" * 300, 0, version == 5)
    told = (1, 300, size) if VERSION >= (2, 1) else (0, 0, 0)
    counted(fleet, ear, messages_queued=1, **dict(zip(
        ("messages_sent", "payload_bytes_sent", "mqtt_bytes_sent"), told)))


def test_refusals_by_reason(fleet, broker, wire, version):
    d = fleet.device("meter")
    w = wire(broker, d, version).admitted()
    sent = 0
    for topic, payload, qos in (("m/other/up", b"1", 1),
                                ("m/other/up", b"22", 0),
                                (f"m/{d}/small", b"s" * 17, 1),
                                (f"m/{d}/up", b"2", 2)):
        w.publish(topic, payload, qos)
        sent += packet_bytes(topic, payload, qos, version == 5)
    assert w.subscribe("m/#", 1) >= 0x80
    assert w.subscribe(f"m/{d}/up", 1) >= 0x80
    got = counted(fleet, d, refused_publishes=4, refused_publish_bytes=sent,
                  refused_subscribes=2, messages_in=0)
    assert got["refusals"] == {"no_rule": 3, "filter_too_wide": 1,
                               "size": 1, "qos": 1}
    last = got["last_refusal"]
    assert (last["action"], last["reason"], last["topic"]) == (
        "subscribe", "no_rule", f"m/{d}/up")


def test_refused_connect_and_stranger(fleet, broker, wire):
    d, other = fleet.device("meter"), fleet.device("meter")
    stranger = fleet.sign("nobody")
    unknown = fleet.status()["broker"]["strangers"]
    before = {x["class"]: x for x in lines(fleet)}
    assert refused_connect(wire(broker, d), other.id)
    assert refused_connect(wire(broker, stranger), "nobody")
    got = counted(fleet, d, refused_connects=1, connects=0)
    assert got["last_refusal"]["topic"] == other.id
    assert got["last_connect"] is None and got["connections"] == 0

    def strangers():
        now = {x["class"]: x for x in lines(fleet)}[None]
        return (now["refusals"]["connect"].get("unknown_certificate", 0)
                - before[None]["refusals"]["connect"]
                .get("unknown_certificate", 0))
    assert eventually("the stranger is counted", strangers) == 1
    assert usage(fleet, other)["refused_connects"] == 0
    eventually("its connection is counted", lambda: fleet.status()["broker"][
        "strangers"] > unknown)
    assert fleet.status()["broker"]["unmetered"] == 0


def test_connections(fleet, broker, wire):
    d = fleet.device("worker")
    first = wire(broker, d).admitted()
    second = wire(broker, d).admitted(client_id=f"{d}/1")
    got = counted(fleet, d, connects=2, connections=2, disconnects=0)
    assert got["last_address"] == "127.0.0.1"
    assert got["last_connect"]["fingerprint"] == fleet.fingerprint(d)
    again = wire(broker, d).admitted()  # takes the first one over
    first.ended()
    counted(fleet, d, connects=3, takeovers=1, disconnects=1, connections=2)
    again.disconnect()
    second.disconnect()
    counted(fleet, d, connects=3, disconnects=3, connections=0)


def test_will(fleet, broker, wire):
    d = fleet.device("meter")
    w = wire(broker, d).admitted(
        will=Message(f"m/{d}/will", b"gone", 1, False))
    w.close()
    counted(fleet, d, wills=1, connections=0, messages_in=0)


def test_sums(fleet, broker, wire):
    """Devices, classes and rules say the same."""
    d = fleet.device("meter")
    ear = wire(broker, fleet.device("backend")).admitted()
    assert ear.subscribe("m/#", 1) == 1
    w = wire(broker, d).admitted()
    for i in range(5):
        w.publish(f"m/{d}/up", b"x" * i)
    w.publish("m/other/up")
    w.ping()
    counted(fleet, d, messages_in=5, refused_publishes=1)
    classes = lines(fleet)
    devices = lines(fleet, "--top", 1000000)
    assert len({x["device"] for x in devices}) == len(devices) >= 2
    names = [k for k in classes[0] if k in devices[0]["class_median"]]
    assert len(names) == 22
    for name in names:
        of_devices = sum(x[name] for x in devices)
        of_classes = sum(x[name] for x in classes)
        if name.startswith("refused_"):  # strangers have no device
            assert of_devices <= of_classes
        else:
            assert of_devices == of_classes, name
    for list_, suffix in (("publish", "_in"), ("subscribe", "_queued")):
        for three in THREE:
            assert (sum(r[three] for c in classes for r in c["rules"]
                        if r["list"] == list_)
                    == sum(c[three + suffix] for c in classes))
    for c in classes:
        assert c["devices"] == sum(x["class"] == c["class"] for x in devices)
        assert c["connections"] == sum(x["connections"] for x in devices
                                       if x["class"] == c["class"])
        for action, counter in (("publish", "refused_publishes"),
                                ("subscribe", "refused_subscribes"),
                                ("receive", "refused_deliveries"),
                                ("connect", "refused_connects")):
            assert sum(c["refusals"][action].values()) == c[counter]


def test_split(fleet, broker, wire):
    """Wire, the MQTT packets in it, the payloads in those."""
    d = fleet.device("meter")
    w = wire(broker, d).admitted()
    for _ in range(10):
        w.publish(f"m/{d}/up", b"p" * 1000)
    w.disconnect()
    got = counted(fleet, d, messages_in=10, connections=0)
    split = [got[f"{x}_bytes_in"] for x in ("wire", "mqtt", "payload")]
    assert split == sorted(split, reverse=True) and split[2] == 10000
    rows = {x.split()[0]: x.split() for x in
            fleet.weir("usage", d).splitlines()
            if x.startswith(("wire ", "MQTT ", "payload "))}
    assert rows["wire"][1:4] == [str(split[0]), "100.0", "%"]
    assert rows["MQTT"][1:3] == [
        str(split[1]), f"{100 * split[1] / split[0]:.1f}"]
    assert rows["payload"][1:3] == [
        "10000", f"{1000000 / split[0]:.1f}"]


def test_rules_of_class(fleet, broker, wire):
    d = fleet.device("sensor")
    before = usage(fleet, "--class", "sensor")
    w = wire(broker, d).admitted()
    w.publish(f"s/{d}/up", b"12345")
    after = usage(fleet, "--class", "sensor")
    assert after["messages_in"] == before["messages_in"] + 1
    [rule] = [r for r in after["rules"] if r["list"] == "publish"]
    assert rule["topic"] == "s/${device}/up"
    assert rule["messages"] == after["messages_in"]
    assert rule["payload_bytes"] == after["payload_bytes_in"]
    told = fleet.weir("usage", "--class", "sensor")
    assert "s/${device}/up" in told and "CLASS MEDIAN" in told


def test_median(own_fleet, own_broker, wire):
    for n in (1, 2, 9):
        d = own_fleet.device("meter")
        w = wire(own_broker, d).admitted()
        for _ in range(n):
            w.publish(f"m/{d}/up")
    assert usage(own_fleet, d)["class_median"]["messages_in"] == 2
    told = own_fleet.weir("usage", d)
    [row] = [x.split() for x in told.splitlines()
             if x.startswith("messages_in")]
    assert row == ["messages_in", "9", "2", "messages"]
    other = own_fleet.device("meter")
    w = wire(own_broker, other).admitted()
    for _ in range(4):
        w.publish(f"m/{other}/up")
    assert usage(own_fleet, d)["class_median"]["messages_in"] == 3


def test_top_and_sort(fleet, broker, wire):
    loud, quiet = fleet.device("ops"), fleet.device("ops")
    for d, n in ((loud, 7), (quiet, 3)):
        w = wire(broker, d).admitted()
        for _ in range(n):
            w.publish("other/topic", b"x")
    got = lines(fleet, "--top", 2, "--sort", "messages_in", "--class", "ops")
    assert [x["device"] for x in got] == [loud.id, quiet.id]
    got = lines(fleet, "--top", 1, "--sort", "messages_in", "--class", "ops")
    assert [x["device"] for x in got] == [loud.id]
    told = fleet.weir("usage", "--top", 2, "--sort", "wills", "--class", "ops")
    assert told.splitlines()[0].split()[-1] == "WILLS"


@pytest.mark.parametrize("args,status,says", [
    (["nobody"], 1, "not registered"),
    (["--class", "nobody"], 1, "neither in the policy"),
    (["a", "--class", "meter"], 2, "not both"),
    (["a", "b"], 2, "one word too many"),
    (["--sort", "wills"], 2, "--top"),
    (["a", "--top", "3"], 2, "without one"),
    (["--top", "0"], 2, "whole number"),
    (["--top", "3", "--sort", "messges_in"], 2, "did you mean messages_in"),
    (["--since", "2026-01-01T00:00:00Z"], 3, "weir-feed has not run"),
    (["--by", "day"], 3, "weir-feed has not run"),
])
def test_refused_arguments(fleet, broker, args, status, says):
    done = fleet.run("usage", *args)
    assert done.returncode == status and done.stdout == ""
    assert says in done.stderr, done.stderr


# ------------------------------------------------- the broker, and without one

def test_show_and_explain(fleet, broker, wire):
    d = fleet.device("meter")
    w = wire(broker, d).admitted()
    w.publish("m/other/\u00e4", b"x", qos=1)
    counted(fleet, d, refused_publishes=1)
    for command in (["device", "show", d], ["explain", d]):
        got = fleet.json(*command)
        assert (got["broker"], got["connections"]) == ("running", 1)
        assert got["last_connect"]["address"] == "127.0.0.1"
        assert got["last_connect"]["fingerprint"] == fleet.fingerprint(d)
        assert got["last_refusal"]["reason"] == "no_rule"
        assert got["last_refusal"]["topic"] == "m/other/\u00e4"
        told = fleet.weir(*command)
        assert "connected:        yes, 1 connection\n" in told
        assert "publish m/other/\u00e4, QoS 1: no rule of the class" in told
    assert d.id in fleet.weir("device", "list", "--connected")
    w.disconnect()
    counted(fleet, d, connections=0)
    assert d.id not in fleet.weir("device", "list", "--connected")
    assert "connected:        no, last seen " in fleet.weir("device", "show", d)


def test_long_topic_is_cut_at_a_character(fleet, broker, wire):
    d = fleet.device("meter")
    topic = "m/" + "\u20ac" * 100
    wire(broker, d).admitted().publish(topic, b"x")
    last = counted(fleet, d, refused_publishes=1)["last_refusal"]
    assert last["topic"] == "m/" + "\u20ac" * 20
    assert last["topic_bytes"] == len(topic.encode())
    assert "\u20ac\u2026, QoS 1" in fleet.weir("device", "show", d)


def test_never_ran(own_fleet):
    d = own_fleet.device("meter")
    got = usage(own_fleet, d)
    assert got["broker"] == "never_ran" and got["messages_in"] == 0
    assert got["last_connect"] is None and got["first_seen_s"] is None
    done = own_fleet.run("usage")
    assert (done.returncode, done.stdout) == (0, "")
    assert "has not run with this state directory" in done.stderr
    assert usage(own_fleet, "--class", "meter")["devices"] == 0
    assert own_fleet.run("usage", "nobody").returncode == 1
    told = own_fleet.weir("device", "show", d)
    assert "has not run with this state directory" in told


def test_stopped_and_restarted(own_fleet, wire):
    d = own_fleet.device("meter")
    with Broker(own_fleet) as b:
        wire(b, d).admitted().publish(f"m/{d}/up", b"12345")
        counted(own_fleet, d, messages_in=1, connections=1)
        b.kill()
        got = usage(own_fleet, d)
        assert got["broker"] == "stopped" and got["connections"] == 0
        assert got["payload_bytes_in"] == 5
        done = own_fleet.run("usage")
        assert "stopped, last seen" in done.stderr and "meter" in done.stdout
        b.start()
        got = usage(own_fleet, d)
        assert got["broker"] == "running" and got["connections"] == 0
        wire(b, d).admitted().publish(f"m/{d}/up", b"12345")
        counted(own_fleet, d, messages_in=2, connects=2, connections=1)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None],
                         ids=["empty", "short", "version"])
def test_unreadable(own_fleet, content):
    d = own_fleet.device("meter")
    path = own_fleet.state / "meter" / "meter.seg"
    if content is None:
        content = bytearray(16 << 20)
        content[:12] = b"WEIRSEG1" + struct.pack("<I", 99)
    path.write_bytes(content)
    for args in (["usage"], ["usage", d], ["tail", "--no-follow"]):
        done = own_fleet.run(*args)
        assert done.returncode == 3 and str(path) in done.stderr
    # Who the device is, is known all the same.
    assert own_fleet.json("device", "show", d)["broker"] == "unknown"


def test_device_gone_from_registry_is_still_shown(own_fleet, own_broker, wire):
    """A registry that was replaced does not hide who was here."""
    d = own_fleet.device("meter")
    wire(own_broker, d).admitted().publish(f"m/{d}/up")
    counted(own_fleet, d, messages_in=1)
    own_fleet.sql("DELETE FROM credential WHERE device_id = ?", d.id)
    own_fleet.sql("DELETE FROM device WHERE id = ?", d.id)
    assert usage(own_fleet, d)["messages_in"] == 1
    assert own_fleet.run("device", "show", d).returncode == 1
