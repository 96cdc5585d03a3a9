# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a registered device that is hostile plays with what outlives a
connection: shared groups, QoS 2 messages stored and not released, sessions
taken over and resumed, clean and not, client ids that are no names, packet
ids used again.

Question: does a right that was lost live on in any of them? Can it touch the
session of another device, or starve it of messages?

Expected: what is released, resumed or taken over is only ever the device's
own and only under the rights it has now; who may no longer receive is out of
its shared groups; the other member gets everything. The other device's round
trips and the broker's memory are printed.
"""

import contextlib
import sqlite3

import pytest

import policies
import test_registry_replaced
from clients import (CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL, REFUSED,
                     REFUSED_V311, Closed, Message, refused_connect)
from harness import Broker
from hostile import (POLICY, Ear, answers, broker, codes, connection, ear,
                     fleet, is_over, packet, pour, publication, watch, watched)

pytestmark = pytest.mark.usefixtures("watched")

STASH = 300


# --------------------------------------------------------------- shared groups


def jobs(fleet, broker, wire, ear, n):
    """Publishes N jobs; the ear has them all."""
    hub = wire(broker, fleet.device("hub")).admitted()
    for i in range(n):
        assert hub.publish(f"jobs/{i}", b"%d" % i) == 0
    assert len([m for m in ear.heard() if m.topic.startswith("jobs/")]) == n


def members(fleet, broker, wire, version, clean=True):
    """Two members of a group, by device and connection."""
    got = []
    for _ in range(2):
        w = wire(broker, fleet.device("member"), version).admitted(clean=clean)
        assert w.subscribe("$share/workers/jobs/+", 1) == 1
        got.append(w)
    return got


def received(w):
    answers(w)
    got, w.inbox = [m.topic for m in w.inbox], []
    return got


def test_group_is_joined_by_its_own_only(
        fleet, broker, wire, ear, version):
    """Who was refused is no member: nothing is lost to it."""
    a, b = members(fleet, broker, wire, version)
    refused = REFUSED if version == 5 else REFUSED_V311
    rogue = wire(broker, fleet.device("rogue"), version).admitted()
    d = rogue.device
    for f in ("$share/workers/jobs/+", "$share/workers/#",
              f"$share/workers/h/{d}/in/#", "$share/workers/jobs/1",
              "$share/other/jobs/+"):
        assert rogue.subscribe(f, 1) == refused, f
        assert a.subscribe(f.replace("workers", "others"), 1) == refused
    jobs(fleet, broker, wire, ear, 20)
    assert len(received(a) + received(b)) == 20
    assert received(rogue) == []


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
def test_who_loses_the_right_leaves_the_group(
        fleet, broker, wire, ear, version, clean):
    """It comes back, quarantined, to the session that was a member."""
    a, b = members(fleet, broker, wire, version, clean)
    fleet.weir("quarantine", a.device, "--wait", "10s")
    a.ended()
    again = wire(broker, a.device, version).admitted(clean=clean)
    again.subscribe("$share/workers/jobs/+", 1)
    jobs(fleet, broker, wire, ear, 20)
    assert len(received(b)) == 20
    assert received(again) == []
    # A kept session would be a member in the tests to come.
    wire(broker, b.device, version).admitted().close()


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
def test_who_loses_the_right_by_a_policy_leaves_the_group(
        own_fleet, wire, closing, version, clean):
    """Other than the rest of a policy, this one disconnects: the group's
    messages would be lost to whom they are refused."""
    members = policies.changed(**POLICY["classes"])
    share = members["classes"]["member"]
    members["classes"]["former"] = share
    own_fleet.apply(members)
    with Broker(own_fleet) as b:
        ear = closing(Ear(own_fleet, b))
        a = wire(b, own_fleet.device("former"), version).admitted(clean=clean)
        c = wire(b, own_fleet.device("member"), version).admitted(clean=clean)
        for w in (a, c):
            assert w.subscribe("$share/workers/jobs/+", 1) == 1
        if not clean:
            a.close()
            a = wire(b, a.device, version).admitted(clean=False)
            assert a.present
        members["classes"]["former"] = {"subscribe": ["h/x"]}
        own_fleet.apply(members, "--wait", "10s")
        a.ping()
        jobs(own_fleet, b, wire, ear, 2)
        a.ended()
        assert a.inbox == [] and len(received(c)) >= 1
        jobs(own_fleet, b, wire, ear, 20)
        assert len(received(c)) == 20
        a = wire(b, a.device, version).admitted(clean=clean)
        jobs(own_fleet, b, wire, ear, 20)
        assert len(received(c)) == 20
        assert received(a) == []


# -------------------------------------------------------- QoS 2, stash, release


def stash(wire, broker, device, version, topic, n=STASH):
    """Publishes with QoS 2, and releases nothing."""
    w = wire(broker, device, version).admitted(clean=False)
    assert pour(w, b"".join(publication(w, topic, b"stash", 2, i + 1)
                            for i in range(n)))
    got = codes(w, answers(w), PUBREC)
    assert got and got[0] in (0, 0x10)
    return w


def release(w, n=STASH):
    pour(w, b"".join(packet(PUBREL, (i + 1).to_bytes(2, "big"), 2)
                     for i in range(n)))
    return answers(w)


def loses(fleet, device, how):
    fleet.weir(*{"quarantine": ("quarantine", device),
                 "suspend": ("suspend", device),
                 "class": ("device", "set", device, "--class", "plain"),
                 "credential": ("cert", "revoke", device)}[how],
               "--wait", "10s")


@pytest.mark.parametrize("how", ["quarantine", "suspend", "class",
                                 "credential"])
@pytest.mark.parametrize("away", [False, True], ids=["there", "away"])
def test_stash_is_not_released(fleet, broker, wire, ear, version, how, away):
    d = fleet.device("rogue")
    w = stash(wire, broker, d, version, f"h/{d}/q2")
    if away:
        w.close()
    loses(fleet, d, how)
    if not away:
        w.ended()
    # While it is barred, and once more when it is admitted again.
    mark = broker.mark()
    assert refused_connect(wire(broker, d, version), clean=False)
    if how in ("quarantine", "class"):
        broker.refused("connect", "session_stale", mark, device=d)
    if how == "suspend":
        fleet.weir("release", d, "--wait", "10s")
        assert refused_connect(wire(broker, d, version), clean=False)
    if how == "credential":
        fleet.weir("cert", "issue", d, "--out", fleet.certs / "again")
        d.crt = fleet.certs / "again" / f"{d}.crt"
        d.key = fleet.certs / "again" / f"{d}.key"
        assert refused_connect(wire(broker, d, version), clean=False)
    w = wire(broker, d, version).admitted()
    assert not w.present
    release(w)
    assert ear.heard() == []


@pytest.mark.parametrize("watched_by", ["class", "device"])
def test_stash_while_observed(fleet, broker, wire, ear, version, watched_by):
    """What is observed passes with any QoS: it is a stash as well."""
    if watched_by == "class":
        d = fleet.device("watched")
    else:
        d = fleet.device("plain")
        fleet.weir("device", "set", d, "--mode", "observe", "--wait", "10s")
    w = stash(wire, broker, d, version, "h/any/q2")
    fleet.weir("quarantine", d, "--wait", "10s")
    w.ended()
    assert refused_connect(wire(broker, d, version), clean=False)
    w = wire(broker, d, version).admitted()
    release(w)
    assert ear.heard() == []


def test_stash_while_the_device_was_observed(
        fleet, broker, wire, ear, version):
    """The end of observing is a right lost."""
    d = fleet.device("plain")
    fleet.weir("device", "set", d, "--mode", "observe", "--wait", "10s")
    w = stash(wire, broker, d, version, "h/any/q2")
    fleet.weir("device", "set", d, "--mode", "enforce", "--wait", "10s")
    w.ended()
    assert refused_connect(wire(broker, d, version), clean=False)
    release(wire(broker, d, version).admitted())
    assert ear.heard() == []


@pytest.mark.parametrize("resumed", [False, True], ids=["same", "resumed"])
def test_stash_from_before_a_policy(own_fleet, wire, closing, version,
                                    resumed):
    """The policy took QoS 2 away; then the device loses its rights."""
    own_fleet.apply(POLICY)
    with Broker(own_fleet) as b:
        ear, d = closing(Ear(own_fleet, b)), own_fleet.device("rogue")
        ear.heard()
        w = stash(wire, b, d, version, f"h/{d}/q2")
        p = {**POLICY, "classes": {**POLICY["classes"],
                                   "rogue": POLICY["classes"]["plain"]}}
        own_fleet.apply(p, "--wait", "10s")
        if resumed:
            w = wire(b, d, version).admitted(clean=False)
            assert w.present
        own_fleet.weir("quarantine", d, "--wait", "10s")
        w.ended()
        assert refused_connect(wire(b, d, version), clean=False)
        release(wire(b, d, version).admitted())
        assert ear.heard() == []


@pytest.mark.parametrize("when", ["before", "down", "not"])
def test_stash_over_a_restart(own_fleet, wire, closing, version, when):
    """The right is lost before the broker stops, or while it is down; or it
    is not lost, and the stash is the device's to release."""
    own_fleet.apply(POLICY)
    d = own_fleet.device("rogue")
    broker = Broker(own_fleet)
    with broker as b:
        w = stash(wire, b, d, version, f"h/{d}/q2", 5)
        if when == "before":
            loses(own_fleet, d, "class")
            w.ended()
    if when == "down":
        own_fleet.weir("device", "set", d, "--class", "plain")
    with broker as b:
        ear, mark = closing(Ear(own_fleet, b)), b.mark()
        ear.heard()
        if when == "not":
            w = wire(b, d, version).admitted(clean=False)
            assert w.present
            release(w, 5)
            assert len(ear.heard()) == 5
            return
        assert refused_connect(wire(b, d, version), clean=False)
        b.refused("connect", "session_stale", mark, device=d)
        w = wire(b, d, version).admitted()
        assert not w.present
        release(w, 5)
        assert ear.heard() == []
    # begun anew: nothing is held against it any more
    with broker as b:
        wire(b, d, version).admitted(clean=False)


def test_stash_over_another_registry(own_fleet, wire, closing, version):
    """Who was away when the file was replaced is judged by none of its
    changes."""
    own_fleet.apply(POLICY)
    with Broker(own_fleet) as b:
        ear, d = closing(Ear(own_fleet, b)), own_fleet.device("rogue")
        ear.heard()
        stash(wire, b, d, version, f"h/{d}/q2").close()
        copy = test_registry_replaced.backup(own_fleet)
        with contextlib.closing(sqlite3.connect(copy)) as db, db:
            db.execute("UPDATE device SET class = 'plain' WHERE id = ?",
                       (d.id,))
        mark = b.mark()
        test_registry_replaced.put(own_fleet, copy)
        b.await_log("another file", mark)
        assert refused_connect(wire(b, d, version), clean=False)
        b.refused("connect", "session_stale", mark, device=d)
        release(wire(b, d, version).admitted())
        assert ear.heard() == []


# -------------------------------------------------------- packet ids and resends


def test_resends_and_packet_ids(fleet, broker, wire, ear, version):
    d = fleet.device("rogue")
    w = wire(broker, d, version).admitted()
    own, bad = f"h/{d}/q2", "h/other/q2"
    # the id of a stored message, for what is refused, and with DUP
    for flags in (0, 8):
        assert pour(w, publication(w, own, b"own", 2, 7)
                    + publication(w, bad, b"bad", 2, 7, flags)
                    + packet(PUBREL, b"\0\7", 2) + packet(PUBREL, b"\0\7", 2))
        answers(w)
    # one refused, then resent under the id of one that is allowed
    assert pour(w, publication(w, bad, b"bad", 2, 9)
                + publication(w, own, b"own", 2, 9, 8)
                + publication(w, bad, b"bad", 2, 9, 8)
                + packet(PUBREL, b"\0\x09", 2))
    answers(w)
    # releases of what there is not, and answers to what was not asked
    pour(w, b"".join(packet(k, i.to_bytes(2, "big"), 2 if k == PUBREL else 0)
                     for i in (1, 500, 65535)
                     for k in (PUBREL, PUBACK, PUBREC, PUBCOMP)))
    answers(w)
    w.close()
    assert {(m.topic, m.payload) for m in ear.heard()} <= {(own, b"own")}
    for bad_id in (publication(w, own, b"bad", 2, 0),
                   packet(PUBREL, b"\0\0", 2), packet(PUBREL, b"\0\1", 0)):
        w = wire(broker, d, version).admitted()
        pour(w, bad_id)
        assert is_over(answers(w)) or bad_id[0] >> 4 == PUBREL
        w.close()
    assert ear.heard() == []


def test_one_message_a_thousand_times(fleet, broker, wire, ear, version):
    """Each DUP is judged and counts as a message of its own."""
    d = fleet.device("rogue")
    w = wire(broker, d, version).admitted()
    mark = broker.mark()
    assert pour(w, publication(w, "h/other/up", b"bad", 1, 3, 8) * 1000)
    got = answers(w)
    assert is_over(got) or codes(w, got, PUBACK) == [
        REFUSED if version == 5 else 0] * 1000
    assert ear.heard() == []
    assert 1 <= len(broker.logged("refused publish", mark)) <= 7


# ------------------------------------------------------------------- takeovers


def test_takes_itself_over(fleet, broker, wire, ear, version):
    """200 times, clean and not by turns, each leaving a will."""
    d = fleet.device("rogue")
    w = None
    for i in range(200):
        n = wire(broker, d, version).admitted(
            clean=i % 3 == 0, will=Message("h/other/up", "bad", 1, False))
        assert n.publish("h/other/up", qos=0) is None
        if w is not None:
            w.close()
        w = n
    assert w.publish(f"h/{d}/up") == 0
    assert w.subscribe(f"h/{d}/in/#", 1) == 1
    assert {m.topic for m in ear.heard()} == {f"h/{d}/up"}


def test_takes_another_over(fleet, broker, wire, ear, version):
    victim = wire(broker, fleet.device("rogue"), version).admitted(clean=False)
    v = victim.device
    assert victim.subscribe(f"h/{v}/in/#", 1) == 1
    d = fleet.device("crowd")
    for i in range(50):
        thief = wire(broker, d, version)
        assert refused_connect(thief, v.id, clean=i % 2 == 0, username=v.id)
        thief.close()
    hub = wire(broker, fleet.device("hub"), version).admitted()
    assert hub.publish(f"h/{v}/in/x", "for the victim") == 0
    assert victim.until(f"h/{v}/in/x") == []
    assert victim.publish(f"h/{v}/up") == 0
    # A session that nobody is connected to is as safe.
    victim.close()
    assert refused_connect(wire(broker, d, version), v.id, clean=True)
    victim = wire(broker, v, version).admitted(clean=False)
    assert victim.present


def test_session_games(fleet, broker, wire, ear, version):
    """What was refused once is in no session, however it is resumed."""
    d = fleet.device("rogue")
    hub = wire(broker, fleet.device("hub"), version).admitted()
    for clean, expiry in ((False, 0xFFFFFFFF), (True, 0xFFFFFFFF), (False, 0),
                          (True, 0), (False, 1)) * 4:
        w = wire(broker, d, version).admitted(
            clean=clean, expiry=expiry if version == 5 else None)
        for f in ("#", "h/+/in/#", "$share/workers/jobs/+", "$SYS/#"):
            assert w.subscribe(f, 1) >= 0x80
        assert w.subscribe(f"h/{d}/in/#", 1) == 1
        w.close()
    hub.publish("h/other/in/x", "secret")
    hub.publish("jobs/1", "secret")
    hub.publish(f"h/{d}/in/x", "fine")
    w = wire(broker, d, version).admitted(clean=False)
    assert w.subscribe(f"h/{d}/in/#", 1) == 1
    hub.publish(f"h/{d}/in/y", "fine")
    assert {m.topic for m in w.until(f"h/{d}/in/y")} <= {f"h/{d}/in/x"}


# ------------------------------------------------------------------ client ids


def test_client_ids_that_are_none(fleet, broker, wire, ear, version):
    d, other = fleet.device("crowd"), fleet.device("crowd")
    mark = broker.mark()
    for client_id in (
            f"{d}/../{other}", f"{d}/\0", f"{d}\0", f"{d}\0{other}",
            b"\xff" + d.id.encode(), d.id.encode() + b"/\xc0\xaf",
            d.id.encode() + b"/\xed\xa0\x80", "x" * 65535, f"{other}/1",
            f" {d}", f"{d} ", f"/{d}", f"{d}/", d.id.upper(), "", "+", "#",
            "$SYS", f"{d}\n{other}", f"{d}/" + "#" * 65000, "auto-" + "0" * 36):
        w = wire(broker, d, version)
        try:
            pour(w, connection(client_id, version))
            answer = w.expect(CONNACK)[1]
        except Closed:
            answer = None
        # A class with workers allows anything valid behind the slash.
        allowed = isinstance(client_id, str) and "\0" not in client_id and (
            client_id.startswith(f"{d}/")) and len(client_id) > len(f"{d}/")
        assert (answer == 0) <= allowed, client_id[:40]
        if answer == 0:
            assert w.publish(f"h/{other}/up", "bad", 0) is None
            assert w.publish(f"h/{d}/up", "own") == 0
        w.close()
    assert {(m.topic, m.payload) for m in ear.heard()} <= {
        (f"h/{d}/up", b"own")}
    assert not broker.logged(rf"u'{other}'", mark)
