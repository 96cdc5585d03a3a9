# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed beside a fleet has clients that are slow, never read, flood
it, and come by thousands.
Question: does it end or refuse those, and serve everybody else meanwhile?
Expected: yes, in bounded memory.
"""

import contextlib
import os
import resource
import select
import socket
import threading
import time

import pytest

import feed_support
import harness
from feed_support import HEALTH, LOCAL, Reply, rss, talk


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
