# SPDX-License-Identifier: Apache-2.0
"""
Scenario: someone asks weir explain why a device may or may not do something,
one question at a time, in a batch, and for all that a device may do.

Question: is the verdict the one of the rules, does the explanation name the
level that differs, and does the rule that it suggests allow the request?

Expected: exit status 0 allowed or observed, 1 refused, 2 usage; a batch is 0 whatever its
verdicts, line for line; a suggestion put into the policy turns the verdict.
"""

import json
import pathlib
import resource
import subprocess
import time

import pytest

from cli_support import EXAMPLE, WEIR, make

SANITIZED = b"__asan_init" in pathlib.Path(WEIR).read_bytes()


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def ask(weir, *args, verdict="refused"):
    done = weir.json("explain", *args, status=1 if verdict == "refused" else 0)
    assert done["verdict"] == verdict
    return done


# ----------------------------------------------------------------- one at a time


def test_allowed(weir):
    done = ask(weir, "till-7", "publish", "pay/till-7/status", "--qos", "1",
               verdict="allowed")
    assert done["reason"] == "allowed"
    assert done["rule"] == "classes.payment-terminal.publish[0]"
    assert done["nearest"] is None and done["level"] is None
    assert done["suggest"] is None and done["remedy"] is None
    assert done["class"] == "payment-terminal" and done["qos"] == 1
    text = weir.ok("explain", "till-7", "receive", "pay/till-7/cmd/reboot")
    assert text.startswith("allowed: ")
    assert "classes.payment-terminal.subscribe[0]" in text


def test_no_rule(weir):
    done = ask(weir, "till-7", "publish", "pay/till-8/status")
    assert done["reason"] == "no_rule" and done["rule"] is None
    assert done["nearest"] == "classes.payment-terminal.publish[0]"
    assert done["template"] == "pay/${device}/status"
    assert done["level"] == {"number": 2, "rule": "${device}",
                             "value": "till-7", "topic": "till-8"}
    text = weir("explain", "till-7", "publish", "pay/till-8/status")
    assert text.returncode == 1
    said = text.stdout.decode()
    assert said.startswith("refused: no rule of the class matches (no_rule)\n")
    assert "the rule has ${device}, here till-7; the topic has till-8" in said


@pytest.mark.parametrize("more, reason, suggest", [
    (["--qos", "2"], "qos", {"max_qos": 2}),
    (["--retain"], "retain", {"retain": True}),
    (["--bytes", "4097"], "size", {"max_bytes": 4097}),
])
def test_limits(weir, more, reason, suggest):
    done = ask(weir, "till-7", "publish", "pay/till-7/txn/1", *more)
    assert done["reason"] == reason
    assert done["rule"] == "classes.payment-terminal.publish[1]"
    assert done["suggest_instead_of"] == done["rule"]
    rule = json.loads(done["suggest"])
    assert rule["topic"] == "pay/${device}/txn/+"
    assert suggest.items() <= rule.items()


def test_the_end_of_topic_or_rule(weir):
    level = ask(weir, "till-7", "publish", "pay/till-7")["level"]
    assert level["number"] == 3 and level["topic"] is None
    level = ask(weir, "till-7", "publish", "pay/till-7/status/x")["level"]
    assert level["number"] == 4 and level["rule"] is None
    level = ask(weir, "meter-13", "subscribe", "grid/north/tariff")["level"]
    assert level["rule"] == "${attr.zone}" and level["value"] is None


def test_shared(weir):
    ask(weir, "ledger", "subscribe", "$share/workers/pay/+/txn/+",
        verdict="allowed")
    done = ask(weir, "ledger", "subscribe", "$share/others/pay/+/txn/+")
    assert json.loads(done["suggest"])["shared"] == ["workers", "others"]
    done = ask(weir, "ledger", "subscribe", "$share/others")
    assert done["reason"] == "malformed" and done["suggest"] is None


@pytest.mark.parametrize("question", [
    ["till-7", "publish", "pay/till-8/status"],
    ["till-7", "publish", "pay/till-7/status", "--qos", "2", "--retain"],
    ["till-7", "publish", "pay/till-7/txn/1", "--bytes", "100000"],
    ["till-7", "subscribe", "pay/+/cmd/#"],
    ["till-7", "subscribe", "#", "--qos", "2"],
    ["meter-12", "receive", "grid/west/tariff"],
    ["meter-12", "publish", "grid/south/x"],
    ["ledger", "subscribe", "$share/others/pay/+/txn/+"],
    ["ledger", "subscribe", "$share/new/some/where"],
    ["ledger", "subscribe", "$SYS/#"],
])
def test_what_is_suggested_allows_it(weir, question):
    done = ask(weir, *question)
    policy = json.loads((EXAMPLE / "policy.json").read_text())
    _, name, way = done["suggest_list"].split(".")
    rules = policy["classes"][name].setdefault(way, [])
    if done["suggest_instead_of"] is None:
        rules.append(json.loads(done["suggest"]))
    else:
        at = int(done["suggest_instead_of"].rsplit("[", 1)[1].rstrip("]"))
        rules[at] = json.loads(done["suggest"])
    path = weir.folder / "new.json"
    path.write_text(json.dumps(policy))
    done = ask(weir, *question, "--policy", path, verdict="allowed")
    assert done["policy_revision"] is None


def test_suggestions_serve_each_device_with_its_own(weir):
    done = ask(weir, "till-7", "publish", "logs/till-7/x-till-7")
    assert done["suggest"] == '"logs/${device}/x-${device}"'
    done = ask(weir, "meter-12", "publish", "grid/south/x")
    assert done["suggest"] == '"grid/${attr.zone}/x"'


# ----------------------------------------------------------------------- connect


def test_connect(weir):
    done = ask(weir, "till-7", "connect")
    assert done["reason"] == "no_certificate"
    assert "weir cert issue till-7" in done["remedy"]
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "till-7")
    ask(weir, "till-7", "connect", verdict="allowed")
    ask(weir, "till-7", "connect", "--client-id", "till-7/updater",
        verdict="allowed")
    done = ask(weir, "till-7", "connect", "--client-id", "till-8")
    assert done["reason"] == "client_id_mismatch"
    assert "till-7/updater" in done["remedy"]
    done = ask(weir, "till-7", "connect", "--client-id", "")
    assert done["reason"] == "malformed"


@pytest.mark.parametrize("args", [
    ["explain", "--batch", "-"], ["suspend", "-"]], ids=" ".join)
def test_endless_line(weir, args):
    """It is refused before it fills the memory: the input never ends."""
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run(
            [WEIR, *args], stdin=zero, env=weir.environment(),
            capture_output=True, check=False, timeout=60,
            preexec_fn=None if SANITIZED else lambda: resource.setrlimit(
                resource.RLIMIT_AS, (1 << 28, 1 << 28)))
    assert done.returncode == 2 and done.stdout == b""
    assert b"weir: standard input:1: this line is longer" in done.stderr


def test_batch_with_a_line_that_is_too_long(weir):
    good = "till-7\tpublish\tpay/till-7/status\n"
    done = weir("explain", "--batch", "-",
                stdin=(good + "x" * 131073 + "\n" + good).encode())
    assert done.returncode == 2
    assert done.stdout.decode().splitlines() == [
        "allow\tallowed\tclasses.payment-terminal.publish[0]"]
    assert b"standard input:2: this line is longer" in done.stderr
    # As long as one may be: it is looked at, and is none.
    weir.fails(2, "explain", "--batch", "-", stdin=b"x" * 131072,
               says="is no action")


def test_retired_has_no_remedy_by_certificate(weir):
    weir.ok("retire", "till-7")
    done = ask(weir, "till-7", "connect")
    assert done["reason"] == "no_certificate"
    assert "for ever" in done["remedy"]
    assert "cert issue" not in done["remedy"]
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "till-8")
    weir.ok("retire", "till-8")
    done = ask(weir, "till-8", "connect")
    assert done["reason"] == "device_retired"
    assert "for ever" in done["remedy"]
    weir.ok("cert", "revoke", "till-8")
    done = ask(weir, "till-8", "connect")
    assert done["reason"] == "certificate_revoked"
    assert "cert issue" not in done["remedy"]


def test_status_and_class(weir):
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "till-7")
    weir.ok("suspend", "till-7", "--reason", "stolen")
    done = ask(weir, "till-7", "connect")
    assert done["reason"] == "device_suspended" and "stolen" in done["remedy"]
    weir.ok("quarantine", "till-7")
    ask(weir, "till-7", "connect", verdict="allowed")
    ask(weir, "till-7", "publish", "fw/till-7/state", verdict="allowed")
    done = ask(weir, "till-7", "publish", "pay/till-7/status")
    assert done["reason"] == "quarantined"
    assert done["suggest_list"] == "quarantine.publish"
    weir.ok("suspend", "till-7", "--for", "1s")
    deadline = time.monotonic() + 10
    # A suspension that is over counts no more; the clock has whole seconds.
    while weir("explain", "till-7", "connect").returncode != 0:
        assert time.monotonic() < deadline
    weir.ok("device", "add", "x", "--class", "other")
    done = ask(weir, "x", "publish", "a")
    assert done["reason"] == "class_unknown" and "other" in done["remedy"]
    done = ask(weir, "meter-13", "publish", "meter/meter-13/reading",
               verdict="allowed")
    weir.ok("cert", "issue", "meter-13")
    done = ask(weir, "meter-13", "connect")
    assert done["reason"] == "sim_mismatch" and "iccid" in done["remedy"]


def test_unknown_device(weir):
    for action in (["connect"], ["publish", "a"]):
        done = ask(weir, "nobody", *action)
        assert done["reason"] == "unknown_certificate"
        assert done["class"] is None
    weir.fails(1, "explain", "nobody", says="nobody")


# ----------------------------------------------------------------------- summary


def test_summary(weir):
    done = weir.json("explain", "meter-12")
    assert done["connect"] == {
        "verdict": "refused", "reason": "no_certificate"}
    assert done["client_ids"] == ["meter-12"]
    assert [r["topic"] for r in done["publish"]] == [
        "meter/meter-12/reading", "meter/meter-12/state"]
    assert done["publish"][1]["retain"] and done["publish"][1][
        "max_bytes"] == 512
    assert done["subscribe"][1]["topic"] == "grid/{north|south}/tariff"
    done = weir.json("explain", "meter-13")
    assert done["subscribe"][1]["topic"] is None
    assert done["subscribe"][1]["missing"] == "attr.zone"
    text = weir.ok("explain", "meter-13")
    assert "nothing: the device has no attr.zone" in text
    text = weir.ok("explain", "ledger")
    assert "$share workers" in text and "ledger/*" in text


def test_sim_identifiers_are_masked(weir):
    policy = weir.folder / "p.json"
    policy.write_text(json.dumps({"version": 1, "classes": {
        "payment-terminal": {"publish": ["sim/${iccid}"]}}}))
    def said(*more):
        return weir(*more, "explain", "till-7", "publish", "sim/x",
                    "--policy", policy).stdout.decode()
    assert "8944010000000000017" not in said()
    assert "8944010000000000017" in said("--show-ids")
    done = ask(weir, "till-7", "publish", "sim/x", "--policy", policy)
    assert done["level"]["value"] == "8944010000000000017"


# ----------------------------------------------------------- observed, limited


def observing(weir, **more):
    """The example's policy in a file, its payment-terminal class with MORE."""
    policy = json.loads((EXAMPLE / "policy.json").read_text())
    policy["classes"]["payment-terminal"].update(more)
    path = weir.folder / "observing.json"
    path.write_text(json.dumps(policy))
    return path


OBSERVED = [
    (["publish", "pay/till-8/status"], "no_rule", None),
    (["publish", "pay/till-7/status", "--qos", "2"], "qos",
     "classes.payment-terminal.publish[0]"),
    (["publish", "pay/till-7/txn/1", "--retain"], "retain",
     "classes.payment-terminal.publish[1]"),
    (["publish", "pay/till-7/txn/1", "--bytes", "5000"], "size",
     "classes.payment-terminal.publish[1]"),
    (["subscribe", "pay/#"], "filter_too_wide", None),
    (["receive", "other/x"], "no_rule", None),
]


@pytest.mark.parametrize("question, reason, rule", OBSERVED)
@pytest.mark.parametrize("by", [["class"], ["device"], ["class", "device"]])
def test_observed(weir, by, question, reason, rule):
    more = []
    if "class" in by:
        more = ["--policy", observing(weir, mode="observe")]
    if "device" in by:
        weir.ok("device", "set", "till-7", "--mode", "observe")
    done = ask(weir, "till-7", *question, *more, verdict="observed")
    assert (done["reason"], done["rule"]) == (reason, rule)
    assert done["observed_by"] == by
    assert done["nearest"] is not None and done["suggest"] is not None
    text = weir.ok("explain", "till-7", *question, *more)
    said = "class and the device are" if len(by) == 2 else by[0] + " is"
    assert text.startswith(
        f"observed: allowed, because the {said} in observe mode; enforcing "
        "would refuse it: ")
    assert text.splitlines()[0].endswith(f" ({reason})")
    line = "\t".join(["till-7", *question[:2],
                      "2" if reason == "qos" else "",
                      "1" if reason == "retain" else "",
                      "5000" if reason == "size" else ""])
    assert batch(weir, line, *more) == [f"allow\t{reason}\t{rule or '-'}"]
    # What the rules allow is allowed, not observed.
    done = ask(weir, "till-7", "publish", "pay/till-7/status", *more,
               verdict="allowed")
    assert done["observed_by"] == by


@pytest.mark.parametrize("question, reason", [
    (["publish", "$SYS/x"], "no_rule"),
    (["subscribe", "$SYS/#"], "no_rule"),
    (["subscribe", "$share/g/pay/till-7/cmd/x"], None),
    (["publish", "a/+"], "malformed"),
    (["connect", "till-7"], "no_certificate"),
])
def test_not_observed(weir, question, reason):
    weir.ok("device", "set", "till-7", "--mode", "observe")
    done = ask(weir, "till-7", *question)
    assert reason is None or done["reason"] == reason


def test_observe_relaxes_no_status(weir):
    weir.ok("device", "set", "till-7", "--mode", "observe")
    weir.ok("quarantine", "till-7")
    done = ask(weir, "till-7", "publish", "pay/till-7/status")
    assert done["reason"] == "quarantined" and done["observed_by"] == []
    assert weir.json("explain", "till-7")["observed_by"] == []
    weir.ok("suspend", "till-7")
    assert ask(weir, "till-7", "publish", "x")["reason"] == "device_suspended"
    assert batch(weir, "till-7\tpublish\tx") == ["deny\tdevice_suspended\t-"]
    weir.ok("release", "till-7")
    ask(weir, "till-7", "publish", "x", verdict="observed")
    weir.ok("device", "set", "till-7", "--mode", "enforce")
    ask(weir, "till-7", "publish", "x")


def test_summary_of_mode(weir):
    assert weir.json("explain", "till-7")["observed_by"] == []
    assert "mode:" not in weir.ok("explain", "till-7")
    weir.ok("device", "set", "till-7", "--mode", "observe")
    assert weir.json("explain", "till-7")["observed_by"] == ["device"]
    assert "observe (device): " in weir.ok("explain", "till-7")
    policy = observing(weir, mode="observe")
    assert "observe (class and device): " in weir.ok(
        "explain", "till-7", "--policy", policy)
    assert "observe (class): " in weir.ok(
        "explain", "till-8", "--policy", policy)


def test_limits_of_the_class(weir):
    limits = {"messages_per_s": 5, "connects_per_min": 6}
    policy = observing(weir, limits=limits)
    assert weir.json("explain", "till-7", "--policy", policy)[
        "limits"] == limits
    text = weir.ok("explain", "till-7", "--policy", policy)
    assert "5 messages published a second\n" in text
    assert "6 connects a minute\n" in text
    assert "what the device has used of these limits is not known" in text
    asked = ["till-7", "publish", "pay/till-7/status", "--policy", policy]
    for _ in range(20):
        ask(weir, *asked, verdict="allowed")
    assert "limits:" in weir.ok("explain", *asked)
    # Nothing is said of limits where there are none.
    assert weir.json("explain", "ledger", "--policy", policy)["limits"] == {}
    assert "limits" not in weir.ok("explain", "ledger", "--policy", policy)
    assert "limits:" not in weir.ok(
        "explain", "ledger", "receive", "pay/till-7/txn/1", "--policy", policy)
    assert weir.json("explain", "meter-12")["limits"] == {}


# ------------------------------------------------------------------------- usage


@pytest.mark.parametrize("args, says", [
    ([], "--batch"),
    (["till-7", "--batch", "-"], "--batch"),
    (["till-7", "fly"], "fly"),
    (["till-7", "publish"], "topic"),
    (["till-7", "publish", "a", "b"], "too many"),
    (["till-7", "publish", "a", "--qos", "3"], "--qos"),
    (["till-7", "publish", "a", "--bytes", "-1"], "--bytes"),
    (["till-7", "publish", "a", "--client-id", "c"], "--client-id"),
    (["till-7", "connect", "a", "--client-id", "c"], "twice"),
])
def test_usage(weir, args, says):
    weir.fails(2, "explain", *args, says=says)


def test_environment(weir):
    weir.fails(3, "--state", weir.folder / "nowhere", "explain", "till-7")
    weir.fails(3, "explain", "till-7", "--policy", "none.json")
    weir.fails(3, "explain", "--batch", "none.tsv")
    bad = weir.folder / "bad.json"
    bad.write_text("{}")
    weir.fails(2, "explain", "till-7", "--policy", bad)


# ------------------------------------------------------------------------- batch


def batch(weir, text, *more):
    return weir.ok("explain", "--batch", "-", *more,
                   stdin=text.encode()).splitlines()


def test_batch(weir):
    assert batch(weir, "\n".join([
        "till-7\tpublish\tpay/till-7/status",
        "till-7\tpublish\tpay/till-7/status\t2",
        "till-7\tpublish\tpay/till-7/status\t1\ttrue\t10",
        "till-7\tpublish\tpay/till-7/txn/1\t\t0\t5000",
        "till-7\tpublish\tpay/till-8/status\t1\t0\t10",
        "till-7\tpublish\ta/+",
        "till-7\tsubscribe\tpay/+/cmd/#\t1\tfalse\t0\r",
        "ledger\tsubscribe\t$share/workers/pay/+/txn/+\t1",
        "till-7\treceive\tpay/till-7/cmd/x\t1\t1\t1",
        "nobody\tpublish\tx",
        "nobody\tconnect",
        "no body\tpublish\tx",
        "till-7\tconnect",
    ])) == [
        "allow\tallowed\tclasses.payment-terminal.publish[0]",
        "deny\tqos\tclasses.payment-terminal.publish[0]",
        "deny\tretain\tclasses.payment-terminal.publish[0]",
        "deny\tsize\tclasses.payment-terminal.publish[1]",
        "deny\tno_rule\t-",
        "deny\tmalformed\t-",
        "deny\tfilter_too_wide\t-",
        "allow\tallowed\tclasses.backend.subscribe[1]",
        "allow\tallowed\tclasses.payment-terminal.subscribe[0]",
        "deny\tunknown_certificate\t-",
        "deny\tunknown_certificate\t-",
        "deny\tunknown_certificate\t-",
        "deny\tno_certificate\t-",
    ]
    assert batch(weir, "") == []


def test_batch_connect(weir):
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "till-7")
    assert batch(weir, "till-7\tconnect\ntill-7\tconnect\ttill-7/updater\n"
                 "till-7\tconnect\ttill-8\n") == [
        "allow\tallowed\t-", "allow\tallowed\t-",
        "deny\tclient_id_mismatch\t-"]


@pytest.mark.parametrize("line, says", [
    ("till-7\tfly\tx", "fly"),
    ("till-7", "no action"),
    ("", "no device"),
    ("\tpublish\tx", "no device"),
    ("till-7\tpublish\tx\t3", "qos"),
    ("till-7\tpublish\tx\t1\tyes", "retain"),
    ("till-7\tpublish\tx\t1\t1\t-1", "bytes"),
    ("till-7\tpublish\tx\t1\t1\t4294967296", "bytes"),
    ("till-7\tpublish\tx\t1\t1\t1\tmore", "columns"),
])
def test_batch_malformed(weir, line, says):
    good = "till-7\tpublish\tpay/till-7/status\n"
    done = weir("explain", "--batch", "-", stdin=(good + line + "\n").encode())
    text = done.stderr.decode()
    assert done.returncode == 2
    assert "standard input:2: " in text and says in text
    assert done.stdout.startswith(b"allow\t")


def test_batch_agrees_with_single_questions(weir):
    rows = [line.split("\t")[:6]
            for line in (EXAMPLE / "expected.tsv").read_text().splitlines()
            if not line.startswith("#")]
    answers = batch(weir, "".join("\t".join(r) + "\n" for r in rows))
    assert len(answers) == len(rows)
    for row, answer in list(zip(rows, answers))[::4]:
        device, action, topic, qos, retain, size = row
        verdict, reason, _ = answer.split("\t")
        done = weir("--json", "explain", device, action, topic, "--qos", qos,
                    "--bytes", size, *(["--retain"] if retain == "1" else []))
        said = json.loads(done.stdout)
        assert said["reason"] == reason
        assert (said["verdict"] == "allowed") == (verdict == "allow")


def test_batch_is_quick(weir):
    n = 100000
    text = "".join(f"till-{7 + i % 3}\tpublish\tpay/till-7/txn/{i}\t1\t0\t9\n"
                   for i in range(n))
    begin = time.monotonic()
    answers = batch(weir, text)
    # Generous, for sanitizers: it takes a quarter of a second.
    assert time.monotonic() - begin < 20
    assert len(answers) == n
    assert answers[0].startswith("allow") and answers[1].startswith("deny")


def test_batch_policy(weir):
    policy = weir.folder / "p.json"
    policy.write_text(json.dumps({"version": 1, "classes": {
        "payment-terminal": {"publish": ["x"]}}}))
    assert batch(weir, "till-7\tpublish\tx\n", "--policy", policy) == [
        "allow\tallowed\tclasses.payment-terminal.publish[0]"]
