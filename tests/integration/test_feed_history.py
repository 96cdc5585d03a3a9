# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed keeps a history beside a broker; people and scripts ask what
was counted when; the disk is full, the file damaged, another feed is there, the
feed is away for a while.

Question: does weir usage answer from it what was counted, and say for which
time; does whoever may read the state directory read it; does the feed go on
serving when its history cannot be written, and catch up when it can?

Expected: yes. Status 1 for a device or class that nobody knows, 2 for questions
that make no sense, 3 where there is no history.
"""

import csv
import io
import json
import os
import subprocess
import time

import pytest

import feed_support
import harness
from cli_support import WEIR
from feed_support import Feed
from harness import Broker, eventually

HEALTH = "/api/v1/health"


def usage(fleet, *args, status=0):
    return [json.loads(x) for x in
            fleet.weir("--json", "usage", *args, status=status).splitlines()]


def refused(fleet, *args, status):
    """What is said on standard error."""
    done = fleet.run("usage", *args)
    assert (done.returncode, done.stdout) == (status, ""), done
    return done.stderr


def told(feed):
    return feed.get(HEALTH).json()["history"]


def publish(broker, device, n, size=10):
    from clients import Wire
    w = Wire(broker, device).admitted()
    for _ in range(n):
        w.publish(f"m/{device}/up", b"x" * size)
    w.ping()
    w.disconnect()


@pytest.fixture
def lived(own_fleet):
    """Two meters and a sensor that have sent something, with the feed stopped
    after it: it has told all."""
    broker, feed = Broker(own_fleet), Feed(own_fleet)
    a, b = own_fleet.device("meter"), own_fleet.device("meter")
    silent = own_fleet.device("sensor")
    with broker, feed:
        publish(broker, a, 5)
        publish(broker, b, 2, size=1000)
    return own_fleet, a, b, silent


def test_totals(lived):
    fleet, a, b, silent = lived
    [one] = usage(fleet, a, "--since", "1h")
    now = fleet.json("usage", a)
    assert one["device"] == a.id and one["class"] == "meter"
    assert one["messages_in"] == 5 and one["payload_bytes_in"] == 50
    counters = [k for k in now["class_median"]]
    assert len(counters) == 22
    assert {k: one[k] for k in counters} == {k: now[k] for k in counters}
    assert one["from_s"] % 60 == 0 and one["to_s"] % 60 == 0
    [meters] = usage(fleet, "--class", "meter", "--since", "1h")
    assert meters["device"] is None and meters["messages_in"] == 7
    classes = usage(fleet, "--since", "1h")
    assert {x["class"]: x["messages_in"] for x in classes}["meter"] == 7
    # Known, and nothing was counted: that is an answer.
    [none] = usage(fleet, silent, "--since", "1h")
    assert none["messages_in"] == none["connects"] == 0
    said = fleet.weir("usage", silent, "--since", "1h")
    assert "counted:" in said and "nothing" in said


def test_for_people(lived):
    fleet, a, _, _ = lived
    said = fleet.weir("usage", a, "--since", "1h")
    rows = [x.split() for x in said.splitlines()]
    assert ["messages_in", "5", "messages"] in rows
    assert ["device:", a.id] in rows and ["class:", "meter"] in rows
    said = fleet.weir("usage", a, "--since", "1h", "--by", "minute")
    head, row = said.splitlines()
    assert head.split()[:2] == ["TIME", "MESSAGES_IN"]
    assert row.split()[0].endswith(":00Z") and row.split()[1] == "5"
    said = fleet.weir("usage", "--since", "1h")
    assert [x.split()[:2] for x in said.splitlines()
            if x.startswith("meter ")] == [["meter", "7"]]


def test_top(lived):
    fleet, a, b, _ = lived
    top = usage(fleet, "--top", "5", "--since", "1h")
    assert [x["device"] for x in top] == [b.id, a.id]
    top = usage(fleet, "--top", "1", "--sort", "messages_in", "--since", "1h")
    assert [x["device"] for x in top] == [a.id]
    assert usage(fleet, "--top", "5", "--class", "sensor",
                 "--since", "1h") == []
    said = fleet.weir("usage", "--top", "5", "--sort", "connects",
                      "--since", "1h")
    assert [x.split()[-1] for x in said.splitlines()] == ["CONNECTS", "1", "1"]


def test_series(lived):
    """By any bucket, the sum is the same."""
    fleet, a, _, _ = lived
    for by, step in (("minute", 60), ("hour", 3600), ("day", 86400)):
        rows = usage(fleet, a, "--since", "2000-01-01T00:00:00Z", "--by", by)
        assert sum(x["messages_in"] for x in rows) == 5
        assert all(x["to_s"] - x["from_s"] <= step for x in rows)
        assert rows == sorted(rows, key=lambda x: x["from_s"])


def test_csv(lived):
    fleet, a, b, _ = lived
    rows = list(csv.DictReader(io.StringIO(
        fleet.weir("usage", "--top", "9", "--since", "1h", "--csv"))))
    assert [x["device"] for x in rows] == [b.id, a.id]
    assert rows[1]["messages_in"] == "5" and rows[1]["class"] == "meter"
    assert len(rows[0]) == 4 + 22
    assert rows[0]["from"].endswith("Z")
    nothing = fleet.weir("usage", "--csv", "--since", "2001-01-01T00:00:00Z",
                         "--until", "2001-01-02T00:00:00Z", "--by", "day")
    assert nothing.count("\n") == 1 and nothing.startswith("from,to,device,")


def test_ends_of_time(lived):
    fleet, a, _, _ = lived
    assert usage(fleet, a, "--until", "2001-01-01T00:00:00Z",
                 "--by", "minute") == []
    [x] = usage(fleet, a, "--until", "0s")
    assert x["messages_in"] == 5


@pytest.mark.parametrize("args, says", [
    (("--since", "yesterday"), "neither a time"),
    (("--until", "2h30"), "neither a time"),
    (("--by", "week"), "none of minute, hour, day"),
    (("--since", "1h", "--until", "2h"), "ends before it begins"),
    (("--csv", "--json"), "not both"),
    (("--top", "3", "--by", "hour"), "--top has no --by"),
    (("--sort", "connects", "--since", "1h"), "--sort is for --top"),
    (("--top", "99999", "--since", "1h"), "10000"),
])
def test_senseless(lived, args, says):
    assert says in refused(lived[0], *args, status=2)


def test_unknown_names(lived):
    fleet = lived[0]
    for name in ("nobody", "x" * 65, "no/id"):
        assert "not registered" in refused(
            fleet, name, "--since", "1h", status=1)
    assert "neither in the policy" in refused(
        fleet, "--class", "nothing", "--since", "1h", status=1)


def test_no_history(own_fleet):
    said = refused(own_fleet, "--since", "1h", status=3)
    assert "weir-feed has not run with this state directory" in said


# -------------------------------------------------------------------- who reads

def as_user(uid, gid, *args):
    return subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--",
         WEIR, *map(str, args)], capture_output=True, text=True, check=False,
        timeout=harness.HALF_MINUTE_S)


def owners(fleet):
    return {x.name: (x.stat().st_uid, x.stat().st_gid, x.stat().st_mode & 0o777)
            for x in (fleet.state / "usage").glob("usage.db*")}


def test_who_may_read(lived):
    """A member of the group reads, with and without a feed; root leaves no
    file behind that would lock the feed out; others may not."""
    fleet, a, _, _ = lived
    gid = os.stat(fleet.state).st_gid
    feed = Feed(fleet)
    before = owners(fleet)
    assert {x[:2] for x in before.values()} == {(feed.user.pw_uid, gid)}
    ask = ("--state", fleet.state, "--json", "usage", a, "--since", "1h")
    for running in (False, True):
        if running:
            feed.start()
            eventually("it has told all", lambda: told(feed)["told_s"] != 0)
        for uid, group in ((64321, gid), (0, 0)):
            done = as_user(uid, group, *ask)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["messages_in"] == 5
        done = as_user(64321, 64321, *ask)
        assert done.returncode == 3 and "group" in done.stderr
    feed.close()
    assert owners(fleet) == before
    # Without the log and its index, as after a copy: root makes none, or gives
    # them to whom they belong.
    for x in ("usage.db-wal", "usage.db-shm"):
        (fleet.state / "usage" / x).unlink()
    fleet.run("usage", a, "--since", "1h")
    assert all(x[0] == feed.user.pw_uid for x in owners(fleet).values())
    with feed:
        eventually("it works", lambda: told(feed)["state"] == "ok")
    assert usage(fleet, a, "--since", "1h")[0]["messages_in"] == 5


# ----------------------------------------------------------------- what goes wrong

def test_one_feed(own_fleet):
    with Feed(own_fleet) as feed:
        said = Feed(own_fleet).fails_to_start(3)
        assert "held by another weir-feed" in said
        assert f"pid {feed.process.pid}" in said
        assert feed.get(HEALTH).status == 200


@pytest.fixture
def small_disk(own_fleet):
    """usage/ is on a tmpfs of its own, with little room."""
    usage_dir = own_fleet.state / "usage"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs",
                    str(usage_dir)], check=True, timeout=10)
    own_fleet.weir("init")
    yield own_fleet, usage_dir
    subprocess.run(["umount", "-l", str(usage_dir)], check=True, timeout=10)


def test_full_disk(small_disk):
    """The feed serves; it says once what is wrong; and nothing is missing once
    there is room."""
    fleet, usage_dir = small_disk
    a = fleet.device("meter")
    with Broker(fleet) as broker, Feed(fleet) as feed:
        publish(broker, a, 3)
        eventually("it is told", lambda: told(feed)["told_s"] != 0)
        stuffing = usage_dir / "stuffing"
        with open(stuffing, "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        # Each connect is an event, and each event takes room.
        for _ in range(400):
            publish(broker, a, 0)
            if told(feed)["state"] == "failing":
                break
        got = eventually("it fails", lambda: told(feed)["state"] == "failing"
                         and told(feed))
        assert "full" in got["error"]
        assert feed.get("/api/v1/devices").status == 200
        publish(broker, a, 4)
        stuffing.unlink()
        eventually("it works again", lambda: told(feed)["state"] == "ok", 30)
        errors = [x for x in feed.log("history") if x["level"] == "error"]
        assert len(errors) == 1, errors
    assert usage(fleet, a, "--since", "1h")[0]["messages_in"] == 7
    assert usage(fleet, a, "--since", "1h")[0]["connects"] == fleet.json(
        "usage", a)["connects"]


def test_damaged(lived):
    """It is set aside, and said; all that the meter has is told again."""
    fleet, a, _, _ = lived
    usage_dir = fleet.state / "usage"
    (usage_dir / "usage.db").write_bytes(b"x" * 8192)
    (usage_dir / "usage.db-wal").write_bytes(b"")
    assert "damaged" in refused(fleet, a, "--since", "1h", status=3)
    with Feed(fleet) as feed:
        eventually("it is told", lambda: told(feed)["told_s"] != 0)
        [line] = [x for x in feed.log("history") if x["level"] == "error"]
        assert "set aside as" in line["message"]
    assert (usage_dir / "usage.db.damaged").exists()
    assert usage(fleet, a, "--since", "1h")[0]["messages_in"] == 5


def test_unwritable(own_fleet):
    """A folder that is not the feed's: live answers go on."""
    feed = Feed(own_fleet)
    usage_dir = own_fleet.state / "usage"
    os.chown(usage_dir, 0, 0)
    with feed:
        got = eventually("it fails", lambda: told(feed)["state"] == "failing"
                         and told(feed))
        assert "usage" in got["error"] and feed.get("/metrics").status == 200
        own_fleet.weir("init")
        eventually("it works", lambda: told(feed)["state"] == "ok", 30)


def test_away_for_a_while(own_fleet):
    """What was counted meanwhile is in the minute of its return, and the gap is
    told."""
    fleet = own_fleet
    a = fleet.device("meter")
    with Broker(fleet) as broker:
        with Feed(fleet) as feed:
            publish(broker, a, 1)
            eventually("it is told", lambda: told(feed)["told_s"] != 0)
        publish(broker, a, 2)
        # As if it had been away for an hour.
        import sqlite3
        with sqlite3.connect(fleet.state / "usage" / "usage.db") as db:
            db.execute("UPDATE mark SET value = value - 3600 "
                       "WHERE name IN ('looked', 'told')")
        before = int(time.time())
        with Feed(fleet) as feed:
            eventually("it is told",
                       lambda: told(feed)["looked_s"] >= before)
    got = subprocess.run([WEIR, "--state", str(fleet.state), "--json", "usage",
                          a.id, "--since", "2h"], capture_output=True,
                         text=True, timeout=30, check=True)
    assert json.loads(got.stdout)["messages_in"] == 3
    assert "weir-feed did not run from" in got.stderr
