# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody who may act asks weir-feed, over HTTP, to put devices in
quarantine and to let them go, beside a real Mosquitto; somebody who may not
asks too. weir-feed is killed while it writes, and stays dead.

Question: does it take hold within a second of the answer, does weir-feed end
only what it began, and is each action on disk, in a list and in the log with
who asked? Does the broker notice when weir-feed is gone?

Expected: yes; a 409 with words where the registry holds a device; and no: what
was answered is in force, with weir-feed or without, and nothing else is.
"""

import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

import policies
from clients import REFUSED, refused_connect
from feed_support import Feed
from harness import Broker, Fleet, eventually
from test_live import MENDED, PLAIN, SECOND_S

PATH = "/api/v1/devices/"


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(policies.changed(mended=MENDED, plain=PLAIN), "--pen", "32473")
    yield f
    f.remove()


@pytest.fixture(scope="module")
def tokens(fleet):
    return {right: fleet.weir("token", "add", f"t-{right}", "--rights",
                              right).strip() for right in ("read", "act")}


@pytest.fixture(scope="module")
def broker(fleet, feed):
    with Broker(fleet) as b:
        yield b


@pytest.fixture(scope="module")
def feed(fleet, tokens):
    with Feed(fleet) as f:
        f.token = tokens["act"]
        yield f


def quarantine(feed, device, **body):
    got = feed.post(f"{PATH}{device}/quarantine", body)
    assert got.status == 200, got.text
    return got.json()


def release(feed, device):
    got = feed.post(f"{PATH}{device}/release")
    assert got.status == 200, got.text
    return got.json()


def in_force(feed, change):
    """Waits until the list says that CHANGE is."""
    eventually("in force", lambda: feed.ok("/api/v1/quarantines")["in_force"]
               >= change)


def test_quarantine_and_release(fleet, feed, broker, wire, capsys):
    d = fleet.device("mended")
    other = wire(broker, fleet.device("mended"), 5).admitted()
    w = wire(broker, d, 5).admitted()
    mark, begin = feed.mark(), time.monotonic()
    told = quarantine(feed, d, reason="beacon every 60 s")
    answered = time.monotonic()
    w.ended()
    ended = time.monotonic()
    assert ended - answered < SECOND_S
    with capsys.disabled():
        print(f" [POST: {(answered - begin) * 1000:.0f} ms, to disconnect: "
              f"{(ended - begin) * 1000:.0f} ms] ", end="")
    assert told == {
        "device": d.id, "since_s": told["since_s"], "until_s": None,
        "reason": "beacon every 60 s", "actor": "token t-act",
        "change": told["change"], "in_force": told["in_force"],
        "registry_status": "active"}
    log = eventually("a line", lambda: feed.log("action", mark))
    assert [(x["action"], x["device"], x["who"], x["address"], x["reason"],
             x["change"]) for x in log] == [
        ("quarantine", d.id, "token t-act", "127.0.0.1", "beacon every 60 s",
         told["change"])]
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    assert fleet.explain(d, "publish", f"s/{d}/up") == "quarantined"
    assert w.publish(f"fw/{d}/state") == 0
    assert w.subscribe(f"fw/{d}/#", 1) == 1
    in_force(feed, told["change"])
    rows = feed.ok("/api/v1/quarantines")["quarantines"]
    assert [x for x in rows if x["device"] == d.id] == [
        {k: v for k, v in {**told, "in_force": True}.items()
         if k != "registry_status"}]
    # Said again: the same, and no new action.
    assert quarantine(feed, d, reason="beacon every 60 s")["change"] == (
        told["change"])
    w.ping()
    mark = feed.mark()
    back = release(feed, d)
    assert back["change"] == told["change"] + 1
    w.ended()
    # The line of what was said again may come after the mark.
    eventually("a line", lambda: [x for x in feed.log("action", mark)
                                  if x["action"] == "release"
                                  and x["change"] == back["change"]])
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == 0
    # Nothing is left to end.
    assert release(feed, d)["change"] is None
    w.ping()
    other.ping()


def test_ends_by_time(fleet, feed, broker, wire):
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted()
    told = quarantine(feed, d, for_s=3)
    assert told["until_s"] - told["since_s"] == 3
    w.ended()
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    w.ended()
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == 0
    assert d.id not in feed.get("/api/v1/quarantines").text
    assert release(feed, d)["change"] is None
    until = int(time.time()) + 3600
    assert quarantine(feed, d, until_s=until)["until_s"] == until


# ----------------------------------------------------------------- who may, what


def test_rights(fleet, feed, tokens):
    d = fleet.device("mended")
    feed.token = None
    try:
        for path in (f"{PATH}{d}/quarantine", f"{PATH}{d}/release"):
            # On loopback, too.
            assert feed.post(path).status == 403
            assert feed.post(path, token=tokens["read"]).status == 403
            assert feed.post(path, token="weir_" + "A" * 43).status == 401
        # Reading takes none there.
        assert feed.get("/api/v1/quarantines").status == 200
        assert feed.get("/api/v1/actions").status == 200
    finally:
        feed.token = tokens["act"]
    assert fleet.json("device", "show", d)["feed_quarantine"] is None


@pytest.mark.parametrize("path, body, status, says", [
    ("nobody/quarantine", {}, 404, "not registered"),
    ("nobody/release", {}, 404, "not registered"),
    ("a%20b/quarantine", {}, 404, "no device id"),
    ("{id}/quarantine", [], 400, "object"),
    ("{id}/quarantine", {"reason": 1}, 400, "string"),
    ("{id}/quarantine", {"reason": "x" * 201}, 400, "at most 200 bytes"),
    ("{id}/quarantine", {"reason": "a\nb"}, 400, "control characters"),
    ("{id}/quarantine", {"for_s": 0}, 400, "for_s"),
    ("{id}/quarantine", {"until_s": 1}, 400, "until_s"),
    ("{id}/quarantine", {"for_s": 1, "until_s": 9999999999}, 400, ""),
    ("{id}/quarantine", {"why": "x"}, 400, "why"),
    ("{id}/quarantine?wait=5s", {}, 400, "wait"),
    ("{id}/release", {"reason": "x"}, 400, "reason"),
    ("{id}/retire", {}, 404, "nothing at this path"),
])
def test_refused(fleet, feed, path, body, status, says):
    d = fleet.device("mended")
    before = feed.ok("/api/v1/actions")["change"]
    got = feed.post(PATH + path.replace("{id}", d.id), body)
    assert got.status == status, got.text
    assert says in got.text
    got.detail()
    assert feed.ok("/api/v1/actions")["change"] == before


def test_not_json(fleet, feed):
    d = fleet.device("mended")
    got = feed.ask("POST", f"{PATH}{d}/quarantine", body=b"reason=x",
                   Content_Type="application/x-www-form-urlencoded")
    assert got.status == 415
    for body in (b"{", b"\xff", b"{} x"):
        got = feed.ask("POST", f"{PATH}{d}/quarantine", body=body,
                       Content_Type="application/json")
        assert got.status == 400, got.text
    assert feed.get(f"{PATH}{d}/quarantine").status == 405
    assert fleet.json("device", "show", d)["feed_quarantine"] is None


def test_only_its_own(fleet, feed, broker, wire):
    """The registry's quarantine is the registry's to end."""
    d = fleet.device("mended")
    fleet.weir("quarantine", d, "--wait", "5s")
    got = feed.post(f"{PATH}{d}/release")
    assert got.status == 409
    assert f"weir release {d}" in got.detail()
    # Both: weir-feed takes back its own, and says what is left.
    told = quarantine(feed, d)
    assert told["registry_status"] == "quarantined"
    told = release(feed, d)
    assert (told["change"] is not None, told["registry_status"]) == (
        True, "quarantined")
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    fleet.weir("suspend", d, "--wait", "5s")
    got = feed.post(f"{PATH}{d}/release")
    assert got.status == 409 and "suspended" in got.detail()
    quarantine(feed, d)
    assert refused_connect(wire(broker, d, 5))
    fleet.weir("retire", d, "--wait", "5s")
    got = feed.post(f"{PATH}{d}/quarantine")
    assert got.status == 409 and "retired" in got.detail()


# ------------------------------------------------------------------------- lists


def pages(feed, path, key):
    """All rows, page by page."""
    rows, more = [], ""
    while True:
        got = feed.ok(f"{path}?limit=3{more}")
        assert len(got[key]) <= 3
        rows += got[key]
        if got["next"] is None:
            return rows
        more = f"&cursor={got['next']}"


def test_lists(fleet, feed):
    devices = [fleet.device("mended") for _ in range(8)]
    for d in devices:
        quarantine(feed, d, reason="many")
    release(feed, devices[0])
    rows = pages(feed, "/api/v1/quarantines", "quarantines")
    held = [x["device"] for x in rows]
    assert held == sorted(set(held))
    assert {str(d) for d in devices[1:]} <= set(held)
    assert str(devices[0]) not in held
    acts = pages(feed, "/api/v1/actions", "actions")
    changes = [x["change"] for x in acts]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] == feed.ok("/api/v1/actions")["change"]
    assert (acts[0]["action"], acts[0]["device"], acts[0]["actor"]) == (
        "release", str(devices[0]), "token t-act")
    assert acts[1]["reason"] == "many"


def listed(feed, status, **more):
    args = "".join(f"&{k}={v}" for k, v in more.items())
    got = feed.ok(f"/api/v1/devices?limit=1000&status={status}{args}")
    return {x["device"]["id"] for x in got["devices"]}


def test_devices_say_so(fleet, feed, broker, wire):
    """In every list of devices, as weir device show does."""
    d = fleet.device("mended")
    wire(broker, d, 5).admitted()
    quarantine(feed, d, reason="odd", for_s=600)
    got = feed.ok(f"{PATH}{d}")["device"]
    shown = fleet.json("device", "show", d)
    assert got["feed_quarantine"] == shown["feed_quarantine"]
    assert (got["status"], got["effective_status"]) == (
        "active", "quarantined")
    for more in ({}, {"sort": "connects"}, {"class": "mended"}):
        assert d.id in listed(feed, "quarantined", **more)
        assert d.id not in listed(feed, "active", **more)
    release(feed, d)
    assert feed.ok(f"{PATH}{d}")["device"]["feed_quarantine"] is None
    for more in ({}, {"sort": "connects"}):
        assert d.id in listed(feed, "active", **more)
        assert d.id not in listed(feed, "quarantined", **more)


def test_known_after_a_restart(fleet, feed):
    a, b = fleet.device("mended"), fleet.device("mended")
    quarantine(feed, a)
    told = quarantine(feed, b, for_s=1)
    feed.stop()
    feed.start()
    assert a.id in listed(feed, "quarantined")
    eventually("it has ended", lambda: time.time() >= told["until_s"])
    eventually("the list says so",
               lambda: b.id not in listed(feed, "quarantined"))
    release(feed, a)


@pytest.mark.parametrize("query", [
    "limit=0", "limit=1001", "limit=x", "cursor=", "cursor=a/b", "x=1",
    "limit=1&limit=2"])
@pytest.mark.parametrize("path", ["/api/v1/quarantines", "/api/v1/actions"])
def test_list_arguments(feed, path, query):
    assert feed.get(f"{path}?{query}").status == 400


# -------------------------------------------------------------------- what dies


def test_feed_dead(fleet, feed, broker, wire):
    """The broker goes on by what is on disk, and starts by it."""
    d, free = fleet.device("mended"), fleet.device("mended")
    v = wire(broker, free, 5).admitted()
    told = quarantine(feed, d)
    feed.kill()
    eventually("in force", lambda: fleet.status()["broker"]["applied_live"]
               == told["change"])
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    assert v.publish(f"s/{free}/up") == 0
    wire(broker, fleet.device("mended"), 5).admitted()
    broker.stop()
    broker.start()
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    v = wire(broker, free, 5).admitted()
    assert v.publish(f"s/{free}/up") == 0
    feed.start()
    release(feed, d)
    eventually("released", lambda: fleet.explain(
        d, "publish", f"s/{d}/up") == "allowed")


def act_until_killed(feed, devices, done):
    """Puts DEVICES in quarantine and lets them go, in turn, until nobody
    answers; what was answered last of each is in DONE."""
    for _ in range(10000):
        for d in devices:
            for act in ("quarantine", "release"):
                try:
                    got = feed.post(f"{PATH}{d}/{act}")
                except (OSError, http.client.HTTPException):
                    return
                assert got.status == 200, got.text
                done[d.id] = act


KILLS = int(os.environ.get("WEIR_KILLS", "12"))


def test_killed_while_it_writes(fleet, feed, broker, wire):
    """Whatever the moment: the file opens, the broker lets nobody wait, and
    what was answered is so."""
    devices = [fleet.device("mended") for _ in range(4)]
    rng = random.Random(20261125)
    for _ in range(KILLS):
        done, mark = {}, broker.mark()
        before = feed.ok("/api/v1/actions")["change"]
        thread = threading.Thread(
            target=act_until_killed, args=(feed, devices, done))
        thread.start()
        eventually("it acts", lambda: feed.ok(
            "/api/v1/actions")["change"] > before + 2)
        threading.Event().wait(rng.random() * 0.05)
        feed.kill()
        thread.join()
        # Nobody needs weir-feed to come in.
        w = wire(broker, fleet.device("mended"), 5).admitted()
        assert w.publish(f"s/{w.device}/up") == 0
        feed.start()
        acts = feed.ok("/api/v1/actions?limit=100")["actions"]
        for d in devices:
            if d.id not in done:
                continue
            told = [x["action"] for x in acts if x["device"] == d.id]
            # The newest is what was answered, or one that was not any more.
            assert done[d.id] in told[:2], (done, told[:4])
            held = fleet.json("device", "show", d)["feed_quarantine"]
            assert (held is not None) == (told[0] == "quarantine")
            assert fleet.explain(d, "publish", f"s/{d}/up") == (
                "quarantined" if held else "allowed")
        assert not broker.logged("nobody is admitted", mark)
    for d in devices:
        release(feed, d)


def test_live_db_spoilt(fleet, feed, broker):
    """An action that cannot be written is not answered as one that was."""
    d = fleet.device("mended")
    path = fleet.state / "live" / "live.db"
    # What its log has is read from there.
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    good = path.read_bytes()
    with open(path, "r+b") as f:
        f.write(b"\xff" * 4096)
    mark = feed.mark()
    try:
        got = feed.post(f"{PATH}{d}/quarantine")
        assert got.status == 503 and "live.db" in got.detail()
        assert eventually("a line", lambda: feed.log("action", mark))[0][
            "level"] == "error"
        assert feed.get("/api/v1/quarantines").status == 503
        assert feed.get("/api/v1/health").status == 200
    finally:
        with open(path, "r+b") as f:
            f.write(good)
        db.close()
    told = quarantine(feed, d)
    in_force(feed, told["change"])
    assert json.loads(feed.post(f"{PATH}{d}/release").text)["change"]


def test_stop_is_graceful(fleet, feed):
    d = fleet.device("mended")
    quarantine(feed, d)
    assert feed.end(signal.SIGTERM) == 0
    assert fleet.json("device", "show", d)["feed_quarantine"]
    feed.start()
    release(feed, d)
