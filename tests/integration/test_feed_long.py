# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a fleet of twenty thousand devices; many clients ask weir-feed for long
answers at once, and read slowly or not at all.

Question: are such answers bounded in number, of one address and in all? Is who
asks for something short served meanwhile, and everybody when they are gone?

Expected: 48 in all, 16 of one address beyond loopback; the next one is told to
come again (503). Health answers all the while.
"""

import contextlib
import json
import socket

import pytest

import feed_support
import harness
from harness import eventually

LONG, OF_ADDRESS = 48, 16
DEVICES = 20000
PAGE = "/api/v1/devices?limit=1000"
POLICY = {"version": 1,
          "classes": {"meter": {"publish": ["m/${device}"]}}}


@pytest.fixture(scope="module")
def large():
    """A fleet with many devices, and a token that reads."""
    fleet = harness.Fleet(POLICY)
    fleet.run("device", "import", "-", stdin="".join(
        json.dumps({"id": f"m-{i:05}", "class": "meter"}) + "\n"
        for i in range(DEVICES))).check_returncode()
    yield fleet, fleet.weir("token", "add", "reader").strip()
    fleet.remove()


def own_address():
    """One of this machine beyond loopback; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.99", 9))  # sends nothing
        except OSError:
            return None
        return s.getsockname()[0]


class Deaf:
    """Clients that ask for page after page and read nothing."""

    def __init__(self, feed, n, token=None):
        ask = f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\n"
        if token is not None:
            ask += f"Authorization: Bearer {token}\r\n"
        self.stack = contextlib.ExitStack()
        for _ in range(n):
            s = self.stack.enter_context(feed.raw(receive=8192))
            s.sendall((ask + "\r\n").encode() * 30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


def check(feed, n, token=None):
    """With N deaf clients there is no room, and all else goes on; without them
    there is."""
    def asked():
        return feed.get(PAGE, token=token)
    assert asked().status == 200
    with Deaf(feed, n, token):
        got = eventually("there is no room",
                         lambda: (lambda a: a if a.status == 503 else None)(
                             asked()))
        assert got.headers["Retry-After"] == "1"
        assert f"{LONG} long answers" in got.json()["detail"]
        for path in ("/api/v1/health", "/api/v1/devices/m-00007",
                     "/api/v1/findings"):
            assert feed.get(path, token=token).status == 200
        for _ in range(20):
            assert asked().status == 503
    eventually("there is room again", lambda: asked().status == 200)


def test_in_all(large):
    fleet, _ = large
    with feed_support.Feed(fleet) as feed:
        check(feed, 2 * LONG)


def test_of_one_address(large):
    """Who is far away cannot take all there is."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    fleet, token = large
    config = {"tls": feed_support.tls(fleet), "hosts": [address]}
    with feed_support.Feed(fleet, config=config,
                           listen="0.0.0.0:0").trust() as feed:
        # The certificate is that of localhost.
        feed.tls.check_hostname = False
        feed.host = address
        check(feed, 2 * OF_ADDRESS, token)
        with Deaf(feed, 2 * OF_ADDRESS, token):
            eventually("no room for that address",
                       lambda: feed.get(PAGE, token=token).status == 503)
            feed.host = "127.0.0.1"
            assert feed.get(PAGE, token=token).status == 200
