# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed is started, stopped, killed and begun anew, beside a broker
that comes and goes, with a configuration that is right or wrong.
Question: does it go on where it was, end as it is asked, and say what is wrong
before it begins? Expected: yes.
"""

import contextlib
import fcntl
import http.client
import itertools
import json
import signal
import socket
import threading
import time

import pytest

import feed_support
import harness
from feed_support import HEALTH, LOCAL, Reply, ends, talk


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
    with feed_support.Feed(own_fleet) as f:
        for end in (f.stop, f.stop, f.stop, f.kill):
            port = f.port
            with talk(f) as (s, stream):
                s.sendall(b"GET /api/v1/health HTTP/1.1\r\n"
                          b"Connection: close\r\n" + LOCAL + b"\r\n")
                assert Reply(stream).status == 200
                assert ends(stream)
            end()
            f.start()
            assert f.port == port
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
