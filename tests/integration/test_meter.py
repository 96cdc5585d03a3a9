# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices publish while the broker counts; the broker is stopped,
killed, runs out of room for the meter, or the meter's file is cut short,
removed or replaced under it.

Question: is what was counted kept? Does the broker live on, with its clients,
whatever becomes of the file? Is what it cannot count said?

Expected: each device has a slot, whose counters survive a restart and a kill.
Without room devices are served, `unmetered` counts them, one line says so, and
with room again the next connect gets a slot. A file that is cut, removed or
replaced costs what it held and nothing else: no client is disconnected, a line
and a new generation tell of it, and the new file counts on.
"""

import contextlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import pytest

import policies
from clients import Client
from harness import BUILD, Broker, Fleet, eventually

POLICY = policies.changed(
    sensor={"publish": ["m/${device}/up"]},
    daily={"publish": ["m/${device}/up"], "limits": {"bytes_per_day": 300}},
    ledger={"subscribe": ["m/#"]})

SLOTS_AT, SLOT = 0x1000000, 760
CLASSES_AT, CLASS = 0x110000, 1272


@pytest.fixture
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


def path(fleet):
    return fleet.state / "meter" / "meter.seg"


def slots(fleet):
    """{device: messages_in}, as docs/METER.md lays it out."""
    found = {}
    with open(path(fleet), "rb") as f:
        n, = struct.unpack_from("<I", os.pread(f.fileno(), 4, 384))
        for i in range(n):
            slot = os.pread(f.fileno(), SLOT, SLOTS_AT + i * SLOT)
            id_len, = struct.unpack_from("<I", slot, 64)
            counted, = struct.unpack_from("<Q", slot, 400)
            found[slot[:id_len].decode()] = counted
    return found


@contextlib.contextmanager
def client(broker, device):
    c = Client(broker, device).connect()
    c.topic = f"m/{device}/up"
    try:
        yield c
    finally:
        c.close()


def publish(c, n):
    for _ in range(n):
        c.publish(c.topic)


def counted(fleet, device, n):
    eventually(f"{device} has {n}", lambda: slots(fleet).get(str(device)) == n)


def test_slots_survive(fleet):
    a, b = fleet.device("sensor"), fleet.device("sensor")
    broker = Broker(fleet)
    with broker:
        with client(broker, a) as ca, client(broker, b) as cb:
            publish(ca, 3)
            publish(cb, 5)
        assert slots(fleet) == {a.id: 3, b.id: 5}
        broker.stop()
        broker.start()
        assert slots(fleet) == {a.id: 3, b.id: 5}
        with client(broker, a) as ca:
            publish(ca, 1)
            broker.kill()
        broker.start()
        assert slots(fleet) == {a.id: 4, b.id: 5}
        told = fleet.status()["broker"]
        assert told["generation"] == 3
        assert (told["metered"], told["unmetered"]) == (2, 0)


def test_stranger_has_no_slot(fleet):
    made = fleet.sign("stranger")
    with Broker(fleet) as broker:
        with pytest.raises(Exception):
            with client(broker, made):
                pass
        broker.refused("connect", "unknown_certificate")
        assert slots(fleet) == {}
        eventually("counted", lambda: fleet.status()["broker"]["strangers"])


def cut(size):
    return lambda p: os.truncate(p, size)


def cut_and_grown(p):
    size = p.stat().st_size
    os.truncate(p, 0)
    os.truncate(p, size)


def replaced(p):
    other = p.with_name("other")
    other.write_bytes(b"not a segment")
    other.chmod(0o666)
    other.rename(p)


HARM = {"0": cut(0), "100": cut(100), "4096": cut(4096),
        "in the slots": cut(SLOTS_AT + 4096), "cut and grown": cut_and_grown,
        "removed": os.unlink, "replaced": replaced}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
def test_file_harmed(fleet, harm):
    a, ledger = fleet.device("sensor"), fleet.device("ledger")
    with Broker(fleet) as broker:
        with client(broker, a) as ca, client(broker, ledger) as cl:
            cl.listening("m/#")
            publish(ca, 7)
            counted(fleet, a, 7)
            before = fleet.status()["broker"]
            mark = broker.mark()
            harm(path(fleet))
            # while it has not noticed yet, and after
            publish(ca, 20)
            broker.await_log(r"weir: .*begun anew; generation 2$", mark)
            base = slots(fleet).get(a.id)
            assert base is not None and base <= 20
            publish(ca, 11)
            counted(fleet, a, base + 11)
            cl.until("m/" + a.id + "/up")
            assert not broker.logged("disconnected|connection closed", mark)
            after = fleet.status()["broker"]
            assert after["state"] == "running"
            assert after["generation"] == before["generation"] + 1
            assert after["pid"] == before["pid"]
            assert after["connected"] == 2
            assert after["applied_change"] == before["applied_change"]
            # a change still reaches the connections
            fleet.weir("suspend", a, "--wait", "10s")
        assert len(broker.logged("begun anew", mark)) == 1


@pytest.fixture
def elsewhere():
    """A folder of the broker's for the meter, and its line of mosquitto.conf."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-meter."))
    shutil.chown(folder, "mosquitto")
    folder.chmod(0o755)
    yield folder / "m.seg", f"plugin_opt_meter {folder / 'm.seg'}\n"
    shutil.rmtree(folder)


def test_meter_elsewhere(fleet, elsewhere):
    """By plugin_opt_meter, and every command that reads it finds it there."""
    file, line = elsewhere
    meter = ("--meter", file)
    d = fleet.device("sensor")
    with Broker(fleet, extra=line) as broker:
        with client(broker, d) as c:
            publish(c, 5)
            eventually("5", lambda: fleet.json("usage", d.id, *meter)
                       ["messages_in"] == 5)
            assert not path(fleet).exists()
            assert fleet.json("status", *meter)["broker"]["state"] == "running"
            assert fleet.status()["broker"]["state"] == "never_ran"
            assert fleet.json("device", "find", "127.0.0.1", *meter)
            fleet.weir("suspend", d, "--wait", "10s", *meter)
            fleet.weir("release", d, "--wait", "10s", *meter)
            # what nobody applies, nobody waits for
            fleet.weir("suspend", d, "--wait", "10s")
            env = {**os.environ, "WEIR_METER": str(file)}
            assert subprocess.run(
                [BUILD / "bin" / "weir", "--state", fleet.state, "--json",
                 "usage", d.id], env=env, check=True, capture_output=True,
                text=True).stdout.count('"messages_in":5')
        told = fleet.run("doctor", "--broker-conf", broker.conf, "--json")
        assert "plugin.meter_path" in told.stdout
        told = fleet.run("doctor", "--broker-conf", broker.conf, "--json",
                         *meter)
        assert "plugin.meter_path" not in told.stdout


def test_meter_where_it_cannot_be(fleet):
    for file, why in (("m.seg", "give an absolute path"),
                      ("/nowhere/m.seg", "/nowhere/m.seg"),
                      ("/proc/m.seg", "/proc/m.seg")):
        b = Broker(fleet, extra=f"plugin_opt_meter {file}\n")
        assert why in b.fails_to_start()


def test_harmed_twice(fleet):
    a = fleet.device("sensor")
    with Broker(fleet) as broker, client(broker, a) as ca:
        for generation in (2, 3):
            mark = broker.mark()
            os.truncate(path(fleet), 0)
            publish(ca, 3)
            broker.await_log(f"begun anew; generation {generation}$", mark)
        aside = list(path(fleet).parent.glob("meter.seg.old-*"))
        assert len(aside) == 2
        assert slots(fleet).keys() == {a.id}


def class_of(fleet, device):
    """The class that its slot names, as docs/METER.md lays it out."""
    at = list(slots(fleet)).index(device.id)
    with open(path(fleet), "rb") as f:
        index, = struct.unpack("<I", os.pread(
            f.fileno(), 4, SLOTS_AT + at * SLOT + 68))
        name = os.pread(f.fileno(), 64, CLASSES_AT + index * CLASS)
        return name.rstrip(b"\0").decode()


def test_removed_after_a_policy(fleet):
    """Who is away was last judged by a policy that is gone."""
    away = fleet.device("sensor")
    with Broker(fleet) as broker:
        Client(broker, away, clean=False).connect().close()
        # A table of classes at another place.
        more = {f"class-{i}": {"publish": ["x"]} for i in range(300)}
        fleet.apply({**POLICY, "classes": {**more, **POLICY["classes"]}})
        broker.await_log(r"in force, classes: 3\d\d")
        mark = broker.mark()
        path(fleet).unlink()
        broker.await_log(r"begun anew; generation 2$", mark)
        assert class_of(fleet, away) == "sensor"
        with client(broker, away) as c:
            publish(c, 1)
            counted(fleet, away, 1)


@pytest.fixture
def small(fleet):
    """The meter on a tmpfs with room to begin, and for no device."""
    where = path(fleet).parent
    st = where.stat()

    def mount(*options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options),
                        "tmpfs", where], check=True)

    mount("size=3m", f"uid={st.st_uid}", f"gid={st.st_gid}",
          f"mode={st.st_mode & 0o7777:o}")
    yield lambda size: mount("remount", f"size={size}")
    subprocess.run(["umount", where], check=True)


def test_no_room(fleet, small):
    a, b, ledger = (fleet.device(c) for c in ("sensor", "sensor", "ledger"))
    with Broker(fleet) as broker:
        with client(broker, ledger) as cl:
            cl.listening("m/#")
            for device in (a, b):
                with client(broker, device) as c:
                    publish(c, 2)
                    cl.until(f"m/{device}/up")
            broker.await_log("no room for another device's counters")
            told = fleet.status()["broker"]
            assert (told["metered"], told["unmetered"]) == (0, 3)
            assert "3 connects without room" in fleet.weir("status")
            small("64m")

            def metered():
                with client(broker, a) as c:
                    publish(c, 4)
                return slots(fleet) != {}

            eventually("a slot", metered)
            assert slots(fleet) == {a.id: 4}
            assert fleet.status()["broker"]["metered"] == 1
        assert len(broker.logged("no room for another")) == 1


def test_what_one_has_used_is_no_other_s(fleet, small):
    """Neither of them has a slot that could remember it."""
    a, b, ledger = (fleet.device(c) for c in ("daily", "daily", "ledger"))
    with Broker(fleet) as broker, client(broker, ledger) as cl:
        cl.listening("m/#")
        with client(broker, a) as c:
            mark = broker.mark()
            for _ in range(2):
                c.publish(c.topic, "x" * 200)
            broker.refused("publish", "quota", mark, device=a)
        with client(broker, b) as c:
            c.publish(c.topic, "y" * 200)
            cl.until(f"m/{b}/up", b"y" * 200)
        assert fleet.status()["broker"]["metered"] == 0


def test_no_room_to_begin(fleet, small):
    small("1m")
    log = Broker(fleet)
    told = log.fails_to_start()
    log.hold.close()
    assert "no room for it" in told and "make room" in told
    # and nothing is left that would be set aside the next time
    small("64m")
    with Broker(fleet) as broker:
        assert not broker.logged("set aside")
