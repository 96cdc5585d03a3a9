# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a person, and a script, provision devices with the weir command, in a
state directory of their own, with no broker.

Question: does each command do what docs/CLI.md says: exit status, standard
output, standard error, JSON keys, and what it leaves in the registry?

Expected: as in test_cli.py; identifiers are checked, and masked for people.
"""

import json
import re
import time

import pytest


ICCID = "8944500102198304826"
ICCID_BAD_LUHN = "8944500102198304827"
IMEI = "490154203237518"
IMSI = "234150999999999"
EID = "89049032123451234512345678901235"


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
    seq = weir.change_seq()
    assert weir.json("device", "set", "d1", "--mode", "enforce")[
        "mode"] == "enforce"
    assert weir.change_seq() == seq + 1
    assert ids("--mode", "observe") == []
    weir.ok("device", "set", "d1", "--mode", "observe")
    assert weir.change_seq() == seq + 2
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
    weir.sql("UPDATE device SET status_reason = ?", "a\x1b[31m\u009bb")
    out = weir("device", "show", "d1")
    assert b"\x1b" not in out.stdout + out.stderr
    assert b"\xc2\x9b" not in out.stdout + out.stderr


# ---------------------------------------------------------------- find, remove


@pytest.fixture
def found(weir):
    weir.ok("device", "add", "d1", "--class", "c", "--iccid", ICCID, "--imei",
            IMEI, "--imsi", IMSI, "--eid", EID)
    weir.ok("device", "add", "d2", "--class", "c", "--iccid",
            "8944500102198304834", "--imsi", IMEI)
    fingerprint, serial = "ab" * 32, "0A1B2C"
    weir.sql("INSERT INTO credential VALUES (?, 'd2', ?, 'CN=x', 1, 2, "
             "'active', 0, '', ?, 1)",
             bytes.fromhex(fingerprint), serial, bytes(32))
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
