# SPDX-License-Identifier: Apache-2.0
"""
Scenario: the disk is full, or read-only; the command is killed; two commands
write at once. Each command that writes, in turn.

Question: does it say what is wrong, and is the registry afterwards what it was
before, or what it was to become: does it open, is its audit whole, is nothing
half done?

Expected: status 3 and a message that names the disk or the file; after a kill
the same command can be given again. Two at once both do their work. Where the
disk fails at the very end of a change, which may be in the registry then, no
key of it is lost.

A disk of its own (tmpfs, 2 MB) is filled to the last byte, and mounted
read-only. WEIR_KILLS sets how often each command is killed (20 / 4 here).
"""

import atexit
import contextlib
import functools
import json
import os
import pathlib
import random
import shutil
import sqlite3
import stat
import subprocess
import threading

import pytest

import policies
from cli_support import EXAMPLE, WEIR, make, openssl
from clients import Wire
from harness import Broker, Device, Fleet

SANITIZED = b"__asan_init" in pathlib.Path(WEIR).read_bytes()
KILLS = max(1, int(os.environ.get("WEIR_KILLS", "20")) // 4)
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))

ISSUED = ("cert", "issue", "meter-13", "--out", "certs")
WRITES = {
    "init": ["init", "--broker-user", "root"],
    "backup": ["backup", "state/backup-{n}.db"],
    "restore": ["restore", "backup.db", "--yes"],
    "registry accept": ["registry", "accept", "--yes"],
    "device add": ["device", "add", "new-{n}", "--class", "meter"],
    "device set": ["device", "set", "meter-12", "--attr", "n={n}"],
    "device remove": ["device", "remove", "gone-{n}", "--yes"],
    "suspend": ["suspend", "meter-12", "--reason", "{n}"],
    "quarantine": ["quarantine", "meter-12", "--reason", "{n}"],
    "release": ["release", "meter-12", "--reason", "{n}"],
    "retire": ["retire", "gone-{n}"],
    "cert issue": ["cert", "issue", "meter-13", "--out", "state/c{n}"],
    "cert sign": ["cert", "sign", "meter-13", "--csr", "meter.csr", "--out",
                  "state/s{n}.crt"],
    "cert add": ["cert", "add", "meter-12", "--cert", "other-{n}.crt"],
    "cert revoke": ["cert", "revoke", "gone-{n}"],
    "device import": ["device", "import", "d{n}.csv"],
    "cert bulk": ["cert", "bulk", "d{n}.csv", "--out", "state/b{n}"],
    "cert import": ["cert", "import", "other-{n}.crt", "--id-from", "cn",
                    "--class", "meter"],
    "token add": ["token", "add", "new-{n}"],
    "token revoke": ["token", "revoke", "gone-{n}"],
    "cert retire-old": ["--meter", "meter.seg", "cert", "retire-old",
                        "--seen-new", "twice-{n}", "--yes"],
    "ca init": ["--ca", "state/i{n}", "ca", "init", "--name", "Other"],
    "ca import": ["--ca", "state/m{n}", "ca", "import", "--cert", "ca/ca.crt",
                  "--key", "ca/ca.key"],
    "ca server": ["ca", "server", "--host", "b.example", "--out",
                  "state/v{n}"],
    "policy apply": ["policy", "apply", "p{n}.json", "--yes"],
    "policy rollback": ["policy", "rollback", "--to", "{m}", "--yes"],
}
"""How each is run for the N-th time so that it has something to write. Not here:
cert enroll, which needs a broker's record and writes as device add and cert add
do."""

ROUNDS = KILLS + 3
writes = pytest.mark.parametrize("name", WRITES)


def test_every_writing_command_is_here():
    table = [json.loads(x) for x in subprocess.run(
        [WEIR, "--json", "help"], capture_output=True, check=True,
        timeout=30).stdout.splitlines()]
    reads = {"status", "doctor", "device show", "device list", "device find",
             "device export",
             "cert show", "cert list", "policy check", "policy diff",
             "policy import-acl", "policy show", "policy history", "explain",
             "audit list", "token list",
             "audit verify", "audit head", "ca show", "top", "tail", "usage",
             "cert enroll", "policy seen", "policy learn", "policy try"}
    assert sorted(WRITES) == sorted({c["name"] for c in table} - reads)


CA_FILES = {"ca init": "i{n}", "ca import": "m{n}", "ca server": "v{n}"}
"""What writes files in a folder of its own, under state/, and which."""


@functools.cache
def rotated():
    """Devices with two certificates each, which have connected by the newer;
    the certificates, the older first, and the broker's meter."""
    fleet = Fleet(policies.SHARED)
    atexit.register(fleet.remove)
    found = []
    with Broker(fleet) as broker:
        for n in range(ROUNDS):
            device = fleet.device("meter", id=f"twice-{n}")
            fleet.weir("cert", "issue", device, "--out", fleet.root / "new")
            new = Device(device.id, fleet.root / "new" / f"{device}.crt",
                         fleet.root / "new" / f"{device}.key")
            wire = Wire(broker, new)
            wire.admitted()
            wire.close()
            found.append((device.id, device.crt, new.crt))
    return found, fleet.state / "meter" / "meter.seg"


@pytest.fixture
def disk(tmp_path):
    """A small disk at state/."""
    (tmp_path / "state").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "weir",
                    tmp_path / "state"], check=True, timeout=30)
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path / "state"], check=True, timeout=30)


def prepare(folder, name):
    """A registry in which NAME has something to write ROUNDS times."""
    w = make(folder)
    w.ok("ca", "init")
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x", "-keyout",
         "meter.key", "-out", "meter.csr"], cwd=folder, check=True,
        capture_output=True, timeout=60)
    policy = json.loads((EXAMPLE / "policy.json").read_text())
    if name in ("cert add", "cert import"):
        w.ok("--state", "two", "init", "--broker-user", "root")
    for n in range(ROUNDS):
        if name in ("device remove", "retire", "cert revoke"):
            w.ok("device", "add", f"gone-{n}", "--class", "meter")
        if name == "token revoke":
            w.ok("token", "add", f"gone-{n}")
        if name == "cert revoke":
            w.ok("cert", "issue", f"gone-{n}", "--out", "certs")
        if name in ("cert add", "cert import"):
            w.ok("--state", "two", "device", "add", f"other-{n}", "--class",
                 "meter")
            w.ok("--state", "two", "cert", "issue", f"other-{n}")
        (folder / f"d{n}.csv").write_text(f"id,class\nbulk-{n},meter\n")
        policy["classes"]["meter"]["limits"] = {"messages_per_s": n + 1}
        (folder / f"p{n}.json").write_text(json.dumps(policy))
    if name == "cert retire-old":
        devices, meter = rotated()
        shutil.copy(meter, folder / "meter.seg")
        for device, old, new in devices:
            w.ok("device", "add", device, "--class", "meter")
            w.ok("cert", "add", device, "--cert", old)
            w.ok("cert", "add", device, "--cert", new)
    if name == "policy rollback":
        w.ok("policy", "apply", "p0.json")
        w.ok("policy", "apply", "p1.json")
    w.ok("backup", "backup.db")
    w.ok("release", "meter-12")
    if name == "registry accept":
        w.ok("restore", "backup.db", "--yes")
    return w


def command(w, name, n):
    revisions = [r["revision"] for r in w.lines("policy", "history")]
    return [x.format(n=n, m=revisions[-1 - n % 2]) for x in WRITES[name]]


def made(w, name, n):
    """The files of a CA or a server that are there: all or none."""
    folder = w.folder / "state" / CA_FILES.get(name, "none").format(n=n)
    files = sorted(x.name for x in folder.glob("*"))
    assert files in ([], *{
        "ca init": [["ca.crt", "ca.json", "ca.key"]],
        "ca import": [["ca.crt", "ca.json", "ca.key"]],
        "ca server": [["server.crt", "server.key"]]}.get(name, ())), files
    return files


def state_of(w):
    """All that the registry holds."""
    return w.ok("--json", "device", "list") + w.ok("--json", "cert", "list") + \
        w.ok("audit", "head") + w.ok("policy", "history") + \
        w.ok("token", "list")


def whole(w):
    assert w.json("audit", "verify")["ok"]
    with contextlib.closing(sqlite3.connect(
            f"file:{w.folder}/state/registry.db?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def fill(path):
    """Leaves not a byte."""
    with open(path, "wb", buffering=0) as f:
        with contextlib.suppress(OSError):
            while True:
                f.write(bytes(4096))


@writes
def test_full_disk(disk, name):
    w = prepare(disk, name)
    before = state_of(w)
    fill(disk / "state" / "junk")
    done = w(*command(w, name, 0))
    text = done.stderr.decode()
    if name == "init":
        assert done.returncode == 0, text
    else:
        assert done.returncode == 3, text
        assert "is full; nothing was changed" in text or (
            "No space left" in text), text
    assert state_of(w) == before
    assert not made(w, name, 0)
    whole(w)
    (disk / "state" / "junk").unlink()
    left = sorted(p.name for p in (disk / "state").iterdir())
    assert not [x for x in left if x.startswith(("restore.", "backup-0.db."))]
    w.ok(*command(w, name, 1))
    assert bool(made(w, name, 1)) == (name in CA_FILES)
    whole(w)


@writes
def test_read_only(disk, name):
    w = prepare(disk, name)
    before = state_of(w)
    subprocess.run(["mount", "-o", "remount,ro", disk / "state"], check=True,
                   timeout=30)
    done = w(*command(w, name, 0))
    text = done.stderr.decode()
    if name == "init" and done.returncode == 0:
        assert state_of(w) == before
    else:
        assert done.returncode == 3, (done.stdout, text)
        assert "state" in text and "weir: " in text
    assert state_of(w) == before
    subprocess.run(["mount", "-o", "remount,rw", disk / "state"], check=True,
                   timeout=30)
    w.ok(*command(w, name, 1))
    whole(w)


@writes
def test_killed(tmp_path, name):
    w = prepare(tmp_path, name)
    rng = random.Random(f"{SEED} {name}")
    for n in range(KILLS):
        args = command(w, name, n)
        env = dict(os.environ, HOME=str(tmp_path), WEIR_CA=str(w.ca),
                   WEIR_STATE=str(tmp_path / "state"))
        entries = w.ok("audit", "head").split()[0]
        with subprocess.Popen([WEIR, *args], env=env, cwd=tmp_path,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as p:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(rng.uniform(0.0005, 0.02))
            p.kill()
        whole(w)
        if w.ok("audit", "head").split()[0] == entries and name in (
                "device add", "device set", "suspend", "quarantine", "release",
                "retire", "device remove", "cert revoke", "policy apply"):
            # Nothing was done: the very same can be done now.
            w.ok(*args)
        if name in CA_FILES:
            again(w, name, n)
    whole(w)


def again(w, name, n):
    """What was killed is done once more: it was done, or nothing was, or it is
    said what lies in the way, which is private."""
    folder = w.folder / "state" / CA_FILES[name].format(n=n)
    for key in folder.glob("*.key*"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    done = w(*command(w, name, n))
    if done.returncode != 0:
        text = done.stderr.decode()
        assert done.returncode == 2 and "exists" in text, text
        assert f"state/{folder.name}/" in text
        shutil.rmtree(folder)
        w.ok(*command(w, name, n))


@writes
def test_two_at_once(tmp_path, name):
    w = prepare(tmp_path, name)
    revision, done = w.revision(), {}

    def run(key, *args):
        done[key] = w(*args)

    both = [threading.Thread(target=run, args=("it", *command(w, name, 0))),
            threading.Thread(target=run, args=(
                "other", "device", "add", "beside", "--class", "meter"))]
    for t in both:
        t.start()
    for t in both:
        t.join()
    for one in done.values():
        assert one.returncode == 0, one.stderr
    whole(w)
    if name != "restore":
        # Restored over it, or it over the restored: either may come last.
        assert w.json("device", "show", "beside")["id"] == "beside"
        assert w.revision() > revision


def failing(w, path, faults, *args):
    """weir ARGS, to which PATH has FAULTS."""
    inject = [x for f in faults for x in ("-e", f"inject={f}")]
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, *inject, WEIR,
         *args],
        env=w.environment(), cwd=w.folder, capture_output=True, check=False,
        timeout=120)


ONCE = ["fdatasync:error=EIO:when=2"]
"""The first sync of a change is that of the log's head, the second of it all."""
FROM_THEN_ON = ["fdatasync:error=EIO:when=2+", "ftruncate:error=EIO"]


untraced = pytest.mark.skipif(
    SANITIZED, reason="LeakSanitizer cannot look while strace does")


@pytest.fixture(params=[
    pytest.param(ONCE, marks=untraced),
    pytest.param(FROM_THEN_ON, marks=untraced)], ids=["once", "from-then-on"])
def doubt(tmp_path, request):
    """A disk that is well again at once, so that weir's end drops the change
    from the log; or is not, so that whoever comes next finds it. Either way
    weir cannot know."""
    w = make(tmp_path)
    w.ok("ca", "init")

    def run(*args):
        done = failing(w, w.folder / "state" / "registry.db-wal",
                       request.param, *args)
        text = done.stderr.decode()
        assert done.returncode == 3, (done.stdout, text)
        assert "it is not known whether the change is committed" in text, text
        assert "registry.db: disk I/O error" in text, text
        return text

    w.doubt, w.committed = run, request.param is FROM_THEN_ON
    return w


def same_key(crt, key):
    assert openssl("x509", "-in", crt, "-noout", "-pubkey") == openssl(
        "pkey", "-in", key, "-pubout")


@pytest.mark.parametrize("form", [(), ("--bundle",)], ids=["files", "bundle"])
def test_bulk_in_doubt(doubt, form):
    """All keys stay, under .new; the same command sorts it out."""
    w, n = doubt, 600
    (w.folder / "m.csv").write_text("id,class\n" + "".join(
        f"bulk-{i},meter\n" for i in range(n)))
    bulk = ("cert", "bulk", "m.csv", "--out", "out", "--jobs", "1", *form)
    text = w.doubt(*bulk)
    assert "stays in out under .new names" in text
    out = w.folder / "out"
    made = len(w.lines("cert", "list"))  # one batch, or none
    assert (made > 0) == w.committed
    assert list(out.glob("*.new"))
    if not form and made:
        assert len(list(out.glob("*.key.new"))) == made
    whole(w)
    done = w.json(*bulk)
    assert (done["issued"], done["done_before"], done["failed"]) == (
        n - made, made, 0)
    assert not list(out.glob("*.new"))
    assert len(w.lines("cert", "list")) == n
    if not form:
        for i in range(0, n, 50):
            same_key(out / f"bulk-{i}.crt", out / f"bulk-{i}.key")
    else:
        lines = [json.loads(x) for f in out.glob("bundle-*.jsonl")
                 for x in f.read_text().splitlines()]
        assert sorted(x["id"] for x in lines) == sorted(
            f"bulk-{i}" for i in range(n))
        for x in lines[::50]:
            (w.folder / "x.crt").write_text(x["certificate"])
            (w.folder / "x.key").write_text(x["key"])
            same_key(w.folder / "x.crt", w.folder / "x.key")
            assert w.json("cert", "show", "x.crt")["credential"]["device_id"] \
                == x["id"]
    whole(w)


@pytest.mark.parametrize("name", ["issue", "sign"])
def test_certificate_in_doubt(doubt, name):
    """The files stay; weir cert show tells, and cert add registers them."""
    w = doubt
    if name == "issue":
        args, crt = ("--out", "new"), "new/meter-13.crt"
    else:
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                "-keyout", w.folder / "m.key", "-out", w.folder / "m.csr")
        args, crt = ("--csr", "m.csr", "--out", "m.crt"), "m.crt"
    text = w.doubt("cert", name, "meter-13", *args)
    assert f"{crt} is kept" in text and "weir cert show" in text
    same_key(w.folder / crt, (w.folder / crt).with_suffix(".key"))
    credential = w.json("cert", "show", crt)["credential"]
    if w.committed:
        assert credential["device_id"] == "meter-13"
    else:
        assert credential is None
        w.ok("cert", "add", "meter-13", "--cert", crt)
    whole(w)


def test_other_changes_in_doubt(doubt):
    w = doubt
    w.doubt("suspend", "meter-13")
    assert w.json("device", "show", "meter-13")["status"] == (
        "suspended" if w.committed else "active")
    whole(w)


@untraced
@pytest.mark.parametrize("when", [1, 2, 3])
def test_bundles_that_cannot_be_listed(tmp_path, when):
    """They are not taken for none, and all issued once more."""
    w = make(tmp_path)
    w.ok("ca", "init")
    (tmp_path / "m.csv").write_text("id,class\nbulk-1,meter\n")
    bulk = ("cert", "bulk", "m.csv", "--out", "out", "--bundle")
    w.ok(*bulk)
    before = state_of(w)
    done = failing(w, tmp_path / "out", [f"getdents64:error=EIO:when={when}"],
                   *bulk)
    assert done.returncode == 3, done.stdout
    assert b"cannot read the folder out: Input/output error" in done.stderr
    assert state_of(w) == before
    assert w.json(*bulk)["done_before"] == 1


@untraced
@pytest.mark.parametrize("name", ["cert import", "doctor", "init"])
def test_folder_that_cannot_be_listed(tmp_path, name):
    """It is not taken for an empty one."""
    w = make(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.conf").write_text("allow_anonymous true\n")
    (tmp_path / "m.conf").write_text(f"include_dir {folder}\n")
    args = {"cert import": ["cert", "import", "folder", "--id-from", "cn",
                            "--class", "meter"],
            "doctor": ["doctor", "--broker-conf", "m.conf"],
            "init": ["--state", folder, "init", "--broker-user", "root"]}[name]
    done = failing(w, folder, ["getdents64:error=EIO"], *args)
    assert done.returncode == 3, done.stdout
    assert b"folder: Input/output error" in done.stderr
    assert [x.name for x in folder.iterdir()] == ["x.conf"]


@pytest.mark.parametrize("name,status,args", [
    ("meter.seg", 0, ["status"]),
    ("meter.seg", 3, ["top", "-1"]),
    ("meter.seg", 3, ["tail", "--no-follow"]),
    ("meter.seg", 3, ["usage"]),
    ("meter.seg", 1, ["doctor"]),
    ("meter.seg", 3, ["suspend", "meter-12", "--wait", "1s"]),
    ("meter.seg", 0, ["device", "show", "meter-12"]),
    ("meter.seg", 3, ["cert", "list", "--unused"]),
    ("seen.seg", 3, ["policy", "seen"]),
    ("seen.seg", 3, ["policy", "learn", "--class", "meter"]),
    ("seen.seg", 3, ["cert", "enroll", "--seen", "--class", "meter"]),
], ids=lambda x: x if isinstance(x, str) else None)
def test_fifo_in_the_brokers_folder(tmp_path, name, status, args):
    """Whoever is the broker's user can hold nobody up by it."""
    w = make(tmp_path)
    os.mkfifo(tmp_path / "state" / "meter" / name)
    done = w(*args, timeout=20)
    assert done.returncode == status, done.stderr
    assert status == 0 or name.encode() in done.stderr + done.stdout
    if args[0] == "suspend":
        assert b"it is committed" in done.stderr
        assert w.json("device", "show", "meter-12")["status"] == "suspended"
