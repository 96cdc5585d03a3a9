# SPDX-License-Identifier: Apache-2.0
"""
Scenario: certificates are replaced while devices work: one by one, and then
all of them because the CA is replaced, as docs/OPERATIONS.md tells it.

Question: does a device that has its new certificate lose the old one, does one
that has not keep what it has, and is nobody's connection ended by it?

Expected: yes; only what was registered before the certificate in use, and not
issued after it, ends. Connections end when a device itself comes back with its
new certificate, and once when the broker starts without the old CA.
"""

import pathlib
import shutil
import ssl
import types

import pytest

import harness
import policies
from cli_support import typed
from clients import Client, Closed
from harness import Broker, Device, Fleet


def renewed(fleet, device, out, *args):
    """Another certificate for the device, in the folder OUT."""
    fleet.weir(*args, "cert", "issue", device, "--out", fleet.root / out)
    return Device(device.id, fleet.root / out / f"{device}.crt",
                  fleet.root / out / f"{device}.key")


def unused(fleet, *ids):
    return {c["fingerprint"] for c in
            map(harness.json.loads, fleet.weir(
                "--json", "cert", "list", "--unused", *ids).splitlines())}


def states(fleet, device):
    """Of all its certificates, sorted: those of one second have no order."""
    return sorted(c["status"] for c in map(harness.json.loads, fleet.weir(
        "--json", "cert", "list", device).splitlines()))


def ended(fleet, *args):
    return {x["fingerprint"] for x in fleet.json(
        "cert", "retire-old", "--seen-new", "--yes", *args)["ended"]}


def test_before_any_broker(own_fleet):
    d = own_fleet.device("meter")
    for command in (("cert", "list", "--unused"),
                    ("cert", "retire-old", "--seen-new")):
        done = own_fleet.run(*command)
        assert done.returncode == 3 and "no broker has run" in done.stderr
    assert states(own_fleet, d) == ["active"]


def test_retire_old(own_fleet, own_broker, wire):
    f, b = own_fleet, own_broker
    moved, waits, never, alone = (f.device("meter") for _ in range(4))
    new = {d.id: renewed(f, d, "new") for d in (moved, waits, never)}
    old = {d.id: f.fingerprint(d) for d in (moved, waits, never, alone)}
    newer = {d: f.fingerprint(x) for d, x in new.items()}
    wire(b, waits).admitted()
    wire(b, alone).admitted()
    wire(b, moved).admitted()
    assert unused(f) == {newer[moved.id], newer[waits.id], newer[never.id],
                         old[never.id]}
    assert ended(f) == set()
    live = wire(b, new[moved.id]).admitted()
    assert unused(f, moved) == {old[moved.id]}
    told = f.json("cert", "retire-old", "--seen-new", "--wait", "10s")
    assert told["ended"] == [{"device_id": moved.id,
                              "fingerprint": old[moved.id],
                              "in_use": newer[moved.id]}]
    # Nobody notices: the connection is by the certificate that stays.
    assert told["wait"]["state"] == "applied"
    assert sum(x["connections"] for x in told["wait"]["closed"]) == 0
    live.ping()
    assert states(f, moved) == ["active", "revoked"]
    reason = [c["reason"] for c in f.json("device", "show", moved)["credentials"]
              if c["fingerprint"] == old[moved.id]]
    assert reason == ["superseded"]
    for d in (waits, never):
        assert states(f, d) == ["active", "active"]
    assert states(f, alone) == ["active"]
    assert unused(f, moved) == set()
    with pytest.raises((Closed, AssertionError)):
        wire(b, moved).admitted()
    # The key of a superseded certificate is no compromised one.
    f.weir("cert", "show", moved.crt)
    assert ended(f) == set()


def test_a_newer_one_stays(own_fleet, own_broker, wire):
    """The one in use is the middle of three."""
    f, d = own_fleet, own_fleet.device("meter")
    middle = renewed(f, d, "middle")
    newest = renewed(f, d, "newest")
    wire(own_broker, middle).admitted()
    assert ended(f, d) == {f.fingerprint(d)}
    wire(own_broker, newest).admitted()
    assert ended(f, d) == {f.fingerprint(middle)}
    # Back to an older one is no reason to end the newest.
    assert states(f, d) == ["active", "revoked", "revoked"]


def test_issued_after_registered_before(own_fleet, own_broker, wire):
    """Of two that are old by one measure only, none ends."""
    f, d = own_fleet, own_fleet.device("meter")
    f.add_cert(d, f.sign(d.id, begin_s=-30))
    in_use = f.add_cert(d, f.sign(d.id, begin_s=-86400))
    f.add_cert(d, f.sign(d.id, begin_s=-2 * 86400))
    wire(own_broker, in_use).admitted()
    assert ended(f, d) == set()
    assert states(f, d) == ["active"] * 4


def test_what_the_meter_says_is_checked(own_fleet, own_broker, wire):
    """A revoked certificate in use, as a lost device's, ends nothing."""
    f, d = own_fleet, own_fleet.device("meter")
    new = renewed(f, d, "new")
    wire(own_broker, new).admitted()
    f.weir("cert", "revoke", "--fingerprint", f.fingerprint(new), "--wait",
           "10s")
    assert ended(f, d) == set()
    assert states(f, d) == ["active", "revoked"]


def test_retire_old_asks_on_a_terminal(own_fleet, own_broker, wire):
    f = own_fleet
    for _ in range(2):
        wire(own_broker, renewed(f, f.device("meter"), "new")).admitted()
    user = types.SimpleNamespace(folder=f.root, environment=lambda: {
        "WEIR_STATE": str(f.state), "HOME": str(f.root)})
    status, shown = typed(user, "n\n", "cert", "retire-old", "--seen-new")
    assert status == 2 and "End 2 certificates? [y/N]" in shown
    assert len(unused(f)) == 2
    status, shown = typed(user, "y\n", "cert", "retire-old", "--seen-new")
    assert status == 0 and unused(f) == set()


def test_retire_old_asks(own_fleet, own_broker, wire):
    f = own_fleet
    two = [f.device("meter") for _ in range(2)]
    for d in two:
        wire(own_broker, renewed(f, d, "new")).admitted()
    done = f.run("cert", "retire-old", "--seen-new")
    assert done.returncode == 2 and "end 2 certificates" in done.stderr
    assert "which are old" in f.run("cert", "retire-old").stderr
    assert f.run("cert", "retire-old").returncode == 2
    assert f.run("cert", "retire-old", "--seen-new", "nobody").returncode == 1
    assert f.run("cert", "retire-old", "--seen-new", "--wait", "x"
                 ).returncode == 2
    assert states(f, two[0]) == ["active", "active"]
    # One device by name is no question.
    assert len(f.json("cert", "retire-old", "--seen-new", two[0])["ended"]) == 1
    assert states(f, two[1]) == ["active", "active"]
    text = f.weir("cert", "retire-old", "--seen-new", "--wait", "10s")
    assert "ended; it uses" in text
    assert f.weir("cert", "retire-old", "--seen-new") == (
        "no certificate to end\n")
    assert f.json("audit", "verify")["ok"]


# ---------------------------------------------------------------------- the CA


def trusting(broker, folder):
    """BROKER for a client that trusts FOLDER/ca.crt."""
    return types.SimpleNamespace(
        port=broker.port, fleet=types.SimpleNamespace(ca=folder))


@pytest.fixture
def two_cas():
    """A fleet whose broker and devices trust a spare CA from the start."""
    f = Fleet(policies.SHARED)
    f.spare = f.root / "spare-ca"
    f.weir("--ca", f.spare, "ca", "init", "--name", "Spare")
    f.trust = f.root / "trust"
    f.trust.mkdir()
    (f.trust / "ca.crt").write_bytes((f.ca / "ca.crt").read_bytes()
                                     + (f.spare / "ca.crt").read_bytes())
    yield f
    f.remove()


def test_change_of_the_ca(two_cas, closing, wire):
    f = two_cas
    meters = [f.device("meter") for _ in range(4)]
    sleeper, backend = f.device("meter"), f.device("backend")
    broker = closing(Broker(f, cafile=f.trust / "ca.crt",
                            persistence="true"))
    broker.start()
    sees = trusting(broker, f.trust)
    everyone = [*meters, backend]
    clients = {d.id: closing(Client(sees, d, clean=False)).connect()
               for d in everyone}
    ear = clients[backend.id].listening("m/#")
    wire(sees, sleeper).admitted().disconnect()

    def all_heard(tag):
        for d in meters:
            clients[d.id].publish(f"m/{d}/up", tag)
            ear.until(f"m/{d}/up", tag.encode())
    all_heard("old")
    # The spare CA issues; nothing was told to the broker.
    new = {d.id: renewed(f, d, "new", "--ca", f.spare)
           for d in (*everyone, sleeper)}
    all_heard("both")
    assert not any(c.gone for c in clients.values())
    for d in everyone:
        before = clients[d.id]
        clients[d.id] = closing(Client(sees, new[d.id], clean=False)).connect()
        before.ended()  # by itself: its new connection takes over
    ear = clients[backend.id]
    all_heard("new")
    told = f.json("cert", "retire-old", "--seen-new", "--yes", "--wait", "10s")
    assert {x["device_id"] for x in told["ended"]} == {d.id for d in everyone}
    assert sum(x["connections"] for x in told["wait"]["closed"]) == 0
    assert not any(clients[d.id].gone for d in everyone)
    all_heard("retired")
    # The one that slept through it all comes by its old one, then its new one.
    wire(sees, sleeper).admitted().disconnect()
    assert len(unused(f)) == 1
    wire(sees, new[sleeper.id]).admitted().disconnect()
    assert f.json("cert", "retire-old", "--seen-new")["ended"][0][
        "device_id"] == sleeper.id
    assert unused(f) == set()
    # The broker's own certificate, then a start without the old CA.
    f.weir("--ca", f.spare, "ca", "server", "--host", "localhost", "--ip",
           "127.0.0.1", "--out", f.root / "server-new")
    for name, mode in (("server.crt", 0o644), ("server.key", 0o400)):
        there = f.root / "server" / name
        shutil.copy(f.root / "server-new" / name, there)
        shutil.chown(there, "mosquitto", "mosquitto")
        there.chmod(mode)
    shutil.copy(f.spare / "ca.crt", cafile_of(broker))
    broker.stop()
    for c in clients.values():
        c.ended()
    broker.start()
    sees = trusting(broker, f.spare)
    for d in everyone:
        clients[d.id] = closing(
            Client(sees, new[d.id], clean=False)).connect()
    ear = clients[backend.id]
    all_heard("without the old CA")
    wire(sees, new[sleeper.id]).admitted()
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        wire(sees, sleeper).admitted()
    assert {tuple(states(f, d)) for d in (*everyone, sleeper)} == {
        ("active", "revoked")}


def cafile_of(broker):
    line, = (x for x in broker.conf.read_text().splitlines()
             if x.startswith("cafile "))
    return pathlib.Path(line.split(None, 1)[1])
