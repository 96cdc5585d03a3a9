# SPDX-License-Identifier: Apache-2.0
"""
Scenario: the broker is killed with -9 at random moments, as it starts and as it
runs, while devices connect, publish and come back to their sessions, and while
an operator suspends, quarantines, releases and revokes them and applies
policies. In another run the weir command itself is killed at random moments.

Question: does the broker always start again, with the meter as the killed one
left it; does it then let in exactly those who have the right; does a killed
command leave anything half done?

Expected: each start adds one to the meter's generation. Who lost a right by a
command that ended before the CONNECT is never admitted, and after each start
the devices admitted are those that the operator left active or in quarantine,
under the newest policy. A killed command has done all or nothing: rows, audit
and revision agree, no registration is without its files, the broker admits
within two seconds without another command's help, and the same command can be given again.

WEIR_KILLS sets how often (20), WEIR_SEED the seed; both are printed.
"""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from clients import REFUSED, Closed, Wire, refused_connect
from harness import BUILD, Broker, Device, Fleet, eventually

KILLS = int(os.environ.get("WEIR_KILLS", "20"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))
COMMANDS_PER_KILL = 5
"""A killed command costs a fifth of a killed broker."""

DEVICES, COMMUTERS = 10, 3
OUT = ("suspended", "revoked")
SOON_S = 2


def policy(side):
    """Two policies that differ in what a device may publish."""
    return {
        "version": 1,
        "classes": {"meter": {
            "publish": [{"topic": f"k/{side}/${{device}}", "max_qos": 2}],
            "subscribe": ["k/${device}/#"],
            "client_ids": ["${device}", "${device}/*"]}},
        "quarantine": {"publish": ["fw/${device}"]}}


@pytest.fixture
def rng(capsys):
    with capsys.disabled():
        print(f"\n    {KILLS} kills, WEIR_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def fleet():
    f = Fleet(policy("a"))
    yield f
    f.remove()


class Pause:
    """Random moments: here alone the clock is waited for."""

    def __init__(self, rng):
        self.rng, self.never = rng, threading.Event()

    def __call__(self, low_s, high_s):
        self.never.wait(self.rng.uniform(low_s, high_s))


# ------------------------------------------------------------ registry's truth

STATUS = {"device.add": "active", "device.suspend": "suspended",
          "device.quarantine": "quarantined", "device.release": "active"}


def rows(fleet, query):
    """Read-only: the last to close for writing would take -wal away."""
    with contextlib.closing(sqlite3.connect(
            f"file:{fleet.state / 'registry.db'}?mode=ro", uri=True)) as con:
        return con.execute(query).fetchall()


def whole(fleet):
    """Every row has its entry in the audit, and every entry its row."""
    assert rows(fleet, "PRAGMA integrity_check") == [("ok",)]
    assert fleet.json("audit", "verify")["ok"]
    devices, credentials, policies = {}, {}, set()
    revision = changes = 0
    for action, id, detail in rows(
            fleet, "SELECT action, device_id, detail FROM audit ORDER BY seq"):
        detail = json.loads(detail)
        assert detail["revision"] == revision + 1, (action, id)
        revision += 1
        if action in STATUS:
            devices[id] = (STATUS[action], revision)
            changes += action != "device.add"
        elif action == "cert.add":
            credentials[detail["fingerprint"]] = (id, "active", revision)
        elif action == "cert.revoke":
            credentials[detail["fingerprint"]] = (id, "revoked", revision)
            changes += 1
        elif "hash" in detail:
            policies.add((revision, detail["hash"]))
    assert devices == {id: tuple(rest) for id, *rest in rows(
        fleet, "SELECT id, status, revision FROM device")}
    assert credentials == {f: tuple(rest) for f, *rest in rows(
        fleet, "SELECT lower(hex(fingerprint)), device_id, status, revision "
        "FROM credential")}
    assert policies == set(rows(fleet, "SELECT revision, hash FROM policy"))
    assert rows(fleet, "SELECT count(*) FROM change") == [(changes,)]
    assert rows(fleet, "SELECT value FROM meta WHERE key = 'revision'") == [
        (str(revision),)]


# --------------------------------------------------------- a broker is killed


class Operator:
    """Who has which right; gives and takes it by the command."""

    def __init__(self, fleet, rng):
        self.fleet, self.rng, self.side = fleet, rng, "a"
        self.lock = threading.Lock()
        self.right = {}
        for _ in range(DEVICES):
            d = fleet.device("meter")
            self.right[d.id] = (d, "active")
        self.ids = list(self.right)

    def step(self):
        """One change. None stands for what it is while the command runs, and
        a new tuple for what it is then."""
        with self.lock:
            if self.rng.random() < 0.15:
                self.side = "b" if self.side == "a" else "a"
                self.fleet.apply(policy(self.side))
                return
            id = self.rng.choice(self.ids)
            device, state = self.right[id]
            self.right[id] = None
            self.right[id] = self._change(device, state)

    def _change(self, device, state):
        if state == "revoked":
            out = self.fleet.certs / f"n{self.fleet.n}"
            self.fleet.n += 1
            self.fleet.weir("cert", "issue", device, "--out", out)
            return (Device(device.id, out / f"{device}.crt",
                           out / f"{device}.key"), "active")
        command, then = self.rng.choice({
            "active": [("suspend", "suspended"),
                       ("quarantine", "quarantined"),
                       ("cert revoke", "revoked")],
            "quarantined": [("release", "active"), ("suspend", "suspended")],
            "suspended": [("release", "active")]}[state])
        self.fleet.weir(*command.split(), device)
        return (device, then)

    def work(self, stop):
        while not stop.is_set():
            self.step()
            stop.wait(0.01)


class Commuter:
    """A device's client that comes and goes, whoever it is today."""

    def __init__(self, broker, operator, rng, n):
        self.broker, self.operator, self.rng = broker, operator, rng
        self.n, self.admitted, self.refused = n, 0, 0

    def work(self, stop):
        while not stop.is_set():
            id = self.rng.choice(self.operator.ids)
            before = self.operator.right[id]
            if before is None:
                continue
            let_in = self._visit(*before, stop)
            # nothing changed meanwhile: what was known is what counted
            if before is self.operator.right[id]:
                assert not (let_in and before[1] in OUT), (id, before[1])

    def _visit(self, device, state, stop):
        let_in = False
        try:
            w = Wire(self.broker, device, self.rng.choice((4, 5)))
            with contextlib.closing(w):
                let_in = w.connect(f"{device}/{self.n}",
                                   clean=self.rng.random() < 0.5) == 0
                if let_in:
                    self._use(w, device)
        except Closed:
            pass
        except OSError:
            stop.wait(0.02)  # nobody listens now
        self.admitted += let_in
        self.refused += not let_in
        return let_in

    def _use(self, w, device):
        w.subscribe(f"k/{device}/#", 2)
        for _ in range(self.rng.randrange(8)):
            w.publish(f"k/{self.rng.choice('ab')}/{device}",
                      qos=self.rng.randrange(3))


def admits(broker, device):
    with contextlib.closing(Wire(broker, device)) as w:
        return not refused_connect(w)


def admits_whom_it_should(broker, operator):
    for id, (device, state) in operator.right.items():
        with contextlib.closing(Wire(broker, device, 5)) as w:
            assert refused_connect(w) == (state in OUT), (id, state)
            if state not in OUT:
                may = (f"fw/{id}" if state == "quarantined"
                       else f"k/{operator.side}/{id}")
                for topic in (f"fw/{id}", f"k/a/{id}", f"k/b/{id}"):
                    assert w.publish(topic) == (
                        0 if topic == may else REFUSED), (topic, state)


def generation(fleet):
    return fleet.status()["broker"]["generation"]


def kill_while_it_starts(fleet, broker, pause):
    """A start that is over before it is known whether it counted."""
    before = generation(fleet)
    broker.spawn()
    pause(0, 0.1)
    broker.kill()
    assert generation(fleet) in (before, before + 1)


def kill_and_start(fleet, broker, operator, pause):
    last = fleet.status()["broker"]
    broker.kill()
    pause(0, 0.2)
    if pause.rng.random() < 0.3:
        kill_while_it_starts(fleet, broker, pause)
    before, amid_changes = generation(fleet), pause.rng.random() < 0.5
    if amid_changes:
        broker.start()
    with operator.lock:
        if amid_changes:
            broker.applied()
        else:
            broker.start()
        now = fleet.status()
        assert now["broker"]["generation"] == before + 1
        assert now["broker"]["load_error"] is None
        assert (now["broker"]["applied_change"]
                == now["registry"]["change_seq"])
        for counter in ("closed", "refused"):
            assert now["broker"][counter] >= last[counter]
        admits_whom_it_should(broker, operator)


def test_broker_killed(fleet, rng, capsys):
    pause = Pause(rng)
    operator = Operator(fleet, random.Random(rng.random()))
    stop = threading.Event()
    # every second: so that some sessions come back from the disk
    with Broker(fleet, autosave_interval=1) as broker:
        commuters = [Commuter(broker, operator, random.Random(rng.random()),
                              n) for n in range(COMMUTERS)]
        with concurrent.futures.ThreadPoolExecutor() as threads:
            working = [threads.submit(x.work, stop)
                       for x in (operator, *commuters)]
            try:
                for _ in range(KILLS):
                    pause(0, 0.8)
                    kill_and_start(fleet, broker, operator, pause)
            finally:
                stop.set()
            for w in working:
                w.result()
        kill_and_start(fleet, broker, operator, pause)
        eventually("all have left",
                   lambda: fleet.status()["broker"]["connected"] == 0)
    whole(fleet)
    with capsys.disabled():
        print(f"    {KILLS} kills of the broker: "
              f"{sum(c.admitted for c in commuters)} connections admitted, "
              f"{sum(c.refused for c in commuters)} refused or cut off; "
              f"{fleet.status()['registry']['revision']} revisions")


def test_broker_killed_before_it_ran(fleet, rng):
    """While it makes the meter: half of one is no hindrance."""
    pause, d = Pause(rng), fleet.device("meter")
    broker = Broker(fleet)
    for _ in range(KILLS):
        with contextlib.suppress(FileNotFoundError):
            (fleet.state / "meter" / "meter.seg").unlink()
        broker.spawn()
        pause(0, 0.06)
        broker.kill()
        if rng.random() < 0.5:
            broker.spawn()
            pause(0, 0.06)
            broker.kill()
        broker.start()
        with contextlib.closing(Wire(broker, d)) as w:
            assert w.connect() == 0
        broker.kill()
    broker.close()


# ------------------------------------------------------- the command is killed


class Commands:
    """Each gives the arguments of a change, and looks at what became of it."""

    def __init__(self, fleet, rng):
        self.fleet, self.rng = fleet, rng
        self.n = 0
        self.subject = fleet.device("meter", cert=None)
        self.policy = fleet.root / "killed.json"

    def add(self):
        self.n += 1
        id = f"added-{self.n}"
        self._is = lambda: self._has("device", f"id = '{id}'")
        return ("device", "add", id, "--class", "meter", "--attr", "a=b")

    def issue(self):
        self.n += 1
        id, out = self.subject.id, self.fleet.certs / f"killed-{self.n}"
        before = self._certs()
        self._is = lambda: self._issued(id, out, before)
        return ("cert", "issue", id, "--out", out)

    def suspend(self):
        [(now,)] = rows(self.fleet, "SELECT status FROM device WHERE id = "
                        f"'{self.subject}'")
        command, then = (("suspend", "suspended") if now == "active"
                         else ("release", "active"))
        self._is = lambda: self._has(
            "device", f"id = '{self.subject}' AND status = '{then}'")
        return (command, self.subject)

    def apply(self):
        self.n += 1
        text = json.dumps(policy(f"p{self.n}"))
        self.policy.write_text(text)
        self._is = lambda: self._has("policy", f"text LIKE '%/p{self.n}/%'")
        return ("policy", "apply", self.policy, "--yes")

    def _has(self, table, where):
        return rows(self.fleet, f"SELECT 1 FROM {table} WHERE {where}") != []

    def _certs(self):
        return {f for f, in rows(self.fleet, "SELECT lower(hex(fingerprint)) "
                                 "FROM credential")}

    def _issued(self, id, out, before):
        new = self._certs() - before
        crt, key = out / f"{id}.crt", out / f"{id}.key"
        if new:
            made = self.fleet.fingerprint(Device(id, crt, key))
            assert new == {made}
            self.fleet.openssl("pkey", "-in", key, "-noout")
        # a crash in between leaves files that let nobody in
        for file in out.glob("*") if out.exists() else ():
            if file.suffix != ".crt" and ".crt." not in file.name:
                assert file.stat().st_mode & 0o777 == 0o600, file
        return bool(new)

    def done(self):
        """Whether it took place; asserts that it did whole or not at all."""
        return self._is()

    def again(self, args):
        """What was not done can be done."""
        done = self.fleet.run(*args)
        if args[0] == "cert" and done.returncode == 2:
            # by the files of the killed one: they are named and kept
            assert "exists already" in done.stderr, done.stderr
            out = args[-1]
            assert str(out / self.subject.id) in done.stderr, done.stderr
            for x in out.iterdir():
                x.unlink()
            done = self.fleet.run(*args)
        assert done.returncode == 0, (args, done.stderr)
        assert self.done()


def kill_command(fleet, args, pause, longest_s):
    """True when it was killed before its end."""
    env = dict(os.environ, WEIR_STATE=str(fleet.state), WEIR_CA=str(fleet.ca))
    with subprocess.Popen([BUILD / "bin" / "weir", *map(str, args)], env=env,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as p:
        pause(0, longest_s)
        p.kill()
        return p.wait() == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["add", "issue", "suspend", "apply"])
def test_command_killed(fleet, rng, capsys, kind):
    pause, commands = Pause(rng), Commands(fleet, rng)
    make, good = getattr(commands, kind), fleet.device("meter")
    begin = time.monotonic()
    for _ in range(5):
        fleet.weir(*make())
    longest_s = 1.2 * (time.monotonic() - begin) / 5
    killed = committed = 0
    with Broker(fleet) as broker:
        for _ in range(KILLS * COMMANDS_PER_KILL // 4):
            args = make()
            was_killed = kill_command(fleet, args, pause, longest_s)
            # before another writer could repair anything
            eventually("admitted", lambda: admits(broker, good), SOON_S)
            whole(fleet)
            done = commands.done()
            assert was_killed or done, args
            killed += was_killed
            committed += was_killed and done
            if not done:
                commands.again(args)
        broker.applied()
    with capsys.disabled():
        print(f"    {kind}: {killed} killed before its end, {committed} of "
              "them after it had taken place")
    assert killed > 0


def test_command_killed_as_it_begins(fleet):
    """Before it has made the index of the log, when the broker has taken it
    for made: then nobody makes it as long as the broker keeps it."""
    dms = 128  # the lock of those who have the index open
    d = fleet.device("meter")
    with Broker(fleet) as broker:
        # it has looked at the file since the last change, and has no reason
        # of its own to open it anew
        begin = fleet.status()["broker"]["started_s"]
        eventually("two looks at the file", lambda: fleet.status()["broker"][
            "heartbeat_s"] >= begin + 3)
        with (fleet.state / "registry.db-shm").open("r+b") as shm:
            fcntl.lockf(shm, fcntl.LOCK_SH, 1, dms)
            shm.truncate(0)
            shm.truncate(32768)
            eventually("refused", lambda: not admits(broker, d))
        eventually("admitted", lambda: admits(broker, d), SOON_S)
