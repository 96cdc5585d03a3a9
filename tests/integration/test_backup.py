# SPDX-License-Identifier: Apache-2.0
"""
Scenario: an operator backs the registry up while others write it and a broker
reads it, and puts a backup back, or tries to put back something else; the
command is killed on the way.

Question: is a backup one moment's state, whole and closed to others? Does
restore put back nothing that is not a sound registry, at no moment leave a
path without one, and let nobody in by a state that is older than what was in
force?

Expected: a backup never overwrites, and holds every change before it. What
restore refuses, and what a kill interrupts, leaves the registry as it was. A
restored registry admits nobody until it is accepted, with a meter or without,
unless it carries on the one that it replaces.
"""

import contextlib
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import threading

import pytest

from clients import refused_connect
from harness import BUILD, Broker, eventually

KILLS = int(os.environ.get("WEIR_KILLS", "20"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))


def admits(wire, broker, device):
    w = wire(broker, device)
    if refused_connect(w):
        return False
    w.close()
    return True


def backup(fleet, name="backup.db"):
    fleet.weir("backup", fleet.root / name)
    return fleet.root / name


@contextlib.contextmanager
def running(work, stop):
    """WORK in a thread of its own, until the block ends, however it does."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def status_of(fleet, device):
    return fleet.json("device", "show", device)["status"]


# --------------------------------------------------------------------- backup


def test_backup(own_fleet):
    fleet = own_fleet
    device = fleet.device("meter", cert=None)
    before = fleet.json("status")["registry"]
    told = fleet.json("backup", fleet.root / "a.db")
    path = fleet.root / "a.db"
    assert told["revision"] == before["revision"]
    assert told["policy_revision"] == before["policy_revision"]
    assert told["change_seq"] == before["change_seq"]
    assert told["bytes"] == path.stat().st_size > 0
    head = fleet.weir("audit", "head").split()
    assert [str(told["entries"]), told["head"]] == head
    assert told["audit_ok"] is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Alone and whole: readable where nothing can be written beside it.
    with contextlib.closing(sqlite3.connect(
            f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT id FROM device").fetchall() == [(str(device),)]
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert not [n for n in names(fleet.root) if n.startswith("a.db.")]
    text = fleet.weir("backup", fleet.root / "b.db")
    assert f"revision:         {before['revision']} of 2" in text


def test_backup_overwrites_nothing(own_fleet):
    fleet = own_fleet
    there = fleet.root / "a.db"
    there.write_text("mine")
    before = names(fleet.root)
    done = fleet.run("backup", there)
    assert done.returncode == 2 and "not overwritten" in done.stderr
    assert there.read_text() == "mine" and names(fleet.root) == before
    (fleet.root / "link").symlink_to(fleet.root / "nowhere")
    assert fleet.run("backup", fleet.root / "link").returncode == 2
    assert not (fleet.root / "nowhere").exists()
    for bad in (fleet.root / "no" / "a.db", fleet.root):
        assert fleet.run("backup", bad).returncode in (2, 3)
    assert fleet.run("backup").returncode == 2
    assert fleet.run("--state", fleet.root / "no", "backup",
                     fleet.root / "c.db").returncode == 3
    assert not (fleet.root / "c.db").exists()


def test_backup_of_a_damaged_registry(own_fleet):
    """A copy of what cannot be read would be found out too late."""
    fleet = own_fleet
    fleet.sql("DROP INDEX device_status")
    fleet.sql("PRAGMA writable_schema = ON")
    db = fleet.state / "registry.db"
    with db.open("r+b") as f:
        f.seek(4096 * 3)
        f.write(b"\xff" * 4096)
    done = fleet.run("backup", fleet.root / "a.db")
    assert done.returncode == 3 and "damaged" in done.stderr, done
    assert not (fleet.root / "a.db").exists()
    assert not [n for n in names(fleet.root) if n.startswith("a.db")]


def test_backup_of_an_audit_that_does_not_fit(own_fleet):
    fleet = own_fleet
    fleet.device("meter", cert=None)
    fleet.sql("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    done = fleet.run("--json", "backup", fleet.root / "a.db")
    assert done.returncode == 0 and '"audit_ok":false' in done.stdout
    assert "entry 2 does not fit" in done.stderr
    done = fleet.run("restore", fleet.root / "a.db", "--yes")
    assert done.returncode == 3 and "entry 2" in done.stderr


def test_backup_while_others_write(own_fleet, own_broker, wire):
    """Writers and the broker go on; each backup is some moment's state."""
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    stop, failed = threading.Event(), []

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            done = fleet.run("device", "set", d, "--attr", f"n={n}")
            if done.returncode != 0:
                failed.append(done.stderr)

    last = 0
    with running(write, stop):
        for i in range(8):
            told = fleet.json("backup", fleet.root / f"{i}.db")
            assert told["audit_ok"] and told["revision"] >= last
            last = told["revision"]
            with contextlib.closing(
                    sqlite3.connect(fleet.root / f"{i}.db")) as db:
                assert db.execute("SELECT max(revision) FROM device"
                                  ).fetchone()[0] <= last
                assert db.execute(
                    "SELECT value FROM meta WHERE key = 'revision'"
                ).fetchone()[0] == str(last)
            assert admits(wire, broker, d)
    assert failed == []
    assert broker.logged("registry.*(use|damaged|read)") == []


# -------------------------------------------------------- what is not restored


def shortened(fleet, good):
    os.truncate(good, good.stat().st_size // 2)


def garbage(fleet, good):
    good.write_bytes(os.urandom(65536))


def empty(fleet, good):
    good.write_bytes(b"")


def missing(fleet, good):
    good.unlink()


def folder(fleet, good):
    good.unlink()
    good.mkdir()


def change(sql):
    def harm(fleet, good):
        with contextlib.closing(sqlite3.connect(good)) as db:
            db.executescript(sql)
    return harm


def flipped(fleet, good):
    data = bytearray(good.read_bytes())
    at = data.index(b"meter-1")
    data[at:at + 5] = b"\xff\xff\xff\xff\xff"
    good.write_bytes(data)


def with_a_log(fleet, good):
    good.with_name(good.name + "-wal").write_bytes(b"x" * 100)


@pytest.mark.parametrize("harm, status, says", [
    (shortened, 3, "damaged|malformed"),
    (garbage, 3, "damaged or no registry"),
    (empty, 3, "no registry"),
    (missing, 3, "No such file"),
    (folder, 2, "no regular file"),
    (flipped, 3, "damaged"),
    (with_a_log, 2, "changes in -wal"),
    (change("UPDATE meta SET value = '9' WHERE key = 'schema'"), 3, "schema 9"),
    (change("DROP TABLE meta"), 3, "no registry"),
    (change("CREATE TABLE x (y); DROP TABLE device; DROP TABLE meta"), 3,
     "no registry"),
    (change("UPDATE audit SET detail = '{}' WHERE seq = 1"), 3, "audit entry 1"),
    (change("DELETE FROM audit WHERE seq = 2"), 3, "audit entry 2"),
    (change("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"), 3,
     "audit entry"),
], ids=lambda x: getattr(x, "__name__", None))
def test_restore_refuses(own_fleet, harm, status, says):
    fleet = own_fleet
    fleet.device("meter", cert=None)
    good = backup(fleet)
    fleet.weir("suspend", "meter-1")
    before, dir_before = fleet.weir("audit", "head"), names(fleet.state)
    harm(fleet, good)
    done = fleet.run("restore", good, "--yes")
    assert done.returncode == status, done
    assert re.search(says, done.stderr), done.stderr
    assert str(good) in done.stderr and "restore." not in done.stderr
    assert fleet.weir("audit", "head") == before
    assert names(fleet.state) == dir_before
    assert status_of(fleet, "meter-1") == "suspended"


def test_restore_wants_a_yes_and_a_registry(own_fleet):
    fleet = own_fleet
    good = backup(fleet)
    before = fleet.weir("audit", "head")
    done = fleet.run("restore", good)
    assert done.returncode == 2 and "--yes" in done.stderr
    assert fleet.run("restore").returncode == 2
    itself = fleet.run("restore", fleet.state / "registry.db", "--yes")
    assert itself.returncode == 2 and "is the registry itself" in itself.stderr
    nowhere = fleet.run("--state", fleet.root / "no", "restore", good, "--yes")
    assert nowhere.returncode == 3
    assert not (fleet.root / "no").exists()
    assert fleet.weir("audit", "head") == before


# ------------------------------------------------------------------- restored


@pytest.mark.parametrize("meter", [True, False], ids=["meter", "no meter"])
def test_restore(own_fleet, wire, meter):
    """Whoever lost a right since the backup is not let in by it, even where
    no meter remembers."""
    fleet = own_fleet
    with Broker(fleet) as broker:
        good, bad = fleet.device("meter"), fleet.device("meter")
        old = backup(fleet)
        fleet.weir("suspend", bad, "--wait", "20s")
        staying = wire(broker, good).admitted()
        mark = broker.mark()
        if not meter:
            broker.stop()
            (fleet.state / "meter" / "meter.seg").unlink()
        done = fleet.run("--json", "restore", old, "--yes")
        assert done.returncode == 0, done.stderr
        assert '"accept_needed":true' in done.stdout
        assert "is lost" in done.stderr
        if meter:
            broker.await_log("weir registry accept", mark)
            staying.ping()
        else:
            broker.start()
        assert not admits(wire, broker, good)
        assert not admits(wire, broker, bad)
        assert "registry accept" in fleet.weir("status")
        told = fleet.json("registry", "accept", "--yes", "--wait", "20s")
        assert told["accepted"]
        eventually("admitted", lambda: admits(wire, broker, good))
        assert admits(wire, broker, bad)
        assert fleet.json("audit", "verify")["ok"]
        fleet.weir("suspend", bad, "--wait", "20s")
        assert not admits(wire, broker, bad)
    st = os.stat(fleet.state / "registry.db")
    assert stat.S_IMODE(st.st_mode) == 0o640
    assert st.st_gid == fleet.state.stat().st_gid
    # The state that was replaced is there, with what the backup lacks.
    with contextlib.closing(sqlite3.connect(
            fleet.state / "registry.db.replaced")) as db:
        assert db.execute("SELECT status FROM device WHERE id = ?",
                          (str(bad),)).fetchone() == ("suspended",)


def test_newer_needs_no_accepting(own_fleet, own_broker, wire):
    fleet, broker = own_fleet, own_broker
    good, bad = fleet.device("meter"), fleet.device("meter")
    old = backup(fleet)
    fleet.weir("suspend", bad, "--wait", "20s")
    newer = backup(fleet, "newer.db")
    mark = broker.mark()
    fleet.weir("restore", old, "--yes")
    broker.await_log("weir registry accept", mark)
    told = fleet.json("restore", newer, "--yes")
    assert told["accept_needed"] is False
    eventually("admitted", lambda: admits(wire, broker, good))
    assert not admits(wire, broker, bad)
    # The very state that is in place loses nothing either.
    same = backup(fleet, "same.db")
    assert fleet.json("restore", same, "--yes")["accept_needed"] is False
    assert fleet.json("registry", "accept")["accepted"] is False
    eventually("admitted", lambda: admits(wire, broker, good))


def test_other_fleets_backup(own_fleet):
    """A registry of other origin has higher numbers and lost everything."""
    fleet = own_fleet
    for _ in range(3):
        fleet.device("meter", cert=None)
    other = backup(fleet)
    fleet.weir("--state", fleet.root / "two", "init")
    fleet.weir("--state", fleet.root / "two", "device", "add", "own", "--class",
               "meter")
    told = fleet.json("--state", fleet.root / "two", "restore", other, "--yes")
    assert told["accept_needed"] is True
    assert len(fleet.run("--state", fleet.root / "two", "--json", "device",
                         "list").stdout.splitlines()) == 3


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_in_place_of_what_cannot_be_read(own_fleet, own_broker, wire, harm):
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    good = backup(fleet)
    db = fleet.state / "registry.db"
    mark = broker.mark()
    if harm == "gone":
        db.unlink()
    else:
        db.write_bytes(os.urandom(65536))
    broker.await_log("it is gone|damaged", mark)
    told = fleet.json("restore", good, "--yes")
    assert told["accept_needed"] is True and told["replaced_revision"] is None
    assert not admits(wire, broker, d)
    fleet.weir("registry", "accept", "--yes")
    eventually("admitted", lambda: admits(wire, broker, d))


def test_restore_waits_for_writers(own_fleet):
    """A writer at work is not cut off from the registry it writes to."""
    fleet = own_fleet
    fleet.device("meter", cert=None)
    good = backup(fleet)
    stop, done = threading.Event(), []

    def write():
        while not stop.is_set():
            told = fleet.run("--json", "device", "add", f"w-{len(done)}",
                             "--class", "meter")
            done.append((told.returncode, told.stderr))

    with running(write, stop):
        for _ in range(5):
            told = fleet.run("restore", good, "--yes")
            assert told.returncode == 0, told.stderr
            assert fleet.json("audit", "verify")["ok"]
    assert {status for status, _ in done} == {0}, done
    with contextlib.closing(sqlite3.connect(
            f"file:{fleet.state}/registry.db?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_killed(own_fleet, own_broker, wire, capsys):
    """At any moment the path holds one of the two, and readers can open it."""
    fleet, broker = own_fleet, own_broker
    rng = random.Random(SEED)
    with capsys.disabled():
        print(f"\n    {KILLS} kills, WEIR_SEED={SEED}")
    d = fleet.device("meter")
    old = backup(fleet)
    restored = 0
    env = dict(os.environ, WEIR_STATE=str(fleet.state),
               WEIR_CA=str(fleet.ca), HOME=str(fleet.root))
    for n in range(KILLS):
        fleet.weir("device", "set", d, "--attr", f"n={n}")
        before = fleet.json("status")["registry"]["revision"]
        command = rng.choice([
            ["restore", str(old), "--yes"],
            ["backup", str(fleet.root / f"k{n}.db")]])
        with subprocess.Popen([BUILD / "bin" / "weir", *command], env=env,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as p:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(rng.uniform(0.001, 0.05))
            p.send_signal(signal.SIGKILL)
        told = fleet.json("status")
        marked = fleet.run("--json", "registry", "accept", "--yes")
        assert marked.returncode == 0, marked.stderr
        if '"accepted":true' in marked.stdout:
            restored += 1
        else:
            assert told["registry"]["revision"] == before
        made = fleet.root / f"k{n}.db"
        if made.exists():
            with contextlib.closing(sqlite3.connect(made)) as db:
                assert db.execute("PRAGMA integrity_check"
                                  ).fetchall() == [("ok",)]
        assert fleet.json("audit", "verify")["ok"]
        eventually("admitted", lambda: admits(wire, broker, d))
    with capsys.disabled():
        print(f"    {restored} were restored before the kill")
