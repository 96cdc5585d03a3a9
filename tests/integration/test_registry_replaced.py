# SPDX-License-Identifier: Apache-2.0
"""
Scenario: while a real Mosquitto runs with the plugin, its registry is replaced
by a backup, overwritten where it lies, locked, cut short, filled with garbage,
taken away.

Question: does it let in anybody whom a newer registry barred, or who cannot be
looked up; does the broker live; do log and weir status say what to do; and is
all well again when the file is, or when the backup was accepted?

Expected: nobody new is admitted from within a second until then. Accepting
names the devices known to have lost a right since the backup, and says what it
cannot know; a repair made before accepting holds and does not count as one.
"""

import contextlib
import os
import shutil
import sqlite3

import pytest

from clients import Message, refused_connect
from harness import Broker, eventually


def admits(wire, broker, device):
    w = wire(broker, device)
    if refused_connect(w):
        return False
    w.close()
    return True


def backup(fleet, name="backup.db"):
    """As `sqlite3 .backup` makes one, with the owners it must have."""
    copy = fleet.root / name
    with contextlib.closing(sqlite3.connect(fleet.state / "registry.db")) as a:
        with contextlib.closing(sqlite3.connect(copy)) as b:
            a.backup(b)
    return copy


def put(fleet, path, inplace=False, init=True):
    """PATH's bytes in the place of the registry."""
    db = fleet.state / "registry.db"
    st = db.stat() if db.exists() else (fleet.state).stat()
    target = db if inplace else fleet.state / "new.db"
    shutil.copyfile(path, target)
    os.chown(target, 0, st.st_gid)
    target.chmod(0o640)
    if not inplace:
        for suffix in ("-wal", "-shm"):
            other = fleet.state / f"registry.db{suffix}"
            with contextlib.suppress(FileNotFoundError):
                other.unlink()
        target.rename(db)
    if init:
        # Makes -wal and -shm, which the broker's user may not make.
        fleet.weir("init")


def problem(fleet):
    return fleet.status()["broker"]["load_error"] or ""


def test_will_of_who_was_away(own_fleet, own_broker, wire, paho):
    """A will that is sent after its delay is judged by the registry of then."""
    fleet, broker = own_fleet, own_broker
    good, bad = fleet.device("meter"), fleet.device("meter")
    ear = paho(broker, fleet.device("backend")).connect()
    ear.listening("m/#")
    for d in (bad, good):
        wire(broker, d, 5).admitted(clean=False, will_delay=3, will=Message(
            f"m/{d}/will", "late", 1, False)).close()
    other = backup(fleet)
    with contextlib.closing(sqlite3.connect(other)) as db, db:
        db.execute("UPDATE device SET status = 'suspended' WHERE id = ?",
                   (bad.id,))
    mark = broker.mark()
    put(fleet, other)
    broker.await_log("another file", mark)
    assert ear.until(f"m/{good}/will", b"late") == []
    broker.refused("publish", "device_suspended", mark, device=bad)


@pytest.mark.parametrize("inplace", [False, True], ids=["moved", "copied"])
def test_backup(own_fleet, own_broker, wire, inplace):
    fleet, broker = own_fleet, own_broker
    good, bad = fleet.device("meter"), fleet.device("meter")
    old = backup(fleet)
    fleet.weir("suspend", bad, "--reason", "stolen", "--wait", "20s")
    assert not admits(wire, broker, bad)
    staying = wire(broker, good).admitted()

    mark = broker.mark()
    put(fleet, old, inplace)
    broker.await_log("went back.*weir registry accept", mark)
    assert not admits(wire, broker, good)
    assert not admits(wire, broker, bad)
    assert "weir registry accept" in problem(fleet)
    assert "weir registry accept" in fleet.weir("status")
    doctor = fleet.run("--json", "doctor")
    assert doctor.returncode == 1
    assert "registry.went_back" in doctor.stdout
    staying.ping()

    done = fleet.run("registry", "accept")
    assert done.returncode == 2 and "--yes" in done.stderr
    assert not admits(wire, broker, good)
    done = fleet.run("registry", "accept", "--yes", "--wait", "20s")
    assert done.returncode == 0, done.stderr
    assert f"{bad} lost a right in a lost change" in done.stderr
    assert "cannot be known" in done.stderr
    assert "in this registry it is active" in done.stderr
    broker.await_log("accepted; its revision is", mark)
    eventually("admitted", lambda: admits(wire, broker, good))
    # Whom the lost change barred is back: said above.
    assert admits(wire, broker, bad)
    assert problem(fleet) == ""
    assert fleet.json("audit", "verify")["ok"]
    # Later changes take hold at once, under new numbers.
    fleet.weir("suspend", bad, "--wait", "20s")
    assert not admits(wire, broker, bad)
    told = fleet.json("registry", "accept")
    assert told["accepted"] is False


def test_repair_is_no_acceptance(own_fleet, own_broker, wire):
    fleet, broker = own_fleet, own_broker
    good, bad = fleet.device("meter"), fleet.device("meter")
    old = backup(fleet)
    fleet.weir("suspend", bad, "--wait", "20s")
    mark = broker.mark()
    put(fleet, old)
    broker.await_log("went back", mark)
    for _ in range(5):
        done = fleet.run("suspend", bad)
        assert done.returncode == 0
        assert "registry went back" in done.stderr
        fleet.weir("release", bad)
    fleet.weir("suspend", bad)
    status = fleet.status()
    assert status["registry"]["revision"] > 10
    assert not admits(wire, broker, good)
    # Nor does a new start forget, with or without the meter.
    broker.stop()
    broker.start()
    assert not admits(wire, broker, good)
    broker.stop()
    (fleet.state / "meter" / "meter.seg").unlink()
    broker.start()
    assert not admits(wire, broker, good)
    told = fleet.run("--json", "registry", "accept", "--yes", "--wait", "20s")
    assert told.returncode == 0, told.stderr
    eventually("admitted", lambda: admits(wire, broker, good))
    assert not admits(wire, broker, bad)


def test_newer_file_put_back(own_fleet, own_broker, wire):
    fleet, broker = own_fleet, own_broker
    good, bad = fleet.device("meter"), fleet.device("meter")
    old = backup(fleet)
    fleet.weir("suspend", bad, "--wait", "20s")
    new = backup(fleet, "new-backup.db")
    mark = broker.mark()
    put(fleet, old)
    broker.await_log("went back", mark)
    put(fleet, new)
    eventually("admitted", lambda: admits(wire, broker, good))
    assert not admits(wire, broker, bad)


def test_meter_that_lies(own_fleet, own_broker, wire):
    """The meter is the broker's user's: no number in it may keep root from
    revoking."""
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    broker.stop()
    seg = fleet.state / "meter" / "meter.seg"
    data = bytearray(seg.read_bytes())
    data[72:80] = (2**63 - 1).to_bytes(8, "little")  # highest_revision
    seg.write_bytes(data)
    fleet.weir("suspend", d)
    done = fleet.run("registry", "accept", "--yes")
    assert done.returncode == 2
    assert "cannot be" in done.stderr and "meter.seg" in done.stderr
    assert fleet.json("audit", "verify")["ok"]


# ------------------------------------------------------- a file nobody can read


def cut_short(fleet, db):
    os.truncate(db, 1000)


def garbage(fleet, db):
    junk = fleet.root / "junk"
    junk.write_bytes(os.urandom(16384))
    put(fleet, junk, init=False)


def garbage_inplace(fleet, db):
    db.write_bytes(os.urandom(16384))


def gone(fleet, db):
    db.unlink()


def empty(fleet, db):
    os.truncate(db, 0)


def unreadable(fleet, db):
    db.chmod(0o600)


@pytest.mark.parametrize(
    "harm, says",
    [(cut_short, "damaged|no registry|read or write"),
     (garbage, "damaged or no registry|may not read"),
     (garbage_inplace, "damaged or no registry"),
     (gone, "it is gone; put it back"),
     (empty, "no registry|damaged"),
     (unreadable, "may not read")],
    ids=lambda x: getattr(x, "__name__", ""))
def test_broken(own_fleet, own_broker, wire, harm, says):
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    whole = backup(fleet)
    staying = wire(broker, d).admitted()
    mark = broker.mark()
    harm(fleet, fleet.state / "registry.db")
    broker.await_log(says, mark)
    other = wire(broker, d)
    assert refused_connect(other)
    staying.ping()
    put(fleet, whole)
    broker.await_log("readable again; devices are admitted", mark)
    eventually("admitted", lambda: admits(wire, broker, d))
    assert problem(fleet) == ""


def test_locked_by_a_writer(own_fleet, own_broker, wire):
    """A writer at work locks out writers, not the broker."""
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    with contextlib.closing(
            sqlite3.connect(fleet.state / "registry.db")) as con:
        con.isolation_level = None
        con.execute("BEGIN EXCLUSIVE")
        con.execute("UPDATE device SET updated_s = updated_s + 1")
        assert admits(wire, broker, d)
        done = fleet.run("suspend", d)
        assert done.returncode == 3
        assert "in use by another weir command" in done.stderr
        con.execute("ROLLBACK")
    fleet.weir("suspend", d, "--wait", "20s")
    assert not admits(wire, broker, d)


def test_locked_for_all(own_fleet, own_broker, wire):
    """A file that its owner shares with nobody: as one that cannot be read."""
    fleet, broker = own_fleet, own_broker
    d = fleet.device("meter")
    copy = backup(fleet)
    mark = broker.mark()
    put(fleet, copy)
    broker.await_log("another file", mark)
    with contextlib.closing(sqlite3.connect(copy)) as con:
        con.isolation_level = None
        con.execute("PRAGMA journal_mode = DELETE")
        con.execute("BEGIN EXCLUSIVE")
        st = (fleet.state / "registry.db").stat()
        os.chown(copy, 0, st.st_gid)
        copy.chmod(0o640)
        copy.rename(fleet.state / "registry.db")
        broker.await_log("in use by another weir command", mark)
        assert not admits(wire, broker, d)
        con.execute("ROLLBACK")
    broker.await_log("readable again; devices are admitted", mark)
    eventually("admitted", lambda: admits(wire, broker, d))


def test_accept_without_a_broker(own_fleet):
    fleet = own_fleet
    fleet.device("meter", cert=None)
    assert fleet.json("registry", "accept")["accepted"] is False
    with Broker(fleet):
        pass
    fleet.weir("device", "set", "meter-1", "--attr", "a=b")
    assert fleet.json("registry", "accept")["accepted"] is False
    fleet.run("registry", "accept", "more")
    assert fleet.run("registry", "accept", "more").returncode == 2
    assert fleet.run("--state", fleet.root / "none", "registry",
                     "accept").returncode == 3
