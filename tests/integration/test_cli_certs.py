# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a device maker sets up a CA, issues, signs, registers, lists and
revokes certificates with the weir command; no broker.

Question: does each command do what docs/CLI.md says, are the files what
openssl takes them for, and does a command that fails leave nothing behind?

Expected: exit status 0 done, 1 not found, 2 input or conflict, 3 environment;
keys 0600; nothing overwritten; what is registered is what is in the file.
"""

import hashlib
import json
import os
import sqlite3
import stat

import pytest

from cli_support import make, openssl


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


@pytest.fixture
def ca(weir):
    weir.ok("ca", "init", "--name", "Test Fleet")
    return weir


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def fingerprint(path):
    return hashlib.sha256(
        openssl("x509", "-in", path, "-outform", "DER")).hexdigest()


def make_csr(folder, name):
    key, csr = folder / f"{name}.key", folder / f"{name}.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
            "-subj", "/CN=somebody-else")
    return csr


def meta(weir, key):
    # Read-only: a writer that is not weir would take the -wal file away.
    path = weir.folder / "state" / "registry.db"
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    db.close()
    return row[0] if row else None


# ------------------------------------------------------------------------ CA


def test_ca_init(weir):
    shown = weir.json("ca", "init", "--name", "Test Fleet", "--pen", "32473",
                      "--days", "30")
    assert shown["name"] == "Test Fleet" and shown["pen"] == 32473
    assert shown["fingerprint"] == fingerprint(weir.ca / "ca.crt")
    assert 30 * 86400 <= shown["not_after_s"] - shown["not_before_s"] < 31 * 86400
    assert mode(weir.ca / "ca.key") == 0o600
    assert weir.json("ca", "show") == shown
    assert b"CA:TRUE" in openssl("x509", "-in", weir.ca / "ca.crt", "-noout",
                                 "-text")


def test_ca_is_never_overwritten(ca):
    before = (ca.ca / "ca.key").read_bytes()
    ca.fails(2, "ca", "init", says="ca.crt")
    assert (ca.ca / "ca.key").read_bytes() == before


def test_ca_input(weir):
    weir.fails(2, "ca", "init", "--days", "0", says="--days")
    weir.fails(2, "ca", "init", "--days", "99999999", says="--days")
    weir.fails(2, "ca", "init", "--pen", "x", says="--pen")
    weir.fails(2, "ca", "init", "--name", "", says="name")
    weir.fails(3, "ca", "show", says="weir ca init")
    weir.fails(3, "ca", "server", "--host", "h", says="weir ca init")
    assert not weir.ca.exists()


def test_the_registry_learns_where_the_ca_is(weir):
    weir.ok("ca", "init")
    assert meta(weir, "ca_dir") == str(weir.ca.resolve())
    before = weir.revision()
    weir.ok("ca", "server", "--host", "a.example")
    assert weir.revision() == before
    other = weir.folder / "other"
    weir.ok("--ca", other, "ca", "init")
    weir.ok("--ca", other, "cert", "issue", "till-7")
    assert meta(weir, "ca_dir") == str(other.resolve())


def test_a_ca_needs_no_registry(weir):
    weir.ok("--state", weir.folder / "nowhere", "ca", "init")
    assert not (weir.folder / "nowhere").exists()


def test_ca_server(ca):
    out = ca.folder / "broker"
    made = ca.json("ca", "server", "--host", "mqtt.example.net", "--ip",
                   "127.0.0.1", "--ip", "::1", "--days", "7", "--out", out)
    assert made["names"] == ["mqtt.example.net", "127.0.0.1", "::1"]
    assert mode(out / "server.key") == 0o600
    openssl("verify", "-CAfile", ca.ca / "ca.crt", "-purpose", "sslserver",
            "-verify_hostname", "mqtt.example.net", out / "server.crt")
    openssl("verify", "-CAfile", ca.ca / "ca.crt", "-verify_ip", "127.0.0.1",
            out / "server.crt")
    ca.fails(2, "ca", "server", "--host", "x", "--out", out, says="server")
    ca.fails(2, "ca", "server", says="--host")
    ca.fails(2, "ca", "server", "--host", "a b", says="a b")
    ca.fails(2, "ca", "server", "--ip", "300.1.1.1", says="300.1.1.1")
    ca.fails(3, "ca", "server", "--host", "x", "--out", "/proc/none")


# --------------------------------------------------------------------- issue


def test_issue(ca):
    made = ca.json("cert", "issue", "till-7", "--out", "certs")
    crt, key = ca.folder / "certs/till-7.crt", ca.folder / "certs/till-7.key"
    assert mode(key) == 0o600
    assert made["fingerprint"] == fingerprint(crt)
    assert made["device_id"] == "till-7"
    openssl("verify", "-CAfile", ca.ca / "ca.crt", "-purpose", "sslclient", crt)
    assert openssl("x509", "-in", crt, "-noout", "-pubkey") == openssl(
        "pkey", "-in", key, "-pubout")
    listed = ca.lines("cert", "list", "till-7")
    assert [c["fingerprint"] for c in listed] == [made["fingerprint"]]
    assert listed[0]["state"] == "active"
    assert b"urn:" not in openssl("x509", "-in", crt, "-noout", "-text")
    assert ca.json("explain", "till-7", "connect")["verdict"] == "allowed"


def test_issue_never_overwrites(ca):
    ca.ok("cert", "issue", "till-7")
    before = (ca.folder / "till-7.key").read_bytes()
    revision = ca.revision()
    ca.fails(2, "cert", "issue", "till-7", says="till-7")
    assert (ca.folder / "till-7.key").read_bytes() == before
    assert ca.revision() == revision
    (ca.folder / "till-8.crt").write_text("mine")
    ca.fails(2, "cert", "issue", "till-8", says="till-8.crt")
    assert not (ca.folder / "till-8.key").exists()
    assert ca.lines("cert", "list", "till-8") == []


def test_issue_refused_leaves_nothing(ca):
    revision = ca.revision()
    ca.fails(1, "cert", "issue", "nobody", says="nobody")
    ca.fails(2, "cert", "issue", "../x", says="no device id")
    ca.fails(2, "cert", "issue", "till-7", "--days", "0")
    ca.fails(2, "cert", "issue", "till-7", "--days", "20000", says="CA")
    ca.fails(2, "cert", "issue", "ledger", "--sim-in-cert")
    ca.fails(2, "cert", "issue")
    ca.fails(3, "cert", "issue", "till-7", "--out", "/proc/none")
    ca.fails(3, "--ca", ca.folder / "no", "cert", "issue", "till-7",
             says="weir ca init")
    ca.ok("retire", "till-8")
    ca.fails(2, "cert", "issue", "till-8", says="retired")
    assert ca.revision() == revision + 1
    assert not list(ca.folder.glob("*.crt")) + list(ca.folder.glob("*.key"))


def test_sim_in_cert(ca):
    done = ca("cert", "issue", "till-7", "--sim-in-cert")
    assert done.returncode == 0 and b"iccid" in done.stderr
    shown = ca.json("cert", "show", "till-7.crt")
    assert shown["stated"]["imei"].startswith("35663806123451")
    assert shown["stated"]["iccid"] is None
    other = ca.folder / "pen"
    ca.ok("--ca", other, "ca", "init", "--pen", "32473")
    ca.ok("--ca", other, "cert", "issue", "till-8", "--sim-in-cert")
    shown = ca.json("cert", "show", "till-8.crt")
    assert shown["stated"]["iccid"] == "8944010000000000025"


# ---------------------------------------------------------------- sign, add


def test_sign(ca):
    csr = make_csr(ca.folder, "dev")
    ca.ok("cert", "sign", "till-7", "--csr", csr, "--out", "dev.crt")
    shown = ca.json("cert", "show", "dev.crt")
    assert shown["cn"] == "till-7"
    assert shown["credential"]["device_id"] == "till-7"
    openssl("verify", "-CAfile", ca.ca / "ca.crt", ca.folder / "dev.crt")
    # A device renews with the key it has; another device cannot have it.
    pem = ca("cert", "sign", "till-7", "--csr", "-", stdin=csr.read_bytes())
    assert pem.returncode == 0
    assert pem.stdout.startswith(b"-----BEGIN CERTIFICATE-----")
    revision = ca.revision()
    ca.fails(2, "cert", "sign", "till-8", "--csr", csr, says="till-7")
    ca.fails(2, "cert", "sign", "till-7", "--csr", csr, "--out", "dev.crt",
             says="dev.crt")
    ca.fails(2, "cert", "sign", "till-7", says="--csr")
    ca.fails(2, "cert", "sign", "till-7", "--csr", "dev.key")
    ca.fails(3, "cert", "sign", "till-7", "--csr", "none.csr")
    ca.fails(1, "cert", "sign", "nobody", "--csr", csr)
    tampered = bytearray(openssl("req", "-in", csr, "-outform", "DER"))
    tampered[-1] ^= 1
    ca.fails(2, "cert", "sign", "till-8", "--csr", "-", stdin=bytes(tampered))
    assert ca.revision() == revision
    as_json = ca.json("cert", "sign", "meter-12", "--csr",
                      make_csr(ca.folder, "m"))
    assert as_json["pem"].startswith("-----BEGIN CERTIFICATE-----")


def elsewhere(ca, name, *more):
    """A certificate of another CA, by openssl, for a new key."""
    openssl("req", "-new", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-keyout",
            ca.folder / f"{name}.key", "-out", ca.folder / f"{name}.crt",
            "-subj", f"/CN={name}", *more)
    return f"{name}.crt"


def test_add(ca):
    leaf = ("-addext", "basicConstraints=critical,CA:FALSE")
    crt = elsewhere(ca, "iot", *leaf)
    ca.ok("cert", "add", "till-7", "--cert", crt)
    assert ca.json("cert", "show", crt)["credential"]["device_id"] == "till-7"
    ca.fails(2, "cert", "add", "till-7", "--cert", crt, says="registered already")
    ca.fails(2, "cert", "add", "till-8", "--cert", crt, says="till-7")
    ca.fails(2, "cert", "add", "till-8", says="--cert")
    ca.fails(2, "cert", "add", "till-8", "--cert", "iot.key")
    ca.fails(3, "cert", "add", "till-8", "--cert", "none")
    ca.fails(2, "cert", "add", "till-8", "--cert", ca.ca / "ca.crt", says="CA")
    server = elsewhere(ca, "server", *leaf, "-addext",
                       "extendedKeyUsage=serverAuth")
    ca.fails(2, "cert", "add", "till-8", "--cert", server, says="clientAuth")
    both = elsewhere(ca, "both", *leaf, "-addext",
                     "subjectAltName=URI:urn:gsma:imei:35663806-123451-0,"
                     "URI:urn:gsma:imei:35663806-123452-0")
    ca.fails(2, "cert", "add", "till-8", "--cert", both, says="refuse")
    assert ca.lines("cert", "list", "till-8") == []
    other_sim = elsewhere(ca, "sim", *leaf, "-addext",
                          "subjectAltName=URI:urn:gsma:imei:35663806-123451-0")
    done = ca("cert", "add", "till-8", "--cert", other_sim)
    assert done.returncode == 0 and b"sim_mismatch" in done.stderr


# ---------------------------------------------------------------- show, list


def test_show(ca):
    ca.ok("cert", "issue", "till-7", "--sim-in-cert")
    text = ca.ok("cert", "show", "till-7.crt")
    assert "to till-7, active" in text
    assert "35663806123451" not in text and "356638" in text
    assert "35663806123451" in ca.ok("--show-ids", "cert", "show", "till-7.crt")
    shown = ca.json("cert", "show", ca.ca / "ca.crt")
    assert shown["is_ca"] and shown["credential"] is None
    ca.fails(2, "cert", "show", "till-7.key", says="no certificate")
    ca.fails(3, "cert", "show", "none")
    # A certificate can be looked at where there is no registry.
    ca.ok("--state", ca.folder / "nowhere", "cert", "show", "till-7.crt")


def test_list(ca):
    assert ca.ok("cert", "list") == ""
    ca.ok("cert", "issue", "till-7", "--days", "5")
    ca.ok("cert", "issue", "till-8", "--days", "50")
    assert {c["device_id"] for c in ca.lines("cert", "list")} == {
        "till-7", "till-8"}
    soon = ca.lines("cert", "list", "--expires-within", "30d")
    assert [c["device_id"] for c in soon] == ["till-7"]
    assert ca.lines("cert", "list", "till-8", "--expires-within", "30d") == []
    ca.ok("cert", "revoke", "till-7")
    assert ca.lines("cert", "list", "--expires-within", "30d") == []
    assert [c["state"] for c in ca.lines("cert", "list", "till-7")] == ["revoked"]
    ca.fails(1, "cert", "list", "nobody", says="nobody")
    ca.fails(2, "cert", "list", "--expires-within", "soon")


# -------------------------------------------------------------------- revoke


def test_revoke_device(ca):
    for out in ("a", "b"):
        ca.ok("cert", "issue", "till-7", "--out", out)
    done = ca.json("cert", "revoke", "till-7", "--wait", "1s")
    assert len(done["fingerprints"]) == 2
    assert done["wait"]["state"] == "no_broker"
    assert ca.json("explain", "till-7", "connect", status=1)[
        "reason"] == "certificate_revoked"
    assert ca.json("explain", "till-7", "publish", "pay/till-7/status",
                   status=1)["reason"] == "certificate_revoked"
    ca.fails(2, "cert", "revoke", "till-7", says="no certificate to revoke")
    # A new certificate lets it in again: only the old ones are gone.
    ca.ok("cert", "issue", "till-7", "--out", "c")
    ca.ok("explain", "till-7", "connect")


def test_revoke_one(ca):
    one = ca.json("cert", "issue", "till-7", "--out", "a")["fingerprint"]
    two = ca.json("cert", "issue", "till-7", "--out", "b")["fingerprint"]
    colons = ":".join(one[i:i + 2] for i in range(0, 64, 2)).upper()
    ca.ok("cert", "revoke", "--fingerprint", colons)
    state = {c["fingerprint"]: c["state"] for c in ca.lines("cert", "list")}
    assert state == {one: "revoked", two: "active"}
    ca.fails(2, "cert", "revoke", "--fingerprint", one, says="already")
    ca.fails(1, "cert", "revoke", "--fingerprint", "0" * 64)
    ca.fails(2, "cert", "revoke", "--fingerprint", "xyz")
    ca.fails(2, "cert", "revoke", "till-7", "--fingerprint", two)
    ca.fails(2, "cert", "revoke")
    ca.fails(1, "cert", "revoke", "nobody")
    ca.fails(2, "cert", "revoke", "till-7", "--wait", "soon")
    state = {c["fingerprint"]: c["state"] for c in ca.lines("cert", "list")}
    assert state == {one: "revoked", two: "active"}


def test_compromised_bars_the_key(ca):
    csr = make_csr(ca.folder, "dev")
    ca.ok("cert", "sign", "till-7", "--csr", csr, "--out", "1.crt")
    ca.ok("cert", "sign", "till-7", "--csr", csr, "--out", "2.crt")
    done = ca.json("cert", "revoke", "till-7", "--compromised")
    assert len(done["fingerprints"]) == 2 and done["compromised"]
    ca.fails(2, "cert", "sign", "till-7", "--csr", csr, says="compromised")
    assert ca.json("cert", "show", "2.crt")["key_barred"]
    ca.fails(2, "cert", "revoke", "till-7", "--compromised")
    ca.ok("cert", "issue", "till-7")
    assert ca.actions().count("cert.revoke") >= 1
    assert ca.json("audit", "verify")["ok"]


def test_a_revocation_can_be_made_worse(ca):
    ca.ok("cert", "issue", "till-7")
    ca.ok("cert", "revoke", "till-7")
    assert not ca.json("cert", "show", "till-7.crt")["key_barred"]
    ca.ok("cert", "revoke", "till-7", "--compromised")
    assert ca.json("cert", "show", "till-7.crt")["key_barred"]


def test_json_is_one_object_a_line(ca):
    ca.ok("cert", "issue", "till-7")
    for line in ca.ok("--json", "cert", "list").splitlines():
        assert set(json.loads(line)) >= {
            "fingerprint", "device_id", "serial", "issuer", "not_before_s",
            "not_after_s", "status", "state"}
