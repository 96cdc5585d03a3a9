# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices, and others, connect to a real Mosquitto with the plugin: with
certificates of every wrong kind, with other devices' names, in states that
bar them, over fresh and resumed TLS sessions, with MQTT 3.1.1 and 5.

Question: is exactly the registered device admitted, under its own name, and is
each other refused for its own reason, in the log and by weir explain?

Expected: the good are admitted and their user name is their device id. Each of
the rest gets no CONNACK of success, and one line `weir: refused connect` with
the reason that fits and no other; where the registry alone tells, explain
gives the same reason. What TLS itself refuses never reaches the plugin.
"""

import os
import ssl
import time

import pytest

from clients import Closed, refused_connect
from harness import Broker, Device, eventually

TLS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
tls_versions = pytest.mark.parametrize("tls", TLS, ids=["tls12", "tls13"])

ICCIDS = iter(["8944010000000000017", "8944010000000000025",
               "8944010000000000033", "8944010000000000041"])
IMSIS = (f"2341509999900{n:02}" for n in range(99))
EIDS = iter(["89033023311330000000000417601245",
             "89033023423399010000021133062881",
             "89033023427100000000056707807049",
             "89049032007008882600086562427831"])
IMEIS = iter(["356638061234511", "356638061234529", "490154203237518"])


def no_entry(broker, wire, device, reason, version=4, client_id=None,
             /, **fields):
    """DEVICE's connection is refused, and the log says why."""
    mark = broker.mark()
    w = wire(broker, device, version)
    assert refused_connect(w, client_id)
    line = broker.refused("connect", reason, mark, **fields)
    lines = broker.logged("weir: refused connect", mark)
    assert len(lines) == 1, lines
    return line


# ------------------------------------------------------------- who is admitted


@tls_versions
def test_registered(fleet, broker, wire, version, tls):
    d = fleet.device("meter")
    mark = broker.mark()
    w = wire(broker, d, version, tls=tls).admitted()
    broker.await_log(rf"connected from \S+ as {d} \(p.*u'{d}'\)", mark)
    w.ping()
    assert fleet.explain(d, "connect") == "allowed"


def test_username_of_the_client_counts_nothing(fleet, broker, wire, version):
    a, b = fleet.device("meter"), fleet.device("meter")
    mark = broker.mark()
    w = wire(broker, a, version).admitted(username=b.id)
    broker.await_log(rf"as {a} \(p.*u'{a}'\)", mark)
    assert w.publish(f"m/{a}/up") == 0
    w.publish(f"m/{b}/up")
    broker.refused("publish", "no_rule", mark, device=a)


def test_worker_client_ids(fleet, broker, wire, version):
    d = fleet.device("worker")
    for client_id in (d.id, f"{d}/1", f"{d}/a/b"):
        wire(broker, d, version).admitted(client_id)
        assert fleet.explain(d, "connect", client_id) == "allowed"
    for client_id in (f"{d}/", f"{d}1", f"{d}~1"):
        no_entry(broker, wire, d, "client_id_mismatch", version, client_id)
        assert fleet.explain(
            d, "connect", client_id) == "client_id_mismatch"


def test_sim_in_certificate_agrees(fleet, broker, wire):
    d = fleet.device("sim", "--iccid", next(ICCIDS), "--imei", next(IMEIS),
                     "--imsi", next(IMSIS), "--eid", next(EIDS),
                     cert=("--sim-in-cert",))
    san = fleet.openssl("x509", "-in", d.crt, "-noout", "-ext",
                        "subjectAltName").decode()
    assert all(x in san for x in ("iccid", "imsi", "imei", "eid")), san
    wire(broker, d).admitted()


def test_own_key_signed(fleet, broker, wire):
    d = fleet.device("meter", cert=None)
    csr = fleet.certs / "own.csr"
    key = fleet.certs / "own.key"
    fleet.openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                  "-out", csr, "-subj", f"/CN={d}")
    crt = fleet.certs / "own.crt"
    fleet.weir("cert", "sign", d, "--csr", csr, "--out", crt)
    wire(broker, Device(d.id, crt, key)).admitted()


def test_broker_is_unprivileged(broker):
    owner = os.stat(f"/proc/{broker.process.pid}").st_uid
    assert owner == os.stat(broker.dir / "persistence").st_uid != 0


# ------------------------------------------------------------- no certificate


@tls_versions
def test_no_certificate_is_refused_by_tls(broker, wire, tls):
    mark = broker.mark()
    with pytest.raises((ssl.SSLError, Closed)):
        wire(broker, None, tls=tls).connect("meter-1")
    broker.await_log("peer did not return a certificate", mark)
    assert not broker.logged("weir: refused", mark)


def test_no_certificate_where_the_listener_allows_it(
        own_fleet, wire, version):
    d = own_fleet.device("meter")
    with Broker(own_fleet, require_certificate="false") as b:
        no_entry(b, wire, None, "no_certificate", version, d.id, device="-")
        # It asks nobody for one, so nobody comes in.
        no_entry(b, wire, d, "no_certificate", version, d.id, device="-")


def test_another_ca_is_refused_by_tls(fleet, broker, wire, own_fleet):
    stranger = own_fleet.device("meter")
    mark = broker.mark()
    with pytest.raises((ssl.SSLError, Closed)):
        wire(broker, stranger).connect()
    assert not broker.logged("weir: refused", mark)


def test_explain_without_certificate(fleet):
    d = fleet.device("meter", cert=None)
    assert fleet.explain(d, "connect") == "no_certificate"


# ----------------------------------------------------- certificates, one by one


def test_unknown_certificate(fleet, broker, wire, version):
    d = fleet.device("meter")
    made = fleet.sign(d.id)
    line = no_entry(broker, wire, made, "unknown_certificate", version)
    assert line["device"] == "-"
    assert line["certificate"] == fleet.fingerprint(made)
    # What was refused works once it is registered: nothing else was wrong.
    wire(broker, fleet.add_cert(d, made), version).admitted()


def test_revoked(fleet, broker, wire, version):
    d = fleet.device("meter")
    fleet.weir("cert", "revoke", d, "--wait", "5s")
    no_entry(broker, wire, d, "certificate_revoked", version, device=d)
    assert fleet.explain(d, "connect") == "certificate_revoked"


def test_one_of_two_revoked(fleet, broker, wire):
    d = fleet.device("meter")
    newer = fleet.add_cert(d, fleet.sign(d.id))
    fleet.weir("cert", "revoke", "--fingerprint", fleet.fingerprint(d))
    broker.applied()
    no_entry(broker, wire, d, "certificate_revoked")
    wire(broker, newer).admitted()


def test_compromised_key_in_a_new_certificate(fleet, broker, wire, version):
    d, other = fleet.device("meter"), fleet.device("meter")
    again = fleet.sign(d.id, key=d.key)
    fleet.weir("cert", "revoke", d, "--compromised", "--wait", "5s")
    # weir takes it for no device …
    for id in (d, other):
        refusal = fleet.run("cert", "add", id, "--cert", again.crt)
        assert refusal.returncode == 2, refusal
    no_entry(broker, wire, again, "unknown_certificate", version)
    # … and were it in the registry nevertheless, its key would bar it.
    no_entry(broker, wire, fleet.force_cert(d, again), "certificate_revoked",
             version)
    assert fleet.explain(d, "connect") == "certificate_revoked"


def test_not_yet_valid(fleet, broker, wire):
    made = fleet.sign("early", begin_s=3600)
    mark = broker.mark()
    with pytest.raises((ssl.SSLError, Closed)):
        wire(broker, made).connect()
    assert not broker.logged("as early", mark)


@tls_versions
def test_expired(fleet, broker, wire, tls):
    """A full handshake is refused by TLS, a resumed one by the plugin."""
    d = fleet.device("meter", cert=None)
    d = fleet.add_cert(d, fleet.sign(d.id, end_s=3))
    first = wire(broker, d, tls=tls).admitted()
    # A resumed session in time is admitted: it is resumption that is tested.
    second = wire(broker, d, tls=tls, like=first).admitted()
    assert second.sock.session_reused
    eventually("notAfter has passed", lambda: fleet.explain(
        d, "connect") == "certificate_expired")
    mark = broker.mark()
    resumed = wire(broker, d, tls=tls, like=second)
    assert resumed.sock.session_reused
    assert refused_connect(resumed)
    broker.refused("connect", "certificate_expired", mark, device=d)
    with pytest.raises((ssl.SSLError, Closed)):
        wire(broker, d, tls=tls).connect()


@tls_versions
def test_revoked_on_a_resumed_session(fleet, broker, wire, tls):
    d = fleet.device("meter")
    first = wire(broker, d, tls=tls).admitted()
    fleet.weir("cert", "revoke", d, "--wait", "5s")
    resumed = wire(broker, d, tls=tls, like=first)
    assert resumed.sock.session_reused
    assert refused_connect(resumed)
    broker.refused("connect", "certificate_revoked", device=d)


@pytest.mark.parametrize("san", [
    "URI:urn:gsma:imei:35663806-12345",
    "URI:urn:dev:org:32473-iccid:894401000000000001X",
    "URI:urn:dev:org:32473-imsi:",
    "URI:urn:dev:org:32473-iccid:8944010000000000017,"
    "URI:urn:dev:org:32473-iccid:8944010000000000025",
    "URI:urn:gsma:imei:35663806-123451-0,URI:urn:gsma:imei:35663806-123452-0",
], ids=["imei-short", "iccid-letter", "imsi-empty", "iccid-twice", "imei-twice"])
def test_certificate_invalid(fleet, broker, wire, san):
    d = fleet.device("meter")
    made = fleet.sign(d.id, extensions=f"subjectAltName = {san}")
    assert fleet.run("cert", "add", d, "--cert", made.crt).returncode == 2
    no_entry(broker, wire, fleet.force_cert(d, made), "certificate_invalid")


def test_san_that_is_no_san(fleet, broker, wire):
    """OpenSSL's own check of the chain may end it before the plugin does."""
    d = fleet.device("meter")
    made = fleet.sign(d.id, extensions="subjectAltName = DER:30:05:86:10:61")
    with pytest.raises((ssl.SSLError, Closed, AssertionError)):
        wire(broker, fleet.force_cert(d, made)).admitted()
    assert not broker.logged(rf"u'{d}'\)")


# ---------------------------------------------------------------- SIM identity


@pytest.mark.parametrize("kind, mine, other", [
    ("iccid", "8944500102198304826", "8944010000000000058"),
    ("imsi", "234150999999999", "234150999999998"),
    ("imei", "353879234252633", "353879234252641"),
    ("eid", "89044045116727494800000004479366",
     "89049044900000000000000000102355"),
])
def test_states_another_sim_identifier(fleet, broker, wire, kind, mine, other):
    uri = {"iccid": f"urn:dev:org:32473-iccid:{other}",
           "imsi": f"urn:dev:org:32473-imsi:{other}",
           "imei": f"urn:gsma:imei:{other[:8]}-{other[8:14]}-0",
           "eid": f"urn:dev:org:32473-eid:{other}"}[kind]
    d = fleet.device("meter", f"--{kind}", mine)
    other_sim = fleet.force_cert(
        d, fleet.sign(d.id, extensions=f"subjectAltName = URI:{uri}"))
    no_entry(broker, wire, other_sim, "sim_mismatch", device=d)
    own_sim = fleet.add_cert(d, fleet.sign(
        d.id, extensions=f"subjectAltName = URI:{uri.replace(other, mine)}"
        if kind != "imei" else "subjectAltName = URI:urn:gsma:imei:"
        f"{mine[:8]}-{mine[8:14]}-0"))
    wire(broker, own_sim).admitted()


def test_states_another_eid_as_serial_number(fleet, broker, wire):
    mine, other = next(EIDS), next(EIDS)
    d = fleet.device("meter", "--eid", mine)
    for eid, admits in ((other, False), (mine, True)):
        made = fleet.force_cert(d, fleet.sign(
            d.id, subject=f"/O=Test/serialNumber={eid}/CN={d}"))
        if admits:
            wire(broker, made).admitted()
        else:
            no_entry(broker, wire, made, "sim_mismatch", device=d)


def test_states_a_sim_that_the_registry_lacks(fleet, broker, wire):
    d = fleet.device("meter")
    made = fleet.sign(d.id, extensions="subjectAltName = "
                      "URI:urn:dev:org:32473-imsi:234150999999997")
    no_entry(broker, wire, fleet.force_cert(d, made), "sim_mismatch")


def test_class_requires_a_sim(fleet, broker, wire, version):
    d = fleet.device("sim")
    no_entry(broker, wire, d, "sim_mismatch", version, device=d)
    assert fleet.explain(d, "connect") == "sim_mismatch"


def test_swapped_sim(fleet, broker, wire):
    """The registry names another SIM than the certificate from then on."""
    d = fleet.device("sim", "--iccid", next(ICCIDS), cert=("--sim-in-cert",))
    w = wire(broker, d).admitted()
    fleet.weir("device", "set", d, "--iccid", next(ICCIDS), "--wait", "5s")
    w.ended()
    no_entry(broker, wire, d, "sim_mismatch", device=d)


# ------------------------------------------------------------------ client ids


def test_another_devices_client_id(fleet, broker, wire, version):
    a, b = fleet.device("meter"), fleet.device("meter")
    victim = wire(broker, b, version).admitted()
    no_entry(broker, wire, a, "client_id_mismatch", version, b.id, device=a,
             client_id=b)
    victim.ping()
    assert fleet.explain(a, "connect", b.id) == "client_id_mismatch"


def test_empty_client_id(fleet, broker, wire, version):
    """The broker makes one up, which no class allows."""
    d = fleet.device("meter")
    mark = broker.mark()
    assert refused_connect(wire(broker, d, version), "")
    eventually("a trace of it", lambda: broker.logged(
        "client_id_mismatch|Client .* disconnected|closed its|protocol", mark))
    assert not broker.logged(rf"as \S* \(p.*u'{d}'\)", mark)


def test_empty_client_id_where_the_broker_allows_it(own_fleet, wire, version):
    d = own_fleet.device("meter")
    with Broker(own_fleet, allow_zero_length_clientid="true") as b:
        line = no_entry(b, wire, d, "client_id_mismatch", version, "")
        assert line["client_id"].startswith("auto-")


@pytest.mark.parametrize("client_id", ["x" * 2000, "a\tb", "m/#", "é"],
                         ids=["long", "tab", "filter", "umlaut"])
def test_strange_client_ids(fleet, broker, wire, client_id):
    d = fleet.device("meter")
    mark = broker.mark()
    assert refused_connect(wire(broker, d), client_id)
    assert not broker.logged(rf"u'{d}'\)", mark)


# ------------------------------------------------------------ state of a device


def test_suspended_and_released(fleet, broker, wire, version):
    d = fleet.device("meter")
    fleet.weir("suspend", d, "--wait", "5s")
    no_entry(broker, wire, d, "device_suspended", version, device=d)
    assert fleet.explain(d, "connect") == "device_suspended"
    fleet.weir("release", d, "--wait", "5s")
    wire(broker, d, version).admitted()


def test_retired(fleet, broker, wire, version):
    d = fleet.device("meter")
    fleet.weir("retire", d, "--wait", "5s")
    no_entry(broker, wire, d, "device_retired", version, device=d)
    assert fleet.explain(d, "connect") == "device_retired"


def test_class_that_the_policy_lacks(fleet, broker, wire, version):
    d = fleet.device("nobody")
    no_entry(broker, wire, d, "class_unknown", version, device=d)
    assert fleet.explain(d, "connect") == "class_unknown"


def test_many_refused_leave_the_broker_well(fleet, broker, wire):
    """Refusals are bounded in the log, and cost nobody else anything."""
    good, bad = fleet.device("meter"), fleet.device("meter")
    w = wire(broker, good).admitted()
    mark = broker.mark()
    begin = time.monotonic()
    for _ in range(50):
        refused = wire(broker, bad)
        assert refused_connect(refused, "someone-else")
        refused.close()
    w.ping()
    # A burst of 5, then one in ten seconds, and each says what it stands for.
    lines = broker.logged("refused connect .*client_id_mismatch", mark)
    assert 5 <= len(lines) <= 6 + (time.monotonic() - begin) / 10
