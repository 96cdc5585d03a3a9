# SPDX-License-Identifier: Apache-2.0
"""
Scenario: docs/ADOPTION.md. A broker whose acl_file lets everybody do everything
has devices of four kinds, with certificates of a CA of their own, and no list
of what they publish. Five of them are rogues, which do more than their kind.
Weir observes, enrolls, learns, and enforces: a canary, a class, the fleet.

Question: is anything that a good device sends refused at any step? Are the
rogues' topics told apart, and refused at the end?

Expected: nothing; each of the rogues' topics is an outlier of `policy learn`,
is in what `policy try` would refuse, and is refused when its class enforces.

WEIR_ADOPTION_DEVICES says how many devices there are (40); 2000 by hand:

    WEIR_ADOPTION_DEVICES=2000 tests/run.sh integration  # or this file alone
"""

import collections
import json
import os
import re
import subprocess

from clients import REFUSED, REFUSED_V311, Closed, Wire
from harness import BUILD, REPO, Broker, Fleet

N = int(os.environ.get("WEIR_ADOPTION_DEVICES", "40"))
KINDS = ("therm", "meter", "lock", "cam")
START = {"version": 1, "mode": "observe", "fallback": "broker",
         "unknown": {"class": "legacy", "id": "cn"},
         "classes": {"legacy": {}}}
ROGUES = {
    "therm-0": ["telemetry/therm-4/temp", "admin/reset"],
    "meter-1": ["meters/meter-5/state"],
    "lock-2": ["lock/lock-6/cmd/open", "debug/dump"],
    "cam-3": ["cam/cam-3/shell"],
    "therm-4": ["firmware/all/update"],
}


def topics(kind, id, n):
    """What a device of the kind publishes in round N: topic, QoS, retain."""
    number = int(id.split("-")[1])
    return {
        "therm": [(f"telemetry/{id}/temp", 0, False),
                  (f"telemetry/{id}/hum", 1, False)],
        "meter": [(f"meters/{id}/reading/{1000 * number + n}", 1,
                   False),
                  (f"meters/{id}/state", 1, True)],
        "lock": [(f"lock/{id}/event", 2, False)],
        "cam": [(f"cam/{id}/{side}/thumb", 1, False)
                for side in ("front", "rear")],
    }[kind]


FILTERS = {
    "therm": ["cmd/{}", "fleet/news"],
    "meter": ["meters/{}/set/#"],
    "lock": ["lock/{}/cmd/+"],
    "cam": ["cam/{}/config"],
}


class Fellow:
    """A device with its connection, which comes back when it is ended."""

    def __init__(self, broker, kind, device):
        self.broker, self.kind, self.device = broker, kind, device
        self.refused, self.connects, self.sent = [], 0, 0
        self.wire, self.round = None, 0

    def connect(self):
        self.wire = Wire(self.broker, self.device, version=5)
        if self.wire.connect() != 0:
            self.refused.append("CONNECT")
            return
        self.connects += 1
        for f in FILTERS[self.kind]:
            f = f.format(self.device.id)
            if self.wire.subscribe(f, 1) >= REFUSED_V311:
                self.refused.append(f)

    def send(self, topic, qos=1, retain=False):
        """Again, if the connection ends under it."""
        self.sent += 1
        try:
            return self.wire.publish(topic, qos=qos, retain=retain)
        except Closed:
            self.wire.close()
            self.connect()
            return self.wire.publish(topic, qos=qos, retain=retain)

    def behave(self):
        self.round += 1
        for topic, qos, retain in topics(self.kind, self.device.id,
                                         self.round):
            if self.send(topic, qos, retain) == REFUSED:
                self.refused.append(topic)

    def misbehave(self):
        """How many of its extra topics are refused."""
        return [t for t in ROGUES.get(self.device.id, ())
                if self.send(t) == REFUSED]


class Adoption:
    def __init__(self, fleet, broker, names):
        self.fleet, self.broker = fleet, broker
        self.devices = [Fellow(broker, x.split("-")[0], fleet.sign(x))
                        for x in names]
        self.steps = collections.OrderedDict()

    def everybody(self, step, rounds=3):
        """All behave, the rogues besides; what good devices were refused."""
        for d in self.devices:
            for _ in range(rounds):
                d.behave()
            d.misbehave()
        bad = {d.device.id: d.refused for d in self.devices if d.refused}
        self.steps[step] = (sum(d.sent for d in self.devices),
                            sum(d.connects for d in self.devices))
        assert bad == {}, step

    def close(self):
        for d in self.devices:
            if d.wire is not None:
                d.wire.close()

    # ------------------------------------------------------------ the commands

    def edit(self, change):
        policy = json.loads(self.fleet.weir("policy", "show"))
        change(policy)
        path = self.fleet.root / "policy.json"
        path.write_text(json.dumps(policy))
        self.fleet.weir("policy", "apply", path, "--yes", "--wait", "20s")

    def learn(self, kind):
        """Applies what was learned of a kind; its outliers."""
        path = self.fleet.root / "learned.json"
        told = self.fleet.json("policy", "learn", "--class", kind, "--since",
                               "1h", *(["--hash"] if kind == "meter" else []))
        path.write_text(told["policy"])
        self.fleet.weir("policy", "check", path)
        self.fleet.weir("policy", "apply", path, "--yes", "--wait", "20s")
        return told


def rogue_topics(*kinds):
    return {t for id, ts in ROGUES.items() for t in ts
            if id.split("-")[0] in kinds}


def own(topic, id):
    return topic.replace("${device}", id)


def test_the_hour(closing):
    fleet = Fleet({"version": 1, "classes": {}})
    acl = fleet.root / "acl"
    acl.write_text("pattern readwrite #\n")
    acl.chmod(0o644)
    fleet.apply(START)
    issuer = fleet.json("ca", "show")["fingerprint"]
    with Broker(fleet, extra=f"\nacl_file {acl}\n") as broker:
        a = closing(Adoption(fleet, broker, [
            f"{KINDS[i % 4]}-{i}" for i in range(N)]))
        for d in a.devices:
            d.connect()
        a.everybody("observe")

        for kind in KINDS:
            told = fleet.json("cert", "enroll", "--seen", "--class", kind,
                              "--issuer", issuer, "--id", f"{kind}-*")
            assert told["devices"] == told["credentials"] == N // 4
        assert fleet.json("status")["registry"]["devices"]["active"] == N
        a.everybody("enroll")

        learned = {kind: a.learn(kind) for kind in KINDS}
        rules = {k: {(r["action"], r["topic"]) for r in t["rules"]}
                 for k, t in learned.items()}
        assert rules == {
            "therm": {("publish", "telemetry/${device}/temp"),
                      ("publish", "telemetry/${device}/hum"),
                      ("subscribe", "cmd/${device}"),
                      ("subscribe", "fleet/news")},
            "meter": {("publish", "meters/${device}/reading/+"),
                      ("publish", "meters/${device}/state"),
                      ("subscribe", "meters/${device}/set/#")},
            "lock": {("publish", "lock/${device}/event"),
                     ("subscribe", "lock/${device}/cmd/+")},
            "cam": {("publish", "cam/${device}/front/thumb"),
                    ("publish", "cam/${device}/rear/thumb"),
                    ("subscribe", "cam/${device}/config")}}
        for kind, told in learned.items():
            outliers = {own(x["topic"], id) for x in told["outliers"]
                        for id in ROGUES if id.startswith(kind)}
            assert rogue_topics(kind) <= outliers
            assert len(told["outliers"]) == len(rogue_topics(kind))
        a.everybody("learn")

        path = fleet.root / "policy.json"
        path.write_text(fleet.weir("policy", "show"))
        tried = fleet.json("policy", "try", path, status=1)
        assert tried["refused"]["devices"] == len(ROGUES)
        assert ({x["topic"] for x in tried["requests"]}
                == rogue_topics(*KINDS))

        # The canary: one device, which enforces in an observing broker.
        a.edit(lambda p: p["classes"].update(
            {"cam-canary": {"include": ["cam"], "mode": "enforce"}}))
        fleet.weir("device", "set", "cam-7", "--class", "cam-canary",
                   "--wait", "20s")
        a.everybody("canary")
        assert a.devices[7].send("cam/other/front/thumb") == REFUSED

        a.edit(lambda p: p["classes"]["therm"].update(mode="enforce"))
        a.everybody("class")
        assert {t for d in a.devices for t in d.misbehave()} == rogue_topics(
            "therm")

        def enforce(policy):
            for key in ("mode", "fallback", "unknown"):
                del policy[key]
            del policy["classes"]["legacy"]
        a.edit(enforce)
        a.everybody("fleet")
        assert {t for d in a.devices for t in d.misbehave()} == rogue_topics(
            *KINDS)
        for step, (sent, connects) in a.steps.items():
            print(f"{step:8} {sent:7} messages sent so far, "
                  f"{connects} connects, 0 refused of good devices")
    fleet.remove()


# ---------------------------------------------------------- docs/ADOPTION.md

GUIDE = (REPO / "docs" / "ADOPTION.md").read_text()


def sections():
    """(heading, the commands below it) of each minute; lines for the
    broker's configuration are no commands."""
    for heading, body in re.findall(
            r"^## (Minute \d+: .*?)\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S):
        blocks = re.findall(r"(?:^    .*\n)+", body, re.M)
        yield heading, "".join(
            re.sub("^    ", "", b, flags=re.M) for b in blocks
            if not b.strip().startswith("plugin "))


def test_the_page(closing):
    """The commands of docs/ADOPTION.md, as they stand there."""
    fleet = Fleet({"version": 1, "classes": {}})
    acl = fleet.root / "acl"
    acl.write_text("pattern readwrite #\n")
    acl.chmod(0o644)
    broker = closing(Broker(fleet, extra=f"\nacl_file {acl}\n"))
    for line in re.findall(r"^    (plugin(?:_opt_state)?) ", GUIDE, re.M):
        assert re.search(f"^{line} ", broker.conf.read_text(), re.M)
    (fleet.root / "bin").mkdir()
    (fleet.root / "bin" / "weir").symlink_to(BUILD / "bin" / "weir")
    environment = dict(
        os.environ, WEIR_STATE=str(fleet.state), WEIR_CA=str(fleet.ca),
        HOME=str(fleet.root), CONF=str(broker.conf),
        PATH=f"{fleet.root / 'bin'}:{os.environ['PATH']}",
        CA=fleet.json("ca", "show")["fingerprint"])
    a = None
    for heading, script in sections():
        if heading.startswith("Minute 15"):
            broker.start()
            a = closing(Adoption(fleet, broker, [
                f"{k}-{i}" for i in range(12) for k in ("meter", "cam")]))
            for d in a.devices:
                d.connect()
            a.everybody("watch")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=fleet.root,
            env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (heading, done.stdout, done.stderr)
        if a is not None:
            a.everybody(heading)
    assert a.devices[0].send("meters/other/state") == REFUSED
    assert a.devices[1].send("anything") == REFUSED
    assert fleet.json("policy", "check")["warnings"] == []
    a.close()
    broker.close()
    fleet.remove()
