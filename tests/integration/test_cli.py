# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a person, and a script, use the weir command in a state directory of
their own, with no broker: its words and options, weir init, the audit log.

Question: does each command do what docs/CLI.md says: exit status, standard
output, standard error, JSON keys, and what it leaves in the registry?

Expected: 0 done, 1 the answer is no, 2 usage or input, 3 environment; errors
on standard error as `weir: …`; --json whole and parseable; a command that
fails changes nothing.
"""

import grp
import json
import os
import pathlib
import pwd
import re
import stat
import subprocess
import tempfile

import pytest

from cli_support import WEIR, Weir, account


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
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        os.chmod(top, 0o755)
        w = Weir(pathlib.Path(top))
        w.ok("init", "--broker-user", "nobody")
        w.ok("device", "add", "a", "--class", "c")
        nobody = pwd.getpwnam("nobody")
        as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid,
                     "extra_groups": []}
        assert w.json("device", "show", "a", **as_nobody)["id"] == "a"
        w.fails(3, "device", "add", "b", "--class", "c", **as_nobody)
        assert [d["id"] for d in w.lines("device", "list")] == ["a"]


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
    weir.sql("UPDATE audit SET actor = 'somebody else' WHERE seq = 2")
    bad = weir("audit", "verify", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["bad_seq"] == 2
    told = weir("audit", "verify")
    assert told.returncode == 1 and b"entry 2 " in told.stdout
    assert weir("audit", "head").returncode == 1
