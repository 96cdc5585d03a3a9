# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a real broker with devices that publish, receive and are refused;
weir-feed beside it; Debian's Prometheus scrapes it each second, evaluates the
shipped rules, and is asked what it has seen. The broker is restarted, its meter
is begun anew, and one is written by somebody hostile.

Question: are Prometheus' numbers those of weir usage? Do rates and resets come
out right over a restart? Do the last minute's devices add up to the classes?
Does every query of the shipped dashboard and every rule run? Can a name in the
meter inject anything?

Expected: equal numbers; no reset by a restart, one by a fresh meter; a sum
without a gap; 12 healthy rules; names that no class or device can have under
_other, and a page that promtool accepts.
"""

import json
import re
import shutil
import struct
import time

import pytest

from feed_support import USER, Feed, account
from harness import REPO, Broker, eventually
from prometheus import SHIPPED, Prometheus, promtool

MINUTE_S = 100
"""How long it takes at most for a minute of the clock to come, or to end."""

COUNTERS = {
    ("weir_messages_total", "in"): "messages_in",
    ("weir_messages_total", "queued"): "messages_queued",
    ("weir_messages_total", "sent"): "messages_sent",
    ("weir_payload_bytes_total", "in"): "payload_bytes_in",
    ("weir_payload_bytes_total", "queued"): "payload_bytes_queued",
    ("weir_payload_bytes_total", "sent"): "payload_bytes_sent",
    ("weir_mqtt_bytes_total", "in"): "mqtt_bytes_in",
    ("weir_mqtt_bytes_total", "queued"): "mqtt_bytes_queued",
    ("weir_mqtt_bytes_total", "sent"): "mqtt_bytes_sent",
    ("weir_wire_bytes_total", "in"): "wire_bytes_in",
    ("weir_wire_bytes_total", "out"): "wire_bytes_out",
    ("weir_wills_total", None): "wills",
    ("weir_refused_publish_bytes_total", None): "refused_publish_bytes",
    ("weir_observed_total", None): "observed",
    ("weir_connects_total", None): "connects",
    ("weir_disconnects_total", None): "disconnects",
    ("weir_takeovers_total", None): "takeovers",
    ("weir_connected_seconds_total", None): "connected_s",
}
REFUSED = {"connect": "refused_connects", "publish": "refused_publishes",
           "subscribe": "refused_subscribes", "receive": "refused_deliveries"}

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (-?[0-9.]+)$")


def page(feed):
    """The page of metrics: {(name, labels as a sorted tuple): value}."""
    got = feed.get("/metrics")
    assert got.status == 200, got.text
    assert got.headers["Content-Type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    out = {}
    for line in got.text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        pairs = re.findall(r'([a-z]+)="([^"]*)"', labels or "")
        key = name, tuple(sorted(pairs))
        assert key not in out, line
        out[key] = float(value)
    return out


def series(name, **labels):
    return name, tuple(sorted((k.rstrip("_"), v) for k, v in labels.items()
                              if v is not None))


def total(told, name, **labels):
    want = set(labels.items())
    return sum(v for (n, pairs), v in told.items()
               if n == name and want <= set(pairs))


def usage(fleet, cls):
    return fleet.json("usage", "--class", cls)


@pytest.fixture(scope="module")
def prometheus(broker, feed):
    with Prometheus(feed) as p:
        yield p


def told_by(told, cls):
    """The counters of a class, as weir usage names them, out of TOLD."""
    got = {name: told.get(series(family, direction=direction, class_=cls))
           for (family, direction), name in COUNTERS.items()}
    got.update({name: told.get(series("weir_refused_requests_total",
                                      action=action, class_=cls))
                for action, name in REFUSED.items()})
    return got


def same_as_usage(fleet, told, cls):
    """True when the class' counters are those of weir usage, before and
    after TOLD was asked for."""
    def ours():
        got = usage(fleet, cls)
        return {k: got[k] for k in (*COUNTERS.values(), *REFUSED.values())}
    before = ours()
    got = told_by(told(), cls)
    return before == got == ours()


# ---------------------------------------------------------------------- counters

def test_counters_are_those_of_usage(fleet, broker, feed, prometheus, wire):
    meter, backend = fleet.device("meter"), fleet.device("backend")
    m = wire(broker, meter).admitted()
    b = wire(broker, backend, 5).admitted()
    assert b.subscribe(f"m/{meter}/up") == 0
    for n in range(20):
        m.publish(f"m/{meter}/up", b"p" * n, qos=1)
    for _ in range(3):
        m.publish("m/other/up", qos=1)
    assert m.subscribe("#") == 0x80
    b.until(f"m/{meter}/up", b"p" * 19)
    m.close()
    for cls in ("meter", "backend"):
        eventually(f"the page's numbers of {cls} are those of weir usage",
                   lambda: same_as_usage(fleet, lambda: page(feed), cls))
    told = page(feed)
    assert told[series("weir_refusals_total", action="publish", class_="meter",
                       reason="no_rule")] == 3
    assert told[series("weir_refusals_total", action="subscribe",
                       class_="meter", reason="filter_too_wide")] == 1
    assert total(told, "weir_refusals_total") == \
        total(told, "weir_refused_requests_total")
    assert told[series("weir_connections")] == 1
    # Devices are counted each second.
    eventually("one device is connected", lambda: [
        page(feed)[series("weir_connected_devices", class_=c)]
        for c in ("backend", "meter")] == [1, 0])

    # And what Prometheus makes of it, a scrape later.
    def scraped():
        return {(name, labels): v for name in
                {n for n, _ in COUNTERS} | {"weir_refused_requests_total"}
                for labels, v in prometheus.query(name).items()}
    for cls in ("meter", "backend"):
        eventually(f"Prometheus' numbers of {cls} are those of weir usage",
                   lambda: same_as_usage(fleet, scraped, cls))
    status = fleet.status()["broker"]
    assert prometheus.value("weir_policy_revision") == \
        status["policy_revision"]
    assert prometheus.value("weir_applied_change") == status["applied_change"]
    assert prometheus.value("weir_broker_up") == 1
    assert prometheus.value("weir_broker_heartbeat_age_seconds") <= 5


def test_rate(fleet, broker, prometheus, wire):
    """A device's messages are a rate, and the class' rate is all of it."""
    d = fleet.device("sensor")
    w = wire(broker, d).admitted()
    # There must be a first sample to grow from.
    eventually("the class is scraped", lambda: prometheus.value(
        'weir_messages_total{class="sensor",direction="in"}') == 0)
    expr = 'increase(weir_messages_total{class="sensor",direction="in"}[1m])'

    def grows():
        w.publish(f"s/{d}/up", b"x")
        return prometheus.value(expr) or 0
    eventually("messages are an increase", lambda: grows() > 5)
    assert prometheus.value(
        'sum(rate(weir_messages_total{direction="in"}[1m])) >= '
        'sum(rate(weir_messages_total{class="sensor",direction="in"}[1m]))'
    ) > 0


def test_page(fleet, broker, feed):
    """promtool finds nothing to say; nothing but GET is served, and no
    argument taken."""
    done = promtool("check", "metrics", stdin=feed.get("/metrics").text)
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    assert feed.post("/metrics").status == 405
    assert "since" in feed.get("/metrics?since=1").detail()
    head = feed.ask("HEAD", "/metrics")
    assert head.status == 200 and head.body == b""
    told = page(feed)
    assert told[series("weir_meter_up")] == 1
    assert told[series("process_resident_memory_bytes")] < 200e6
    assert told[series("weir_feed_clients", kind="http")] >= 1
    assert told[series("weir_feed_scrape_seconds")] < 1


def test_certificates(own_fleet):
    """As weir cert list --expires-within counts them."""
    for days in (3, 5, 20, 300):
        own_fleet.device("meter", cert=("--days", str(days)))
    revoked = own_fleet.device("meter", cert=("--days", "4"))
    own_fleet.weir("cert", "revoke", revoked.id)
    with Feed(own_fleet) as feed:
        told = eventually(
            "the certificates are counted",
            lambda: (lambda p: p if series("weir_credentials_active") in p
                     else None)(page(feed)))
        assert told[series("weir_credentials_active")] == 4
        assert told[series("weir_credentials_expired")] == 0
        for within, n in (("7d", 2), ("30d", 3)):
            listed = own_fleet.weir("--json", "cert", "list",
                                    "--expires-within", within).splitlines()
            assert told[series("weir_credentials_expiring",
                               within=within)] == len(listed) == n
        assert told[series("weir_registry_up")] == 1


def test_configured_devices(own_fleet, own_broker, wire):
    d, other = own_fleet.device("meter"), own_fleet.device("meter")
    with Feed(own_fleet, config={"metrics": {"devices": [d.id]}}) as feed:
        assert page(feed)[series("weir_device_connects_total",
                                 device=d.id)] == 0
        for x in (d, other):
            w = wire(own_broker, x).admitted()
            w.publish(f"m/{x}/up", b"12345")
            w.publish("m/nobody/up", b"1")

        def told():
            got = page(feed)
            return got if got[series("weir_device_refused_requests_total",
                                     device=d.id,
                                     action="publish")] == 1 else None
        got = eventually("the device is counted", told)
        assert got[series("weir_device_messages_total", device=d.id,
                          direction="in")] == 1
        assert got[series("weir_device_payload_bytes_total", device=d.id,
                          direction="in")] == 5
        assert got[series("weir_device_refusals_total", device=d.id,
                          reason="no_rule")] == 1
        assert got[series("weir_device_connections", device=d.id)] == 1
        assert not [k for k in got if ("device", other.id) in k[1]
                    and k[0].startswith("weir_device_")]


def test_over_tls_with_a_token(own_fleet):
    """As the example of a scrape says for a feed on another machine."""
    def readable(path):
        copy = own_fleet.root / f"feed-{path.name}"
        shutil.copy(path, copy)
        shutil.chown(copy, USER)
        copy.chmod(0o400)
        return str(copy)
    account()
    token = own_fleet.weir("token", "add", "prometheus")
    config = {"loopback_needs_token": True, "tls": {
        "cert": readable(own_fleet.root / "server" / "server.crt"),
        "key": readable(own_fleet.server_key)}}
    with Feed(own_fleet, config=config) as feed, \
            Prometheus(feed.trust(), token) as prometheus:
        assert feed.get("/metrics").status == 401
        assert prometheus.value("weir_registry_up") == 1
        own_fleet.weir("token", "revoke", "prometheus")
        eventually("a revoked token scrapes no more",
                   lambda: prometheus.value("up") == 0)


# ------------------------------------------------------------------- last minute

def test_last_minute_adds_up(own_fleet, own_broker, wire):
    """More devices than are named: they and the others are the classes'
    growth of that minute, to the byte."""
    devices = [own_fleet.device("meter") for _ in range(5)]
    wires = [wire(own_broker, d).admitted() for d in devices]
    with Feed(own_fleet, config={"metrics": {"top": 3}}) as feed:
        # Early in a minute of the clock that the feed saw beginning.
        started = time.time() // 60
        eventually("a minute begins", lambda: time.time() // 60 > started and
                   5 < time.time() % 60 < 30, MINUTE_S)
        minute = time.time() // 60 * 60
        before = usage(own_fleet, "meter")
        for i, w in enumerate(wires):
            for _ in range(i + 1):
                w.publish(f"m/{devices[i]}/up", b"p" * 1000 * (i + 1))
            w.publish("m/nobody/up", b"1")
        begin = series("weir_last_minute_start_timestamp_seconds")
        told = eventually(
            "that minute is told of",
            lambda: (lambda p: p if p.get(begin) == minute else None)(
                page(feed)), MINUTE_S)
        after = usage(own_fleet, "meter")
    grew = {k: after[k] - before[k] for k in after
            if isinstance(after[k], int)}
    assert grew["messages_in"] == 1 + 2 + 3 + 4 + 5
    for (family, direction), name in COUNTERS.items():
        minute = family.replace("weir_", "weir_last_minute_")[:-len("_total")]
        if direction is not None:
            assert total(told, minute, direction=direction) == grew[name], name
    assert total(told, "weir_last_minute_refused_requests") == 5
    named = {dict(k[1])["device"] for k in told
             if k[0] == "weir_last_minute_wire_bytes"}
    assert named == {"_other", *(d.id for d in devices[2:])}
    assert told[series("weir_last_minute_active_devices")] == 5
    assert told[series("weir_last_minute_messages", device="_other", class_="",
                       direction="in")] == 1 + 2
    assert 50 < told[series("weir_last_minute_seconds")] < 70


# ----------------------------------------------------------------- broker's ends

def test_restart_and_fresh_meter(own_fleet, wire):
    connects = 'weir_connects_total{class="meter"}'
    d = own_fleet.device("meter")
    with Broker(own_fleet) as broker, Feed(own_fleet) as feed, \
            Prometheus(feed) as prometheus:
        def connect(n):
            for _ in range(n):
                wire(broker, d).admitted().close()

        def scraped(n):
            eventually(f"{n} connects are scraped",
                       lambda: prometheus.value(connects) == n)
        connect(1)
        scraped(1)
        connect(4)
        scraped(5)
        # A restart goes on with the meter.
        broker.stop()
        eventually("that the broker is gone is scraped",
                   lambda: prometheus.value("weir_broker_up") == 0)
        assert prometheus.value(connects) == 5
        assert prometheus.value("weir_connections") == 0
        broker.start()
        connect(2)
        scraped(7)
        assert prometheus.value(f"resets({connects}[10m])") == 0
        # A fresh one begins again: a reset, as Prometheus knows it.
        broker.stop()
        (own_fleet.state / "meter" / "meter.seg").unlink()
        eventually("that there is no meter is scraped",
                   lambda: prometheus.value("weir_meter_up") == 0)
        assert prometheus.value(connects) is None
        broker.start()
        connect(3)
        scraped(3)
        assert prometheus.value(f"resets({connects}[10m])") == 1
        # The feed ends, and comes back.
        feed.kill()
        eventually("that the feed is gone is scraped",
                   lambda: prometheus.value("up") == 0)
        feed.start()
        scraped(3)


def poke(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def test_hostile_names(own_fleet, wire):
    """The broker's user can write the meter: what no name can be is not told
    by name, and nothing else is touched by it."""
    d = own_fleet.device("meter", id="m-1")
    bad = own_fleet.device("sensor")
    with Broker(own_fleet) as broker:
        for x in (d, bad):
            wire(broker, x).admitted().publish(f"{x.id[0]}/{x}/up")
        broker.stop()
    path = own_fleet.state / "meter" / "meter.seg"
    data = path.read_bytes()
    # docs/METER.md: classes are at 0x110000, 1,272 bytes each.
    names = [data[0x110000 + 1272 * i:][:64].rstrip(b"\0") for i in range(64)]
    at = 0x110000 + 1272 * names.index(b"sensor")
    evil = b'x"} 1\nweir_connects_total{class="meter'
    poke(path, at, evil.ljust(64, b"\0") + struct.pack("<I", len(evil)))
    with Feed(own_fleet) as feed, Prometheus(feed) as prometheus:
        text = feed.get("/metrics").text
        done = promtool("check", "metrics", stdin=text)
        assert done.returncode == 0, done.stderr
        told = page(feed)
        assert told[series("weir_connects_total", class_="meter")] == 1
        assert told[series("weir_connects_total", class_="_other")] == 1
        assert "x" not in {dict(k[1]).get("class") for k in told}
        eventually("it is scraped", lambda: prometheus.value(
            'weir_connects_total{class="_other"}') == 1)
        assert prometheus.value('weir_connects_total{class="meter"}') == 1
        assert prometheus.value("up") == 1


# --------------------------------------------------- what is shipped for ops

def test_rules():
    rules = SHIPPED / "weir.rules.yml"
    assert promtool("check", "rules", rules).returncode == 0
    assert promtool("check", "config", SHIPPED / "prometheus.yml").returncode \
        == 0
    done = promtool("test", "rules", REPO / "tests" / "table" / "prometheus"
                    / "weir.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_evaluated(prometheus):
    def evaluated():
        groups = prometheus.api("rules")["groups"]
        rules = [r for g in groups for r in g["rules"]]
        return rules if all(r["health"] == "ok" for r in rules) else None
    rules = eventually("all rules are healthy", evaluated)
    assert len(rules) == 12
    # With a broker, a feed and a registry that are well, none of them fires.
    assert {r["name"] for r in rules if r["state"] == "firing"} == set()
    for r in rules:
        assert r["annotations"]["summary"] and r["annotations"]["runbook"]


def test_rules_name_what_there_is(broker, feed):
    """Each metric that rules and dashboard ask for is on a page, or is one
    that its condition puts there."""
    asked = set()
    for file in ("weir.rules.yml", "weir.dashboard.json"):
        asked |= set(re.findall(r"\b(?:weir|process)_[a-z_]+\b",
                                (SHIPPED / file).read_text()))
    there = set(re.findall(r"^# TYPE (\S+)", feed.get("/metrics").text,
                           re.MULTILINE))
    source = (REPO / "feed" / "scrape.h").read_text() + \
        (REPO / "feed" / "metrics_text.c").read_text()
    for name in asked - there:
        stem = name.removeprefix("weir_last_minute_")
        assert re.search(rf"\b({name}|X\({stem},)", source) or \
            f"X({stem}," in source, name


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for a in dashboard["annotations"]["list"]:
        yield a["name"], a["expr"]


def test_dashboard(fleet, broker, feed, prometheus, wire):
    """Each query runs, and gives something where there is something."""
    dashboard = json.loads((SHIPPED / "weir.dashboard.json").read_text())
    ids = [p["id"] for p in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    d = fleet.device("meter")
    w = wire(broker, d).admitted()
    w.publish(f"m/{d}/up")
    w.publish("m/nobody/up")
    eventually("two scrapes of refusals", lambda: (prometheus.value(
        'count(count_over_time(weir_refusals_total{class="meter",'
        'reason="no_rule"}[1m]) > 1)') or 0) > 0)
    # Of these there is nothing before a full minute, a history, or a change of
    # the policy.
    may_be_empty = {"Devices with the most bytes in the last full minute",
                    "Of these, requests refused in the last full minute",
                    "Devices unlike their class", "weir-feed itself", "Policy"}
    for title, expr in expressions(dashboard):
        for name, value in (("$job", "weir"), ("$instance", prometheus.target),
                            ("$__rate_interval", "1m")):
            expr = expr.replace(name, value)
        assert "$" not in expr, (title, expr)
        got = prometheus.query(expr)
        assert got or title in may_be_empty, (title, expr)
