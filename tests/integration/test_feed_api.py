# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices connect, send, are refused, are quarantined; programs ask
weir-feed who they are and what they did, in pages, sorted and filtered, while
devices are added.

Question: is it what `weir … --json` says, is a list that is read page by page
complete, and is a request that makes no sense refused with words that name the
argument?

Expected: member for member the same; every device once; status 400 with the
argument in `place`, and 404 for what there is not.
"""

import threading
import urllib.parse

import pytest

import harness
from feed_support import Feed
from harness import Broker, Fleet, eventually
from policies import SHARED

ICCID = "89440100001983048"


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(SHARED, "--pen", "32473")
    yield f
    f.remove()


@pytest.fixture(scope="module")
def broker(fleet):
    with Broker(fleet) as b:
        yield b


@pytest.fixture(scope="module")
def many(fleet):
    """Registered and never there."""
    text = "id,class,attr.site\n" + "".join(
        f"idle-{n:03},sensor,s{n % 7}\n" for n in range(230))
    fleet.run("device", "import", "-", stdin=text).check_returncode()
    return [f"idle-{n:03}" for n in range(230)]


def path(base, **args):
    return "/api/v1/" + base + ("?" + urllib.parse.urlencode(args)
                                if args else "")


def usage_of(fleet, id):
    return fleet.json("usage", id)


def same_usage(feed, fleet, id):
    """What the feed and the command say of device ID, once they agree: the
    broker goes on counting."""
    def agree():
        told = feed.ok(path(f"devices/{id}"))
        return told["usage"] == usage_of(fleet, id) and told
    try:
        return eventually(f"the same of {id}", agree, 5)
    except AssertionError:
        assert feed.ok(path(f"devices/{id}"))["usage"] == usage_of(fleet, id)
        raise


def same_device(feed, fleet, id):
    """As same_usage, of the device itself: a connection may be ending."""
    def agree():
        told = feed.ok(path(f"devices/{id}"))
        return told["device"] == fleet.json("device", "show", id) and told
    return eventually(f"the same device {id}", agree, 5)


def pages(feed, base, key, **args):
    """All items of a list, page by page; at least PAGES of them."""
    out, cursor = [], None
    for n in range(1000):
        more = dict(args) if cursor is None else dict(args, cursor=cursor)
        told = feed.ok(path(base, **more))
        assert set(told) == {key, "next"}
        assert len(told[key]) <= int(args.get("limit", 100))
        out += told[key]
        cursor = told["next"]
        if cursor is None:
            return out
    raise AssertionError("it never ends")


def refused(feed, base, place, says="", **args):
    got = feed.get(path(base, **args))
    assert got.status == 400, got.text[:300]
    assert says in got.detail(), got.detail()
    told = got.json()
    assert told["type"] == "about:blank" and told["title"]
    assert told.get("place") == place, told
    return told


# ---------------------------------------------------------------------- devices


def test_device(feed, fleet, broker, wire):
    """A device with everything: identifiers, attributes, a refusal, two
    certificates, a connection."""
    d = fleet.device("meter", "--iccid", "8944500102198304826", "--attr",
                     "site=leeds", "--attr", "group=b", "--attr", "group=a")
    fleet.weir("cert", "issue", d, "--out", fleet.certs / "second")
    w = wire(broker, d).admitted()
    w.publish(f"m/{d}/up", b"x" * 100, qos=1)
    w.publish("m/other/\u00e9\u4e2d", b"x", qos=1)
    w.ping()
    told = same_usage(feed, fleet, d)
    assert told["device"] == fleet.json("device", "show", d)
    assert told["usage"]["messages_in"] == 1
    assert told["usage"]["refused_publishes"] == 1
    assert told["device"]["iccid"] == "8944500102198304826"
    assert told["device"]["attrs"] == {"site": ["leeds"], "group": ["b", "a"]}
    assert len(told["device"]["credentials"]) == 2
    fleet.weir("quarantine", d, "--reason", 'odd "\\ é', "--for", "2h")
    # Its connection is ended meanwhile.
    w.ended()
    told = same_device(feed, fleet, d)
    assert told["device"]["status_reason"] == 'odd "\\ é'
    assert told["device"]["status_until_s"] is not None


def test_device_that_was_never_there(feed, fleet, broker):
    d = fleet.device("meter", cert=None)
    told = feed.ok(path(f"devices/{d}"))
    assert told == {"device": fleet.json("device", "show", d),
                    "usage": usage_of(fleet, d)}
    assert told["usage"]["first_seen_s"] is None
    assert told["device"]["credentials"] == []


@pytest.mark.parametrize("id", ["nobody", "a%20b", "%C3%A9", "x" * 65])
def test_no_such_device(feed, id):
    got = feed.get(f"/api/v1/devices/{id}")
    assert got.status == 404
    assert "is not registered and the meter has never seen it" in got.detail()


def test_removed_device(feed, fleet):
    d = fleet.device("meter", cert=None)
    fleet.weir("device", "remove", d, "--yes")
    told = feed.ok(path(f"devices/{d}"))
    assert told["device"] == fleet.json("device", "show", d)
    assert told["device"]["status"] == "retired"


def test_medians(feed, fleet, broker, wire):
    """Over the devices of the class, as weir usage says."""
    devices = [fleet.device("worker") for _ in range(4)]
    for n, d in enumerate(devices):
        w = wire(broker, d).admitted()
        for _ in range(n * n):
            w.publish(f"w/{d}/x", b"x" * 10)
        w.ping()
    told = same_usage(feed, fleet, devices[0])
    assert told["usage"]["class_median"]["messages_in"] == 2


# ---------------------------------------------------------------------- the list


def test_list_by_id(feed, fleet, broker, many):
    fleet.device("meter", cert=None)
    want = [x for x in map(
        harness.json.loads,
        fleet.weir("--json", "device", "list").splitlines())]
    for limit in (7, 100, 1000):
        got = pages(feed, "devices", "devices", limit=limit)
        assert [x["device"] for x in got] == want
    got = pages(feed, "devices", "devices", order="desc", limit=50)
    assert [x["device"] for x in got] == want[::-1]
    for x in got[:5]:
        told = usage_of(fleet, x["device"]["id"])
        told.pop("class_median")
        assert x["usage"] == told


def test_list_filters(feed, fleet, broker, many, wire):
    fleet.weir("suspend", "idle-003", "idle-101")
    fleet.weir("quarantine", "idle-004")
    fleet.weir("suspend", "idle-005", "--for", "1s")
    d = fleet.device("sensor", id="idle-x")
    wire(broker, d).admitted().ping()

    def ids(**args):
        return [x["device"]["id"]
                for x in pages(feed, "devices", "devices", limit=9, **args)]

    eventually("its time is over", lambda: "idle-005" in ids(
        status="active", q="idle-005"))
    eventually("it is seen to be connected",
               lambda: ids(connected="true", q="idle-"), 5)
    assert ids(status="suspended") == ["idle-003", "idle-101"]
    assert ids(status="quarantined", q="idle-") == ["idle-004"]
    assert ids(q="idle-10") == [f"idle-{n}" for n in range(100, 110)]
    assert ids(q="idle-10", status="active") == [
        f"idle-{n}" for n in range(100, 110) if n != 101]
    assert ids(**{"class": "sensor"}, q="idle-22", order="desc") == [
        f"idle-{n}" for n in range(229, 219, -1)]
    assert ids(**{"class": "sensor"}, status="suspended") == [
        "idle-003", "idle-101"]
    assert ids(**{"class": "meter"}, q="idle-") == []
    assert ids(connected="true", **{"class": "sensor"}) == ["idle-x"]
    assert len(ids(connected="false", **{"class": "sensor"})) == 230
    assert ids(q="no-such") == []
    # By a counter: those that were ever there.
    assert ids(sort="connects", **{"class": "sensor"}) == ["idle-x"]
    assert ids(sort="connects", status="suspended") == []
    assert ids(sort="connects", status="active", q="idle-x",
               connected="true") == ["idle-x"]
    assert ids(sort="connects", q="idle-x", connected="false") == []


def test_list_by_counter(feed, fleet, broker, wire):
    """The order that weir usage --top has, in pages of any length."""
    devices = [fleet.device("worker") for _ in range(7)]
    for n, d in enumerate(devices):
        w = wire(broker, d).admitted()
        for _ in range(n % 4):
            w.publish(f"w/{d}/x", b"x" * 10)
        w.publish("refused")
        w.ping()
        w.close()

    def top(sort):
        return [x["device"] for x in map(
            harness.json.loads, fleet.weir(
                "--json", "usage", "--top", "1000", "--sort",
                sort).splitlines())]

    for sort in ("messages_in", "refused", "connects"):
        for limit in (2, 3, 1000):
            def same():
                want = top(sort)
                got = pages(feed, "devices", "devices", sort=sort, limit=limit)
                assert len(want) > 7
                return [x["usage"]["device"] for x in got] == want
            eventually(f"the same order by {sort}", same, 5)
    got = pages(feed, "devices", "devices", sort="messages_in", limit=3,
                order="asc", **{"class": "worker"})
    counts = [x["usage"]["messages_in"] for x in got]
    assert counts == sorted(counts) and len(counts) >= 7


def test_list_while_devices_are_added(feed, fleet, many):
    """Who was there before the first page is on one page, once."""
    before = {x["id"] for x in map(harness.json.loads, fleet.weir(
        "--json", "device", "list").splitlines())}
    stop, added = threading.Event(), []

    def add():
        while not stop.is_set():
            id = f"idle-{len(added) * 37 % 1000:03}-{len(added)}"
            assert fleet.run("device", "add", id, "--class", "sensor",
                             ).returncode == 0
            added.append(id)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for n in range(1000):
            order = ("asc", "desc")[n % 2]
            got = [x["device"]["id"] for x in pages(
                feed, "devices", "devices", limit=2 + n % 5, order=order)]
            assert len(got) == len(set(got))
            assert got == sorted(got, reverse=order == "desc")
            assert before <= set(got)
            if n >= 4 and len(added) > 20:
                break
    finally:
        stop.set()
        thread.join()
    assert len(added) > 20


@pytest.mark.parametrize("args, place, says", [
    ({"limit": 0}, "limit", "from 1 to 1000"),
    ({"limit": 1001}, "limit", "from 1 to 1000"),
    ({"limit": "ten"}, "limit", "whole number"),
    ({"limit": "-1"}, "limit", "whole number"),
    ({"limit": ""}, "limit", "whole number"),
    ({"status": "Active"}, "status", "none of: active, suspended"),
    ({"connected": "yes"}, "connected", "neither true nor false"),
    ({"q": "a b"}, "q", "no device id"),
    ({"q": ""}, "q", "no device id"),
    ({"class": "a:b"}, "class", "no class's name"),
    ({"class": ""}, "class", "no class's name"),
    ({"sort": "bytes"}, "sort", "no counter"),
    ({"sort": ""}, "sort", "no counter"),
    ({"order": "up"}, "order", "none of: asc, desc"),
    ({"cursor": ""}, "cursor", "no cursor of this list"),
    ({"cursor": "x"}, "cursor", "no cursor of this list"),
    ({"cursor": "A" * 200}, "cursor", "no cursor of this list"),
    ({"cursor": "\u00e9"}, "cursor", "no cursor of this list"),
    ({"nonsense": "1"}, "nonsense", ""),
])
def test_list_refuses(feed, args, place, says):
    refused(feed, "devices", place, says, **args)


def test_cursors_are_bound(feed, many):
    """One that was changed, cut, or given for another list, is refused."""
    args = {"limit": 5, "q": "idle-", "class": "sensor"}
    cursor = feed.ok(path("devices", **args))["next"]
    assert feed.ok(path("devices", cursor=cursor, **args))["devices"]
    # Another limit, another order of the arguments: the same list.
    assert feed.ok("/api/v1/devices?class=sensor&cursor=" + cursor
                   + "&q=idle-&limit=9")["devices"]
    for other in ({"q": "idle-0"}, {"class": "meter"}, {"sort": "wills"},
                  {"order": "desc"}, {"status": "active"},
                  {"connected": "false"}):
        refused(feed, "devices", "cursor", cursor=cursor, **dict(args, **other))
    for n in range(len(cursor)):
        refused(feed, "devices", "cursor", cursor=cursor[:n], **args)
        bad = "A" if cursor[n] != "A" else "B"
        refused(feed, "devices", "cursor",
                cursor=cursor[:n] + bad + cursor[n + 1:], **args)
    refused(feed, "devices", "cursor", cursor=cursor + "A", **args)
    refused(feed, "devices", "cursor", cursor=cursor + "=", **args)


def test_quarantine_by_the_feed(own_fleet):
    """Counts as one, in the list's filters too, as for weir device list."""
    for n in range(3):
        own_fleet.device("sensor", cert=None, id=f"idle-{n}")
    own_fleet.weir("quarantine", "idle-2")
    with Feed(own_fleet) as feed:
        token = own_fleet.json("token", "add", "ops", "--rights", "act")["token"]
        done = feed.post(path("devices/idle-1/quarantine"),
                         {"reason": "odd", "for_s": 600}, token=token)
        assert done.status == 200, done.text

        def same(**args):
            got = [x["device"] for x in pages(feed, "devices", "devices",
                                              limit=1, **args)]
            options = [x for k, v in args.items() for x in (f"--{k}", v)]
            assert got == [harness.json.loads(x) for x in own_fleet.weir(
                "--json", "device", "list", *options).splitlines()]
            return [x["id"] for x in got]

        assert same() == ["idle-0", "idle-1", "idle-2"]
        assert same(status="active") == ["idle-0"]
        assert same(status="quarantined") == ["idle-1", "idle-2"]
        assert same(**{"class": "sensor"}, status="quarantined") == [
            "idle-1", "idle-2"]
        told = feed.ok(path("devices/idle-1"))["device"]
        assert told == own_fleet.json("device", "show", "idle-1")
        assert told["feed_quarantine"]["reason"] == "odd"
        assert told["status"] == "active"
        assert feed.post(path("devices/idle-1/release"), {},
                         token=token).status == 200
        assert same(status="quarantined") == ["idle-2"]


# ---------------------------------------------------------------------- classes


def test_classes(feed, fleet, broker, wire):
    d = fleet.device("meter")
    w = wire(broker, d).admitted()
    w.publish(f"m/{d}/up", b"x")
    w.publish("m/other")
    w.ping()

    def said():
        return [harness.json.loads(x) for x in fleet.weir(
            "--json", "usage").splitlines()]

    def same():
        want = said()
        for x in want:
            x.pop("rules")
        return feed.ok(path("classes")) == {"classes": want}

    eventually("the same classes", same, 5)
    eventually("the same class", lambda: feed.ok(path("classes/meter"))
               == fleet.json("usage", "--class", "meter"), 5)
    assert feed.ok(path("classes/meter"))["rules"]


def test_class_that_was_never_there(feed, fleet, broker):
    fleet.device("strict", cert=None)
    assert feed.ok(path("classes/strict")) == fleet.json(
        "usage", "--class", "strict")


@pytest.mark.parametrize("name", ["nobody", "a:b", "%20", "x" * 65])
def test_no_such_class(feed, name):
    got = feed.get(f"/api/v1/classes/{name}")
    assert got.status == 404 and "class" in got.detail()


# ------------------------------------------------------------------------- all


PATHS = ["devices", "devices/idle-000", "classes", "classes/sensor",
         "openapi.json"]


@pytest.mark.parametrize("base", PATHS)
def test_every_path(feed, many, base):
    got = feed.ask("HEAD", path(base))
    assert got.status == 200 and got.body == b""
    assert got.headers["Content-Type"] == "application/json"
    refused(feed, base, "nonsense", nonsense=1)
    for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS"):
        got = feed.ask(method, path(base))
        assert got.status in (405, 501), (method, got.status)


@pytest.mark.parametrize("base", PATHS[:4])
def test_registry_that_cannot_be_read(own_fleet, base):
    """Says so, and goes on when it can be."""
    own_fleet.device("sensor", cert=None, id="idle-000")
    with Feed(own_fleet) as feed:
        db = own_fleet.state / "registry.db"
        assert feed.get(path(base)).status == 200
        db.rename(own_fleet.root / "aside")
        if base == "classes":
            assert feed.get(path(base)).status == 200
        else:
            eventually("it is missed", lambda: feed.get(
                path(base)).status == 503)
            assert "weir init" in feed.get(path(base)).detail()
        (own_fleet.root / "aside").rename(db)
        eventually("it is read", lambda: feed.get(path(base)).status == 200)
