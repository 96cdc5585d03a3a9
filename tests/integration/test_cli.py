# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a person, and a script, provision devices with the weir command, in a
state directory of their own, with no broker and beside one.

Question: does each command do what docs/CLI.md says: exit status, standard
output, standard error, JSON keys, and what it leaves in the registry?

Expected: 0 done, 1 the answer is no, 2 usage or input, 3 environment; errors
on standard error as `weir: …`; --json whole and parseable; a command that
fails changes nothing.

The broker is played by this file: it holds meter.seg locked and writes its
header as core/meter.h lays it out. The real one has its own tests.
"""

import fcntl
import grp
import json
import mmap
import os
import pathlib
import pwd
import re
import sqlite3
import stat
import struct
import subprocess
import threading
import time

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.path.join(os.environ.get("WEIR_BUILD", REPO / "build"), "bin", "weir")
ICCID = "8944500102198304826"
ICCID_BAD_LUHN = "8944500102198304827"
IMEI = "490154203237518"
IMSI = "234150999999999"


class Weir:
    """The command, run on one state directory."""

    def __init__(self, state):
        self.state = state

    def __call__(self, *args, stdin=b"", env=None, **more):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.state)}
        environment["WEIR_STATE"] = str(self.state)
        environment.update(env or {})
        return subprocess.run(
            [WEIR, *args], input=stdin, env=environment, timeout=30,
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE, **more)

    def ok(self, *args, **more):
        done = self(*args, **more)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *args, **more):
        return json.loads(self.ok("--json", *args, **more))

    def lines(self, *args):
        return [json.loads(x) for x in self.ok("--json", *args).splitlines()]

    def fails(self, status, *args, says="", **more):
        done = self(*args, **more)
        text = done.stderr.decode()
        assert done.returncode == status, (done.stdout, text)
        assert text.startswith("weir: ") or "\nweir: " in text
        assert says in text, text
        return text

    def revision(self):
        return self.json("status")["registry"]["revision"]


def account():
    """A user that init can take for the broker's: the one we are."""
    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def weir(tmp_path):
    w = Weir(tmp_path / "state")
    w.ok("init", "--broker-user", account())
    return w


@pytest.fixture
def bare(tmp_path):
    return Weir(tmp_path / "state")


def edit(weir, sql, *values):
    """Changes the registry behind the command's back."""
    con = sqlite3.connect(weir.state / "registry.db")
    # As the last to close the file it would take -wal and -shm away, which
    # readers need.
    keep = sqlite3.connect(f"file:{weir.state}/registry.db?mode=ro", uri=True)
    keep.execute("SELECT count(*) FROM device").fetchone()
    con.execute(sql, *values)
    con.commit()
    con.close()
    keep.close()


# ---------------------------------------------------------- the command itself


@pytest.mark.parametrize("args, says", [
    ((), "no command given"),
    (("stauts",), "did you mean 'status'?"),
    (("xyzzy",), "weir help lists"),
    (("device",), "add, set, show, list"),
    (("device", "lst"), "did you mean 'device list'?"),
    (("status", "--jsn"), "did you mean --json?"),
    (("status", "--state"), "needs a value"),
    (("status", "--state="), "empty"),
    (("status", "extra"), "one word too many"),
    (("device", "show"), "usage: weir device show ID"),
    (("device", "list", "--class"), "needs a value"),
    (("device", "list", "--json", "--json"), "given twice"),
    (("help", "xyzzy"), "unknown command"),
])
def test_usage_errors(weir, args, says):
    weir.fails(2, *args, says=says)


def test_version_and_help(bare):
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\n", bare.ok("--version"))
    listed = bare.ok("help")
    assert listed == bare.ok("--help")
    names = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)  ", listed, re.M)
    assert {"init", "status", "device add", "suspend", "audit verify"} <= set(
        names)
    for name in names:
        text = bare.ok("help", *name.split())
        assert text == bare.ok(*name.split(), "--help")
        assert text.startswith(f"usage: weir {name}")
        assert "\n  weir " in text or "\n  sudo weir " in text, name
    assert "device add" in bare.ok("help", "device")
    assert "suspend" not in bare.ok("device", "--help")


@pytest.mark.parametrize("args", [
    ("status",), ("device", "list"), ("device", "show", "a"),
    ("device", "add", "a", "--class", "c"), ("suspend", "a"),
    ("audit", "list"), ("audit", "verify"), ("audit", "head"),
])
def test_without_registry(bare, args):
    bare.fails(3, *args, says="weir init")
    assert not bare.state.exists()


def test_state_comes_from_option_then_environment(weir, tmp_path):
    assert weir.json("status")["state"] == str(weir.state)
    weir.fails(3, "status", "--state", str(tmp_path / "none"))
    weir.fails(3, "status", env={"WEIR_STATE": str(tmp_path / "none")})
    there = weir("status", "--state", str(weir.state),
                 env={"WEIR_STATE": str(tmp_path / "none")})
    assert there.returncode == 0


def test_output_that_cannot_be_written(weir):
    with open("/dev/full", "wb") as full:
        weir.fails(3, "status", stdout=full, says="standard output")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        weir.fails(3, "audit", "list", stdout=pipe, says="standard output")


@pytest.mark.parametrize("args", [
    ["backup", ""], ["restore", ""], ["device", "import", ""],
    ["policy", "check", ""], ["cert", "show", ""]], ids=" ".join)
def test_file_without_a_name(weir, args):
    weir.fails(3, *args, says="an empty name")


def test_a_change_whose_output_is_lost_is_said_to_be_committed(weir):
    weir.ok("device", "add", "a", "--class", "c")
    with open("/dev/full", "wb") as full:
        weir.fails(3, "suspend", "a", stdout=full, says="it is committed")
        assert weir.json("device", "show", "a")["status"] == "suspended"
        text = weir.fails(1, "suspend", "nobody", stdout=full)
    assert "committed" not in text


def test_closed_output_does_not_reach_the_registry(weir):
    """With descriptor 1 closed, no file of ours may take its number."""
    before = weir.revision()
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', WEIR, "--state", str(weir.state),
         "device", "add", "a", "--class", "c"],
        stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 3
    assert weir.revision() == before + 1
    assert weir.json("audit", "verify")["ok"] is True


# ------------------------------------------------------------------------ init


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_init_makes_and_keeps(bare):
    done = bare.json("init", "--broker-user", account())
    results = {pathlib.Path(p["path"]).name: p["result"]
               for p in done["paths"]}
    assert results["registry.db"] == "made"
    assert results["meter"] == results["live"] == results["usage"] == "made"
    for name, want in [("", 0o750), ("meter", 0o750), ("live", 0o750),
                       ("usage", 0o750), ("registry.db", 0o640)]:
        assert mode(bare.state / name) == want, name
    again = bare.json("init", "--broker-user", account())
    assert {p["result"] for p in again["paths"]} == {"kept"}
    assert bare.revision() == 1


def test_init_says_what_is_next(bare):
    text = bare.ok("init", "--broker-user", account())
    assert "next: " in text and "made" in text
    assert "next: " not in bare.ok("init", "--broker-user", account())


def test_init_repairs_modes(weir):
    weir.ok("device", "add", "a", "--class", "c")
    os.chmod(weir.state, 0o777)
    os.chmod(weir.state / "registry.db", 0o666)
    os.chmod(weir.state / "meter", 0o777)
    (weir.state / "live" / "live.db").touch(mode=0o600)
    done = weir.json("init", "--broker-user", account())
    repaired = {pathlib.Path(p["path"]).name for p in done["paths"]
                if p["result"] == "repaired"}
    assert {weir.state.name, "meter", "live.db"} <= repaired
    assert mode(weir.state / "live" / "live.db") == 0o640
    assert mode(weir.state) == 0o750
    assert mode(weir.state / "registry.db") == 0o640
    assert mode(weir.state / "meter") == 0o750
    assert weir.json("device", "show", "a")["id"] == "a"


def test_init_refuses_a_directory_of_something_else(bare):
    bare.state.mkdir(mode=0o755)
    (bare.state / "passwd").write_text("x")
    bare.fails(2, "init", "--broker-user", account(), says="'passwd'")
    assert mode(bare.state) == 0o755
    assert [p.name for p in bare.state.iterdir()] == ["passwd"]


def test_init_refuses_a_file_in_its_place(bare):
    bare.state.write_text("x")
    bare.fails(3, "init", "--broker-user", account(), says="cannot")


@pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")
@pytest.mark.parametrize("name", ["meter/meter.seg", "live/live.db",
                                  "live/live.db-wal", "live/live.db-shm"])
def test_init_follows_no_link_inside(weir, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("x")
    os.chmod(victim, 0o600)
    path = weir.state / name
    path.symlink_to(victim)
    weir.fails(3, "init", "--broker-user", account(), says=path.name)
    assert mode(victim) == 0o600
    path.unlink()
    os.link(victim, path)
    weir.fails(2, "init", "--broker-user", account(), says="of its own")
    assert mode(victim) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")
def test_init_as_root_for_another_user(bare):
    bare.fails(2, "init", "--broker-user", "no-such-user",
               says="no-such-user")
    assert not bare.state.exists()
    nobody = pwd.getpwnam("nobody")
    done = bare.json("init", "--broker-user", "nobody")
    assert done["broker_user"] == "nobody"
    assert done["group"] == grp.getgrgid(nobody.pw_gid).gr_name
    for name, uid in [("", 0), ("registry.db", 0), ("registry.db-wal", 0),
                      ("registry.db-shm", 0), ("meter", nobody.pw_uid)]:
        st = os.stat(bare.state / name)
        assert (st.st_uid, st.st_gid) == (uid, nobody.pw_gid), name
    # pytest's own folders are 0700: the broker's user cannot pass them.
    note = bare("init", "--broker-user", "nobody").stderr.decode()
    assert "cannot enter" in note


def test_the_brokers_user_reads_and_cannot_write(weir, tmp_path_factory):
    """What init is for: the reader reads, after writers have come and gone."""
    if os.geteuid() != 0:
        pytest.skip("another user needs root")
    import tempfile
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        os.chmod(top, 0o755)
        w = Weir(pathlib.Path(top) / "state")
        w.ok("init", "--broker-user", "nobody")
        w.ok("device", "add", "a", "--class", "c")
        nobody = pwd.getpwnam("nobody")
        as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid,
                     "extra_groups": []}
        assert w.json("device", "show", "a", **as_nobody)["id"] == "a"
        w.fails(3, "device", "add", "b", "--class", "c", **as_nobody)
        assert [d["id"] for d in w.lines("device", "list")] == ["a"]


# --------------------------------------------------------------------- devices


def test_device_add_and_show(weir):
    added = weir.json(
        "device", "add", "d1", "--class", "pump", "--iccid", ICCID, "--imei",
        IMEI, "--imsi", IMSI, "--attr", "site=b", "--attr", "area=x",
        "--attr=site=a")
    assert added["id"] == "d1"
    shown = weir.json("device", "show", "d1")
    assert shown.pop("credentials") == []
    # What the broker has of it: test_usage.py.
    assert [shown.pop(k) for k in ("broker", "connections", "last_connect",
                                   "last_refusal")] == [
        "never_ran", 0, None, None]
    # What weir-feed has of it: test_live.py.
    assert shown.pop("feed_quarantine") is None
    assert shown == added
    assert set(shown) == {
        "id", "class", "mode", "status", "effective_status",
        "status_reason", "status_until_s", "iccid", "imsi", "imei", "eid",
        "attrs", "created_s", "updated_s", "revision"}
    assert shown["class"] == "pump"
    assert shown["mode"] == "enforce"
    assert shown["status"] == shown["effective_status"] == "active"
    assert (shown["iccid"], shown["imei"], shown["imsi"], shown["eid"]) == (
        ICCID, IMEI, IMSI, None)
    assert shown["attrs"] == {"area": ["x"], "site": ["b", "a"]}
    assert abs(shown["created_s"] - time.time()) < 60


def test_identifiers_are_masked_for_people(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID)
    for args in (("device", "show", "d1"), ("device", "list")):
        assert ICCID not in weir.ok(*args)
        assert "894450***********26" in weir.ok(*args)
        assert ICCID in weir.ok(*args, "--show-ids")
        assert ICCID in weir.ok(*args, "--json")


@pytest.mark.parametrize("args, says", [
    (("d1",), "--class is missing"),
    (("d1", "d2", "--class", "c"), "one word too many"),
    (("-d1", "--class", "c"), "unknown option"),
    (("d 1", "--class", "c"), "no device id"),
    (("", "--class", "c"), "no device id"),
    (("d" * 65, "--class", "c"), "no device id"),
    (("d1", "--class", "c/d"), "no class name"),
    (("d1", "--class", ""), "no class name"),
    (("d1", "--class", "c", "--mode", "off"), "not enforce or observe"),
    (("d1", "--class", "c", "--mode", ""), "not enforce or observe"),
    (("d1", "--class", "c", "--iccid", ICCID_BAD_LUHN), "--iccid"),
    (("d1", "--class", "c", "--iccid", "12"), "--iccid"),
    (("d1", "--class", "c", "--imei", "1" * 16), "--imei"),
    (("d1", "--class", "c", "--imei", IMEI[:-1] + "0",
      "--any-check-digit"), "--imei"),
    (("d1", "--class", "c", "--eid", "89" + "0" * 30), "--eid"),
    (("d1", "--class", "c", "--attr", "site"), "no '='"),
    (("d1", "--class", "c", "--attr", "=x"), "attribute's name"),
    (("d1", "--class", "c", "--attr", "1a=x"), "attribute's name"),
    (("d1", "--class", "c", "--attr", "site="), "the value is not"),
    (("d1", "--class", "c", "--attr", "site=a/b"), "the value is not"),
    (("d1", "--class", "c", "--attr", "site=$SYS"), "the value is not"),
    (("d1", "--class", "c", "--attr", "site=a+"), "the value is not"),
    (("d1", "--class", "c", "--attr", "s=a", "--attr", "s=a"),
     "same value twice"),
    (("d1", "--class", "c", *[x for i in range(17)
                              for x in ("--attr", f"s={i}")]), "more than 16"),
    (("d1", "--class", "c", *[x for i in range(65)
                              for x in ("--attr", f"s{i}=1")]),
     "more than 64"),
])
def test_device_add_refuses(weir, args, says):
    weir.fails(2, "device", "add", *args, says=says)
    assert weir.revision() == 1
    assert weir.lines("device", "list") == []


def test_device_add_conflicts(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID,
            "--imei", IMEI)
    before = weir.revision()
    weir.fails(2, "device", "add", "d1", "--class", "c", says="d1")
    weir.fails(2, "device", "add", "d2", "--class", "c", "--iccid", ICCID,
               says="d1")
    weir.fails(2, "device", "add", "d2", "--class", "c", "--imei", IMEI,
               says="d1")
    assert weir.revision() == before


def test_any_check_digit(weir):
    done = weir("--json", "device", "add", "d1", "--class", "c", "--iccid",
                ICCID_BAD_LUHN, "--any-check-digit")
    assert done.returncode == 0
    assert json.loads(done.stdout)["iccid"] == ICCID_BAD_LUHN
    assert b"warning: --iccid" in done.stderr


def test_warning_about_a_class_that_no_policy_has(weir):
    done = weir("device", "add", "d1", "--class", "ghost")
    assert done.returncode == 0
    assert b"class 'ghost' is not in the policy" in done.stderr


def test_device_set(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID,
            "--attr", "a=1", "--attr", "a=2", "--attr", "b=1", "--attr", "c=1")
    got = weir.json("device", "set", "d1", "--attr", "a=3", "--attr", "b=",
                    "--imsi", IMSI)
    assert got["attrs"] == {"a": ["3"], "c": ["1"]}
    assert (got["class"], got["iccid"], got["imsi"]) == ("c", ICCID, IMSI)
    got = weir.json("device", "set", "d1", "--iccid", "", "--class", "k")
    assert (got["class"], got["iccid"], got["imsi"]) == ("k", None, IMSI)
    assert got["attrs"] == {"a": ["3"], "c": ["1"]}


def test_device_set_refuses(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID)
    weir.ok("device", "add", "d2", "--class", "c")
    before = weir.revision()
    weir.fails(1, "device", "set", "nobody", "--class", "c", says="nobody")
    weir.fails(2, "device", "set", "d1", says="nothing to set")
    weir.fails(2, "device", "set", "d2", "--iccid", ICCID, says="d1")
    weir.fails(2, "device", "set", "d2", "--attr", "a=1", "--attr", "a=")
    weir.fails(2, "device", "set", "d2", "--imei", "x")
    weir.fails(2, "device", "set", "d2", "--mode", "Observe")
    assert weir.revision() == before


def test_device_mode(weir):
    assert weir.json("device", "add", "d1", "--class", "c", "--mode",
                     "observe")["mode"] == "observe"
    weir.ok("device", "add", "d2", "--class", "c")
    # What is not named stays, and the same again is no change.
    assert weir.json("device", "set", "d1", "--attr", "a=1")[
        "mode"] == "observe"
    before = weir.revision()
    weir.ok("device", "set", "d1", "--mode", "observe")
    assert weir.revision() == before

    def ids(*args):
        return [d["id"] for d in weir.lines("device", "list", *args)]

    assert ids("--mode", "observe") == ["d1"]
    assert ids("--mode", "enforce") == ["d2"]
    assert ids("--mode", "observe", "--class", "other") == []
    weir.fails(2, "device", "list", "--mode", "odd", says="odd")
    assert re.search(r"^mode: +observe", weir.ok("device", "show", "d1"), re.M)
    assert "mode" not in weir.ok("device", "show", "d2")
    rows = weir.ok("device", "list").splitlines()
    assert "observe" in rows[1] and "enforce" not in rows[2]
    # Both directions are told to the broker and to the audit.
    seq = change_seq(weir)
    assert weir.json("device", "set", "d1", "--mode", "enforce")[
        "mode"] == "enforce"
    assert change_seq(weir) == seq + 1
    assert ids("--mode", "observe") == []
    weir.ok("device", "set", "d1", "--mode", "observe")
    assert change_seq(weir) == seq + 2
    assert [a["detail"]["mode"] for a in weir.lines(
        "audit", "list", "--action", "device.set")] == [
            "observe", "enforce", "observe"]


def test_device_show_unknown(weir):
    assert "nobody" in weir.fails(1, "device", "show", "nobody")
    assert weir("device", "show", "nobody", "--json").stdout == b""


def test_device_list_filters(weir):
    assert weir.ok("device", "list") == ""
    for name, cls in [("a", "x"), ("b", "y"), ("c", "x")]:
        weir.ok("device", "add", name, "--class", cls)
    weir.ok("suspend", "c")

    def ids(*args):
        return [d["id"] for d in weir.lines("device", "list", *args)]

    assert ids() == ["a", "b", "c"]
    assert ids("--class", "x") == ["a", "c"]
    assert ids("--status", "suspended") == ["c"]
    assert ids("--class", "x", "--status", "active") == ["a"]
    assert ids("--class", "none") == []
    weir.fails(2, "device", "list", "--status", "odd", says="odd")
    assert re.match(r"DEVICE +CLASS +STATUS", weir.ok("device", "list"))


def test_text_from_the_registry_cannot_drive_a_terminal(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    edit(weir, "UPDATE device SET status_reason = ?", ("a\x1b[31m\u009bb",))
    out = weir("device", "show", "d1")
    assert b"\x1b" not in out.stdout + out.stderr
    assert b"\xc2\x9b" not in out.stdout + out.stderr


# -------------------------------------------------------------- status changes


def status_of(weir, name):
    return weir.json("device", "show", name)["status"]


def test_status_changes(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    for verb, want in [("suspend", "suspended"), ("release", "active"),
                       ("quarantine", "quarantined"), ("release", "active"),
                       ("retire", "retired")]:
        done = weir.json(verb, "d1", "--reason", "why")
        assert (done["status"], done["devices"]) == (want, ["d1"])
        shown = weir.json("device", "show", "d1")
        assert (shown["status"], shown["status_reason"]) == (want, "why")
    for verb in ("suspend", "quarantine", "release"):
        weir.fails(2, verb, "d1", says="retired")
    weir.fails(2, "device", "add", "d1", "--class", "c", says="d1")


def test_status_for_a_while(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    done = weir.json("suspend", "d1", "--for", "2h")
    assert abs(done["status_until_s"] - time.time() - 7200) < 60
    shown = weir.json("device", "show", "d1")
    assert shown["effective_status"] == "suspended"
    edit(weir, "UPDATE device SET status_until_s = 1000")
    shown = weir.json("device", "show", "d1")
    assert shown["status"] == "suspended"
    assert shown["effective_status"] == "active"
    assert [d["id"] for d in weir.lines(
        "device", "list", "--status", "active")] == ["d1"]
    assert weir.lines("device", "list", "--status", "suspended") == []


def test_status_is_all_or_nothing(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    weir.ok("device", "add", "d3", "--class", "c")
    before = weir.revision()
    weir.fails(1, "suspend", "d1", "d2", "d3", says="d2")
    assert (status_of(weir, "d1"), status_of(weir, "d3")) == (
        "active", "active")
    assert weir.revision() == before


def test_ids_from_standard_input(weir):
    for i in range(3):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    before = weir.revision()
    done = weir.json("suspend", "-", stdin=b"d1\r\n\nd0\nd1")
    assert done["devices"] == ["d0", "d1"]
    assert weir.revision() == before + 1
    assert status_of(weir, "d2") == "active"
    done = weir.json("release", "-", stdin=b"")
    assert done["devices"] == []
    weir.fails(2, "suspend", "-", stdin=b"d0\nd/1\n",
               says="standard input:2")
    weir.fails(2, "suspend", "-", stdin=b"d0\0x\n", says="standard input:1")
    weir.fails(2, "suspend", "-", stdin=b"d" * 5000)
    assert status_of(weir, "d2") == "active"


def test_whole_class(weir):
    for name, cls in [("a", "x"), ("b", "x"), ("c", "y"), ("s", "x"),
                      ("r", "x")]:
        weir.ok("device", "add", name, "--class", cls)
    weir.ok("suspend", "s")
    weir.ok("retire", "r")
    before = weir.revision()
    weir.fails(2, "quarantine", "--class", "x", says="2 devices")
    weir.fails(2, "quarantine", "--class", "x", "a", "--yes", says="not both")
    assert weir.revision() == before
    # A suspended device is not let back in by a quarantine of its class.
    done = weir.json("quarantine", "--class", "x", "--yes")
    assert done["devices"] == ["a", "b"]
    assert weir.json("suspend", "--class", "x", "--yes")["devices"] == [
        "a", "b"]
    assert weir.json("release", "--class", "x", "--yes")["devices"] == [
        "a", "b", "s"]
    assert weir.json("suspend", "--class", "none", "--yes")["devices"] == []
    assert status_of(weir, "c") == "active"
    assert weir.json("retire", "--class", "y", "--yes")["devices"] == ["c"]


@pytest.mark.parametrize("args", [
    ("suspend",),
    ("suspend", "d1", "--for", "2"),
    ("suspend", "d1", "--for", "0s"),
    ("suspend", "d1", "--wait", "soon"),
    ("suspend", "d1", "--reason", "x" * 201),
    ("suspend", "d1", "--reason", "a\nb"),
    ("release", "d1", "--for", "2h"),
    ("retire", "d1", "--for", "2h"),
])
def test_status_usage(weir, args):
    weir.ok("device", "add", "d1", "--class", "c")
    weir.fails(2, *args)
    assert status_of(weir, "d1") == "active"


# ------------------------------------------------------------- wait, and status

HEADER_SIZE, SEGMENT_SIZE, OUTCOMES_AT, OUTCOME = 432, 0x1000000, 0x1000, 80
AT = {"generation": 24, "pid": 32, "started_s": 40, "heartbeat_s": 48,
      "applied_change": 56, "policy_revision": 64, "connected": 80,
      "closed": 88, "refused": 96, "load_error_s": 104, "applied_live": 0xff0}


class Broker:
    """Holds meter.seg as the plugin does."""

    def __init__(self, state):
        self.file = open(state / "meter" / "meter.seg", "w+b")
        self.file.truncate(SEGMENT_SIZE)
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        self.map = mmap.mmap(self.file.fileno(), SEGMENT_SIZE)
        struct.pack_into("<8sIIQ", self.map, 0, b"WEIRSEG1", 2, HEADER_SIZE,
                         SEGMENT_SIZE)
        self.set(generation=3, pid=4242, started_s=int(time.time()) - 60,
                 heartbeat_s=int(time.time()), policy_revision=1)

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<q", self.map, AT[name], value)

    def load_error(self, text):
        struct.pack_into("<II256s", self.map, 112, 2, len(text), text)

    def outcome(self, change, closed, device):
        struct.pack_into("<IIq64s", self.map,
                         OUTCOMES_AT + (change % 256) * OUTCOME, 2, closed,
                         change, device.encode())

    def stop(self):
        self.map.close()
        self.file.close()


@pytest.fixture
def broker(weir):
    b = Broker(weir.state)
    yield b
    b.stop()


def change_seq(weir):
    return weir.json("status")["registry"]["change_seq"]


def test_wait_without_a_broker(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    assert "no broker runs" in weir.ok("suspend", "d1", "--wait", "5s")
    b = Broker(weir.state)
    b.stop()
    done = weir.json("release", "d1", "--wait", "5s")
    assert done["wait"]["state"] == "no_broker"
    assert done["wait"]["unknown"] == 0
    assert "wait" not in weir.json("suspend", "d1")


def test_wait_until_applied(weir, broker):
    for i in (1, 2):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    first = change_seq(weir) + 1

    def apply():
        # The plugin sees the commit, closes what it must, then says so.
        while change_seq(weir) < first + 1:
            time.sleep(0.01)
        broker.outcome(first, 2, "d1")
        broker.outcome(first + 1, 0, "d2")
        broker.set(applied_change=first + 1)

    plugin = threading.Thread(target=apply)
    plugin.start()
    done = weir.json("suspend", "d1", "d2", "--wait", "10s")
    plugin.join()
    assert done["wait"]["state"] == "applied"
    assert done["wait"]["closed"] == [{"device_id": "d1", "connections": 2}]
    assert done["wait"]["unknown"] == 0
    assert 0 <= done["wait"]["waited_ms"] < 10000
    broker.set(applied_change=first + 2)
    broker.outcome(first + 2, 1, "d1")
    text = weir.ok("release", "d1", "--wait", "10s")
    assert "d1: 1 connection closed" in text and " ms" in text


def test_device_set_waits(weir, broker):
    weir.ok("device", "add", "d1", "--class", "c")
    broker.set(applied_change=1)
    broker.outcome(1, 1, "d1")
    done = weir.json("device", "set", "d1", "--class", "k", "--wait", "5s")
    assert done["class"] == "k"
    assert done["wait"]["closed"] == [{"device_id": "d1", "connections": 1}]
    # Applied, and the segment no longer says what it closed.
    broker.set(applied_change=2)
    done = weir.json("device", "set", "d1", "--class", "m", "--wait", "5s")
    assert (done["wait"]["unknown"], done["wait"]["closed"]) == (1, [])
    # Nothing changed: there is nothing to wait for.
    done = weir.json("device", "set", "d1", "--class", "m", "--wait", "5s")
    assert done["wait"]["state"] == "applied"
    weir.fails(3, "device", "set", "d1", "--class", "c", "--wait", "0s",
               says="committed")


def test_wait_times_out(weir, broker):
    weir.ok("device", "add", "d1", "--class", "c")
    done = weir("--json", "suspend", "d1", "--wait", "0s")
    assert done.returncode == 3
    assert b"4242" in done.stderr and b"committed" in done.stderr
    assert json.loads(done.stdout)["wait"]["state"] == "timeout"
    assert status_of(weir, "d1") == "suspended"


def test_wait_with_a_hostile_meter(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    (weir.state / "meter" / "meter.seg").write_bytes(b"WEIRSEG1")
    weir.fails(3, "suspend", "d1", "--wait", "1s", says="meter.seg")
    assert weir.json("status")["broker"]["state"] == "unknown"
    assert "unknown: " in weir.ok("status")


def test_status_of_the_broker(weir):
    never = weir.json("status")
    assert never["broker"]["state"] == "never_ran"
    assert "has not run" in weir.ok("status")
    b = Broker(weir.state)
    b.set(connected=7, applied_change=0)
    weir.ok("device", "add", "d1", "--class", "c")
    weir.ok("suspend", "d1")
    s = weir.json("status")
    assert s["broker"]["state"] == "running"
    assert (s["broker"]["pid"], s["broker"]["connected"]) == (4242, 7)
    assert (s["broker"]["generation"], s["broker"]["load_error"]) == (3, None)
    text = weir.ok("status")
    assert "pid 4242" in text and "0 of 1 in force" in text
    b.set(applied_change=1, load_error_s=1795351180)
    b.load_error(b"no room")
    s = weir.json("status")
    assert s["broker"]["load_error"] == "no room"
    text = weir.ok("status")
    assert "all in force" in text
    assert "no room, at 2026-11-22T12:39:40Z" in text
    b.stop()
    s = weir.json("status")
    assert (s["broker"]["state"], s["broker"]["connected"]) == ("stopped", 0)
    assert "stopped, last seen" in weir.ok("status")


def test_status_counts(weir):
    for i in range(4):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    weir.ok("suspend", "d0")
    weir.ok("quarantine", "d1")
    weir.ok("retire", "d2")
    s = weir.json("status")
    assert s["registry"]["devices"] == {
        "active": 1, "suspended": 1, "quarantined": 1, "retired": 1}
    assert s["registry"]["credentials"] == {
        "active": 0, "revoked": 0, "expiring_30d": 0}
    assert (s["audit"]["action"], s["audit"]["device_id"]) == (
        "device.retire", "d2")
    assert s["registry"]["revision"] == 8


# ----------------------------------------------------------------------- audit


def test_audit_list(weir):
    for i in range(70):
        weir.ok("device", "add", f"d{i}", "--class", "c")
    weir.ok("suspend", "d3", "--reason", "stolen")
    every = weir.lines("audit", "list", "-n", "all")
    assert [a["seq"] for a in every] == list(range(1, 73))
    assert set(every[0]) == {
        "seq", "t_s", "actor", "action", "device_id", "detail", "hash"}
    assert weir.lines("audit", "list") == every[-50:]
    assert weir.lines("audit", "list", "-n3") == every[-3:]
    assert weir.lines("audit", "list", "--device", "d3") == [
        every[4], every[71]]
    assert weir.lines("audit", "list", "--device", "d3", "-n", "1") == [
        every[71]]
    assert len(weir.lines("audit", "list", "--action", "device",
                          "-n", "all")) == 71
    last, = weir.lines("audit", "list", "--action", "device.suspend")
    assert last["detail"]["reason"] == "stolen"
    assert weir.lines("audit", "list", "--action", "dev") == []
    for bad in ("0", "-1", "x", "1x", ""):
        weir.fails(2, "audit", "list", f"--lines={bad}")


def test_audit_actor(weir):
    sudo = {"SUDO_USER": "alice"}
    weir.ok("device", "add", "d1", "--class", "c", env=sudo)
    weir.ok("device", "add", "d2", "--class", "c",
            env={"SUDO_USER": "evil\nname"})
    first, second = weir.lines("audit", "list", "-n", "2")
    # Anyone can set SUDO_USER; it counts when the user is root.
    assert first["actor"] == ("alice" if os.getuid() == 0 else account())
    assert second["actor"] == account()


def test_audit_verify(weir):
    weir.ok("device", "add", "d1", "--class", "c")
    weir.ok("suspend", "d1")
    good = weir.json("audit", "verify")
    assert (good["ok"], good["entries"], good["bad_seq"]) == (True, 3, None)
    assert weir.json("audit", "head") == {
        "entries": 3, "head": good["head"]}
    assert weir.ok("audit", "head") == f"3 {good['head']}\n"
    assert re.fullmatch("[0-9a-f]{64}", good["head"])
    edit(weir, "UPDATE audit SET actor = 'somebody else' WHERE seq = 2")
    bad = weir("audit", "verify", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["bad_seq"] == 2
    told = weir("audit", "verify")
    assert told.returncode == 1 and b"entry 2 " in told.stdout
    assert weir("audit", "head").returncode == 1


# ---------------------------------------------------------------- find, remove

EID = "89049032123451234512345678901235"


@pytest.fixture
def found(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID, "--imei",
            IMEI, "--imsi", IMSI, "--eid", EID)
    weir.ok("device", "add", "d2", "--class", "c", "--iccid",
            "8944500102198304834", "--imsi", IMEI)
    fingerprint, serial = "ab" * 32, "0A1B2C"
    edit(weir, "INSERT INTO credential VALUES (?, 'd2', ?, 'CN=x', 1, 2, "
         "'active', 0, '', ?, 1)",
         (bytes.fromhex(fingerprint), serial, bytes(32)))
    return weir


@pytest.mark.parametrize("value, want", [
    (ICCID, [("d1", "iccid")]),
    (ICCID[:-1], [("d1", "iccid")]),
    (ICCID + "F", [("d1", "iccid")]),
    ("8944 5001-0219 8304 826", [("d1", "iccid")]),
    (IMSI, [("d1", "imsi")]),
    (IMEI, [("d2", "imsi"), ("d1", "imei")]),
    (IMEI[:14], [("d1", "imei")]),
    (IMEI[:14] + "01", [("d1", "imei")]),
    (EID, [("d1", "eid")]),
    ("d1", [("d1", "id")]),
    ("ab" * 32, [("d2", "fingerprint")]),
    ("AB:" * 31 + "ab", [("d2", "fingerprint")]),
    ("0a:1b:2c", [("d2", "serial")]),
    ("0A1B2C", [("d2", "serial")]),
])
def test_find(found, value, want):
    assert [(d["id"], d["found_as"])
            for d in found.lines("device", "find", value)] == want
    text = found.ok("device", "find", value)
    assert all(re.search(rf"^{id} .* {how}( |$)", text, re.M) for id, how in want)


@pytest.mark.parametrize("value", [
    ICCID_BAD_LUHN, ICCID[:17], ICCID + "0", ICCID[1:], IMSI[:-1], IMSI + "0",
    IMEI[:13], IMEI + "11", IMEI[:13] + "9" + IMEI[14:], EID[:-1], "d3", "D1",
    "ab" * 31, "ab" * 33, "0A1B2", "0A1B2D", "%", "89", "10.0.0.1", "::1",
    "d1' OR '1'='1", "8944*",
])
def test_find_nothing(found, value):
    found.fails(1, "device", "find", value, says="no device has")
    assert found("--json", "device", "find", value).stdout == b""


def test_find_wants_something(found, bare):
    found.fails(2, "device", "find")
    found.fails(2, "device", "find", "", says="1 to 200 bytes")
    found.fails(2, "device", "find", "1" * 201, says="1 to 200 bytes")
    found.fails(2, "device", "find", "a", "b")
    shown = found.lines("device", "find", "ab" * 32)[0]
    assert shown["credential"]["serial"] == "0A1B2C"
    found.fails(3, "--state", str(found.state / "no"), "device", "find", "d1")


def test_remove(found):
    found.ok("device", "set", "d1", "--attr", "owner=alice")
    found.ok("suspend", "d1", "--reason", "alice lost it")
    before = found.json("status")["registry"]
    gone = found.json("device", "remove", "d1", "--wait", "1s")
    assert gone["wait"]["state"] == "no_broker"
    assert gone["status"] == "retired" and gone["status_reason"] is None
    assert gone["attrs"] == {} and gone["class"] == "c"
    assert [gone[k] for k in ("iccid", "imsi", "imei", "eid")] == [None] * 4
    after = found.json("status")["registry"]
    assert after["revision"] == before["revision"] + 1
    assert after["change_seq"] > before["change_seq"]
    assert [a["action"] for a in found.lines("audit", "list")][-2:] == [
        "device.retire", "device.set"]
    found.fails(1, "device", "find", ICCID)
    # Its numbers are free, its id is not.
    found.fails(2, "device", "add", "d1", "--class", "c", says="retired")
    found.ok("device", "add", "d3", "--class", "c", "--iccid", ICCID)
    # Nothing is left to do, and nothing is written.
    found.ok("device", "remove", "d1")
    assert found.revision() == after["revision"] + 1
    assert found.json("audit", "verify")["ok"]


def test_remove_what_is_retired(found):
    found.ok("retire", "d1", "--reason", "sold to bob")
    gone = found.json("device", "remove", "d1")
    assert gone["status_reason"] is None and gone["iccid"] is None
    assert found.json("audit", "verify")["ok"]


def test_remove_refused(found, bare):
    before = found.revision()
    found.fails(1, "device", "remove", "d9", says="no device 'd9'")
    found.fails(2, "device", "remove")
    found.fails(2, "device", "remove", "d1", "--wait", "x")
    found.fails(3, "--state", str(found.state / "no"), "device", "remove", "d1")
    assert found.revision() == before
    assert found.json("device", "show", "d1")["iccid"] == ICCID
