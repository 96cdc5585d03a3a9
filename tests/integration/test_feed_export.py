# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a pipeline takes the history from weir-feed, events and usage, in
exports that are cut: the feed is killed (SIGKILL) while it answers, at random
moments, and while devices go on; or the reader goes away.

Question: is what the pipeline has in the end all that happened, each once, and
are its sums what the meter has counted?

Expected: yes: behind the last whole line that it has, the next export goes on.
An export that was cut has no line that says it is whole.
"""

import json
import os
import random
import re
import signal
import socket
import time

import pytest

from feed_support import Feed
from harness import eventually

KILLS = int(os.environ.get("WEIR_KILLS", "20"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))


class Pipeline:
    """What takes an export of PATH, and keeps what it got."""

    def __init__(self, path):
        self.path, self.lines, self.whole = path, [], 0

    def target(self):
        cursor = next((x["cursor"] for x in reversed(self.lines)), None)
        return self.path + (
            f"{'&' if '?' in self.path else '?'}cursor={cursor}"
            if cursor else "")

    def take(self, body):
        """All whole lines; a cut one is dropped. True: it was whole."""
        for line in body.split(b"\n")[:-1]:
            line = json.loads(line)
            if "end" in line:
                last = self.lines[-1]["cursor"] if self.lines else None
                assert line["cursor"] == last
                self.whole += 1
                return True
            self.lines.append(line)
        return False


def unchunked(data):
    """The body of an answer that may have been cut anywhere."""
    head, _, rest = data.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return rest
    out = b""
    while True:
        size, sep, rest = rest.partition(b"\r\n")
        if not sep or not size:
            return out
        n = int(size, 16)
        out += rest[:n]
        if len(rest) < n + 2:
            return out
        rest = rest[n + 2:]


def read_and_kill(feed, target, rng):
    """Asks for TARGET, reads some of it, kills the feed, and returns what had
    come by then."""
    with feed.raw() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        data, want = b"", rng.choice([0, 1, 100, 5000, 40000, 10**9])
        time.sleep(rng.uniform(0, 0.004))
        s.settimeout(0.2)
        try:
            while len(data) < want:
                more = s.recv(min(4096, want - len(data)))
                if not more:
                    break
                data += more
        except TimeoutError:
            pass
        feed.process.send_signal(signal.SIGKILL)
        try:
            while True:
                more = s.recv(65536)
                if not more:
                    break
                data += more
        except (ConnectionError, TimeoutError):
            pass
    feed.process.wait()
    feed.reader.join()
    feed.process = None
    return unchunked(data)


def come_and_go(fleet, broker, wire, devices, n):
    for i in range(n):
        d = devices[i % len(devices)]
        w = wire(broker, d).admitted()
        w.publish("refused/" + "x" * (i % 50))
        w.ping()
        w.close()


def test_events_over_kills(own_fleet, own_broker, wire, capsys):
    """Of many pipelines, each goes on from another place and is cut by a kill;
    what each has is the beginning of what one that was never cut has."""
    fleet, broker = own_fleet, own_broker
    rng = random.Random(SEED)
    with capsys.disabled():
        print(f"\n    {KILLS} kills, WEIR_SEED={SEED}")
    devices = [fleet.device("meter") for _ in range(4)]
    path, parts, cut = "/api/v1/export/events", [], 0
    come_and_go(fleet, broker, wire, devices, 400)
    feed = Feed(fleet).start()
    try:
        have = Pipeline(path)
        eventually("most events", lambda: have.take(
            feed.get(have.target()).body) and len(have.lines) >= 800, 10)
        for _ in range(KILLS):
            come_and_go(fleet, broker, wire, devices, 3)
            p = Pipeline(path)
            p.lines = have.lines[:rng.randrange(len(have.lines))]
            parts.append(p)
            cut += not p.take(read_and_kill(feed, p.target(), rng))
            feed.start()

        def all_there():
            """Each connect that the meter counted has its event."""
            assert have.take(feed.get(have.target()).body)
            counted = {d.id: fleet.json("usage", d)["connects"]
                       for d in devices}
            got = {d.id: sum(x["type"] == "connect" and x["device"] == d.id
                             for x in have.lines) for d in devices}
            assert all(got[d] <= counted[d] for d in got)
            return got == counted
        eventually("all events", all_there, 10)
        for p in parts:
            assert p.lines == have.lines[:len(p.lines)]
            assert p.take(feed.get(p.target()).body)
            assert p.lines == have.lines
        assert not [x for x in have.lines if x["type"] == "lost"]
        assert KILLS // 10 < cut, f"only {cut} of {KILLS} were cut"
    finally:
        feed.close()


def test_usage_over_kills(own_fleet, own_broker, wire, capsys):
    """Minutes, of which the pipeline has each once, and whose sums are what
    the meter has counted."""
    fleet, broker = own_fleet, own_broker
    rng = random.Random(SEED)
    devices = [fleet.device("worker") for _ in range(40)]
    feed = Feed(fleet).start()
    try:
        for i, d in enumerate(devices):
            w = wire(broker, d).admitted()
            for _ in range(i % 5 + 1):
                w.publish(f"w/{d}/x", b"x" * i)
            w.publish("refused")
            w.ping()
            w.close()

        def quiet():
            return [fleet.json("usage", d) for d in devices]
        eventually("all is counted", lambda: sum(
            x["disconnects"] for x in quiet()) == len(devices))
        counted = {x["device"]: x for x in quiet()}
        done_s = time.time()
        eventually("its minute is told", lambda: (feed.ok(
            "/api/v1/health")["history"]["told_s"] or 0) > done_s, 100)
        p = Pipeline("/api/v1/export/usage")
        for _ in range(KILLS // 4):
            p.take(read_and_kill(feed, p.target(), rng))
            feed.start()
        while not p.take(feed.get(p.target()).body):
            pass
        keys = [(x["from_s"], x["device"]) for x in p.lines]
        assert keys and len(keys) == len(set(keys))
        for d in devices:
            check_sums(feed, counted[d.id], [
                x for x in p.lines if x["device"] == d.id])
        check_class(feed, fleet)
        check_top(feed, devices, counted)
    finally:
        feed.close()


def names(counted):
    return counted["class_median"].keys()


def check_sums(feed, counted, lines):
    """Of one device: the export's lines, the sum and the series are what the
    meter has."""
    told = [feed.ok(f"/api/v1/devices/{counted['device']}/usage?{by}")["rows"]
            for by in ("", "by=minute", "by=hour", "since=0&by=day")]
    for name in names(counted):
        want = counted[name]
        assert sum(x.get(name, 0) for x in lines) == want, name
        for rows in told:
            assert sum(x[name] for x in rows) == want, name
    assert len(told[0]) == 1 and told[0][0]["class"] == counted["class"]


def check_class(feed, fleet):
    want = fleet.json("usage", "--class", "worker")
    told = feed.ok("/api/v1/classes/worker/usage")["rows"]
    for name in ("messages_in", "payload_bytes_in", "wire_bytes_in",
                 "refused_publishes", "connects"):
        assert sum(x[name] for x in told) == want[name], name


def check_top(feed, devices, counted):
    rows = feed.ok("/api/v1/usage/top?since=1h&limit=7&sort=messages_in"
                   "&class=worker")["rows"]
    most = sorted((x["messages_in"] for x in counted.values()), reverse=True)
    assert [x["messages_in"] for x in rows] == most[:7]
    now = feed.ok("/api/v1/usage/top?limit=7&sort=messages_in&class=worker")
    assert [x["messages_in"] for x in now["devices"]] == most[:7]


def test_events_are_those_of_weir_tail(own_fleet, own_broker, wire):
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    with Feed(fleet) as feed:
        come_and_go(fleet, broker, wire, [d], 3)
        fleet.weir("suspend", d, "--wait", "20s")
        said = [json.loads(x) for x in fleet.weir(
            "--json", "tail", "--no-follow", "-n", "all").splitlines()]

        def same():
            got = feed.ok("/api/v1/events?order=asc&limit=1000")["events"]
            for x in got:
                assert re.fullmatch(r"[A-Za-z0-9_-]+", x.pop("cursor"))
            return got == said
        assert len(said) > 8
        eventually("the same events", same, 5)
        only = feed.ok(f"/api/v1/events?type=refusal&device={d}"
                       "&reason=no_rule&class=meter")["events"]
        assert len(only) == 3
        assert [x["t_ms"] for x in only] == sorted(
            (x["t_ms"] for x in only), reverse=True)


def test_followed_by_cursor(own_fleet, own_broker, wire):
    """Who asks behind the last event that he has gets what came since."""
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    with Feed(fleet) as feed:
        have, cursor = [], ""
        for n in range(4):
            come_and_go(fleet, broker, wire, [d], 1)

            def more():
                nonlocal cursor
                got = feed.ok("/api/v1/events?type=connect&order=asc"
                              + cursor)["events"]
                have.extend(got)
                if got:
                    cursor = "&cursor=" + got[-1]["cursor"]
                return len(have) == n + 1
            eventually("the next connect", more)
        assert len({x["cursor"] for x in have}) == 4


@pytest.mark.parametrize("target", ["events", "export/events", "export/usage"])
def test_reader_that_goes_away(own_fleet, target):
    """Is no failure, and costs nothing that stays."""
    with Feed(own_fleet) as feed:
        for _ in range(50):
            with feed.raw() as s:
                s.sendall(f"GET /api/v1/{target} HTTP/1.1\r\n"
                          "Host: localhost\r\n\r\n".encode())
        # More than may read the history at a time.
        eventually("others are served", lambda: feed.get(
            f"/api/v1/{target}").status == 200)
