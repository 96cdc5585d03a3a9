# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody brings Weir to a broker and types policy seen, learn, try and
cert enroll: too early, with wrong words, twice, for what is registered by now.

Question: does each do what docs/CLI.md says, and nothing when it fails? Do
explain, policy check, policy diff and doctor tell that the broker observes?

Expected: yes; what was left out is said, by name and reason.
"""

import json

import pytest

from clients import Wire
from harness import Broker, Fleet

OBSERVE = {"version": 1, "mode": "observe", "fallback": "allow",
           "unknown": {"class": "legacy", "id": "cn"},
           "classes": {"legacy": {},
                       "meter": {"publish": ["m/${device}/known"]}}}


@pytest.fixture(scope="module")
def site():
    """A fleet of which some were seen, and what had been issued to whom."""
    fleet = Fleet(OBSERVE)
    with Broker(fleet) as broker:
        made = {}
        for name in ("u1", "u2", "u3", "late"):
            made[name] = fleet.sign(name)
            w = Wire(broker, made[name]).admitted()
            w.publish(f"m/{name}/up")
            w.publish(f"m/{name}/up")
            w.disconnect()
            w.close()
        m = fleet.device("meter", id="m1")
        w = Wire(broker, m).admitted()
        w.publish("m/m1/known")
        w.publish("m/m1/extra", retain=True)
        w.subscribe("m/m1/cmd/#", 1)
        w.disconnect()
        w.close()
    fleet.made = made
    yield fleet
    fleet.remove()


def fails(fleet, status, *args):
    done = fleet.run(*args)
    assert done.returncode == status, (args, done.stdout, done.stderr)
    assert done.stderr.startswith("weir: ")
    return done.stderr


def test_nothing_observed():
    fleet = Fleet({"version": 1, "classes": {}})
    for args in (["policy", "seen"], ["policy", "learn", "--class", "c"],
                 ["policy", "try", fleet.root / "policy.json"],
                 ["cert", "enroll", "--seen", "--class", "c"]):
        assert "nothing was observed" in fails(fleet, 3, *args)
    fleet.remove()


@pytest.mark.parametrize("args", [
    ["policy", "learn"],
    ["policy", "learn", "--class", "a b"],
    ["policy", "learn", "--class", "meter", "--many", "0"],
    ["policy", "learn", "--class", "meter", "--min-share", "101"],
    ["policy", "learn", "--class", "meter", "--since", "yesterday"],
    ["policy", "seen", "--since", "1"],
    ["policy", "try"],
    ["cert", "enroll", "--class", "meter"],
    ["cert", "enroll", "--seen"],
    ["cert", "enroll", "--seen", "--class", "no class"],
    ["cert", "enroll", "--seen", "--class", "meter", "--issuer", "abc"],
    ["cert", "enroll", "--seen", "--class", "meter", "--since", "x"],
])
def test_wrong_words(site, args):
    before = site.status()["registry"]["revision"]
    fails(site, 2, *args)
    assert site.status()["registry"]["revision"] == before


def test_seen(site):
    lines = [json.loads(x) for x in
             site.weir("--json", "policy", "seen").splitlines()]
    assert {(x["device"], x["class"], x["action"], x["topic"])
            for x in lines} == {
        *((u, "legacy", "publish", f"m/{u}/up")
          for u in ("u1", "u2", "u3", "late")),
        ("m1", "meter", "publish", "m/m1/extra"),
        ("m1", "meter", "subscribe", "m/m1/cmd/#")}
    up = next(x for x in lines if x["device"] == "u1")
    assert (up["messages"], up["qos"], up["retain"], up["folded"],
            up["largest"], up["reason"]) == (2, 1, False, False, 1, "no_rule")
    extra = next(x for x in lines if x["topic"] == "m/m1/extra")
    assert extra["retain"]
    shown = site.weir("policy", "seen", "--class", "meter")
    assert "m/m1/extra" in shown and "m/u1/up" not in shown
    # Allowed: nobody's business.
    assert "known" not in site.weir("policy", "seen")


def test_learn_and_try(site):
    told = site.json("policy", "learn", "--class", "legacy")
    assert [(r["action"], r["topic"], r["devices"], r["messages"])
            for r in told["rules"]] == [
        ("publish", "m/${device}/up", 4, 8)]
    path = site.root / "learned.json"
    path.write_text(told["policy"])
    learned = json.loads(told["policy"])
    assert learned["mode"] == "observe"
    assert learned["classes"]["legacy"]["publish"][0]["comment"].startswith(
        "learned: 4 devices, 8 messages, ")
    assert learned["classes"]["meter"] == OBSERVE["classes"]["meter"]
    tried = site.json("policy", "try", path, status=1)
    assert tried["refused"] == {"devices": 1, "requests": 2, "messages": 2}
    assert tried["passed"] == {"devices": 4, "requests": 4, "messages": 8}
    assert {(x["device"], x["topic"]) for x in tried["requests"]} == {
        ("m1", "m/m1/extra"), ("m1", "m/m1/cmd/#")}
    shown = site.weir("policy", "try", path, status=1)
    assert "would have refused: 1 device, 2 messages:" in shown
    assert "m/m1/extra" in shown
    site.weir("policy", "try", path, "--class", "legacy")
    assert fails(site, 1, "policy", "learn", "--class", "nobody")
    # `#` when asked only, and into a class that is not there yet.
    one = site.json("policy", "learn", "--class", "meter")
    assert [x["why"] for x in one["outliers"]] == ["hash"]
    two = site.json("policy", "learn", "--class", "meter", "--hash")
    assert {"m/${device}/cmd/#", "m/${device}/extra"} == {
        r["topic"] for r in two["rules"]}
    path.write_text("{}")
    fails(site, 2, "policy", "try", path)
    fails(site, 3, "policy", "try", site.root / "not-there")


def test_enroll(site):
    issuer = site.json("ca", "show")["fingerprint"]
    enroll = ("cert", "enroll", "--seen", "--class", "meter")
    none = site.json(*enroll, "--issuer", "00" * 32)
    assert (none["devices"], none["credentials"], none["left_out"]) == (0, 0, 4)
    assert site.json(*enroll, "--id", "nobody-*")["certificates"] == []
    before = [json.loads(x) for x in
              site.weir("--json", "audit", "list", "-n", "all").splitlines()]
    # An id that is another's by now.
    site.weir("device", "add", "u3", "--class", "meter")
    told = site.json(*enroll, "--issuer", issuer, "--id", "u*")
    assert (told["devices"], told["credentials"]) == (2, 2)
    results = {x["device_id"]: x["result"] for x in told["certificates"]}
    assert results == {"u1": "enrolled", "u2": "enrolled", "u3": "id_taken"}
    assert {x["issuer_fingerprint"] for x in told["certificates"]} == {issuer}
    entries = [json.loads(x) for x in
               site.weir("--json", "audit", "list", "-n", "all").splitlines()]
    new = entries[len(before) + 1:]
    assert [x["action"] for x in new] == ["cert.enroll"]
    assert new[0]["detail"]["devices"] == 2
    assert site.json("audit", "verify")["ok"]
    shown = site.json("device", "show", "u1")
    assert shown["class"] == "meter"
    assert ([c["fingerprint"] for c in shown["credentials"]]
            == [site.fingerprint(site.made["u1"])])
    # Again: nothing to do, and no entry.
    again = site.json(*enroll, "--id", "u*")
    assert (again["devices"], again["credentials"]) == (0, 0)
    assert {x["result"] for x in again["certificates"]} == {
        "registered", "id_taken"}
    assert "warning: the policy in force has no class 'other'" in site.run(
        "cert", "enroll", "--seen", "--class", "other", "--id", "late").stderr


def test_others_say_so(site):
    told = site.json("explain", "m1", "publish", "x")
    assert told["verdict"] == "observed"
    assert told["observed_by"] == ["broker"]
    assert "the broker is in observe mode" in told["text"]
    assert site.json("explain", "m1")["observed_by"] == ["broker"]
    warnings = site.json("policy", "check")["warnings"]
    assert [w["place"] for w in warnings][:2] == ["mode", "fallback"]
    path = site.root / "enforce.json"
    path.write_text(json.dumps({"version": 1, "classes": OBSERVE["classes"]}))
    told = site.json("policy", "diff", "current", path, status=1)
    assert [(c["class"], c["lost"]) for c in told["changes"]] == [
        ("(broker)", ["fallback allow", "mode observe",
                      "unknown.class legacy"])]
    checks = [json.loads(x)["check"] for x in site.run(
        "--json", "doctor").stdout.splitlines()]
    assert "policy.observe" in checks


def test_doctor_and_the_acl_file(site):
    broker = Broker(site)
    found = {}
    for fallback in ("broker", "allow"):
        site.apply(dict(OBSERVE, fallback=fallback))
        for acl in ("", "\nacl_file /etc/hostname\n"):
            path = site.root / "conf"
            path.write_text(broker.conf.read_text() + acl)
            lines = site.run("--json", "doctor", "--broker-conf",
                             path).stdout.splitlines()
            found[fallback, bool(acl)] = {
                (x["check"], x["severity"]) for x in map(json.loads, lines)}
    broker.close()
    assert ("conf.fallback", "error") in found["broker", False]
    assert ("conf.second", "note") in found["broker", True]
    assert ("conf.fallback", "error") not in found["broker", True]
    assert ("conf.second", "error") in found["allow", True]
    assert ("conf.fallback", "error") not in found["allow", False]
