# SPDX-License-Identifier: Apache-2.0
"""
Scenario: people, scripts, browsers and devices ask weir-feed, from loopback and
from beyond, with tokens, client certificates, or neither. Question: who may ask
what, and what is said to who may not? Expected: docs/FEED.md, "Who may ask".
"""

import contextlib
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest

import feed_support
import harness
import policies

READ = "/metrics"
"""Takes the right to read."""

OPEN = "/api/v1/health"


def token(fleet, name, *args):
    return fleet.weir("token", "add", name, *args).strip()


@pytest.fixture(scope="module")
def reader(fleet):
    return token(fleet, "reader")


@pytest.fixture(scope="module")
def actor(fleet):
    return token(fleet, "actor", "--rights", "act")


@pytest.fixture
def feed(fleet):
    """One for each test: a state directory has one feed at a time."""
    with feed_support.Feed(fleet) as f:
        yield f


@pytest.fixture
def strict(fleet):
    """Nobody reads without a token."""
    with feed_support.Feed(
            fleet, config={"loopback_needs_token": True}) as f:
        yield f


# ----------------------------------------------------------------------- tokens


def test_loopback_reads(feed):
    assert feed.get(READ).status == 200


def test_loopback_acts_with_a_token_alone(feed, reader, actor):
    path = "/api/v1/devices/nobody/quarantine"
    got = feed.post(path, {"reason": "x"})
    assert got.status == 403
    assert "right to act" in got.detail()
    got = feed.post(path, {"reason": "x"}, token=reader)
    assert got.status == 403
    assert "token reader" in got.detail()
    assert feed.post(path, {"reason": "x"}, token=actor).status == 404


def test_without_a_token_only_health(strict):
    assert strict.get(OPEN).status == 200
    got = strict.get(READ)
    assert got.status == 401
    assert got.headers["WWW-Authenticate"] == 'Bearer realm="weir"'
    assert "Bearer weir_" in got.detail()


def test_token_reads(strict, reader, actor):
    assert strict.get(READ, token=reader).status == 200
    assert strict.get(READ, token=actor).status == 200
    got = strict.get(READ, Authorization=f"bEARER   {reader}")
    assert got.status == 200


@pytest.mark.parametrize("text", [
    "Bearer", "Bearer ", "Bearer x", "Bearer weir_", "Basic dXNlcjpwYXNz",
    "weir_" + "A" * 43, "Bearer weir_" + "A" * 43 + "x",
    "Bearer weir_" + "A" * 42 + "!"])
def test_what_is_no_token(own_fleet, text):
    config = {"loopback_needs_token": True}
    with feed_support.Feed(own_fleet, config=config) as f:
        got = f.get(READ, Authorization=text)
        assert got.status == 401
        got.detail()
        # Not even what is open to all: who shows something wrong is told so.
        assert f.get(OPEN, Authorization=text).status == 401


def test_unknown_token_of_right_form(fleet):
    with feed_support.Feed(fleet) as f:
        got = f.get(READ, token="weir_" + "A" * 43)
        assert got.status == 401
        assert "not known" in got.detail()
        f.await_log('"event":"refused"')
        told = f.log("refused")
        assert [x["reason"] for x in told] == ["unknown_token"]
        assert told[0]["address"] == "127.0.0.1"
        assert "weir_" not in json.dumps(told)


def test_revoked_and_expired(own_fleet):
    mine = token(own_fleet, "mine")
    ends = token(own_fleet, "ends", "--days", "1")
    config = {"loopback_needs_token": True}
    with feed_support.Feed(own_fleet, config=config) as f:
        assert f.get(READ, token=mine).status == 200
        assert f.get(READ, token=ends).status == 200
        own_fleet.weir("token", "revoke", "mine")
        got = f.get(READ, token=mine)
        assert got.status == 401
        own_fleet.sql("UPDATE token SET expires_s = 1 WHERE name = 'ends'")
        assert f.get(READ, token=ends).status == 401
        assert f.get(READ, token=token(own_fleet, "new")).status == 200


def test_back_off(own_fleet):
    """Five wrong ones are free. Then who comes from there waits, twice as long
    each time; whoever has a right one does not."""
    right = token(own_fleet, "right")
    wrong = "weir_" + "A" * 43
    config = {"loopback_needs_token": True}
    with feed_support.Feed(own_fleet, config=config) as f:
        for n in range(5):
            got = f.get(READ, token=wrong)
            assert got.status == 401, n
        assert got.headers["Retry-After"] == "1"
        got = f.get(READ, token=wrong)
        assert got.status == 429
        assert got.headers["Retry-After"] == "1"
        assert "wait 1 s" in got.detail()
        assert f.get(READ).status == 401
        # In its own time: the sixth that counts makes it two seconds.
        got = harness.eventually(
            "the wait is over",
            lambda: (lambda x: x.status == 401 and x)(f.get(READ, token=wrong)))
        assert got.headers["Retry-After"] == "2"
        harness.eventually("each is in the log",
                           lambda: len(f.log("refused")) == 6)
        assert f.get(READ, token=right).status == 200
        # And all is forgotten.
        assert f.get(READ, token=wrong).status == 401


def test_registry_unreadable(own_fleet):
    """Tokens cannot be checked: nobody is let in by one, and the reason is in
    the log, not in the answer."""
    mine = token(own_fleet, "mine")
    with feed_support.Feed(own_fleet) as f:
        assert f.get(READ, token=mine).status == 200
        (own_fleet.state / "registry.db").rename(own_fleet.root / "away")
        harness.eventually("it is noticed",
                           lambda: f.get(READ, token=mine).status == 503)
        got = f.get(READ, token=mine)
        assert got.headers["Retry-After"] == "5"
        assert str(own_fleet.state) not in got.detail()
        f.await_log('"event":"tokens"')
        assert f.get(OPEN).status == 200
        (own_fleet.root / "away").rename(own_fleet.state / "registry.db")
        harness.eventually("it is back",
                           lambda: f.get(READ, token=mine).status == 200)
    assert len(f.log("tokens")) == 1


# ------------------------------------------------------------- sites and names


@pytest.mark.parametrize("host", [
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80",
    "localhost.", "localhost, evil.example", "[::1", "127.0.0.2", "x"])
def test_foreign_host(feed, host):
    """DNS rebinding: a page of evil.example, whose name now leads here."""
    got = feed.get(READ, Host=host)
    assert got.status == 421
    assert '"hosts"' in got.detail()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1",
                                  "[::1]:99"])
def test_own_host(feed, host):
    assert feed.get(READ, Host=host).status == 200


def test_configured_host(fleet):
    config = {"hosts": ["feed.example"]}
    with feed_support.Feed(fleet, config=config) as f:
        assert f.get(READ, Host="feed.example:1").status == 200
        assert f.get(READ, Host="feed.example.org").status == 421


def test_origin(feed):
    here = f"127.0.0.1:{feed.port}"
    assert feed.get(READ, Origin=f"http://{here}").status == 200
    for origin in ("http://evil.example", "null", "", f"https://{here}",
                   "http://127.0.0.1", f"http://{here}/", f"//{here}"):
        got = feed.get(READ, Origin=origin)
        assert got.status == 403, origin
        assert "another site" in got.detail()


def test_nothing_for_other_sites(feed):
    """No answer has a CORS header, and none is a page."""
    for got in (feed.get(READ), feed.get("/nothing"),
                feed.ask("OPTIONS", READ, Origin="http://evil.example",
                         Access_Control_Request_Method="POST")):
        for name in got.headers:
            assert not name.lower().startswith("access-control-")
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Cache-Control"] == "no-store"
        assert got.headers["Content-Security-Policy"].startswith(
            "default-src 'none'")
        assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"


# -------------------------------------------------------------- beyond loopback


def test_beyond_loopback_takes_tls(own_fleet):
    f = feed_support.Feed(own_fleet, listen="0.0.0.0:0")
    assert "TLS alone" in f.fails_to_start(2)


def test_beyond_loopback_takes_somebody(own_fleet):
    """TLS, and nobody who could say who he is."""
    f = feed_support.Feed(own_fleet, listen="0.0.0.0:0",
                          config={"tls": feed_support.tls(own_fleet)})
    log = f.fails_to_start(2)
    assert "weir token add" in log
    mine = token(own_fleet, "mine")
    own_fleet.weir("token", "revoke", "mine")
    assert "no valid token" in f.fails_to_start(2)
    mine = token(own_fleet, "again")
    with f.trust():
        f.host = "127.0.0.1"
        # From loopback, and yet without a token nobody reads: a proxy may
        # stand there.
        assert f.get(READ).status == 401
        assert f.get(READ, token=mine).status == 200


def test_tls(fleet, reader):
    config = {"tls": feed_support.tls(fleet)}
    with feed_support.Feed(fleet, config=config).trust() as f:
        assert f.url.startswith("https://127.0.0.1:")
        assert f.get(READ).status == 200
        assert f.get(READ, token=reader).status == 200
        assert f.get(READ, Origin=f"https://127.0.0.1:{f.port}").status == 200
        assert f.get(READ, Origin=f"http://127.0.0.1:{f.port}").status == 403
        # Plain HTTP is no handshake.
        with socket.create_connection(("127.0.0.1", f.port)) as s:
            s.settimeout(harness.DEADLINE_S)
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in s.recv(100)
        # HTTP/2 is not offered.
        offer = ssl.create_default_context(cafile=fleet.ca / "ca.crt")
        offer.set_alpn_protocols(["h2", "http/1.1"])
        with socket.create_connection(("127.0.0.1", f.port)) as s:
            with offer.wrap_socket(s, server_hostname="127.0.0.1") as t:
                assert t.selected_alpn_protocol() == "http/1.1"
                assert t.version() == "TLSv1.3"
        for version in ("-tls1", "-tls1_1"):
            old = subprocess.run(
                ["openssl", "s_client", version, "-cipher",
                 "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{f.port}"],
                input=b"", capture_output=True, check=False,
                timeout=harness.HALF_MINUTE_S)
            assert old.returncode != 0
            assert b"Cipher is (NONE)" in old.stdout


def test_tls_large_and_many(fleet, reader):
    """More than a record, and requests one after another."""
    config = {"tls": feed_support.tls(fleet)}
    with feed_support.Feed(fleet, config=config).trust() as f:
        c = f.connection()
        for _ in range(50):
            c.request("GET", OPEN, headers={"X-Large": "y" * 7000})
            assert c.getresponse().read()
        c.close()


@pytest.mark.parametrize("key, value, says", [
    ("cert", "/nonexistent", "cannot use the certificate /nonexistent"),
    ("key", "/nonexistent", "cannot use the key /nonexistent"),
    ("client_ca", "/nonexistent", "cannot use the CA /nonexistent"),
    ("key", "other", "key values mismatch"),
    ("key", "rsa", "cannot use the key"),
    ("cert", "key", "cannot use the certificate"),
])
def test_tls_errors(own_fleet, key, value, says):
    config = feed_support.tls(own_fleet, client_ca=feed_support.readable(
        own_fleet, own_fleet.ca / "ca.crt"))
    if value == "other":
        value = feed_support.readable(own_fleet, own_fleet.device("sensor").key)
    elif value == "rsa":
        rsa(own_fleet.ca)
        value = feed_support.readable(own_fleet, own_fleet.ca / "rsa.key")
    elif value == "key":
        value = config["key"]
    config[key] = value
    log = feed_support.Feed(
        own_fleet, config={"tls": config}).fails_to_start(2)
    assert says in log
    assert f'"place":"tls.{key}"' in log


# ----------------------------------------------------------------- certificates


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A CA for those who ask, another than the devices'."""
    f = harness.Fleet(policies.SHARED)
    yield f
    f.remove()


def test_client_certificates(fleet, people):
    ops = people.sign("ops")
    stranger = fleet.sign("stranger")
    config = {"tls": feed_support.tls(fleet, client_ca=feed_support.readable(
        people, people.ca / "ca.crt")), "loopback_needs_token": True}
    with feed_support.Feed(fleet, config=config).trust() as f:
        assert f.get(READ).status == 401
        assert f.get(OPEN).status == 200
        assert f.trust(ops).get(READ).status == 200
        got = f.post("/api/v1/devices/x/quarantine", {"reason": "x"})
        assert got.status == 403
        assert "certificate ops" in got.detail()
        # Another CA's is no certificate at all: the handshake fails.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            f.trust(stranger).get(READ)
        # So is one that has expired.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            f.trust(people.sign("late", begin_s=-600, end_s=-1)).get(READ)


def test_certificate_ends_on_a_live_connection(fleet, people):
    """The handshake looked at its dates; the connection goes on."""
    config = {"tls": feed_support.tls(fleet, client_ca=feed_support.readable(
        people, people.ca / "ca.crt")), "loopback_needs_token": True}
    with feed_support.Feed(fleet, config=config).trust(
            people.sign("brief", end_s=5)) as f:
        with contextlib.closing(f.connection()) as c:
            def asked():
                c.request("GET", READ)
                got = c.getresponse()
                return got.status, got.read()
            assert asked()[0] == 200
            socket = c.sock
            harness.eventually("it has expired", lambda: asked()[0] == 403)
            status, text = asked()
            assert b"has expired" in text and c.sock is socket


def test_devices_are_no_clients(fleet):
    """client_ca is the devices' own: what a device has does not let it in."""
    device = fleet.device("sensor")
    ops = fleet.sign("ops")
    config = {"tls": feed_support.tls(fleet, client_ca=feed_support.readable(
        fleet, fleet.ca / "ca.crt"), client_rights="act"),
        "loopback_needs_token": True}
    with feed_support.Feed(fleet, config=config).trust(ops) as f:
        assert f.get(READ).status == 200
        got = f.trust(device).get(READ)
        assert got.status == 403
        assert "is a device's" in got.detail()


class Renewal:
    """A weir-feed with TLS of its own files, which change under it."""

    def __init__(self, fleet):
        self.fleet, self.n = fleet, 0
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=fleet.root))
        self.dir.chmod(0o755)
        self.put(*self.make())
        self.feed = feed_support.Feed(fleet, config={"tls": {
            "cert": str(self.dir / "crt"), "key": str(self.dir / "key")}})

    def make(self, *key):
        """A certificate and its key, as bytes."""
        self.n += 1
        out = self.fleet.root / f"renewal-{self.n}"
        self.fleet.weir("ca", "server", "--host", "localhost", "--ip",
                        "127.0.0.1", "--out", out)
        return [(out / f"server.{x}").read_bytes() for x in ("crt", "key")]

    def put(self, crt, key):
        for name, data in ("crt", crt), ("key", key):
            if data is not None:
                (self.dir / name).write_bytes(data)
                (self.dir / name).chmod(0o644)

    def renew(self, level):
        mark = self.feed.mark()
        self.feed.process.send_signal(signal.SIGHUP)
        line = self.feed.await_log('"event":"reload"', mark)
        assert json.loads(line)["level"] == level, line
        return line

    def shown(self):
        with self.feed.raw() as s:
            return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).strip()


def leaf(crt):
    text = crt.decode()
    end = "-----END CERTIFICATE-----"
    return text[text.index("-----BEGIN"):text.index(end) + len(end)]


def test_tls_is_renewed(own_fleet):
    r = Renewal(own_fleet)
    with r.feed.trust() as f:
        first = (r.dir / "crt").read_bytes()
        assert r.shown() == leaf(first)
        old = f.connection()
        old.request("GET", OPEN)
        assert old.getresponse().read()
        new, key = r.make()
        r.put(new, key)
        assert r.shown() == leaf(first)
        r.renew("notice")
        assert r.shown() == leaf(new) != leaf(first)
        assert f.get(OPEN).status == 200
        # Who was there is there.
        old.request("GET", OPEN)
        assert old.getresponse().status == 200
        old.close()


def rsa(directory):
    """A certificate and a key of another type."""
    crt, key = directory / "rsa.crt", directory / "rsa.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", crt],
                   check=True, capture_output=True)
    return crt.read_bytes(), key.read_bytes()


def test_tls_that_does_not_fit(own_fleet):
    """What was in use stays so, and the log says why."""
    r = Renewal(own_fleet)
    with r.feed.trust():
        first = (r.dir / "crt").read_bytes()
        key = (r.dir / "key").read_bytes()
        for files, says in (
                ((r.make()[0], None), "cannot use the key"),
                ((first, b""), "cannot use the key"),
                ((b"nonsense", key), "cannot use the certificate"),
                # Of another type than its own certificate: first or last.
                ((first, rsa(r.dir)[1]), "cannot use the key"),
                ((rsa(r.dir)[0], key), "cannot use the key"),
                (rsa(r.dir), "another type")):
            r.put(*files)
            line = r.renew("error")
            assert says in line and '"place":"tls.' in line
            assert r.shown() == leaf(first)
        (r.dir / "crt").unlink()
        assert "cannot use the certificate" in r.renew("error")
        assert r.shown() == leaf(first)
        r.put(first, key)
        r.renew("notice")
        assert r.shown() == leaf(first)


def test_reload_without_tls(own_fleet):
    with feed_support.Feed(own_fleet) as f:
        f.process.send_signal(signal.SIGHUP)
        assert "no TLS" in f.await_log('"event":"reload"')
        assert f.get(OPEN).status == 200


def test_beyond_loopback_with_certificates(own_fleet):
    ops = own_fleet.sign("ops")
    config = {"tls": feed_support.tls(own_fleet, client_ca=feed_support.readable(
        own_fleet, own_fleet.ca / "ca.crt"))}
    with feed_support.Feed(own_fleet, listen="0.0.0.0:0",
                           config=config).trust(ops) as f:
        f.host = "127.0.0.1"
        assert f.get(READ).status == 200
