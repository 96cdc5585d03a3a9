# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed, run as the user weir-feed beside a fleet, is asked and
abused over HTTP by scripts that know it and by those who would like it to fall.
Question: does it answer what it is asked, refuse what it must with words that
say why, and serve everybody else meanwhile? Expected: yes, in bounded memory.
"""

import contextlib
import fcntl
import http.client
import itertools
import json
import os
import resource
import select
import signal
import socket
import threading
import time

import pytest

import feed_support
import harness

HEALTH = "/api/v1/health"


class Reply:
    """What came back over a raw socket: one answer."""

    def __init__(self, stream, method="GET"):
        line = stream.readline().decode()
        assert line.startswith("HTTP/1.1 "), repr(line)
        self.status = int(line.split(" ")[1])
        self.headers = http.client.parse_headers(stream)
        self.body = b""
        if method != "HEAD" and self.status >= 200:
            self.body = stream.read(int(self.headers["Content-Length"]))

    def detail(self):
        assert self.headers["Content-Type"] == "application/problem+json"
        return json.loads(self.body)["detail"]


@contextlib.contextmanager
def talk(feed):
    """A connection: its socket, and a stream to read from."""
    with feed.raw() as s, s.makefile("rb") as stream:
        yield s, stream


def ends(stream):
    """True when the other side has closed, and sent nothing more."""
    try:
        return stream.read(1) == b""
    except ConnectionResetError:
        return True


def rss(feed):
    """Resident bytes of the daemon."""
    with open(f"/proc/{feed.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def cpu(feed):
    """Seconds of a processor that the daemon has used."""
    with open(f"/proc/{feed.process.pid}/stat", encoding="ascii") as f:
        ticks = f.read().rsplit(") ", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def idles(feed):
    """Fails unless it comes to rest: what there was to be done is done, and what
    cannot be done is not tried again and again."""
    def used_s():
        before = cpu(feed)
        threading.Event().wait(0.5)
        return cpu(feed) - before
    harness.eventually("it comes to rest", lambda: used_s() <= 0.02)


# ------------------------------------------------------------------- the answers


def test_health(feed):
    got = feed.get(HEALTH)
    assert got.status == 200
    assert got.headers["Content-Type"] == "application/json"
    told = got.json()
    assert told["status"] == "ok"
    assert told["broker"]["state"] == "never_ran"


def test_health_when_the_meter_cannot_be_read(own_fleet):
    """It answers, and says that not all is well."""
    with feed_support.Feed(own_fleet) as f:
        (own_fleet.state / "meter").chmod(0o700)
        (own_fleet.state / "meter" / "meter.seg").write_bytes(b"x" * 100)
        told = harness.eventually(
            "it is noticed",
            lambda: (lambda x: x["broker"]["state"] == "unknown" and x)(
                f.ok(HEALTH)))
        assert told["status"] == "degraded"
        (own_fleet.state / "meter" / "meter.seg").unlink()
        (own_fleet.state / "meter").chmod(0o750)
        harness.eventually("it is well again",
                           lambda: f.ok(HEALTH)["status"] == "ok")


def test_unknown_path(feed):
    got = feed.get("/api/v1/nothing")
    assert got.status == 404
    assert "nothing at this path" in got.detail()


def test_unknown_argument(feed):
    got = feed.get(HEALTH + "?verbose=1")
    assert got.status == 400
    assert "'verbose'" in got.detail()


@pytest.mark.parametrize("method", [
    "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW",
    "get", "GETT"])
def test_methods(feed, method):
    got = feed.ask(method, HEALTH, body=b"")
    assert got.status == 405
    assert got.headers["Allow"] == "GET, HEAD"
    got.detail()
    assert feed.ask(method, "/nothing", body=b"").status == 404


def test_head(feed):
    with talk(feed) as (s, stream):
        for target, status in ((HEALTH, 200), ("/nothing", 404)):
            s.sendall(f"HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                      .encode())
            got = Reply(stream, "HEAD")
            assert got.status == status
            assert int(got.headers["Content-Length"]) > 50


# ------------------------------------------------------------------- hostile words


@pytest.mark.parametrize("path, says", [
    ("/../../etc/passwd", "'..'"), ("/api/v1/../v1/health", "'..'"),
    ("/api/%2e%2e/%2e%2e/etc/passwd", "'..'"), ("/./api", "'.'"),
    ("/api/v1/..%2fhealth", "escaped '/'"), ("//api/v1/health", "empty"),
    ("/api/v1/health/", "empty"), ("/%c0%ae%c0%ae/", "UTF-8"),
    ("/api/v1/health%00", "control"), ("/%ff", "UTF-8"), ("/%", "hexadec"),
    ("/api/v1/health?x=%f5", "UTF-8"), ("/?a&a", "twice"),
    ("/api/v1/health?%0d%0aX:", "control"),
])
def test_hostile_targets(feed, path, says):
    got = feed.get(path)
    assert got.status == 400
    assert says in got.detail()


LOCAL = b"Host: localhost\r\n"


@pytest.mark.parametrize("target, says", [
    (b"/\xff", "UTF-8"), (b"http://localhost/", "starts with '/'"),
    (b"*", "starts with '/'"), (b"?x", "starts with '/'")])
def test_targets_that_are_no_path(feed, target, says):
    with talk(feed) as (s, stream):
        s.sendall(b"GET " + target + b" HTTP/1.1\r\n" + LOCAL + b"\r\n")
        got = Reply(stream)
        assert got.status == 400
        assert says in got.detail()


@pytest.mark.parametrize("request_, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"X: a\r\n b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"X : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"X: a\0b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\n" + LOCAL + b"\n\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n" + LOCAL + b"\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"\r\n", 411),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: +1\r\n\r\nx", 400),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: 5x\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: 65537\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: "
     b"99999999999999999999\r\n\r\n", 413),
    # Smuggling: a second reader would see another request in the body.
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: 4\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\n" + LOCAL + b"Content-Length: 4\r\n"
     b"Content-Length: 5\r\n\r\nabcde", 400),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"Expect: a miracle\r\n\r\n", 417),
    (b"GET /" + b"a" * 2048 + b" HTTP/1.1\r\n" + LOCAL + b"\r\n", 414),
    (b"GET /" + b"a" * 20000, 414),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"X: " + b"a" * 20000, 431),
    (b"GET / HTTP/1.1\r\n" + LOCAL + b"a: b\r\n" * 65 + b"\r\n", 431),
    (b"\r\n" * 8000, 400),
    (b"\r\n" * 3, 400),
], ids=itertools.count())
def test_malformed_requests(feed, request_, status):
    """An answer that says why, and then the end: where the next request would
    begin is not known."""
    with talk(feed) as (s, stream):
        s.sendall(request_ + b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL
                  + b"\r\n")
        got = Reply(stream)
        assert got.status == status
        assert got.headers["Connection"] == "close"
        assert got.detail()
        assert ends(stream)
    assert feed.get(HEALTH).status == 200


def test_large_body_is_refused_before_it_comes(feed):
    """The answer is there before the body is, and reaches a client that only
    reads when it has sent everything."""
    with talk(feed) as (s, stream):
        s.sendall(b"POST / HTTP/1.1\r\n" + LOCAL
                  + b"Content-Length: 100000\r\n\r\n" + b"x" * 100000)
        assert Reply(stream).status == 413
        assert ends(stream)


# ------------------------------------------------------------------- connections


def test_one_after_another(feed):
    """Requests on one connection, sent at once and in bits."""
    one = b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL + b"\r\n"
    post = (b"POST /api/v1/health HTTP/1.1\r\n" + LOCAL
            + b"Content-Length: 5\r\n\r\nGET /")
    with talk(feed) as (s, stream):
        s.sendall((one + post) * 200)
        for _ in range(200):
            assert Reply(stream).status == 200
            assert Reply(stream).status == 405
        for b in one + b"\r\n\r\n" + post + one:
            s.sendall(bytes([b]))
        assert [Reply(stream).status for _ in range(3)] == [200, 405, 200]


def test_longest_that_is_served(feed):
    """What is just within each limit."""
    with talk(feed) as (s, stream):
        s.sendall(b"GET /" + b"a" * 2047 + b" HTTP/1.1\r\n" + LOCAL
                  + b"X: " + b"b" * 8000 + b"\r\n\r\n")
        assert Reply(stream).status == 404
        s.sendall(b"POST /x HTTP/1.1\r\n" + LOCAL
                  + b"Content-Length: 65536\r\n\r\n" + b"x" * 65536)
        assert Reply(stream).status == 404


def test_token_between_requests(feed):
    """The memory of a token is wiped, and the request behind it is not."""
    one = (b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL
           + b"Authorization: Bearer x\r\n\r\n")
    with talk(feed) as (s, stream):
        s.sendall(one * 50)
        assert {Reply(stream).status for _ in range(50)} <= {401, 429}


def test_expect_continue(feed):
    with talk(feed) as (s, stream):
        s.sendall(b"POST /x HTTP/1.1\r\n" + LOCAL + b"Content-Length: 3\r\n"
                  b"Expect: 100-continue\r\n\r\n")
        assert Reply(stream).status == 100
        s.sendall(b"abc")
        assert Reply(stream).status == 404


def test_http_1_0(feed):
    with talk(feed) as (s, stream):
        s.sendall(b"GET /api/v1/health HTTP/1.0\r\n\r\n")
        assert Reply(stream).status == 200
        assert ends(stream)


def test_close_is_asked_for(feed):
    with talk(feed) as (s, stream):
        s.sendall(b"GET /api/v1/health HTTP/1.1\r\nConnection: close\r\n"
                  + LOCAL + b"\r\n")
        got = Reply(stream)
        assert (got.status, got.headers["Connection"]) == (200, "close")
        assert ends(stream)


def test_half_closed(feed):
    """A client that says at once that it will send no more gets its answer."""
    with talk(feed) as (s, stream):
        s.sendall(b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL + b"\r\n")
        s.shutdown(socket.SHUT_WR)
        assert Reply(stream).status == 200
        assert ends(stream)


def test_vanishing_clients(feed):
    """Who goes away at any moment leaves nothing behind."""
    whole = (b"POST /x HTTP/1.1\r\n" + LOCAL + b"Content-Length: 60000\r\n"
             b"Authorization: Bearer weir_x\r\n\r\n" + b"y" * 30)
    before = rss(feed)
    for n in range(1, len(whole)):
        with feed.raw() as s:
            s.sendall(whole[:n])
            # With a reset, not with an end.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")
    assert feed.get(HEALTH).status == 200
    assert rss(feed) < before + (4 << 20) + feed_support.KEPT


# ----------------------------------------------------------------- time and number


class Meanwhile:
    """Somebody else who asks all the time; how long he waited at most."""

    def __init__(self, feed):
        self.feed, self.longest, self.n = feed, 0.0, 0
        self.done = threading.Event()
        self.failed = None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.done.is_set():
                begin = time.monotonic()
                assert self.feed.get(HEALTH).status == 200
                self.longest = max(self.longest, time.monotonic() - begin)
                self.n += 1
        except Exception as e:  # told by the test, not by the thread
            self.failed = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        print(f"meanwhile: {self.n} requests, longest {self.longest:.3f} s")
        assert self.failed is None, self.failed


def test_slow_loris(feed):
    """Heads and bodies that come a byte at a time, and connections on which
    nothing comes: each is ended in its time, and others are served."""
    head = b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL + b"X: "
    body = (b"POST /x HTTP/1.1\r\n" + LOCAL + b"Content-Length: 60000\r\n"
            b"Authorization: Bearer weir_x\r\n\r\n")
    with contextlib.ExitStack() as stack, Meanwhile(feed) as other:
        slow = {}
        for kind, first in (("head", head), ("body", body), ("idle", b"")):
            for _ in range(60):
                s = stack.enter_context(feed.raw())
                s.sendall(first)
                slow[s] = kind
        begin, ended = time.monotonic(), {}
        pause = threading.Event()
        while len(ended) < len(slow):
            at = time.monotonic() - begin
            assert at < 25, f"{len(slow) - len(ended)} are still open"
            left = [s for s in slow if s not in ended]
            for s in select.select(left, [], [], 0.1)[0]:
                ended[s] = time.monotonic() - begin
            for s in left:
                if slow[s] != "idle" and s not in ended:
                    with contextlib.suppress(OSError):
                        s.send(b"y")
            pause.wait(0.1)
        for kind, least, most in (("head", 4, 15), ("body", 9, 20),
                                  ("idle", 4, 15)):
            took = [t for s, t in ended.items() if slow[s] == kind]
            print(f"{kind}: ended after {min(took):.1f} to {max(took):.1f} s")
            assert least < min(took) and max(took) < most
        for s, kind in slow.items():
            s.setblocking(True)
            with s.makefile("rb") as stream:
                if kind != "idle":
                    assert Reply(stream).status == 408
        assert other.n > 50


def test_nobody_reads_the_answers(feed):
    """Clients that ask without end and never read: what they ask waits in the
    kernel, and the daemon's memory stays what it was."""
    ask = (b"GET /metrics HTTP/1.1\r\n" + LOCAL + b"\r\n") * 100
    with contextlib.ExitStack() as stack, Meanwhile(feed) as other:
        before = rss(feed)
        deaf = [stack.enter_context(socket.socket()) for _ in range(100)]
        for s in deaf:
            # Else the kernel would take megabytes of answers for each.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            s.connect(("127.0.0.1", feed.port))
            s.setblocking(False)
        full = set()
        end = time.monotonic() + harness.DEADLINE_S
        while len(full) < len(deaf) and time.monotonic() < end:
            for s in deaf:
                try:
                    s.send(ask)
                except BlockingIOError:
                    full.add(s)
        assert len(full) == len(deaf)
        grown = rss(feed) - before
        print(f"100 deaf clients: {grown >> 10} KiB more")
        assert grown < (32 << 20) + feed_support.KEPT
        assert other.n > 0
        other.done.set()
        other.thread.join()
        # Nothing can leave, and what there is to be read is left where it is.
        idles(feed)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_stream_that_is_flooded(own_fleet, secure):
    """A WebSocket client that never reads, and sends pings without end, and who
    is answered one of many at most."""
    config = {}
    if secure:
        config["tls"] = feed_support.tls(own_fleet)
    ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
    with feed_support.Feed(own_fleet, config=config) as f:
        if secure:
            f.trust()
        with talk(f) as (s, stream):
            s.sendall(b"GET /api/v1/tail HTTP/1.1\r\n" + LOCAL
                      + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                      b"Sec-WebSocket-Version: 13\r\n"
                      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            got = Reply(stream)
            assert got.status == 101
            assert (got.headers["Sec-WebSocket-Accept"]
                    == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            before = rss(f)
            s.settimeout(1)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 << 20:
                    s.sendall(ping * 500)
                    sent += len(ping) * 500
            assert rss(f) - before < (4 << 20) + feed_support.KEPT
            assert f.get(HEALTH).status == 200
            idles(f)


def test_5000_connections(own_fleet):
    """More than are let in, from one address and from many: those who are in
    are served, the rest are told, and memory is bounded."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    limits = {"connections": 1000, "loopback_connections": 400}
    try:
        with feed_support.Feed(own_fleet, config={"limits": limits}) as f, \
                contextlib.ExitStack() as stack, talk(f) as (first, stream):
            before = rss(f)
            mine = []
            for n in range(5000):
                s = stack.enter_context(socket.socket())
                s.settimeout(harness.DEADLINE_S)
                s.bind((f"127.0.0.{2 + n % 10}", 0))
                s.connect(("127.0.0.1", f.port))
                mine.append(s)
            first.sendall(b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL
                          + b"\r\n")
            assert Reply(stream).status == 200
            # Nobody has asked yet: those who are turned away are told first.
            told = select.poll()
            for s in mine:
                told.register(s, select.POLLIN)
            by_file = {s.fileno(): s for s in mine}
            harness.eventually("those who are too many are told",
                               lambda: len(told.poll(0)) == 4001)
            away = [by_file[fd] for fd, _ in told.poll(0)]
            with away[0].makefile("rb") as told:
                got = Reply(told)
                assert got.status == 503
                assert got.headers["Retry-After"] == "5"
                assert "too many connections" in got.detail()
            grown = rss(f) - before
            print(f"1000 connections: {grown >> 10} KiB")
            assert grown < (16 << 20) + feed_support.KEPT
            f.await_log('"event":"full"')
            stack.close()
            harness.eventually("there is room again",
                               lambda: f.get(HEALTH).status == 200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_of_one_address(own_fleet):
    limits = {"connections": 20, "address_connections": 5,
              "loopback_connections": 7}
    with feed_support.Feed(own_fleet, config={"limits": limits}) as f, \
            contextlib.ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(f.raw())
        assert f.get(HEALTH).status == 503
        other = stack.enter_context(socket.socket())
        other.bind(("127.0.0.9", 0))
        other.connect(("127.0.0.1", f.port))
        other.sendall(b"GET /api/v1/health HTTP/1.1\r\n" + LOCAL + b"\r\n")
        with other.makefile("rb") as stream:
            assert Reply(stream).status == 200


# -------------------------------------------------------------------- life and death


def test_graceful_stop(own_fleet):
    """What is under way is finished; nobody new is let in."""
    with feed_support.Feed(own_fleet) as f, talk(f) as (s, stream), \
            f.raw() as idle:
        s.sendall(b"POST /x HTTP/1.1\r\n" + LOCAL
                  + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert Reply(stream).status == 100
        f.process.send_signal(signal.SIGTERM)
        f.await_log('"event":"stop"')
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            f.raw().close()
        s.sendall(b"body")
        got = Reply(stream)
        assert (got.status, got.headers["Connection"]) == (404, "close")
        assert ends(stream)
        assert f.end() == 0
        assert f.log("stopped")


def test_stop_waits_for_nobody_long(own_fleet):
    with feed_support.Feed(own_fleet) as f, f.raw() as s:
        s.sendall(b"POST /x HTTP/1.1\r\n" + LOCAL
                  + b"Content-Length: 4\r\n\r\n")
        f.get(HEALTH)
        begin = time.monotonic()
        f.stop()
        assert time.monotonic() - begin < harness.DEADLINE_S
        assert "are cut" in f.log("stop")[-1]["message"]


def test_restart_at_the_same_port(own_fleet):
    """With connections of the last run that the kernel still remembers."""
    f = feed_support.Feed(own_fleet)
    for _ in range(3):
        with f:
            port = f.port
            with talk(f) as (s, stream):
                s.sendall(b"GET /api/v1/health HTTP/1.1\r\n"
                          b"Connection: close\r\n" + LOCAL + b"\r\n")
                assert Reply(stream).status == 200
                assert ends(stream)
        assert f.port == port
    f.start()
    f.kill()
    with f:
        assert f.get(HEALTH).status == 200


def test_port_is_taken(feed, own_fleet):
    other = feed_support.Feed(own_fleet, listen=f"127.0.0.1:{feed.port}")
    log = other.fails_to_start(3)
    assert f"127.0.0.1:{feed.port}" in log
    assert "somebody else listens there" in log


def test_ipv6(own_fleet):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with feed_support.Feed(own_fleet, listen="[::1]:0") as f:
        assert f.url.startswith("http://[::1]:")
        assert f.get(HEALTH).status == 200


def test_broker_comes_and_goes(own_fleet):
    """The feed outlives the broker, and says so; a meter that is new is read."""
    def state(wanted):
        return harness.eventually(
            f"the broker is {wanted}",
            lambda: f.ok(HEALTH)["broker"]["state"] == wanted)
    with feed_support.Feed(own_fleet) as f:
        state("never_ran")
        with harness.Broker(own_fleet) as b:
            state("running")
            b.kill()
            state("stopped")
            b.start()
            state("running")
        state("stopped")
        (own_fleet.state / "meter" / "meter.seg").unlink()
        state("never_ran")
        with harness.Broker(own_fleet):
            state("running")
        f.await_log('"event":"broker"')


def test_log_that_nobody_reads(own_fleet):
    """A pipe that is full holds nobody up, and what was dropped is told."""
    hosts = itertools.product(range(200), range(2, 250))

    def wrong():
        """A line of the log: a token that is unknown, from an address that has
        shown none yet."""
        x, y = next(hosts)
        c = http.client.HTTPConnection("127.0.0.1", f.port,
                                       timeout=harness.DEADLINE_S,
                                       source_address=(f"127.0.{x}.{y}", 0))
        with contextlib.closing(c):
            c.request("GET", HEALTH, headers={"Authorization": "Bearer x"})
            assert c.getresponse().status == 401

    with feed_support.Feed(own_fleet) as f:
        fcntl.fcntl(f.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        pause = threading.Event()
        # The reader of the log stands still, and with it the pipe.
        with f.cond:
            # Some 20 lines a second, and 12 KiB that are taken unread.
            end = time.monotonic() + 9
            while time.monotonic() < end:
                wrong()
                pause.wait(0.01)
        harness.eventually("what was dropped is told", lambda: (
            wrong(), f.logged("dropped_lines"))[1])
        line = f.await_log("dropped_lines")
        assert json.loads(line)["dropped_lines"] > 0
        harness.eventually("more than are told in a second are counted",
                           lambda: (wrong(), f.logged("not_logged"))[1])


# -------------------------------------------------------------------- configuration


@pytest.mark.parametrize("text, says", [
    ("{", "feed.json:1:2: "),
    ('{"listn": "127.0.0.1:0"}', 'listn: unknown key; did you mean "listen"?'),
    ('{"listen": "localhost:1"}', "listen: 'localhost:1' is no address"),
    ('{"listen": "[::]:1"}', "TLS alone"),
    ('{"tls": {"cert": "a"}}', 'tls: "key" is missing'),
    ('{"limits": {"connections": 0}}', "limits.connections: must be from 1"),
    ('{"limits": {"connections": 9}}', "limits.address_connections: "),
    ('{"state": ""}', "state: must be the path of a directory"),
    ('{"metrics": {"top": 5, "top": 6}}', "metrics.top"),
])
def test_config_errors(own_fleet, text, says):
    """The daemon does not start; --check-config says the same, and ends."""
    for args in ((), ("--check-config",)):
        f = feed_support.Feed(own_fleet, *args, config=text, listen=None)
        log = f.fails_to_start(2)
        assert says in log
        assert log.startswith("weir-feed: ")


def test_all_config_errors_at_once(own_fleet):
    f = feed_support.Feed(own_fleet, config={"a": 1, "hosts": 2, "tls": 3})
    log = f.fails_to_start(2)
    assert log.count("weir-feed: ") == 3


def test_config_is_checked(own_fleet):
    f = feed_support.Feed(own_fleet, "--check-config", config={})
    f.spawn()
    assert f.end() == 0
    assert f.lines == ["(end of log)"]


@pytest.mark.parametrize("args, says", [
    (["--nothing"], "unknown option"),
    (["--state"], "unknown option, or one without its value"),
    (["one"], "'one' is one word too many"),
    (["--listen", "x"], "'x' is no address"),
    (["--config", "/nonexistent/feed.json"], "/nonexistent/feed.json"),
    (["--state", ""], "--state takes a path"),
])
def test_usage_errors(own_fleet, args, says):
    f = feed_support.Feed(own_fleet, *args, listen=None)
    log = f.fails_to_start(3 if "nonexistent" in says else 2)
    assert says in log


def test_state_that_is_not_there(own_fleet):
    """Nothing to read yet is no reason not to run: it may come."""
    state = own_fleet.root / "later"
    f = feed_support.Feed(own_fleet, "--state", state)
    with f:
        assert f.ok(HEALTH)["broker"]["state"] in ("never_ran", "unknown")
