# SPDX-License-Identifier: Apache-2.0
"""
Scenario: requests with a token come to weir-feed, over TLS and without it: at
once, in many pieces, with an error, or never to their end.

Question: who reads weir-feed's memory later, does he find the token?

Expected: no, neither whole nor in part. That a search of the memory would find
it is shown by a search while it is there.
"""

import pathlib

import pytest

import feed_support
import harness
from harness import eventually

PROGRAM = harness.BUILD / "bin" / "weir-feed"
pytestmark = pytest.mark.skipif(
    b"__asan_init" in pathlib.Path(PROGRAM).read_bytes(),
    reason="a sanitizer keeps what was freed")

PIECES = 40
"""Of 100 bytes: a buffer for all of them has grown several times."""


@pytest.fixture(params=["plain", "tls"])
def feed(request, own_fleet):
    config = {"loopback_needs_token": True}
    if request.param == "tls":
        config["tls"] = feed_support.tls(own_fleet)
    with feed_support.Feed(own_fleet, config=config) as f:
        if request.param == "tls":
            f.trust()
        yield f


class Request:
    """A request with a token, whose head has not come to its end."""

    def __init__(self, feed):
        self.pid = feed.process.pid
        self.token = feed.fleet.weir("token", "add", "reader").strip().encode()
        self.socket = feed.raw()
        self.send(b"GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\n"
                  b"Authorization: Bearer " + self.token + b"\r\n")
        self.awaits(self.token)

    def send(self, data):
        self.socket.sendall(data)

    def awaits(self, data):
        eventually("weir-feed has read it",
                   lambda: data in harness.memory_of(self.pid))

    def status(self):
        return self.socket.recv(12)[9:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def is_gone(self):
        # Its first and its last bytes are where an allocator writes.
        part = self.token[12:32]
        eventually("no part of the token is there",
                   lambda: part not in harness.memory_of(self.pid))


def test_answered(feed):
    with Request(feed) as r:
        r.send(b"\r\n")
        assert r.status() == b"200"
        r.is_gone()  # The connection is there still.
    r.is_gone()


def test_in_pieces(feed):
    with Request(feed) as r:
        for i in range(PIECES):
            r.send(b"X-Piece: %091d\r\n" % i)
            r.awaits(b"X-Piece: %091d" % i)
        r.send(b"\r\n")
        assert r.status() == b"200"
        r.is_gone()


def test_refused(feed):
    with Request(feed) as r:
        r.send(b"no header\r\n\r\n")
        assert r.status() == b"400"
    r.is_gone()


def test_never_ended(feed):
    with Request(feed) as r:
        pass
    r.is_gone()
