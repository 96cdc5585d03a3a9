# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a broker with an acl_file of its own, whose devices have certificates
that the registry does not know. Weir comes in and observes the whole broker.

Question: does everything go on as before, under the broker's own rules? Is
what enforcing would refuse recorded, and nothing else? What is refused even
so? Does enforcing hold at once, and does it spare who was registered?

Expected: a verified certificate is taken in under its CN, unless that is no
device id, or a registered device's, or the certificate or its key is revoked;
who has none is the broker's own affair. The acl_file decides; with "fallback"
"allow" nothing does. When the policy enforces, who is registered by then keeps
its connection, and who is not loses it.
"""

import json
import socket
import subprocess
import types

import pytest

from clients import REFUSED, REFUSED_V311, Client, Wire, refused_connect
from harness import Broker, Device, Fleet

OBSERVE = {"version": 1, "mode": "observe", "fallback": "broker",
           "unknown": {"class": "legacy", "id": "cn"},
           "classes": {"legacy": {}, "meter": {"publish": ["m/${device}/up"]}}}
ALLOW = dict(OBSERVE, fallback="allow")
ACL = """topic read $SYS/broker/version
pattern write m/%u/#
pattern read m/%u/cmd
user ops
topic readwrite #
"""


@pytest.fixture
def fleet():
    f = Fleet(OBSERVE)
    yield f
    f.remove()


def broker_with_acl(fleet, extra="", **directives):
    acl = fleet.root / "acl"
    acl.write_text(ACL)
    acl.chmod(0o644)
    return Broker(fleet, extra=f"\nacl_file {acl}\n{extra}", **directives)


def listener(broker, fleet, *filters):
    return Client(broker, fleet.sign("ops")).connect().listening(*filters)


def test_the_broker_s_own_rules_stay_in_force(fleet, closing):
    with broker_with_acl(fleet) as b:
        ops = closing(listener(b, fleet, "#"))
        one = closing(Wire(b, fleet.sign("one"), version=5)).admitted()
        assert one.publish("m/one/up") == 0
        assert one.publish("m/two/up") == REFUSED
        assert one.subscribe("m/one/cmd") < REFUSED_V311
        ops.publish("m/one/cmd", "go")
        one.until("m/one/cmd", b"go")
        assert ops.until("m/one/up")[-1:] == []
        # Another's client id and topics outside: as before.
        odd = closing(Wire(b, fleet.sign("two"))).admitted(client_id="x")
        assert odd.publish("m/two/x") == 0
        ops.until("m/two/x")
        b.await_log("weir: observed connect device=one class=legacy .*"
                    "reason=unknown_certificate")
        b.await_log("weir: observed publish device=one class=legacy .*"
                    "reason=no_rule .*topic=m/one/up")
        # And over SIGHUP, which asks again for everybody.
        b.reload()
        assert one.publish("m/one/again") == 0
        ops.until("m/one/again")
        b.turn()
        seen = fleet.seen("publish")
        # What the broker's rules refused is nothing to learn from.
        assert seen["one"] == {"m/one/up", "m/one/again"}
        assert seen["two"] == {"m/two/x"}
        assert fleet.seen("subscribe")["one"] == {"m/one/cmd"}


def test_fallback_allow(fleet, closing):
    fleet.apply(ALLOW)
    with Broker(fleet) as b:
        one = closing(Wire(b, fleet.sign("one"), version=5)).admitted()
        two = closing(Client(b, fleet.sign("two"))).connect()
        assert two.subscribe("#") < REFUSED_V311
        assert one.publish("any/thing", retain=True, qos=2) == 0
        two.until("any/thing")
        # The broker's own tree is nobody's to write.
        assert one.publish("$SYS/broker/connection/x/state") == REFUSED
        assert fleet.seen("publish")["one"] == {"any/thing"}


def test_who_is_not_taken_in(fleet, closing):
    meter = fleet.device("meter")
    gone = fleet.device("meter")
    fleet.weir("cert", "revoke", gone.id, "--compromised")
    with broker_with_acl(fleet) as b:
        def refused(device, reason):
            mark = b.mark()
            assert refused_connect(closing(Wire(b, device)))
            b.refused("connect", reason, mark)
        # A CN that is no device id, that of a registered device, and that of
        # one whose own certificate is revoked.
        refused(fleet.sign("no id"), "unknown_certificate")
        refused(fleet.sign("~x"), "unknown_certificate")
        refused(fleet.sign(meter.id), "unknown_certificate")
        refused(fleet.sign(gone.id), "unknown_certificate")
        # What somebody decided holds: the certificate, and its key in a new
        # one that the registry does not know.
        refused(gone, "certificate_revoked")
        refused(fleet.sign("fresh", key=gone.key), "certificate_revoked")
        fleet.weir("suspend", meter.id)
        refused(meter, "device_suspended")
        fleet.weir("release", meter.id)
        one = closing(Wire(b, meter, version=5)).admitted()
        assert one.publish(f"m/{meter.id}/up") == 0
        fleet.weir("quarantine", meter.id, "--wait", "10s")
        one.ended()


def test_without_a_certificate_the_broker_decides(fleet, closing):
    """A listener that asks for none: a backend with a password, as before."""
    passwords = fleet.root / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "ops",
                    "secret"], check=True, capture_output=True)
    passwords.chmod(0o644)
    hold = closing(socket.socket())
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hold.bind(("127.0.0.1", 0))
    port = hold.getsockname()[1]
    server = fleet.root / "server" / "server.crt"
    with broker_with_acl(
            fleet, f"password_file {passwords}\nlistener {port} 127.0.0.1\n"
            f"certfile {server}\nkeyfile {fleet.server_key}\n") as b:
        backend = types.SimpleNamespace(port=port, fleet=fleet)
        bad = closing(Wire(backend))
        assert refused_connect(bad, "ops", username="ops")
        good = closing(Wire(backend)).admitted("ops", username="ops",
                                               password="secret")
        assert good.subscribe("m/#") == 0
        one = closing(Wire(b, fleet.sign("one"))).admitted()
        one.publish("m/one/up")
        good.until("m/one/up")
        b.reload()
        one.publish("m/one/up", "again")
        good.until("m/one/up", b"again")
        # Enforcing ends what nobody registered.
        fleet.apply({"version": 1, "classes": {}})
        good.ended()
        one.ended()
        assert refused_connect(closing(Wire(backend)), "ops", username="ops",
                               password="secret")


def test_enforcing_spares_who_is_registered(fleet, closing):
    with broker_with_acl(fleet) as b:
        made = {n: fleet.sign(n) for n in ("a1", "a2", "rogue")}
        wires = {n: closing(Wire(b, d, version=5)).admitted()
                 for n, d in made.items()}
        for n, w in wires.items():
            assert w.publish(f"m/{n}/up") == 0
        for n in ("a1", "a2"):
            fleet.weir("device", "add", n, "--class", "meter")
            fleet.add_cert(n, made[n])
        mark = b.mark()
        fleet.apply({"version": 1, "classes": OBSERVE["classes"]}, "--wait",
                    "20s")
        for n in ("a1", "a2"):
            assert wires[n].publish(f"m/{n}/up") == 0
            assert wires[n].publish(f"m/{n}/other") == REFUSED
        wires["rogue"].ended()
        assert refused_connect(closing(Wire(b, made["rogue"])))
        assert not b.logged("reason=unknown_certificate.*device=a", mark)


def test_a_name_that_is_registered_to_another_ends_it(fleet, closing):
    with broker_with_acl(fleet) as b:
        first = closing(Wire(b, fleet.sign("twin"))).admitted()
        real = fleet.device("meter", id="twin")
        first.ended()
        closing(Wire(b, real)).admitted()
        assert refused_connect(closing(Wire(b, Device(
            "twin", first.device.crt, first.device.key))))


def test_a_class_that_enforces_in_an_observing_broker(fleet, closing):
    policy = json.loads(json.dumps(ALLOW))
    policy["classes"]["meter"]["mode"] = "enforce"
    fleet.apply(policy)
    with Broker(fleet) as b:
        meter = closing(Wire(b, fleet.device("meter"), version=5)).admitted()
        assert meter.publish(f"m/{meter.device.id}/up") == 0
        assert meter.publish("m/other/up") == REFUSED
        assert refused_connect(closing(Wire(b, meter.device)), "another-id")
        loose = closing(Wire(b, fleet.device("legacy"), version=5)).admitted()
        assert loose.publish("m/other/up") == 0
        # An unknown certificate is not a meter.
        policy["unknown"]["class"] = "meter"
        fleet.apply(policy, "--wait", "20s")
        assert refused_connect(closing(Wire(b, fleet.sign("new"))))


def test_the_record_cut_short(fleet, closing):
    """By somebody else, under the broker: it lives, and says so."""
    fleet.apply(ALLOW)
    with Broker(fleet) as b:
        one = closing(Wire(b, fleet.sign("one"))).admitted()
        one.publish("a/1")
        with open(fleet.state / "meter" / "seen.seg", "r+b") as f:
            f.truncate(4096)
        for n in range(100):
            assert one.publish(f"a/{n}") == 0
        b.await_log("seen.seg was cut short under the broker; nothing is "
                    "recorded until the broker is started again")
        assert fleet.run("policy", "seen").returncode == 3
        b.stop()
        b.start()
        assert b.logged("seen.seg.*set aside as ")
        two = closing(Wire(b, fleet.sign("two"))).admitted()
        two.publish("b")
        assert fleet.seen("publish") == {"two": {"b"}}
