# SPDX-License-Identifier: Apache-2.0
"""
Scenario: eight meters of one class beside a real broker; one sends a megabyte
and a half where the others send some bytes, another is refused a hundred times.

Question: does weir-feed find the two and nobody else, say what it goes by, tell
Prometheus, and do its answers follow the document?

Expected: yes, at the end of the minute in which it was.
"""

import json
import time

from feed_support import Feed
from harness import eventually
from test_feed_openapi import DOC, check

FINDINGS = "/api/v1/findings"
MINUTE_S = 100
SCHEMA = DOC["components"]["schemas"]["Findings"]


def found(feed, query=""):
    got = feed.get(FINDINGS + query)
    assert got.status == 200, got.text
    told = got.json()
    check(SCHEMA, told)
    return told


def test_found(own_fleet, own_broker, wire):
    devices = [own_fleet.device("meter") for _ in range(8)]
    wires = [wire(own_broker, d).admitted() for d in devices]
    loud, lost = devices[0], devices[1]
    with Feed(own_fleet, config={"findings": {"refusals": 90}}) as feed:
        fresh = found(feed)
        assert fresh["findings"] == [] and fresh["looked_s"] is None
        assert "weir_findings" not in feed.get("/metrics").text
        started = time.time() // 60
        eventually("a minute begins", lambda: time.time() // 60 > started and
                   3 < time.time() % 60 < 30, MINUTE_S)
        minute = time.time() // 60 * 60
        for d, w in zip(devices, wires):
            for _ in range(25 if d is loud else 3):
                w.publish(f"m/{d}/up", b"p" * (60000 if d is loud else 100))
            for _ in range(100 if d is lost else 80):
                w.publish("m/nobody/up", b"1", qos=0)
            w.ping()
        told = eventually(
            "that minute was looked at",
            lambda: (lambda t: t if t["looked_s"] == minute + 60 else None)(
                found(feed)), MINUTE_S)
        # All were refused much, as one has to be who is unlike the others.
        [one] = told["findings"]
        assert (one["device"], one["class"], one["kind"]) == \
            (loud.id, "meter", "traffic")
        now = own_fleet.json("usage", loud)
        assert 1_500_000 < one["amount"] <= \
            now["wire_bytes_in"] + now["wire_bytes_out"]
        assert one["limit"] == 1 << 20 and one["others"] == 7
        assert 0 < one["class_median"] < one["limit"] / 10
        assert one["since_s"] == one["last_s"] == told["looked_s"]
        assert one["ended_s"] is None and told["untold"] == 0
        page = feed.get("/metrics").text
        assert 'weir_findings{kind="traffic"} 1\n' in page
        assert 'weir_findings{kind="refusals"} 0\n' in page
        for query, n in (("?kind=traffic", 1), ("?kind=takeovers", 0),
                         ("?class=meter", 1), ("?class=other", 0),
                         (f"?device={loud}", 1), (f"?device={lost}", 0),
                         ("?state=all", 1), ("?state=ended", 0)):
            assert len(found(feed, query)["findings"]) == n, query
        line = json.loads(feed.await_log('"event":"finding"'))
        assert (line["device"], line["kind"], line["finding"]) == \
            (loud.id, "traffic", "begins")
