# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a Mosquitto without Weir went by an acl_file (users, topics,
patterns, denies) or by dynamic-security's JSON (clients, groups, roles,
priorities, defaults), at random. `weir policy import-acl` makes a policy of
it, and its devices.

Question: does the policy decide as that Mosquitto did?

Expected: a real broker with that file is asked, by publishing (the reason
code of the PUBACK) and by what is delivered to clients that subscribe to all;
`weir explain --batch` under the policy gives the same answer to each question
when the import listed no loss, and never allows more when it did.

WEIR_ACL_QUESTIONS: how many of an acl_file (10,000); WEIR_DYNSEC_QUESTIONS: of
dynamic-security (2,400).
"""

import base64
import copy
import hashlib
import json
import os
import random
import re
import socket

import pytest

from cli_support import make
from clients import PUBLISH, PUBACK, REFUSED, Wire, text
from harness import DEADLINE_S, VERSION, Broker, Fleet

QUESTIONS = int(os.environ.get("WEIR_ACL_QUESTIONS", "10000"))
DYNSEC_QUESTIONS = int(os.environ.get("WEIR_DYNSEC_QUESTIONS", "2400"))
DYNSEC_ROUNDS = 6
PLUGIN = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
SEED = int(os.environ.get("WEIR_SEED", "1"))
ROUNDS = 12
LOSSY = 2
"""Rounds whose lists keep what the policy cannot express."""
USERS = ("till-7", "till-8", "till-9", "a", "b", "m:1", "n.2", "stranger")
"""The last one has no line in any list."""
# Mosquitto 2.1 replaces whole levels alone.
OWN = ("%c", "%u") if VERSION >= (2, 1) else ("%c", "%u", "x-%u")
LEVELS = ("a", "b", "c", "", "till-7", "till-8", "m:1", "x y")
BATCH = 200
EMPTY = {"version": 1, "classes": {}}


class Plain(Broker):
    """A mosquitto with an acl_file and no plugin, on a plain port."""

    def __init__(self, fleet, acl):
        super().__init__(fleet)
        path = self.dir / "acl"
        path.write_text(acl)
        path.chmod(0o644)
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"acl_file {path}\nmax_inflight_messages 0\n"
            "max_queued_messages 65000\nlog_dest stderr\nlog_type all\n")


class Dynsec(Broker):
    """A mosquitto with dynamic-security, on a plain port."""

    def __init__(self, fleet, config):
        super().__init__(fleet)
        path = self.dir / "dynsec.json"
        path.write_text(json.dumps(config))
        path.chmod(0o644)
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\n"
            f"plugin {PLUGIN}\nplugin_opt_config_file {path}\n"
            "max_inflight_messages 0\nmax_queued_messages 65000\n"
            "log_dest stderr\nlog_type all\n")


class PlainWire(Wire):
    def __init__(self, broker, user, password=None):
        self.v5, self.version, self.device = True, 5, None
        self.inbox, self.pid, self.code = [], 0, None
        self.sock = socket.create_connection(("127.0.0.1", broker.port),
                                             timeout=DEADLINE_S)
        self.admitted(user, username=user, **(
            {} if password is None else {"password": password}))

    def publish_all(self, topics):
        """The reason codes of a QoS 1 publish to each."""
        codes = {}
        for i in range(0, len(topics), BATCH):
            pids = []
            for topic in topics[i:i + BATCH]:
                pids.append(self._next_pid())
                self.send(PUBLISH, text(topic) + pids[-1] + b"\0x", 2)
            for pid in pids:
                ack = self.expect(PUBACK)
                assert ack[:2] == pid
                codes[len(codes)] = ack[2] if len(ack) > 2 else 0
        return list(codes.values())


# ----------------------------------------------------------------- random lists

def filter_of(rng, variables):
    levels = [rng.choice(LEVELS + ("+", "+") + variables)
              for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.25:
        levels[-1] = "#"
    made = "/".join(levels)
    return made if made else "a"


def acl_of(rng):
    """Lines in any order that a person might write."""
    lines = ["# made by test_import_acl.py", "", "topic read nobody/#"]
    users = [u for u in USERS[:-1] for _ in range(rng.randint(1, 2))]
    rng.shuffle(users)
    access = ("read ", "write ", "deny ", "readwrite ", "")
    for user in ["root", *users]:
        lines.append(f"user {user}")
        if user == "root":
            lines.append("topic readwrite #")
        for _ in range(rng.randint(0, 5) if user != "root" else 0):
            made = filter_of(rng, ())
            # A word before the filter is its access, if it has a blank.
            lines.append(f"topic {rng.choice(access[:4 if ' ' in made else 5])}"
                         + made)
        if rng.random() < 0.3:
            lines.append(f"pattern {rng.choice(access[:4])}"
                         + filter_of(rng, OWN))
    return lines


def imported(fleet, lines, status):
    """(told, lines): what the import says."""
    path = fleet.root / "acl"
    path.write_text("\n".join(lines) + "\n")
    done = fleet.run("--json", "policy", "import-acl", path)
    assert done.returncode in status, (done.stderr, "\n".join(lines))
    return json.loads(done.stdout)


def expressible(fleet, lines):
    """LINES without those that the import says are lost, but for the one of
    anonymous clients, which is about nobody here."""
    lines = list(lines)
    while True:
        told = imported(fleet, lines, (0, 1))
        lost = [x["line"] for x in told["lost"] if x["line"] != 3]
        if not lost:
            return told, lines
        for at in lost:
            lines[at - 1] = ""


def topic_of(rng, lines):
    """Half of them fit some line, but for the user perhaps."""
    words = LEVELS + ("z", "x-a", "x-till-9")
    levels = [rng.choice(words) for _ in range(rng.randint(1, 4))]
    fit = [x for x in lines if x.startswith(("topic", "pattern"))]
    if fit and rng.random() < 0.5:
        filter = re.sub("^(topic|pattern) ((read|write|readwrite|deny) )?",
                        "", rng.choice(fit))
        filter = re.sub("%[cu]", rng.choice(USERS), filter)
        levels = [rng.choice(words) if x in "+#" and x else x
                  for x in filter.split("/")]
    return "/".join(levels) or "a"


# ------------------------------------------------------------------- the answers

def asked_broker(broker, publishes, topics):
    """What the broker does: {(user, action, topic): allowed}."""
    answers = {}
    wires = {u: PlainWire(broker, u) for u in (*USERS, "root")}
    for user, wanted in publishes.items():
        for topic, code in zip(wanted, wires[user].publish_all(wanted)):
            answers[user, "publish", topic] = code != REFUSED
    for user in USERS:
        assert wires[user].subscribe("#") == 0, "acl_file lets SUBSCRIBE pass"
        wires[user].ping()
        wires[user].inbox.clear()
    for i in range(0, len(topics), BATCH):
        codes = wires["root"].publish_all(topics[i:i + BATCH])
        assert REFUSED not in codes
        for user in USERS:
            wires[user].ping()
    for user in USERS:
        got = {m.topic for m in wires[user].inbox}
        for topic in topics:
            answers[user, "receive", topic] = topic in got
        assert got <= set(topics)
    for wire in wires.values():
        wire.close()
    return answers


def asked_weir(fleet, told, questions):
    path = fleet.root / "imported.json"
    path.write_text(told["policy"])
    fleet.weir("policy", "check", path)
    fleet.weir("policy", "apply", path, "--yes")
    class_of = {u: c["class"] for c in told["classes"] for u in c["users"]}
    others = [c["class"] for c in told["classes"] if c["others"]]
    for user in USERS:
        cls = class_of.get(user, others[0] if others else "nobody")
        fleet.weir("device", "add", user, "--class", cls)
    done = fleet.run("explain", "--batch", "-",
                     stdin="".join(f"{u}\t{a}\t{t}\t1\n"
                                   for u, a, t in questions))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(questions)
    return [line.split("\t")[0] == "allow" for line in lines]


@pytest.mark.parametrize("round", range(ROUNDS))
def test_the_policy_decides_as_mosquitto_did(round):
    rng = random.Random(SEED * 1000 + round)
    lossy = round < LOSSY
    n = max(QUESTIONS // (ROUNDS - LOSSY) // 2, 8)
    fleet = Fleet(EMPTY)
    try:
        lines = acl_of(rng)
        told = None
        if lossy:
            told = imported(fleet, lines, (0, 1))
        else:
            told, lines = expressible(fleet, lines)
        topics = list(dict.fromkeys(
            topic_of(rng, lines) for _ in range(n // len(USERS) * 2)))
        publishes = {u: [topic_of(rng, lines)
                         for _ in range(n // len(USERS) * 2)]
                     for u in USERS}
        # As many of each action, and no question twice.
        publishes = {u: list(dict.fromkeys(t)) for u, t in publishes.items()}
        with Plain(fleet, "\n".join(lines) + "\n") as broker:
            mosquitto = asked_broker(broker, publishes, topics)
        questions = list(mosquitto)
        weir = asked_weir(fleet, told, questions)
        wrong = [(q, mosquitto[q], w) for q, w in zip(questions, weir)
                 if (w and not mosquitto[q]) or (not lossy
                                                 and w != mosquitto[q])]
        assert not wrong, (wrong[:5], len(wrong), "\n".join(lines),
                           told["policy"])
        assert len(set(weir)) == 2, "all alike: nothing was tested"
        print(f"round {round}: {len(questions)} questions, "
              f"{sum(weir)} allowed, {sum(mosquitto.values())} by Mosquitto")
    finally:
        fleet.remove()


# ------------------------------------------------------------- dynamic-security

PASSWORD = "secret"


def client_of(name, roles):
    salt = b"saltsaltsalt"
    hashed = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 101)
    return {"username": name, "textname": "x", "roles": roles,
            "password": base64.b64encode(hashed).decode(),
            "salt": base64.b64encode(salt).decode(), "iterations": 101}


def rule(kind, topic, allow=True, **more):
    return {"acltype": kind, "topic": topic, "allow": allow, **more}


def dynsec_of(rng):
    """Roles, groups and clients with priorities, some of them equal."""
    kinds = ("publishClientSend", "publishClientReceive", "publishClientReceive",
             "subscribeLiteral", "subscribePattern", "subscribePattern",
             "unsubscribePattern")

    def priority():
        return {} if rng.random() < 0.3 else {"priority": rng.randint(-2, 3)}

    def filter():
        """The plugin takes "/#" for "#" when it judges a SUBSCRIBE; the policy
        does not."""
        made = filter_of(rng, ())
        return made if made != "/#" else "a/#"

    def some(names, key, most):
        return [{key: n, **priority()}
                for n in rng.sample(names, rng.randint(0, most))]

    roles = [{"rolename": f"r{i}", "acls": [
        rule(rng.choice(kinds), filter(), rng.random() < 0.75,
             **priority()) for _ in range(rng.randint(1, 8))]}
        for i in range(6)]
    for r in roles:
        # A literal that is in a role twice is refused.
        r["acls"] = list({(a["acltype"], a["topic"] if "Literal" in a["acltype"]
                           else i): a
                          for i, a in enumerate(r["acls"])}.values())
    names = [r["rolename"] for r in roles]
    root = {"rolename": "root", "acls": [rule(k, "#") for k in (
        "publishClientSend", "publishClientReceive", "subscribePattern")]}
    users = list(USERS[:-1])
    return {
        "defaultACLAccess": {
            "publishClientSend": rng.random() < 0.3,
            "publishClientReceive": rng.random() < 0.6,
            "subscribe": rng.random() < 0.4, "unsubscribe": True},
        "clients": [client_of("root", [{"rolename": "root"}])] + [
            client_of(u, some(names, "rolename", 3)) for u in users],
        "groups": [{"groupname": f"g{i}", "roles": some(names, "rolename", 2),
                    "clients": some(users, "username", 4)} for i in range(4)],
        "roles": [root, *roles]}


def dynsec_imported(fleet, config, status=(0, 1)):
    path = fleet.root / "dynsec.json"
    path.write_text(json.dumps(config))
    done = fleet.run("--json", "policy", "import-acl", path)
    assert done.returncode in status, (done.stderr, json.dumps(config))
    return json.loads(done.stdout)


def dynsec_expressible(fleet, config):
    """CONFIG without what the import says is lost."""
    config = copy.deepcopy(config)
    while True:
        told = dynsec_imported(fleet, config)
        if not told["lost"]:
            return told, config
        gone = set()
        for place in (x["place"] for x in told["lost"]):
            found = re.fullmatch(r"roles\[(\d+)\]\.acls\[(\d+)\]", place)
            if found:
                gone.add((int(found[1]), int(found[2])))
            else:
                config["defaultACLAccess"][place.split(".")[1]] = False
        for role, at in sorted(gone, reverse=True):
            del config["roles"][role]["acls"][at]


def dynsec_worth_asking(fleet, rng, lossy):
    """(told, config), where somebody may publish and somebody receive."""
    while True:
        config = dynsec_of(rng)
        if lossy:
            told = dynsec_imported(fleet, config)
        else:
            told, config = dynsec_expressible(fleet, config)
        classes = json.loads(told["policy"])["classes"]
        users = [classes[c["class"]] for c in told["classes"]
                 if c["users"] != ["root"]]
        if all(any(u[key] for u in users) for key in ("publish", "subscribe")):
            return told, config


def asked_dynsec(broker, config, publishes, topics):
    """What the broker does: {(user, action, topic): allowed}. A topic is
    delivered if some subscription that is let pass has it: each filter that
    could have it is tried."""
    answers = {}
    wires = {u: PlainWire(broker, u, PASSWORD) for u in (*USERS[:-1], "root")}
    for user, wanted in publishes.items():
        for topic, code in zip(wanted, wires[user].publish_all(wanted)):
            answers[user, "publish", topic] = code != REFUSED
    filters = ["#", *topics] + [
        a["topic"] for r in config["roles"] for a in r["acls"]]
    for user in publishes:
        for filter in dict.fromkeys(filters):
            wires[user].subscribe(filter)
        wires[user].ping()
        wires[user].inbox.clear()
    for i in range(0, len(topics), BATCH):
        assert REFUSED not in wires["root"].publish_all(topics[i:i + BATCH])
        for user in publishes:
            wires[user].ping()
    for user in publishes:
        got = {m.topic for m in wires[user].inbox}
        for topic in topics:
            answers[user, "receive", topic] = topic in got
    for wire in wires.values():
        wire.close()
    return answers


@pytest.mark.parametrize("round", range(DYNSEC_ROUNDS))
def test_the_policy_decides_as_dynamic_security_did(round):
    rng = random.Random(SEED * 1000 + 500 + round)
    lossy = round < LOSSY
    n = max(DYNSEC_QUESTIONS // (DYNSEC_ROUNDS - LOSSY) // 2, 8)
    users = USERS[:-1]
    fleet = Fleet(EMPTY)
    try:
        told, config = dynsec_worth_asking(fleet, rng, lossy)
        lines = [f"topic read {a['topic']}"
                 for r in config["roles"][1:] for a in r["acls"]]

        def some():
            return list(dict.fromkeys(topic_of(rng, lines)
                                      for _ in range(n * 2 // len(users))))
        topics, publishes = some(), {u: some() for u in users}
        with Dynsec(fleet, config) as broker:
            mosquitto = asked_dynsec(broker, config, publishes, topics)
        questions = list(mosquitto)
        weir = asked_weir(fleet, told, questions)
        wrong = [(q, mosquitto[q], w) for q, w in zip(questions, weir)
                 if (w and not mosquitto[q]) or (not lossy
                                                 and w != mosquitto[q])]
        assert not wrong, (wrong[:5], len(wrong), json.dumps(config),
                           told["policy"])
        assert len(set(mosquitto.values())) == 2, "nothing was tested"
        print(f"round {round}: {len(questions)} questions, "
              f"{sum(weir)} allowed, {sum(mosquitto.values())} by Mosquitto")
    finally:
        fleet.remove()


# ------------------------------------------------------------------ the command

LIST = """user till-7
topic write pay/till-7/status
user till-8
topic write pay/till-8/status
user ledger
topic read pay/#
pattern read notice/%u
"""


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def acl(weir, text=LIST, name="acl"):
    path = weir.folder / name
    path.write_text(text)
    return path


def test_prints_a_policy_that_is_valid(weir):
    done = weir("policy", "import-acl", acl(weir))
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert list(told["classes"]) == ["till", "ledger", "others"]
    assert told["classes"]["till"]["publish"] == [
        {"topic": "pay/${device}/status", "max_qos": 2, "retain": True}]
    assert told["classes"]["till"]["comment"] == "till-7, till-8"
    said = done.stderr.decode()
    assert "class till: till-7, till-8\n" in said
    assert "client id other than the username" not in said
    # Where there is no registry, there are no other warnings than of rules.
    checked = weir.json("--state", weir.folder / "no", "policy", "check", "-",
                        stdin=done.stdout)
    assert checked["valid"] and checked["warnings"] == []
    # A pipe, and JSON, say the same.
    same = weir.json("policy", "import-acl", "-", stdin=LIST.encode())
    assert same["policy"].encode() == done.stdout
    assert same["lost"] == []
    assert [(c["class"], c["users"], c["others"]) for c in same["classes"]] == [
        ("till", ["till-7", "till-8"], False), ("ledger", ["ledger"], False),
        ("others", [], True)]


def test_names_and_devices(weir):
    path, out = acl(weir), weir.folder / "devices.csv"
    told = json.loads(weir.ok(
        "policy", "import-acl", path, "--class", "till-8=terminal",
        "--class", "ledger=backend", "--devices", out))
    assert list(told["classes"]) == ["terminal", "backend", "others"]
    assert out.read_text() == (
        "id,class\ntill-7,terminal\ntill-8,terminal\nledger,backend\n")
    # A file is never overwritten, and nothing is written by what fails.
    weir.fails(2, "policy", "import-acl", path, "--devices", out, says="exists")
    weir.fails(3, "policy", "import-acl", path, "--devices", "no/devices.csv")
    for status, wrong in ((2, "till-8"), (2, "till-8=a b"), (2, "till-8=ledger"),
                          (1, "till-9=x"), (1, "=x")):
        weir.fails(status, "policy", "import-acl", path, "--class", wrong,
                   "--devices", "new.csv")
    assert not (weir.folder / "new.csv").exists()


def test_what_is_lost_is_listed(weir):
    path = acl(weir, "topic read a\n" + LIST + "user x\ntopic deny pay/x\n"
               "topic read pay/+\nuser a b\ntopic $SYS/#\npattern log/%c\n")
    done = weir("policy", "import-acl", path)
    assert done.returncode == 1
    said = done.stderr.decode()
    for line, text in ((1, "without a username"), (11, "line 10 denies"),
                       (12, "a device's id")):
        assert f"acl:{line}: " in said and text in said
    assert "client id other than the username" in said
    assert "$SYS is left out" in said
    weir.ok("policy", "check", "-", stdin=done.stdout)
    told = weir.json("policy", "import-acl", path, status=1)
    assert [x["line"] for x in told["lost"]] == [1, 11, 12]
    assert len(told["notes"]) == 4


DYNSEC = {
    "defaultACLAccess": {"publishClientReceive": True, "subscribe": False},
    "clients": [{"username": u, "roles": [{"rolename": "till"}]}
                for u in ("till-7", "till-8")],
    "roles": [{"rolename": "till", "acls": [
        {"acltype": "publishClientSend", "topic": "pay/#", "allow": True},
        {"acltype": "subscribePattern", "topic": "cmd/+", "allow": True}]}]}


def test_dynamic_security(weir):
    path = acl(weir, json.dumps(DYNSEC))
    done = weir("policy", "import-acl", path)
    assert done.returncode == 0
    told = json.loads(done.stdout)["classes"]
    assert list(told) == ["till"]
    assert [r["topic"] for r in told["till"]["publish"]] == ["pay/#"]
    assert told["till"]["subscribe"] == ["cmd/+"]
    said = done.stderr.decode()
    assert "acl_file" not in said and "wider than both" in said
    assert "the defaults of dynamic-security" in said
    assert weir.json("policy", "import-acl", path)["lost"] == []


def test_what_dynamic_security_loses_is_listed(weir):
    config = copy.deepcopy(DYNSEC)
    config["clients"][1]["disabled"] = True
    config["clients"][0]["clientid"] = "x"
    config["roles"][0]["acls"].append(
        {"acltype": "publishClientSend", "topic": "pay/x", "allow": False,
         "priority": 1})
    path = acl(weir, json.dumps(config))
    done = weir("policy", "import-acl", path)
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "acl: clients[1]: user 'till-8' is left out: it is disabled" in said
    assert ("acl: roles[0].acls[0]: publishClientSend 'pay/#' is left out for "
            "'till-7': roles[0].acls[2] denies part of it ('pay/x')") in said
    assert "a client id that is not the username" in said
    told = weir.json("policy", "import-acl", path, status=1)
    assert [x["place"] for x in told["lost"]] == [
        "clients[1]", "roles[0].acls[0]"]
    weir.ok("policy", "check", "-", stdin=done.stdout)


def test_refuses_what_is_no_dynamic_security(weir):
    for text, says in (("{", ":1:2: "), ('{"clients": {}}', "an array"),
                       ('{"rolls": []}', 'did you mean "roles"'),
                       ('{"anonymousGroup": "g"}', "there is not"),
                       (' {"clients": [{"username": "a", "roles": '
                        '[{"rolename": "x"}]}]}', "'a' names 'x'")):
        weir.fails(2, "policy", "import-acl", acl(weir, text), says=says)


def test_refuses_what_mosquitto_refuses(weir):
    for text, line, says in (("topics a\n", 1, "user, topic or pattern"),
                             ("user\n", 1, "name is missing"),
                             ("\ntopic write a+\n", 2, "not a valid filter"),
                             ("topic all a\n", 1, "read, write")):
        said = weir.fails(2, "policy", "import-acl", acl(weir, text), says=says)
        assert f"acl:{line}:1: " in said
    weir.fails(3, "policy", "import-acl", "none")
    weir.fails(2, "policy", "import-acl", says="usage")
    weir.fails(2, "policy", "import-acl", acl(weir), "x")


def test_a_policy_beyond_the_limits_is_refused(weir):
    many = "".join(f"user u{i}\ntopic read t/{i}\n" for i in range(1025))
    weir.fails(2, "policy", "import-acl", acl(weir, many), says="1024")
    shared = "".join(f"user u{i}\ntopic read t/u{i}\n" for i in range(1025))
    told = weir.json("policy", "import-acl", acl(weir, shared))
    assert [len(c["users"]) for c in told["classes"]] == [1025]
    assert "and 1005 more" in told["policy"]
