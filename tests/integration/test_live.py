# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices are connected to a real Mosquitto, and live.db, which belongs
to weir-feed, puts some of them in quarantine, lets them go, is locked, spoilt,
replaced, removed, or something else altogether stands in its place.

Question: does it take rights of live connections within a second, and can it
ever give one? What does the broker do when it cannot be read?

Expected: who is in quarantine by it passes what the quarantine's allowlist and
its class both have. It changes nothing about devices that the registry does not
have as active. What cannot be read leaves in force what was known, keeps new
connections out as `unavailable`, is told in log, status and doctor, and keeps
nobody else waiting; readable again, all is as it says. weir explain says each
time what the broker does.
"""

import json
import os
import shutil
import subprocess
import time

import pytest

import policies
from clients import REFUSED, refused_connect
from harness import BUILD, Broker, Fleet, eventually
from live_support import Live

SECOND_S = 1.0
MENDED = {
    "comment": "what a device in quarantine by weir-feed needs, too",
    "publish": ["s/${device}/up", "fw/${device}/state",
                {"topic": "s/${device}/q2", "max_qos": 2}],
    "subscribe": ["s/${device}/cmd/#", "fw/${device}/#"],
}
PLAIN = {"publish": ["s/${device}/up"], "subscribe": ["s/${device}/cmd/#"]}


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(policies.changed(mended=MENDED, plain=PLAIN), "--pen", "32473")
    yield f
    f.remove()


@pytest.fixture
def live(fleet):
    x = Live(fleet)
    yield x
    x.remove()


@pytest.fixture
def broker(fleet, live):
    """Started with LIVE, which is there and empty."""
    with Broker(fleet) as b:
        yield b


def doctor(fleet, check):
    """The findings of CHECK."""
    told = fleet.run("--json", "doctor").stdout
    return [x for x in told.splitlines() if f'"check":"{check}"' in x]


def agrees(fleet, w, topic, reason):
    """The broker answers W's publish to TOPIC as weir explain says: REASON."""
    assert fleet.explain(w.device, "publish", topic) == reason
    assert w.publish(topic) == (0 if reason == "allowed" else REFUSED)


def jailed(fleet, broker, live, wire, device):
    """DEVICE connected again, in quarantine by live.db."""
    live.applied(live.quarantine(device))
    return wire(broker, device, 5).admitted()


# ----------------------------------------------------------------- what it does


def test_quarantine_and_release(fleet, broker, live, wire, paho):
    d, ear = fleet.device("mended"), fleet.device("ops")
    ear = paho(broker, ear).connect().listening("#")
    other = wire(broker, fleet.device("mended"), 5).admitted()
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"s/{d}/up", "allowed")
    begin = time.monotonic()
    change = live.quarantine(d)
    w.ended()
    assert time.monotonic() - begin < SECOND_S
    mark = broker.mark()
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"s/{d}/up", "quarantined")
    broker.refused("publish", "quarantined", mark, device=d)
    agrees(fleet, w, f"fw/{d}/state", "allowed")
    assert w.subscribe(f"s/{d}/cmd/#", 1) >= 0x80
    assert w.subscribe(f"fw/{d}/#", 1) == 1
    ear.until(f"fw/{d}/state")
    live.applied(change)
    begin = time.monotonic()
    live.release(d)
    w.ended()
    assert time.monotonic() - begin < SECOND_S
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"s/{d}/up", "allowed")
    live.applied()
    told = fleet.weir("tail", "--no-follow", "--type", "status",
                      "--device", d).splitlines()
    assert [x.split(")  ")[1] for x in told] == [
        "quarantined, by weir-feed", "active, by weir-feed"]
    # Released once, and for good: nothing is left that would end it.
    w.ping()
    other.ping()
    assert not broker.logged(f"refused .* device={other.device} ")


def test_gives_nothing(fleet, broker, live, wire):
    """The allowlist alone is not enough: the class must have it too."""
    w = jailed(fleet, broker, live, wire, fleet.device("plain"))
    d = w.device
    mark = broker.mark()
    agrees(fleet, w, f"fw/{d}/state", "no_rule")
    broker.refused("publish", "no_rule", mark, device=d)
    agrees(fleet, w, f"s/{d}/up", "quarantined")
    assert w.subscribe(f"fw/{d}/#", 1) >= 0x80
    # The registry's own quarantine does give it.
    fleet.weir("quarantine", d, "--wait", "5s")
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"fw/{d}/state", "allowed")
    agrees(fleet, w, f"s/{d}/up", "quarantined")
    fleet.weir("release", d, "--wait", "5s")
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"fw/{d}/state", "no_rule")


@pytest.mark.parametrize("command, reason", [
    ("suspend", "device_suspended"), ("retire", "device_retired")])
def test_other_status_stays(fleet, broker, live, wire, command, reason):
    d = fleet.device("mended")
    fleet.weir(command, d, "--wait", "5s")
    live.applied(live.quarantine(d, "nobody-by-that-name"))
    assert refused_connect(wire(broker, d))
    assert fleet.explain(d, "connect") == reason
    live.applied(live.release(d))
    assert refused_connect(wire(broker, d))


def test_ends_by_itself(fleet, broker, live, wire):
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted()
    live.quarantine(d, until_s=int(time.time()) + 3)
    w.ended()
    w = wire(broker, d, 5).admitted()
    assert w.publish(f"s/{d}/up") == REFUSED
    w.ended()
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"s/{d}/up", "allowed")


def test_ended_is_nothing(fleet, broker, live, wire):
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted()
    live.applied(live.quarantine(d, until_s=int(time.time()) - 1))
    w.ping()
    agrees(fleet, w, f"s/{d}/up", "allowed")


def test_qos2_wants_a_clean_session(fleet, broker, live, wire):
    """What such a session stored before would be released after."""
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted(clean=False)
    live.quarantine(d)
    w.ended()
    mark = broker.mark()
    assert refused_connect(wire(broker, d, 5), clean=False)
    broker.refused("connect", "session_stale", mark, device=d)
    wire(broker, d, 5).admitted()


def test_all_connections(fleet, broker, live, wire):
    d = fleet.device("worker")
    both = [wire(broker, d).admitted(f"{d}/{i}") for i in range(2)]
    live.quarantine(d)
    for w in both:
        w.ended()


def test_restart_of_the_broker(fleet, live, wire):
    d = fleet.device("mended")
    live.quarantine(d)
    with Broker(fleet) as b:
        w = wire(b, d, 5).admitted()
        agrees(fleet, w, f"s/{d}/up", "quarantined")
        live.applied()
    with Broker(fleet) as b:
        w = wire(b, d, 5).admitted()
        agrees(fleet, w, f"s/{d}/up", "quarantined")
        live.applied(live.release(d))
        w.ended()


def test_absent_is_nothing(fleet, live, wire):
    d = fleet.device("mended")
    live.remove()
    with Broker(fleet) as b:
        w = wire(b, d, 5).admitted()
        agrees(fleet, w, f"s/{d}/up", "allowed")
        assert fleet.status()["live"] == {"state": "none", "problem": None,
                                          "quarantined": 0, "change": 0}
        # And made while the broker runs.
        live.make()
        live.quarantine(d)
        w.ended()


def test_many(fleet, broker, live, wire):
    """More than a poll takes up, and more than a reading does at once."""
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted()
    live.applied(live.quarantine(*(f"x-{i:05}" for i in range(6000)), d))
    w.ended()
    w = wire(broker, d, 5).admitted()
    # Another file, in which nobody of them is.
    live.make()
    w.ended()
    w = wire(broker, d, 5).admitted()
    agrees(fleet, w, f"s/{d}/up", "allowed")
    live.applied()


@pytest.fixture
def slowly(fleet, live, monkeypatch):
    """A broker in which by the clock each look at it takes 0.1 ms, so that it
    does as little at a time as one that is slow."""
    shim = shutil.copy(BUILD / "lib" / "slow_clock.so", fleet.root)
    before = os.environ.get("WEIR_BROKER_PRELOAD")
    monkeypatch.setenv("WEIR_BROKER_PRELOAD",
                       f"{before}:{shim}" if before else str(shim))
    with Broker(fleet) as b:
        yield b


def turns(fleet, prefix, n):
    """In how many turns the broker took up the N changes of devices whose ids
    begin like that, as their events tell."""
    told = [json.loads(x) for x in fleet.weir(
        "--json", "tail", "-n", "all", "--no-follow", "--type",
        "status").splitlines()]
    at = [x["t_ms"] for x in told if x["device"].startswith(prefix)]
    assert len(at) == n
    return 1 + sum(b - a > 12 for a, b in zip(at, at[1:]))


def test_nobody_waits_while_it_is_taken_up(fleet, slowly, live):
    """2 ms a look; of the registry's changes, which an operator makes, 10."""
    live.applied(live.quarantine(*(f"a-{i:03}" for i in range(100))))
    assert turns(fleet, "a-", 100) >= 4
    ids = [f"b-{i:03}" for i in range(300)]
    table = fleet.root / "devices.csv"
    table.write_text("\n".join(["id,class"] + [f"{x},plain" for x in ids]))
    fleet.weir("device", "import", table)
    assert fleet.run("suspend", "-", "--wait", "20s",
                     stdin="\n".join(ids)).returncode == 0
    assert turns(fleet, "b-", 300) >= 3


# -------------------------------------------------------- what cannot be read


def spoil(live):
    with open(live.path, "r+b") as f:
        f.write(b"\xff" * 4096)


def cut(live):
    os.truncate(live.path, 0)


def other_schema(live):
    live.db.execute("PRAGMA user_version = 9")


def more_tables(live):
    live.db.execute("CREATE TABLE more (a)")


def wrong_row(live):
    live.quarantine("no/id")


def in_its_place(make):
    def do(live):
        live.path.unlink()
        make(live.path)
    do.__name__ = make.__name__
    return do


def fifo(path):
    os.mkfifo(path, 0o666)


def folder(path):
    path.mkdir()


def link(path):
    path.symlink_to("/etc/passwd")


def device(path):
    path.symlink_to("/dev/zero")


def closed(live):
    live.path.chmod(0o000)


def no_log(live):
    live.beside("-wal").unlink()
    live.beside("-wal").mkdir()


HARM = [spoil, cut, other_schema, more_tables, wrong_row, closed, no_log,
        *map(in_its_place, (fifo, folder, link, device))]


@pytest.mark.parametrize("harm", HARM, ids=lambda h: h.__name__)
def test_unreadable(fleet, broker, live, wire, harm):
    free, held = fleet.device("mended"), fleet.device("mended")
    w = wire(broker, free, 5).admitted()
    h = jailed(fleet, broker, live, wire, held)
    mark = broker.mark()
    harm(live)
    broker.await_log(r"weir: nobody is admitted: .*live\.db", mark)
    # What was known holds, and who is there goes on, without a pause.
    begin = time.monotonic()
    agrees_without_cli(w, f"s/{free}/up", True)
    agrees_without_cli(h, f"s/{held}/up", False)
    agrees_without_cli(h, f"fw/{held}/state", True)
    assert time.monotonic() - begin < SECOND_S
    # No answer, so that a device comes again.
    mark = broker.mark()
    assert refused_connect(wire(broker, fleet.device("mended"), 5))
    broker.refused("connect", "unavailable", mark)
    assert "live.db" in fleet.status()["broker"]["load_error"]
    if os.geteuid() != 0 or harm is not closed:
        assert fleet.status()["live"]["state"] == "unreadable"
        assert doctor(fleet, "live.read")
        # Only what the broker would do is told.
        assert fleet.run("explain", free, "connect").returncode == 3
    # Mended: it is as it says.
    mark = broker.mark()
    live.remove()
    live.make()
    broker.await_log("weir: .*live.db: readable again", mark)
    h.ended()
    h = wire(broker, held, 5).admitted()
    agrees(fleet, h, f"s/{held}/up", "allowed")
    w.ping()
    assert fleet.status()["broker"]["load_error"] is None


def agrees_without_cli(w, topic, passes):
    assert w.publish(topic) == (0 if passes else REFUSED)


@pytest.mark.parametrize("harm", [spoil, in_its_place(fifo)],
                         ids=["spoil", "fifo"])
def test_unreadable_at_the_start(fleet, live, wire, harm):
    d = fleet.device("mended")
    harm(live)
    with Broker(fleet) as b:
        mark = b.mark()
        assert refused_connect(wire(b, d, 5))
        b.refused("connect", "unavailable", mark)
        live.remove()
        live.make()
        live.quarantine(d)
        live.applied()
        w = wire(b, d, 5).admitted()
        agrees(fleet, w, f"s/{d}/up", "quarantined")


def test_removed_lets_nobody_go(fleet, broker, live, wire):
    w = jailed(fleet, broker, live, wire, fleet.device("mended"))
    mark = broker.mark()
    live.remove()
    broker.await_log("weir: .*live.db is gone: whom weir-feed had put", mark)
    assert w.publish(f"s/{w.device}/up") == REFUSED
    # It says who was in quarantine, so others are let in.
    wire(broker, fleet.device("mended"), 5).admitted()
    live.make()
    w.ended()
    wire(broker, w.device, 5).admitted()


def test_older_file_is_read_whole(fleet, broker, live, wire):
    """A copy of before, put back: its actions do not go on from those seen."""
    a, b = fleet.device("mended"), fleet.device("mended")
    live.applied(live.quarantine(a))
    live.close()
    old = live.path.read_bytes()
    live.open()
    live.applied(live.quarantine(b))
    w, v = (wire(broker, x, 5).admitted() for x in (a, b))
    live.remove()
    live.path.write_bytes(old)
    for more in ("-wal", "-shm"):
        live.beside(more).touch()
    live.open()
    v.ended()
    live.applied(1)
    v = wire(broker, b, 5).admitted()
    assert v.publish(f"s/{b}/up") == 0
    w.ping()
    assert w.publish(f"s/{a}/up") == REFUSED


# Source: sqlite3.c, PENDING_BYTE.
def lock(path):
    """Locks PATH as an exclusive writer does; close() unlocks. In a process of
    its own: SQLite has locks in this one."""
    return subprocess.Popen(
        ["python3", "-c",
         "import fcntl, struct, sys\n"
         "f = open(sys.argv[1], 'r+b')\n"
         "fcntl.fcntl(f, fcntl.F_SETLKW, struct.pack("
         "'hhqqi4x', fcntl.F_WRLCK, 0, 0x40000000, 512, 0))\n"
         "print('locked', flush=True)\n"
         "sys.stdin.read()", path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_locked(fleet, broker, live, wire):
    """For a moment: nobody notices. For long: as what cannot be read."""
    d = fleet.device("mended")
    live.close()
    for more in ("-wal", "-shm"):
        live.beside(more).touch()
        live.own(live.beside(more))
    holder = lock(live.path)
    try:
        assert holder.stdout.readline() == "locked\n"
        mark = broker.mark()
        # News, so that it is looked at.
        os.utime(live.path)
        wire(broker, d, 5).admitted()
        broker.await_log("weir: nobody is admitted: .* is locked", mark)
        assert refused_connect(wire(broker, d, 5))
    finally:
        mark = broker.mark()
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()
    broker.await_log("readable again", mark)
    wire(broker, d, 5).admitted()


def test_replaced_again_and_again(fleet, broker, live, wire):
    """It holds up no change of the registry."""
    d = fleet.device("mended")
    w = wire(broker, d, 5).admitted()
    for _ in range(10):
        live.make()
    begin = time.monotonic()
    fleet.weir("suspend", d)
    while time.monotonic() - begin < SECOND_S:
        live.make()
        live.quarantine(*(f"y-{i}" for i in range(200)))
    w.ended()
    assert fleet.status()["broker"]["applied_change"] == (
        fleet.status()["registry"]["change_seq"])


# ------------------------------------------------------------------ the command


def test_show_and_list(fleet, live):
    a, b = fleet.device("mended"), fleet.device("mended")
    live.quarantine(a, reason="beacon every 60 s")
    shown = fleet.json("device", "show", a)
    assert (shown["status"], shown["effective_status"]) == (
        "active", "quarantined")
    assert shown["feed_quarantine"] == {
        "since_s": shown["feed_quarantine"]["since_s"], "until_s": None,
        "reason": "beacon every 60 s", "actor": "token ops", "change": 1}
    assert "by token ops: beacon every 60 s" in fleet.weir("device", "show", a)
    shown = fleet.json("device", "show", b)
    assert (shown["effective_status"], shown["feed_quarantine"]) == (
        "active", None)
    listed = fleet.weir("--json", "device", "list", "--status", "quarantined")
    assert f'"id":"{a}"' in listed and f'"id":"{b}"' not in listed
    assert f'"id":"{a}"' not in fleet.weir(
        "--json", "device", "list", "--status", "active")
    assert fleet.json("device", "find", a)["effective_status"] == "quarantined"
    assert fleet.status()["live"] == {"state": "ok", "problem": None,
                                      "quarantined": 1, "change": 1}
    assert "1 device in quarantine by it" in fleet.weir("status")


def test_ended_is_not_shown(fleet, live):
    d = fleet.device("mended")
    live.quarantine(d, until_s=int(time.time()) - 1)
    assert fleet.json("device", "show", d)["feed_quarantine"] is None
    assert fleet.status()["live"]["quarantined"] == 0


def test_explain(fleet, live):
    d = fleet.device("mended")
    live.quarantine(d, reason="odd")
    told = fleet.json("explain", d, "publish", f"s/{d}/up", status=1)
    assert (told["status"], told["by_feed"], told["reason"]) == (
        "quarantined", True, "quarantined")
    assert f"POST /api/v1/devices/{d}/release" in told["remedy"]
    assert "token ops did it; the reason given: odd" in told["remedy"]
    assert told["suggest_list"] == "quarantine.publish"
    p = fleet.device("plain")
    live.quarantine(p)
    told = fleet.json("explain", p, "publish", f"fw/{p}/state", status=1)
    assert (told["reason"], told["suggest_list"]) == (
        "no_rule", "classes.plain.publish")
    text = fleet.weir("explain", d)
    assert "quarantined by weir-feed" in text
    told = fleet.run("explain", "--batch", "-",
                     stdin=f"{d}\tpublish\ts/{d}/up\n"
                           f"{d}\tpublish\tfw/{d}/state\n")
    assert told.stdout.split() == [
        "deny", "quarantined", "-", "allow", "allowed",
        "classes.mended.publish[1]"]


def test_release_says_where(fleet, live):
    d, free = fleet.device("mended"), fleet.device("mended")
    live.quarantine(d)
    seq = fleet.status()["registry"]["change_seq"]
    done = fleet.run("release", d)
    assert done.returncode == 2
    assert f"POST /api/v1/devices/{d}/release" in done.stderr
    # All or none.
    fleet.weir("suspend", free)
    assert fleet.run("release", free, d).returncode == 2
    assert fleet.json("device", "show", free)["status"] == "suspended"
    # Held by both: the registry lets go, and weir-feed does not.
    fleet.weir("quarantine", d)
    done = fleet.run("release", d)
    assert done.returncode == 0
    assert "stays in quarantine by weir-feed" in done.stderr
    shown = fleet.json("device", "show", d)
    assert (shown["status"], shown["effective_status"]) == (
        "active", "quarantined")
    assert fleet.status()["registry"]["change_seq"] == seq + 3


def test_unreadable_for_the_command(fleet, live):
    d = fleet.device("mended")
    spoil(live)
    for command in (("device", "show", d), ("device", "list"),
                    ("device", "find", d)):
        done = fleet.run(*command)
        assert done.returncode == 0
        assert "whom weir-feed has in quarantine is not known" in done.stderr
    done = fleet.run("explain", d)
    assert done.returncode == 3 and "live.db is damaged" in done.stderr
    assert fleet.run("release", d).returncode == 0
    told = fleet.weir("status")
    assert "damaged or not weir-feed's" in told


def test_behind(fleet, broker, live):
    """What doctor says while the broker has not taken it up."""
    live.applied(live.quarantine("x"))
    assert not doctor(fleet, "live.behind")
    broker.process.send_signal(19)
    try:
        live.quarantine("y")
        assert doctor(fleet, "live.behind")
        assert "not all in force" in fleet.weir("status")
    finally:
        broker.process.send_signal(18)
    eventually("in force", lambda: not doctor(fleet, "live.behind"))
