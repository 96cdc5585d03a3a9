# SPDX-License-Identifier: Apache-2.0
"""
Scenario: an operator checks, applies, shows and rolls back policies with the
weir command; no broker.

Question: does each command do what docs/CLI.md says, and can an invalid
policy ever come into force?

Expected: 0 done, 1 no such revision or not agreed to, 2 an invalid policy with
every error's place, 3 environment; a refused policy leaves the old one.
"""

import json
import os
import pty

import pytest

from cli_support import EXAMPLE, WEIR, make


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def policy(weir, name="p.json", **classes):
    path = weir.folder / name
    path.write_text(json.dumps({"version": 1, "classes": classes}))
    return path


def in_force(weir):
    return weir.json("policy", "show")["revision"]


# --------------------------------------------------------------------- check


def test_check_a_file(weir):
    text = weir.ok("policy", "check", EXAMPLE / "policy.json")
    assert "payment-terminal" in text
    shown = weir.json("policy", "check", EXAMPLE / "policy.json")
    assert shown["valid"] and shown["errors"] == [] and shown["warnings"] == []
    by_name = {c["class"]: c for c in shown["classes"]}
    assert by_name["meter"]["publish"] == 2
    assert by_name["meter"]["subscribe"] == 3
    assert 1 <= by_name["meter"]["worst_nodes"] <= 64


def test_check_what_is_in_force(weir):
    assert weir.json("policy", "check")["valid"]
    weir.fails(3, "--state", weir.folder / "nowhere", "policy", "check")


def test_check_needs_no_registry(weir):
    weir.ok("--state", weir.folder / "nowhere", "policy", "check",
            EXAMPLE / "policy.json")


def test_check_lists_every_error(weir):
    bad = policy(weir, meter={"publish": ["a", "b", "c/d+"],
                              "subscribe": ["${imie}", "a/#/b"]})
    text = weir.fails(2, "policy", "check", bad)
    assert "p.json: classes.meter.publish[2]: '+' must be a whole level" in text
    assert "classes.meter.subscribe[0]: unknown variable ${imie}" in text
    assert "classes.meter.subscribe[1]: " in text
    shown = weir.json("policy", "check", bad, status=2)
    assert not shown["valid"]
    assert [e["place"] for e in shown["errors"]] == [
        "classes.meter.publish[2]", "classes.meter.subscribe[0]",
        "classes.meter.subscribe[1]"]


def test_check_stops_at_twenty(weir):
    bad = policy(weir, meter={"publish": [f"a{i}+" for i in range(30)]})
    text = weir.fails(2, "policy", "check", bad, says="more errors")
    assert text.count("must be a whole level") == 20
    assert weir.json("policy", "check", bad, status=2)["more"]


@pytest.mark.parametrize("text, says", [
    ('{"version": 1,\n "classes": {"meter" }}', "2:"),
    ("", "standard input"),
    ("{}", "version"),
    ('{"version": 1, "classes": {}} x', "1:"),
    ('{"version": 1, "classes": {"a": {"publish": "x"}}}', "publish"),
    ('{"version": 1, "classes": {"a": {"publsh": []}}}', "publsh"),
    ('{"version": 1, "classes": {"a": {}, "a": {}}}', "a"),
    ('\ufeff{"version": 1, "classes": {}}', "1:1"),
])
def test_check_refuses(weir, text, says):
    weir.fails(2, "policy", "check", "-", stdin=text.encode(), says=says)


def test_check_warns(weir):
    p = policy(weir, meter={"publish": ["a/+", "a/b"]})
    done = weir("policy", "check", p)
    text = done.stderr.decode()
    assert done.returncode == 0
    assert "classes.meter.publish[1] adds nothing" in text
    assert "classes.backend is missing: the registry has 1 device of" in text
    assert "classes.payment-terminal is missing: the registry has 2" in text
    places = [w["place"] for w in weir.json("policy", "check", p)["warnings"]]
    assert "classes.backend" in places and "classes.meter" not in places
    weir.fails(3, "policy", "check", "none.json", says="none.json")


def test_check_warns_of_a_class_that_observes(weir):
    p = policy(weir, meter={"publish": ["a/+"], "mode": "observe"},
               backend={"mode": "enforce"}, **{"payment-terminal": {}})
    assert weir.json("policy", "check", p)["warnings"] == [{
        "place": "classes.meter",
        "message": "observes: its devices can write where others read"}]
    text = weir("policy", "check", p)
    assert text.returncode == 0
    assert "weir: warning: classes.meter observes: " in text.stderr.decode()
    shown = {c["class"]: c["mode"]
             for c in weir.json("policy", "check", p)["classes"]}
    assert shown == {"meter": "observe", "backend": "enforce",
                     "payment-terminal": "enforce"}


def test_check_shows_limits(weir):
    limits = {"messages_per_s": 5, "bytes_per_day": 10 ** 15}
    p = policy(weir, meter={"limits": limits}, backend={})
    shown = {c["class"]: c["limits"]
             for c in weir.json("policy", "check", p)["classes"]}
    assert shown == {"meter": limits, "backend": {}}
    assert "messages_per_s 5, bytes_per_day 1000000000000000\n" in weir.ok(
        "policy", "check", p)


# --------------------------------------------------------------------- apply


def test_apply_shows_what_changes(weir):
    before = in_force(weir)
    changed = json.loads((EXAMPLE / "policy.json").read_text())
    changed["classes"]["meter"]["publish"][0]["max_qos"] = 2
    del changed["classes"]["backend"]
    changed["classes"]["gate"] = {"publish": ["gate/${device}"]}
    path = weir.folder / "new.json"
    path.write_text(json.dumps(changed))
    text = weir.ok("policy", "apply", path)
    assert "backend removed\n" in text and "gate added\n" in text
    # The wider rule takes nothing away.
    assert '  - publish {"topic": "meter/${device}/reading"' not in text
    assert '  + publish {"topic": "meter/${device}/reading", "max_qos": 2, ' \
        '"max_bytes": 512}\n      now: meter/<device>/reading, QoS 2, ' \
        '512 bytes\n' in text
    assert "payment-terminal" not in text
    assert in_force(weir) > before
    assert weir.json("policy", "show")["text"] == path.read_text()
    assert weir.actions()[-1] == "policy.apply"


def test_apply_shows_mode_and_limits(weir):
    changed = json.loads((EXAMPLE / "policy.json").read_text())
    meter = changed["classes"]["meter"]
    meter["mode"] = "observe"
    meter["limits"] = {"messages_per_s": 5, "subscriptions": 20}
    done = weir("policy", "apply", "-", stdin=json.dumps(changed).encode())
    text = done.stdout.decode()
    assert "  + mode observe\n" in text
    assert "  + limits.messages_per_s 5\n" in text
    assert b"warning: classes.meter observes" in done.stderr
    meter["limits"] = {"messages_per_s": 9, "subscriptions": 20}
    del meter["mode"]
    change, = weir.json("policy", "apply", "-",
                        stdin=json.dumps(changed).encode())["changes"]
    assert change["lost"] == ["limits.messages_per_s 5", "mode observe"]
    assert change["gained"] == ["limits.messages_per_s 9"]


def test_apply_again_does_nothing(weir):
    before = weir.revision()
    text = weir.ok("policy", "apply", EXAMPLE / "policy.json")
    assert "nothing to do" in text
    assert not weir.json("policy", "apply", EXAMPLE / "policy.json")["applied"]
    assert weir.revision() == before


def test_apply_of_other_text_with_the_same_meaning(weir):
    same = json.loads((EXAMPLE / "policy.json").read_text())
    done = weir.json("policy", "apply", "-", stdin=json.dumps(same).encode())
    assert done["applied"] and done["changes"] == []


def test_apply_refuses_the_invalid(weir):
    before = weir.revision()
    bad = policy(weir, meter={"publish": ["a+"]})
    weir.fails(2, "policy", "apply", bad, "--yes", says="p.json: classes.meter")
    weir.fails(3, "policy", "apply", "none.json")
    weir.fails(2, "policy", "apply")
    weir.fails(2, "policy", "apply", bad, "--wait", "x")
    weir.fails(3, "--state", weir.folder / "nowhere", "policy", "apply",
               EXAMPLE / "policy.json", says="weir init")
    assert weir.revision() == before


def test_apply_waits(weir):
    done = weir.json("policy", "apply", policy(weir, meter={}), "--wait", "1s")
    assert done["wait"]["state"] == "no_broker"


def answer(weir, path, text):
    """policy apply on a terminal where a person types TEXT."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(WEIR, [WEIR, "--state", str(weir.folder / "state"),
                         "policy", "apply", str(path)], dict(os.environ))
    os.write(fd, text)
    said = b""
    while True:
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), said


def test_apply_asks_on_a_terminal(weir):
    before = in_force(weir)
    path = policy(weir, meter={})
    status, said = answer(weir, path, b"n\n")
    assert status == 1 and b"Apply?" in said and b"not applied" in said
    assert in_force(weir) == before
    status, said = answer(weir, path, b"y\n")
    assert status == 0, said
    assert in_force(weir) > before


# -------------------------------------------------- show, history, rollback


def test_show_is_byte_for_byte(weir):
    assert weir.ok("policy", "show") == (EXAMPLE / "policy.json").read_text()
    assert weir.json("policy", "show", "--revision", "1")["revision"] == 1
    weir.fails(1, "policy", "show", "--revision", "99", says="99")
    weir.fails(2, "policy", "show", "--revision", "0")
    weir.fails(2, "policy", "show", "--revision", "x")


def test_history(weir):
    weir.ok("policy", "apply", policy(weir, meter={}))
    rows = weir.lines("policy", "history")
    assert [r["in_force"] for r in rows] == [True, False, False]
    assert rows[0]["revision"] > rows[1]["revision"] > rows[2]["revision"] == 1
    assert "in force" in weir.ok("policy", "history").splitlines()[1]


def test_rollback(weir):
    old = weir.json("policy", "show")
    weir.ok("policy", "apply", policy(weir, meter={}))
    newest = in_force(weir)
    done = weir.json("policy", "rollback", "--wait", "1s")
    assert done["from_revision"] == old["revision"]
    assert done["revision"] > newest
    assert weir.json("policy", "show")["text"] == old["text"]
    assert weir.actions()[-1] == "policy.rollback"
    weir.ok("policy", "rollback", "--to", "1")
    assert json.loads(weir.ok("policy", "show")) == {
        "version": 1, "classes": {}}
    assert not weir.json("policy", "rollback", "--to", "1")["applied"]
    weir.fails(1, "policy", "rollback", "--to", "99")
    weir.fails(2, "policy", "rollback", "--to", "x")


def test_rollback_needs_something_to_go_back_to(tmp_path):
    weir = make(tmp_path)
    fresh = tmp_path / "fresh"
    weir.ok("--state", fresh, "init", "--broker-user",
            os.environ.get("USER", "root"))
    weir.fails(2, "--state", fresh, "policy", "rollback", says="no earlier")


# ----------------------------------------------------------------------- diff


def diff(weir, old, new):
    """(lost, gained) examples of the class `c` of two policies."""
    a = policy(weir, "old.json", c=old)
    b = policy(weir, "new.json", c=new)
    done = weir("--json", "policy", "diff", a, b)
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["differs"] else 0), done.stderr
    assert told["differs"] == bool(told["changes"])
    if not told["changes"]:
        assert weir.ok("policy", "diff", a, b) == ""
        return [], []
    change, = told["changes"]
    assert change["class"] == "c" and change["change"] == "changed"
    return tuple([x["example"] for x in change["examples"]
                  if x["change"] == how] for how in ("lost", "gained"))


@pytest.mark.parametrize("old, new", [
    ({}, {}),
    ({"publish": ["a", "b"]}, {"publish": ["b", "a"]}),
    ({"publish": ["a/+", "a/b"]}, {"publish": ["a/+"]}),
    ({"subscribe": ["a/#"]}, {"subscribe": ["a", "a/+", "a/+/#"]}),
    ({"subscribe": ["#"]}, {"subscribe": ["+", "+/#"]}),
    ({"subscribe": ["x/+/y"]}, {"subscribe": ["x/+/y", "x/z/y"]}),
    ({"publish": ["x/${class}"]}, {"publish": ["x/c"]}),
    ({"publish": ["a"]}, {"publish": [{"topic": "a", "max_qos": 1,
                                       "comment": "the default"}]}),
    ({"client_ids": ["${device}"]}, {}),
    ({"publish": [{"topic": "a/b", "max_qos": 0}, "a/+"]},
     {"publish": ["a/+"]}),
])
def test_diff_of_the_same(weir, old, new):
    assert diff(weir, old, new) == ([], [])
    assert diff(weir, new, old) == ([], [])


@pytest.mark.parametrize("old, new, lost, gained", [
    ({"publish": ["a"]}, {}, ["a, QoS 1"], []),
    ({}, {"subscribe": ["a/#"]}, [], ["a, QoS 2"]),
    ({"subscribe": ["a/#"]}, {"subscribe": ["a/+/#"]}, ["a, QoS 2"], []),
    ({"subscribe": ["a/#"]}, {"subscribe": ["a", "a/+"]},
     ["a/<any>/<any>, QoS 2"], []),
    ({"subscribe": ["+"]}, {"subscribe": ["a", "b"]}, ["<any>, QoS 2"], []),
    ({"publish": ["m/${device}/up"]}, {"publish": ["m/+/up"]},
     [], ["m/<any>/up, QoS 1"]),
    ({"publish": ["m/${device}"]}, {"publish": ["m/${iccid}"]},
     ["m/<device>, QoS 1"], ["m/<iccid>, QoS 1"]),
    ({"publish": ["m/x-${attr.site}"]}, {"publish": ["m/${attr.site}"]},
     ["m/x-<attr.site>, QoS 1"], ["m/<attr.site>, QoS 1"]),
    ({"publish": ["<device>"]}, {"publish": ["${device}"]},
     ["<device>, QoS 1"], ["<<device>, QoS 1"]),
    ({"publish": [{"topic": "a", "max_qos": 2}]}, {"publish": ["a"]},
     ["a, QoS 2"], []),
    ({"publish": [{"topic": "a", "retain": True}]}, {"publish": ["a"]},
     ["a, QoS 1, retained"], []),
    ({"publish": ["a"]}, {"publish": [{"topic": "a", "max_bytes": 9}]},
     ["a, QoS 1"], []),
    # Neither half makes up for the whole.
    ({"publish": [{"topic": "a", "max_qos": 2, "retain": True}]},
     {"publish": [{"topic": "a", "max_qos": 2},
                  {"topic": "a", "retain": True}]},
     ["a, QoS 2, retained"], []),
    ({"subscribe": [{"topic": "w", "shared": ["g"]}]}, {"subscribe": ["w"]},
     ["$share/g/w, QoS 2"], []),
    ({"subscribe": ["#"]}, {"subscribe": ["+/#", "$SYS/#"]},
     [], ["$SYS, QoS 2"]),
])
def test_diff_by_example(weir, old, new, lost, gained):
    assert diff(weir, old, new) == (lost, gained)
    assert diff(weir, new, old) == (gained, lost)


def test_diff_example_is_what_explain_says(weir):
    """The words of the example stand for a device's own."""
    a = policy(weir, "a.json", meter={"publish": ["m/${device}/+", "z/#"]})
    b = policy(weir, "b.json", meter={"publish": ["m/${device}/up", "z"]})
    change, = weir.json("policy", "diff", a, b, status=1)["changes"]
    assert [x["change"] for x in change["examples"]] == ["lost", "lost"]
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "meter-13", "--out", weir.folder)
    for x in change["examples"]:
        topic = x["example"].split(",")[0].replace("<device>", "meter-13")
        ask = ["explain", "meter-13", "publish", topic, "--qos", "1"]
        assert weir.json(*ask, "--policy", a)["verdict"] == "allowed"
        assert weir.json(*ask, "--policy", b, status=1)["reason"] == "no_rule"


def test_diff_of_classes(weir):
    a = policy(weir, "a.json", gone={"publish": ["x"]}, same={},
               other={"limits": {"messages_per_s": 1}})
    b = policy(weir, "b.json", new={"subscribe": ["y"]}, same={},
               other={"limits": {"messages_per_s": 2}, "mode": "observe"})
    done = weir("policy", "diff", a, b)
    assert done.returncode == 1
    assert done.stdout.decode() == (
        'gone removed\n  - client_ids ${device}\n  - publish "x"\n'
        '      no longer: x, QoS 1\n'
        'new added\n  + client_ids ${device}\n  + subscribe "y"\n'
        '      now: y, QoS 2\n'
        'other changed\n  - limits.messages_per_s 1\n'
        '  + limits.messages_per_s 2\n  + mode observe\n')
    c = weir.folder / "c.json"
    c.write_text(json.dumps({"version": 1, "classes": {},
                             "quarantine": {"publish": ["fw/${class}"]}}))
    empty = policy(weir, "d.json")
    change, = weir.json("policy", "diff", empty, c, status=1)["changes"]
    assert change["class"] == "quarantine"
    assert change["examples"][0]["example"] == "fw/<class>, QoS 1"


def test_diff_names_what_it_compares(weir):
    first, second = in_force(weir), policy(weir, meter={})
    weir.ok("policy", "apply", second)
    assert weir("policy", "diff", str(first), "current").returncode == 1
    assert weir.ok("policy", "diff", "current", second) == ""
    assert weir.ok("policy", "diff", str(first), EXAMPLE / "policy.json") == ""
    assert weir("policy", "diff", "1", "-",
                stdin=b'{"version": 1, "classes": {}}').returncode == 0
    named = weir.folder / "7"
    named.write_text(second.read_text())
    assert weir.ok("policy", "diff", "./7", "current") == ""
    for args, says in [(("99", "current"), "99"), (("current", "0"), "revision"),
                       (("-", "-"), "standard input"), (("current",), "usage"),
                       (("current", second, second), "too many")]:
        weir.fails(2, "policy", "diff", *args, says=says)
    weir.fails(2, "policy", "diff", "current",
               policy(weir, "bad.json", meter={"publish": ["a+"]}),
               says="bad.json: classes.meter")
    weir.fails(3, "policy", "diff", "current", "none.json")
    weir.fails(3, "--state", weir.folder / "no", "policy", "diff", "current",
               second)
    before = weir.revision()
    weir("policy", "diff", "1", "current")
    assert weir.revision() == before
