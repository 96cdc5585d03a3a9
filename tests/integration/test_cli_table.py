# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody adds a command to weir's table, or changes one; somebody
reads its help, its manual page and docs/CLI.md, and presses Tab.

Question: does every command keep the rules that docs/CLI.md states for all of
them: help with an example, JSON, exit statuses; is it in the manual page, the
completion and docs/CLI.md; and are the examples there what it prints?

Expected: yes, for whatever `weir --json help` lists. A command that is not in
RUNS below fails: say there how it is run.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest

from cli_support import EXAMPLE, REPO, WEIR, Weir, make
from harness import Broker, Fleet, eventually

BUILD = pathlib.Path(WEIR).parents[1]
CLI_MD = (REPO / "docs" / "CLI.md").read_text()
TABLE = [json.loads(line) for line in subprocess.run(
    [WEIR, "--json", "help"], capture_output=True, check=True,
    timeout=30).stdout.splitlines()]
NAMES = [c["name"] for c in TABLE]

ONE, LINES, EMPTY = "one object", "an object a line", "a list, here empty"


class Run:
    """How a command is run so that it does its work: words and options, the
    status, what --json prints, the status with a state directory that is not
    there (None: it needs none), and what is done before."""

    def __init__(self, *args, status=0, json=ONE, nowhere=3, before=()):
        self.args, self.status, self.json = args, status, json
        self.nowhere, self.before = nowhere, before


CA = (("ca", "init"),)
CERT = CA + (("cert", "issue", "meter-13", "--out", "."),)
OTHER = (("--state", "two", "init", "--broker-user", "root"),
         ("--state", "two", "device", "add", "other", "--class", "c"),
         ("--state", "two", "cert", "issue", "other"))
RUNS = {
    "init": Run("--broker-user", "root", nowhere=None),
    "status": Run(),
    "doctor": Run(json=LINES, nowhere=1, status=None),
    "backup": Run("backup.db"),
    "restore": Run("backup.db", "--yes", before=(("backup", "backup.db"),)),
    "registry accept": Run("--yes"),
    "device add": Run("new", "--class", "meter"),
    "device set": Run("meter-13", "--attr", "a=b"),
    "device show": Run("meter-13"),
    "device list": Run(json=LINES),
    "device find": Run("8944010000000000033", json=LINES),
    "device export": Run(json=LINES),
    "device import": Run("devices.csv"),
    "device remove": Run("meter-13", "--yes"),
    "suspend": Run("meter-13"),
    "quarantine": Run("meter-13"),
    "release": Run("meter-13"),
    "retire": Run("meter-13"),
    "ca init": Run(nowhere=None),
    "ca import": Run("--cert", "other/ca.crt", "--key", "other/ca.key",
                     nowhere=None,
                     before=(("--ca", "other", "ca", "init"),)),
    "ca server": Run("--host", "localhost", nowhere=None, before=CA),
    "ca show": Run(nowhere=None, before=CA),
    "cert issue": Run("meter-13", before=CA),
    "cert sign": Run("meter-13", "--csr", "meter.csr", before=CA),
    "cert add": Run("meter-12", "--cert", "other.crt", before=CA + OTHER),
    "cert bulk": Run("devices.csv", "--out", "out", before=CA),
    "cert import": Run("other.crt", "--id-from", "cn", "--class", "meter",
                       before=CA + OTHER),
    "cert show": Run("meter-13.crt", nowhere=None, before=CERT),
    "cert list": Run(json=LINES, before=CERT),
    "cert enroll": Run("--seen", "--class", "meter", status=None),
    "cert retire-old": Run("--seen-new", json=ONE, status=None),
    "cert revoke": Run("meter-13", before=CERT),
    "policy check": Run(str(EXAMPLE / "policy.json"), nowhere=None),
    "policy diff": Run("current", "1", status=1),
    "policy import-acl": Run("-", nowhere=None),
    "policy apply": Run(str(EXAMPLE / "policy.json"), "--yes"),
    "policy show": Run(),
    "policy history": Run(json=LINES),
    "policy rollback": Run("--yes"),
    "policy seen": Run(json=LINES, status=None),
    "policy learn": Run("--class", "meter", status=None),
    "policy try": Run(str(EXAMPLE / "policy.json"), status=None),
    "explain": Run("meter-13"),
    "top": Run("-n", "3", json=EMPTY),
    "usage": Run("meter-13"),
    "tail": Run("--no-follow", json=EMPTY),
    "token add": Run("ops"),
    "token list": Run(json=LINES, before=(("token", "add", "ops"),)),
    "token revoke": Run("ops", before=(("token", "add", "ops"),)),
    "audit list": Run(json=LINES),
    "audit verify": Run(),
    "audit head": Run(),
}

every = pytest.mark.parametrize("command", TABLE, ids=NAMES)


def test_every_command_is_here():
    assert sorted(NAMES) == sorted(RUNS)


@pytest.fixture
def weir(tmp_path):
    w = make(tmp_path)
    (tmp_path / "devices.csv").write_text("id,class\nnew,meter\n")
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x", "-keyout",
         "meter.key", "-out", "meter.csr"], cwd=tmp_path, check=True,
        capture_output=True, timeout=60)
    return w


# ------------------------------------------------------------- what all share


@every
def test_help(command, tmp_path):
    w = Weir(tmp_path)
    name = command["name"].split()
    text = w.ok("help", *name)
    assert text == w.ok(*name, "--help")
    assert command["summary"] and not command["summary"].endswith(".")
    assert re.search(rf"^  (sudo )?weir {command['name']}\b", command["help"],
                     re.M), "an example"
    for option in command["options"]:
        assert f"--{option['name']}" in text
    for option in re.findall(r"--[a-z-]+", command["usage"]):
        assert option[2:] in [o["name"] for o in command["options"]]


@every
def test_is_documented(command):
    assert re.search(rf"^    weir {command['name']}(\s|$)", CLI_MD, re.M)
    for option in command["options"]:
        assert (f"--{option['name']}" in CLI_MD
                or f"[-{option['letter']} " in CLI_MD), option


@every
def test_runs(weir, command):
    run = RUNS[command["name"]]
    for args in run.before:
        weir.ok(*args)
    done = weir("--json", *command["name"].split(), *run.args)
    if run.status is not None:
        assert done.returncode == run.status, done.stderr
    else:
        assert done.returncode in (0, 1, 3), done.stderr
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    assert all(isinstance(x, dict) for x in lines)
    if done.returncode != 3:
        assert {ONE: len(lines) == 1, LINES: len(lines) > 0,
                EMPTY: not lines}[run.json]


@every
def test_usage_errors(weir, command):
    name, run = command["name"].split(), RUNS[command["name"]]
    before = weir.revision()
    weir.fails(2, *name, *run.args, "--no-such-option", says="unknown option")
    if command["words_max"] is not None:
        weir.fails(2, *name, *["x"] * (command["words_max"] + 1),
                   says="one word too many")
    if command["words_min"] > 0:
        weir.fails(2, *name, *["x"] * (command["words_min"] - 1),
                   says="something is missing")
    for option in command["options"]:
        if option["value"] is not None:
            weir.fails(2, *name, f"--{option['name']}", says="needs a value")
            if not option["repeats"]:
                weir.fails(2, *name, *[f"--{option['name']}=1"] * 2,
                           says="given twice")
        else:
            weir.fails(2, *name, f"--{option['name']}=1", says="takes no value")
    assert weir.revision() == before


@every
def test_without_a_state_directory(weir, command):
    run = RUNS[command["name"]]
    for args in run.before:
        weir.ok(*args)
    if run.nowhere is None:
        return
    done = weir("--state", weir.folder / "nowhere", *command["name"].split(),
                *run.args)
    assert done.returncode == run.nowhere, (done.stdout, done.stderr)
    assert not (weir.folder / "nowhere").exists()


# ------------------------------------------- manual page, completion, install


def test_manual_page():
    page = BUILD / "cli" / "weir.man"
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page],
        capture_output=True, timeout=60, env=dict(
            os.environ, MANWIDTH="80", LC_ALL="C.UTF-8", MAN_KEEP_FORMATTING=""))
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    text = re.sub("\x1b\\[[0-9;]*m|.\x08", "", done.stdout.decode())
    for command in TABLE:
        assert re.search(rf"^   {command['name']}$", text, re.M), command
        for line in command["help"].splitlines():
            assert line.strip() in text, line


def complete(*words, cwd=None):
    """What bash offers after WORDS, the last of which is being typed."""
    script = (f"source {BUILD / 'cli' / 'weir.completion'}; "
              "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _weir; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p weir")
    done = subprocess.run(["bash", "-c", script, "bash", "weir", *words],
                          capture_output=True, text=True, timeout=30, cwd=cwd)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert "-F _weir weir" in lines.pop()
    return [x for x in lines if x]


@every
def test_completion_of(command):
    first, *second = command["name"].split()
    assert first in complete("")
    assert first in complete(first[:-1])
    if second:
        assert second[0] in complete(first, second[0][0])
        assert second[0] in complete("--state", "/x", "--json", first, "")
    options = complete(*command["name"].split(), "--")
    assert sorted(options) == sorted(
        ["--" + o["name"] for o in command["options"]]
        + ["--state", "--meter", "--ca", "--json", "--show-ids", "--version",
           "--help"])


def test_completion(tmp_path):
    (tmp_path / "file.json").touch()
    (tmp_path / "folder").mkdir()
    assert complete("devi") == ["device"]
    assert complete("device", "fi") == ["find"]
    assert complete("xyzzy", "") == []
    assert complete("device", "show", "") == []
    assert complete("help", "cert", "iss") == []
    assert "policy" in complete("help", "")
    assert complete("policy", "apply", "fi", cwd=tmp_path) == ["file.json"]
    assert complete("--state", "f", cwd=tmp_path) == ["folder"]
    assert complete("cert", "add", "x", "--cert", "f", cwd=tmp_path) == [
        "file.json", "folder"]
    assert complete("suspend", "x", "--reason", "") == []
    assert complete("suspend", "x", "--for", "2h", "--wa") == ["--wait"]


def test_installed(tmp_path):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path],
                   check=True, capture_output=True, timeout=120)
    made = BUILD / "cli"
    for where, what in [("share/man/man1/weir.1", "weir.man"),
                        ("share/bash-completion/completions/weir",
                         "weir.completion")]:
        assert (tmp_path / where).read_bytes() == (made / what).read_bytes()


# ------------------------------------------------------ the examples of CLI.md


def transcripts():
    """(command, its output as documented) for each `$ weir` and `# weir`."""
    command, lines = None, []
    for line in CLI_MD.splitlines() + [""]:
        start = re.match(r"    [$#] (weir .*)", line)
        if start or not line.startswith("    "):
            if command:
                yield command, lines
            command, lines = start and start[1], []
        elif command:
            lines.append(line[4:])


POLICY = {"version": 1, "classes": {
    "pump": {"publish": ["plant/${device}/+"]},
    "meter": {"publish": ["m/${device}/+"]},
    "payment-terminal": {"publish": ["pay/${device}/status"]}}}
NEXT = {"version": 1, "classes": {**POLICY["classes"], "meter": {
    "publish": ["m/${device}/up"], "limits": {"messages_per_s": 5}}}}


def bare(fleet, broker, wire):
    for path in sorted(fleet.state.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    fleet.state.rmdir()


def one_change(fleet, broker, wire):
    fleet.weir("device", "add", "pump-0001", "--class", "pump")
    fleet.weir("suspend", "pump-0001", "--wait", "20s")


def identity(fleet, broker, wire):
    lines = broker.conf.read_text().splitlines()
    lines.insert(30, "use_identity_as_username true")
    broker.conf.write_text("\n".join(lines) + "\n")


def pump_connected(fleet, broker, wire):
    wire(broker, fleet.device("pump", id="pump-0001")).admitted()


def pump(fleet, broker, wire):
    fleet.weir("device", "add", "pump-0001", "--class", "pump")


def pump_used(fleet, broker, wire):
    w = wire(broker, fleet.device("pump", id="pump-0001")).admitted()
    w.publish("plant/pump-0001/state", b"x" * 100)
    w.publish("plant/x")
    eventually("the wire is counted", lambda: fleet.json(
        "usage", "pump-0001")["wire_bytes_out"])
    return w


def pump_gone(fleet, broker, wire):
    pump_used(fleet, broker, wire).disconnect()
    eventually("it is gone", lambda: fleet.json(
        "usage", "pump-0001")["disconnects"])


def till(fleet, broker, wire):
    fleet.device("payment-terminal", id="till-7")


def next_policy(fleet, broker, wire):
    (fleet.root / "policy.json").write_text(json.dumps(NEXT))


def pumps(fleet, broker, wire):
    (fleet.root / "pumps.csv").write_text("id,class\npump-1,pump\n")


BEFORE = {"init": bare, "device import": pumps, "status": one_change, "doctor": identity,
          "suspend": pump_connected, "cert issue": pump, "explain": till,
          "policy diff": next_policy, "usage": pump_used, "tail": pump_gone}


def plain(text):
    """What differs from run to run, as placeholders."""
    for pattern, instead in [
            (r"\b[0-9a-f]{64}\b", "HASH"),
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"\b\d+\.\d+\.\d+\.\d+\b", "ADDRESS"), (r"\d+\.\d %", "N %"),
            (r"\b(\d+[dhms])+\b", "DURATION"),
            (r" by \w+$", " by WHO"), (r"(?<![\w.-])\d+(?![\w.-])", "N"),
            (r"[ \t]+", " ")]:
        text = re.sub(pattern, instead, text, flags=re.M)
    return text.strip()


SHOWN = list(transcripts())


def test_there_are_transcripts():
    assert len(SHOWN) >= 10


@pytest.mark.parametrize("command, shown", SHOWN,
                         ids=[" ".join(c.split()[1:4]) for c, _ in SHOWN])
def test_transcript(command, shown, wire):
    words = command.split()[1:]
    key = next((k for k in BEFORE if " ".join(words).startswith(k)), None)
    fleet = Fleet(POLICY)
    try:
        with Broker(fleet) as broker:
            if key == "init":
                broker.stop()
            if key:
                BEFORE[key](fleet, broker, wire)
            places = {"/var/lib/weir": str(fleet.state),
                      "/etc/mosquitto/mosquitto.conf": str(broker.conf),
                      "/var/backups/weir": str(fleet.root)}
            for documented, real in places.items():
                command = command.replace(documented, real)
            done = subprocess.run(
                ["bash", "-c", command], cwd=fleet.root, text=True,
                capture_output=True, timeout=60, env=dict(
                    os.environ, WEIR_STATE=str(fleet.state),
                    WEIR_CA=str(fleet.ca), HOME=str(fleet.root),
                    PATH=f"{BUILD / 'bin'}:{os.environ['PATH']}"))
            told = done.stdout
            for documented, real in places.items():
                told = told.replace(real, documented)
    finally:
        fleet.remove()
    want = [plain(x) for x in shown]
    got = [plain(x) for x in told.splitlines() if x.strip()]
    if key in ("init", "doctor", "usage"):
        # Documented in part: each line is there, in this order.
        rest = iter(got)
        assert all(w in rest for w in want if w != "…"), (want, got)
    else:
        assert got == want, done.stderr
