# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed, run as the user weir-feed beside a fleet, is asked over HTTP
by scripts that know it, and by those who would like it to fall.
Question: does it answer what it is asked, and refuse what it must with words
that say why? Expected: yes.
"""

import itertools
import socket

import pytest

import feed_support
import harness
from feed_support import HEALTH, LOCAL, Reply, ends, rss, talk


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
