# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a registered device that is hostile publishes, subscribes and leaves
wills with every trick a topic allows, beside a well-behaved device: topics
that are none, wildcards, the broker's own trees, look-alikes of what it may,
MQTT 5's aliases, subscription identifiers and response topics, retained
messages.

Question: does anything pass that its class does not allow? Does the broker
stay up, and serve the other device as before?

Expected: an ear that hears everything hears nothing of it, and nothing that
others sent reaches the device. What it may do, it still can afterwards. The
other device's round trips and the broker's memory are printed.
"""

import pytest

from clients import (PUBACK, REFUSED, REFUSED_V311, SUBACK,
                     Closed, Message, text)
from harness import VERSION
from hostile import (ALIAS, CORRELATION, RESPONSE_TOPIC, SUBSCRIPTION_ID, Ear,
                     answers, broker, codes, connection, ear, fleet, is_over,
                     pour, prop, publication, subscription, watch, watched)

pytestmark = pytest.mark.usefixtures("watched")

SLASHES, LONG = "/" * 65535, "a" * 65535
NOT_UTF8 = [b"h/\0/up", b"h\xc0\xafup", b"h/\xed\xa0\x80/up", b"h/\xe2\x82",
            b"h/\xf4\x90\x80\x80"]
"""NUL, an overlong slash, a surrogate, a sequence cut off, beyond Unicode."""


@pytest.fixture
def rogue(fleet, broker, wire, version):
    return wire(broker, fleet.device("rogue"), version).admitted()


def refusal(version):
    return REFUSED if version == 5 else REFUSED_V311


def still_works(broker, wire, ear, rogue):
    """The device may do what it may, and was heard with nothing else."""
    d = rogue.device
    assert ear.heard() == []
    rogue.close()
    w = wire(broker, d, rogue.version).admitted()
    assert w.publish(f"h/{d}/up", "fine") == 0
    assert [(m.topic, m.payload) for m in ear.heard()] == [
        (f"h/{d}/up", b"fine")]


def near(d):
    """Topics that look like what D may publish to."""
    own = f"h/{d}/up"
    return [own + "/", "/" + own, f"h//{d}/up", f"h/{d}//up", "//", "/",
            f"H/{d}/up", f"h/{d}/UP", f"h/{d}0/up", f"h/{str(d)[:-1]}/up",
            f"h/{d}/υp", f"h/{d}／up", f"h/{d}/up\u200b", f"h/{d}/up ",
            f" {own}", f"h/{d}/../other/up", f"h/{d}%2Fup", f"h\\{d}\\up",
            f"h/{d}/u\u0308p", "h/${device}/up", own * 20, f"h/{d}",
            f"h/{d}/up\x01", f"h/{d}/up\x7f", f"h/{d}/up\ufeff", "h/d/up"]


BROKER_S_OWN = ["$SYS/broker/version", "$SYS/broker/connection/x/state",
                "$SYS", "$sys/x", "$CONTROL/dynamic-security/v1",
                "$CONTROL/weir/v1", "$CONTROL", "$share/workers/jobs/1",
                "$share", "$pulse/x", "$"]


# ------------------------------------------------------------------ publishing


def test_publish_near_misses(broker, wire, ear, rogue, version):
    d = rogue.device
    topics = near(d) + BROKER_S_OWN + ["jobs/1", "a" * 60000]
    sent = b"".join(publication(rogue, t, b"bad", 1, i + 1)
                    for i, t in enumerate(topics))
    # The broker may have ended the connection before it has read all of them.
    whole = pour(rogue, sent)
    got = answers(rogue)
    assert whole or is_over(got)
    if not is_over(got):
        refused = REFUSED if version == 5 else 0
        assert codes(rogue, got, PUBACK) == [refused] * len(topics)
    still_works(broker, wire, ear, rogue)


def test_publish_topics_that_are_none(broker, wire, ear, rogue, version):
    for topic in (*NOT_UTF8, b"", b"h/+/up", b"#", b"h/#", b"$SYS/#", SLASHES,
                  LONG):
        w = wire(broker, rogue.device, version).admitted()
        pour(w, publication(w, topic, b"bad", 1))
        assert is_over(answers(w)) or len(topic) == 65535, topic[:20]
        w.close()
    still_works(broker, wire, ear, rogue)


def test_retained_where_not_allowed(fleet, broker, wire, ear, rogue, version):
    d = rogue.device
    victim = wire(broker, fleet.device("rogue"), version).admitted()
    kept = f"h/{victim.device}/keep"
    assert victim.publish(kept, "kept", retain=True) == 0
    ear.heard()
    for topic in (f"h/{d}/up", kept, f"h/{victim.device}/up", "$SYS/x"):
        for payload in (b"bad", b""):
            rogue.publish(topic, payload, retain=True)
            rogue.publish(topic, payload, qos=0, retain=True)
    assert ear.heard() == []
    late = Ear(fleet, broker)
    retained = {m.topic for m in late.heard() if m.retain}
    late.close()
    assert kept in retained
    assert f"h/{d}/up" not in retained
    victim.publish(kept, "", retain=True)
    ear.heard()
    still_works(broker, wire, ear, rogue)


# ----------------------------------------------------------------- subscribing


def test_subscribe_what_is_not_allowed(fleet, broker, wire, rogue, version):
    """Refused in one packet beside an allowed one, which alone then works."""
    d = rogue.device
    hub = wire(broker, fleet.device("hub"), version).admitted()
    other = fleet.device("rogue", cert=None)
    assert hub.publish(f"h/{other}/in/kept", "secret", retain=True) == 0
    filters = ["#", "/#", "+/#", "+/+", "h/+/in/#", "h/#", f"h/{d}/#",
               f"h/{d}/+/#", f"H/{d}/in/#", f"h/{other}/in/#", "$SYS/#",
               "$CONTROL/#", "$share/workers/jobs/+", "$share/x/#",
               f"$share/g/h/{d}/in/#", f"/h/{d}/in/#", "jobs/1", "$pulse/+",
               f"h/{d}/in{chr(0x2215)}x", "a" * 60000]
    assert pour(rogue, subscription(rogue, *filters, f"h/{d}/in/#"))
    got = answers(rogue)
    if not is_over(got):
        assert codes(rogue, got, SUBACK) == (
            [refusal(version)] * len(filters) + [0])
    else:
        rogue = wire(broker, d, version).admitted()
        assert rogue.subscribe(f"h/{d}/in/#") == 0
    for topic in (f"h/{other}/in/x", "jobs/1", f"h/{d}/up", "h/x"):
        hub.publish(topic, "secret")
    hub.publish(f"h/{d}/in/x", "fine")
    assert [m for m in rogue.until(f"h/{d}/in/x")
            if m.payload == b"secret"] == []
    assert hub.publish(f"h/{other}/in/kept", "", retain=True) == 0


def test_subscribe_filters_that_are_none(
        broker, wire, ear, rogue, version):
    for f in (*NOT_UTF8, b"", b"h/#/x", b"h/a+", b"h/+a/x", b"h#", b"##",
              b"$share", b"$share/", b"$share/g", b"$share/g/", b"$share//h",
              b"$share/+/h", b"$share/#", b"$share/g/h/#/x", SLASHES, LONG,
              b"$share/workers/" + b"/" * 65000):
        w = wire(broker, rogue.device, version).admitted()
        pour(w, subscription(w, f))
        got = answers(w)
        assert is_over(got) or codes(w, got, SUBACK) == [refusal(version)], f
        w.close()
    still_works(broker, wire, ear, rogue)


def test_subscription_identifiers_and_options(fleet, broker, wire, ear):
    """Identifier 0, the largest, one beyond, and two of them; options that
    are reserved; all on what is refused."""
    d = fleet.device("rogue")
    for options, props in (
            *((0, prop(SUBSCRIPTION_ID, x)) for x in (
                b"\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x01", b"\1")),
            (0, prop(SUBSCRIPTION_ID, b"\1") * 2),
            *((x, b"") for x in (0x30, 0xC0, 0x03, 0xFF))):
        w = wire(broker, d, 5).admitted()
        pour(w, subscription(w, "#", f"h/{d}/in/#", options=options,
                             props=props))
        got = answers(w)
        assert is_over(got) or codes(w, got, SUBACK) == [REFUSED, 0]
    still_works(broker, wire, ear, w)


# ------------------------------------------------------------------- MQTT 5


def alias(n):
    return prop(ALIAS, n.to_bytes(2, "big"))


def test_topic_alias_of_something_else(fleet, broker, wire, ear):
    w = wire(broker, fleet.device("rogue"), 5).admitted()
    own, bad = f"h/{w.device}/up", "h/other/up"
    # established, used, moved to what is refused, used, and moved back
    for i, (topic, code) in enumerate([
            (own, 0), ("", 0), (bad, REFUSED), ("", REFUSED),
            ("$SYS/x", REFUSED), ("", REFUSED), (own, 0), ("", 0)]):
        assert w.publish(topic, f"{i}", props=alias(1)) == code, i
    # one of its own for each, used by turns
    for n, topic in ((2, own), (3, bad)):
        w.publish(topic, "named", props=alias(n))
    got = [w.publish("", f"turn {n}", props=alias(n)) for n in (2, 3) * 5]
    assert got == [0, REFUSED] * 5
    heard = ear.heard()
    assert {m.topic for m in heard} == {own}
    assert len(heard) == 4 + 1 + 5
    still_works(broker, wire, ear, w)


def test_topic_alias_that_is_none(fleet, broker, wire, ear):
    """0, beyond the maximum, and one that was never established."""
    d = fleet.device("rogue")
    for n in (0, 11, 65535, 7):
        w = wire(broker, d, 5).admitted()
        topic = "" if n == 7 else f"h/{d}/up"
        pour(w, publication(w, topic, b"bad", 1, props=alias(n)))
        assert is_over(answers(w)), n
    still_works(broker, wire, ear, w)


def test_topic_alias_ends_with_its_connection(fleet, broker, wire, ear):
    d, other = fleet.device("rogue"), fleet.device("rogue")
    w = wire(broker, d, 5).admitted(clean=False)
    assert w.publish(f"h/{d}/up", props=alias(1)) == 0
    assert len(ear.heard()) == 1
    for who in (d, other):
        w = wire(broker, who, 5).admitted(clean=False)
        pour(w, publication(w, "", b"bad", 1, props=alias(1)))
        assert is_over(answers(w))
    still_works(broker, wire, ear, w)


def test_response_topics(fleet, broker, wire, ear):
    d = fleet.device("rogue")
    own = f"h/{d}/in/x"
    good = prop(RESPONSE_TOPIC, text(own))
    for answer in (
            "", "h/+/in", "#", "$SYS/x", "$share/workers/jobs/1",
            "h/other/in/x", "jobs/1", own.upper(), "/" + own, own + "\0",
            f"h/{d}/up", b"h/\xc0\xaf", LONG, SLASHES,
            "$CONTROL/dynamic-security/v1"):
        bad = prop(RESPONSE_TOPIC, text(answer))
        w = wire(broker, d, 5).admitted()
        pour(w, publication(w, f"h/{d}/up", b"bad", 1,
                            props=prop(CORRELATION, text("c")) + bad))
        got = answers(w)
        assert is_over(got) or codes(w, got, PUBACK) == [REFUSED], answer[:20]
        # Two of them, a good one first or last, are malformed.
        for props in (good + bad, bad + good):
            w = wire(broker, d, 5).admitted()
            pour(w, publication(w, f"h/{d}/q2", b"bad", 2, props=props))
            assert is_over(answers(w)), answer[:20]
    still_works(broker, wire, ear, w)


# ------------------------------------------------------------------------ wills


WILLS = [
    (Message("h/other/up", "bad", 1, False), "no_rule"),
    (Message("h/{d}/up", "bad", 2, False), "qos"),
    (Message("h/{d}/up", "bad", 1, True), "retain"),
    (Message("h/{d}/small", "x" * 9, 1, False), "size"),
    (Message("$SYS/broker/connection/x/state", "1", 1, True), "no_rule"),
    (Message("$SYS/broker/version", "bad", 0, True), None),
    (Message("$CONTROL/dynamic-security/v1", "{}", 1, False), "no_rule"),
    (Message("$share/workers/jobs/1", "bad", 1, False), None),
    (Message("$pulse/x", "bad", 0, False), "no_rule")]
"""And why each is refused; None: the broker drops it unasked."""


@pytest.mark.parametrize("end", ["lost", "taken over", "malformed"])
def test_wills(fleet, broker, wire, ear, version, end):
    for will, reason in WILLS:
        d = fleet.device("rogue")
        if VERSION >= (2, 1) and will.topic.startswith("$CONTROL/"):
            # 2.1 takes no such will, and closes without a CONNACK.
            with pytest.raises(Closed):
                wire(broker, d, version).admitted(will=will)
            again = wire(broker, d, version).admitted()
            continue
        w = wire(broker, d, version).admitted(
            will=will._replace(topic=will.topic.replace("{d}", str(d))))
        mark = broker.mark()
        if end == "lost":
            w.close()
        elif end == "malformed":
            pour(w, b"\xf0\xff\xff\xff\xff")
        again = wire(broker, d, version).admitted()
        if reason is not None:
            broker.refused("publish", reason, mark, device=d)
    still_works(broker, wire, ear, again)


def test_wills_that_are_none(fleet, broker, wire, ear, version):
    d = fleet.device("rogue")
    for topic in (*NOT_UTF8, b"", b"h/+/up", b"#", SLASHES, LONG):
        w = wire(broker, d, version)
        will = (b"\0" if version == 5 else b"") + text(topic) + text("bad")
        pour(w, connection(d.id, version, flags=2 | 4 | 8, tail=will))
        try:
            w.read()
        except Closed:
            pass
        w.close()
    still_works(broker, wire, ear, w)
