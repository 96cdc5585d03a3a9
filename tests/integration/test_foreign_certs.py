# SPDX-License-Identifier: Apache-2.0
"""
Scenario: certificates that others issue come to weir: those of eUICCs, of
802.1AR devices, of modules that name themselves by a SIM's number, and broken
ones. And weir's own come to other TLS libraries, and to the broker.

Question: does weir show what such a certificate says, take what the broker
would take, and refuse the rest with the reason? Do OpenSSL, GnuTLS, NSS, Mbed
TLS and the broker accept what weir issues, of each kind of key and CA, one by
one and in bulk?

Expected: yes. The samples are made here by the published profiles: GSMA SGP.22
(eUICC), IEEE 802.1AR and RFC 4108 (hardware module names), RFC 7254 and RFC
9039 (SIM identifiers as URIs).
"""

import subprocess

import pytest

import policies
from cli_support import make, openssl
from clients import Client, Wire
from harness import BUILD, Broker, Fleet
from softhsm import Token

EID = "89049032007008882600086562427831"
BINARY = "00FF10A5"


@pytest.fixture
def weir(tmp_path):
    w = make(tmp_path)
    w.ok("ca", "init", "--name", "Ours")
    return w


def issue(folder, name, subject, extensions="", issuer=None, days=900):
    """A certificate by openssl, self-signed or by ISSUER; EXTENSIONS as lines
    of its configuration. Returns the file's path."""
    conf, key, csr, crt = (folder / f"{name}.{x}"
                           for x in ("cnf", "key", "csr", "crt"))
    conf.write_text(extensions)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
            "-subj", subject)
    by = (["-signkey", key] if issuer is None else
          ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key",
           "-CAcreateserial"])
    openssl("x509", "-req", "-in", csr, "-days", str(days), "-extfile", conf,
            "-out", crt, *by)
    return crt


# --------------------------------------------------------------------- samples

EUM = ("basicConstraints=critical,CA:TRUE,pathlen:0\n"
       "keyUsage=critical,keyCertSign\n"
       "nameConstraints=critical,permitted;dirName:permitted\n"
       "[permitted]\nO=Example EUM\nserialNumber=89049032\n")
"""SGP.22 §4.5.2.1: a manufacturer may issue under its own name and number."""

EUICC = ("keyUsage=critical,digitalSignature\n"
         "certificatePolicies=critical,2.23.146.1.2.1.1\n"
         "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")


def test_euicc(weir):
    issue(weir.folder, "eum", "/O=Example EUM/CN=EUM", EUM)
    crt = issue(weir.folder, "euicc",
                f"/O=Example EUM/serialNumber={EID}/CN=eUICC", EUICC, "eum")
    shown = weir.json("cert", "show", crt)
    assert shown["usable"] and shown["client_auth"] and not shown["is_ca"]
    assert shown["stated"]["eid"] == EID
    assert shown["serial_number"] == EID
    # People see no identifier, not even where it is a name.
    text = weir.ok("cert", "show", crt)
    assert EID not in text and "890490" in text
    assert EID in weir.ok("--show-ids", "cert", "show", crt)
    # By its fingerprint it can be registered; as what its manufacturer vouches
    # for it cannot: no TLS library follows these name constraints to it.
    weir.ok("--ca", weir.folder / "eum-ca", "ca", "import", "--cert",
            weir.folder / "eum.crt")
    weir.fails(2, "--ca", weir.folder / "eum-ca", "cert", "add", "meter-13",
               "--cert", crt, says="permitted subtree violation")
    assert weir.lines("cert", "list", "meter-13") == []
    weir.ok("device", "set", "meter-13", "--eid", EID)
    done = weir("cert", "add", "meter-13", "--cert", crt)
    assert done.returncode == 0 and b"must trust its issuer" in done.stderr
    assert b"sim_mismatch" not in done.stderr


def test_euicc_of_another_device(weir):
    crt = issue(weir.folder, "euicc", f"/O=E/serialNumber={EID}/CN=x", EUICC)
    done = weir("cert", "add", "meter-13", "--cert", crt)
    assert done.returncode == 0 and b"sim_mismatch" in done.stderr


def hardware(serial):
    return ("keyUsage=critical,digitalSignature\n"
            "subjectAltName=critical,otherName:1.3.6.1.5.5.7.8.4;SEQ:hw\n"
            "subjectKeyIdentifier=hash\n"
            f"[hw]\ntype=OID:1.3.6.1.4.1.32473.7\nserial={serial}\n")


@pytest.mark.parametrize("serial,shown", [
    ("FORMAT:ASCII,OCT:SN-4711", "SN-4711"),
    (f"FORMAT:HEX,OCT:{BINARY}", BINARY)])
def test_802_1ar(weir, serial, shown):
    """An IDevID: no clientAuth, no end (RFC 5280 §4.1.2.5: a year 9999)."""
    crt = issue(weir.folder, "idevid",
                "/C=DE/O=Maker/serialNumber=PID:X1 SN:4711", hardware(serial),
                days=2_900_000)
    told = weir.json("cert", "show", crt)
    assert told["usable"] and told["client_auth"]
    assert told["serial_number"] == "PID:X1 SN:4711" and told["cn"] is None
    assert told["hw_type"] == "1.3.6.1.4.1.32473.7"
    assert told["hw_serial"] == shown
    assert told["stated"] == {"iccid": None, "imsi": None, "imei": None,
                              "eid": None}
    assert told["not_after_s"] > 250_000_000_000
    text = weir.ok("cert", "show", crt)
    assert f"type 1.3.6.1.4.1.32473.7, serial {shown}" in text
    weir.ok("cert", "add", "meter-13", "--cert", crt)
    listed, = weir.lines("cert", "list", "meter-13")
    assert listed["state"] == "active"
    assert listed["not_after_s"] == told["not_after_s"]


@pytest.mark.parametrize("cn", ["352656100367872", "8944010000000000033"])
def test_a_number_as_common_name(weir, cn):
    """Modules that are called by their IMEI, or their SIM's number: a name,
    no statement, which RFC 7254 and RFC 9039 would be."""
    crt = issue(weir.folder, "module", f"/CN={cn}",
                "extendedKeyUsage=clientAuth\n")
    told = weir.json("cert", "show", crt)
    assert told["usable"] and told["cn"] == cn
    assert set(told["stated"].values()) == {None}
    weir.ok("cert", "add", "meter-13", "--cert", crt)


IMEI_1, IMEI_2 = ("URI:urn:gsma:imei:35663806-123451-0",
                  "URI:urn:gsma:imei:35663806-123452-0")


@pytest.mark.parametrize("extensions,problem", [
    ("subjectAltName=URI:urn:gsma:imei:35663806", "malformed SIM identifier"),
    ("subjectAltName=URI:urn:gsma:imei:35663806-12345A-0",
     "malformed SIM identifier"),
    ("subjectAltName=URI:urn:dev:org:32473-iccid:123",
     "malformed SIM identifier"),
    (f"subjectAltName={IMEI_1},{IMEI_2}", "two different values of imei"),
    ("2.5.29.17=DER:30:10:86:02:61:62", "subjectAltName is malformed"),
    ("2.5.29.17=DER:30:00", "subjectAltName is malformed"),
    ("2.5.29.17=DER:30:05:86:03:61:00:62", "NUL byte"),
    ("2.5.29.17=DER:30:04:86:02:61:62:00", "subjectAltName is malformed"),
])
def test_malformed_san(weir, extensions, problem):
    crt = issue(weir.folder, "bad", "/CN=bad",
                f"extendedKeyUsage=clientAuth\n{extensions}\n")
    told = weir.json("cert", "show", crt)
    assert not told["usable"] and problem in told["problem"]
    assert "the broker refuses it" in weir.ok("cert", "show", crt)
    weir.fails(2, "cert", "add", "meter-13", "--cert", crt, says=problem)
    assert weir.lines("cert", "list", "meter-13") == []


# --------------------------------------------------------- weir's, to others

KEY_TYPES = ["p256", "p384", "rsa2048", "rsa3072"]


def quiet(*args):
    done = subprocess.run([*map(str, args)], capture_output=True, timeout=60,
                          check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def by_openssl(ca, crt, _folder, purpose="sslclient"):
    return quiet("openssl", "verify", "-x509_strict", "-CAfile", ca,
                 "-purpose", purpose, crt)[0] == 0


def by_gnutls(ca, crt, _folder, purpose="1.3.6.1.5.5.7.3.2"):
    return quiet("certtool", "--verify", "--verify-profile", "medium",
                 f"--verify-purpose={purpose}", "--load-ca-certificate", ca,
                 "--infile", crt)[0] == 0


def by_nss(ca, crt, folder, usage="C"):
    db = folder / "nss"
    if not db.exists():
        db.mkdir()
        assert quiet("certutil", "-N", "-d", f"sql:{db}",
                     "--empty-password")[0] == 0
        assert quiet("certutil", "-A", "-d", f"sql:{db}", "-n", "ca", "-t",
                     "CT,,", "-a", "-i", ca)[0] == 0
    assert quiet("certutil", "-A", "-d", f"sql:{db}", "-n", crt.name, "-t",
                 ",,", "-a", "-i", crt)[0] == 0
    return quiet("certutil", "-V", "-d", f"sql:{db}", "-n", crt.name, "-u",
                 usage)[0] == 0


def by_mbedtls(ca, crt, _folder, purpose="client"):
    return quiet(MBEDTLS, ca, crt, crt.with_suffix(".key"), purpose)[0] == 0


MBEDTLS = BUILD / "bin" / "mbedtls_check"
CHECKS = [by_openssl, by_gnutls, by_nss,
          *([by_mbedtls] if MBEDTLS.exists() else [])]


def test_mbedtls_is_there():
    if not MBEDTLS.exists():
        pytest.skip("libmbedtls-dev is not installed: nothing asks Mbed TLS")


def test_other_libraries_take_what_is_made_in_bulk(weir):
    """They come from another place in the code than those of cert issue."""
    out = weir.folder / "out"
    (weir.folder / "m.csv").write_text(
        "id,class\n" + "".join(f"b-{i},meter\n" for i in range(8))
        + f"{'x' * 64},meter\n")
    weir.ok("cert", "bulk", "m.csv", "--out", out)
    made = sorted(out.glob("*.crt"))
    assert len(made) == 9
    for crt in made:
        for check in CHECKS:
            assert check(weir.ca / "ca.crt", crt, weir.folder), (check, crt)


@pytest.mark.parametrize("ca_type", ["p256", "p384", "rsa2048"])
def test_other_libraries(tmp_path, ca_type):
    weir = make(tmp_path)
    weir.ok("ca", "init", "--pen", "32473", "--key-type", ca_type)
    ca = weir.ca / "ca.crt"
    for n, key_type in enumerate(KEY_TYPES):
        weir.ok("cert", "issue", "till-7", "--out", key_type, "--key-type",
                key_type, *(["--sim-in-cert"] if n % 2 else []))
        crt, _ = ((tmp_path / key_type / f"till-7.{x}").rename(
            tmp_path / f"{key_type}.{x}") for x in ("crt", "key"))
        for check in CHECKS:
            assert check(ca, crt, tmp_path), (check, key_type)
    weir.ok("ca", "server", "--host", "broker.example", "--key-type", ca_type)
    server = weir.ca / "server.crt"
    assert by_openssl(ca, server, tmp_path, "sslserver")
    assert by_gnutls(ca, server, tmp_path, "1.3.6.1.5.5.7.3.1")
    assert by_nss(ca, server, tmp_path, "V")
    assert by_mbedtls not in CHECKS or by_mbedtls(ca, server, tmp_path,
                                                  "server")
    # The checks can fail: another use, another CA, another issuer.
    assert not by_openssl(ca, server, tmp_path)
    assert not by_gnutls(ca, server, tmp_path)
    assert not by_nss(ca, server, tmp_path)
    assert by_mbedtls not in CHECKS or not by_mbedtls(ca, server, tmp_path)
    stranger = issue(tmp_path, "stranger", "/CN=till-7",
                     "extendedKeyUsage=clientAuth\n")
    for check in CHECKS:
        assert not check(ca, stranger, tmp_path), check


def admitted(fleet, closing):
    """Devices of each type of key, by their certificates of the fleet's CA."""
    broker = closing(Broker(fleet))
    broker.start()
    for n, key_type in enumerate(KEY_TYPES):
        d = fleet.device("meter", "--imei", f"35663806123{n}00{luhn(n)}",
                         cert=("--key-type", key_type, "--sim-in-cert"))
        c = closing(Client(broker, d)).connect()
        c.publish(f"m/{d}/up")
        c.close()
    stranger = fleet.device("meter")
    fleet.weir("cert", "revoke", stranger, "--wait", "10s")
    assert closing(Wire(broker, stranger)).connect() != 0


def luhn(n):
    digits = [int(x) for x in f"35663806123{n}00"]
    total = sum(d if i % 2 == 0 else d * 2 - 9 * (d > 4)
                for i, d in enumerate(digits))
    return -total % 10


@pytest.mark.parametrize("ca_type", ["p256", "p384", "rsa2048"])
def test_the_broker(ca_type, closing):
    fleet = Fleet(policies.SHARED, "--key-type", ca_type)
    try:
        admitted(fleet, closing)
    finally:
        fleet.remove()


def test_the_broker_with_a_token(tmp_path, monkeypatch, closing):
    token = Token(tmp_path / "token")
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    token.make_key("ca")
    fleet = Fleet(policies.SHARED, "--key", token.uri("ca"))
    assert not (fleet.ca / "ca.key").exists()
    try:
        admitted(fleet, closing)
    finally:
        fleet.remove()


def test_the_broker_with_a_corporate_ca(own_fleet, tmp_path, closing):
    """An intermediate with its root behind it, as ca.crt and cafile."""
    root = issue(tmp_path, "root", "/O=Corporate/CN=Root",
                 "basicConstraints=critical,CA:TRUE\n"
                 "keyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n")
    middle = issue(tmp_path, "middle", "/O=Corporate/CN=Devices",
                   "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                   "keyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
                   "authorityKeyIdentifier=keyid\n", "root")
    both = tmp_path / "both.pem"
    both.write_bytes(middle.read_bytes() + root.read_bytes())
    f = own_fleet
    f.ca = f.root / "corporate"
    f.weir("ca", "import", "--cert", both, "--key", tmp_path / "middle.key")
    f.weir("ca", "server", "--host", "localhost", "--ip", "127.0.0.1",
           "--out", f.root / "server2")
    f.server_key.unlink()
    for name in ("server.key", "server.crt"):
        (f.root / "server2" / name).replace(f.root / "server" / name)
    f.server_key.chmod(0o444)
    broker = closing(Broker(f))
    broker.start()
    d = f.device("meter", cert=("--days", "90"))
    c = closing(Client(broker, d)).connect()
    c.publish(f"m/{d}/up")
