# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a factory and a broker host exchange devices in files, and thousands
of devices get certificates at once. Files are wrong, disks are full, commands
are killed or run twice; no broker.

Question: is a file all in or not at all, does what is exported come back the
same, does an import give no right back; and after any number of kills, has
each device of a manifest one certificate, whose key lies beside it?

Expected: exit status 0 done, 1 a bulk run with failures, 2 what is in the file,
3 environment; exactly as many devices and certificates as lines.

WEIR_BULK sets how many devices are issued for (2000), WEIR_BULK_KILLS how often
that is killed at most (20), WEIR_SEED the seed; all are printed.
"""

import base64
import contextlib
import csv
import hashlib
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from cli_support import REPO, WEIR, make, openssl

N = int(os.environ.get("WEIR_BULK", "2000"))
KILLS = int(os.environ.get("WEIR_BULK_KILLS", "20"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


@pytest.fixture
def ca(weir):
    weir.ok("ca", "init", "--name", "Test Fleet")
    return weir


def other(weir, name):
    """A second host."""
    folder = weir.folder / name
    folder.mkdir()
    return make(folder)


def write(weir, name, *lines):
    path = weir.folder / name
    path.write_text("".join(f"{x}\n" for x in lines))
    return path


def rows(weir, query):
    """Read-only: the last to close for writing would take -wal away."""
    with contextlib.closing(sqlite3.connect(
            f"file:{weir.folder / 'state' / 'registry.db'}?mode=ro",
            uri=True)) as con:
        return con.execute(query).fetchall()


def counts(weir):
    return [rows(weir, f"SELECT count(*) FROM {t}")[0][0]
            for t in ("device", "credential")]


def sound(weir):
    assert rows(weir, "PRAGMA integrity_check") == [("ok",)]
    assert weir.json("audit", "verify")["ok"]


def told(exported):
    """What an import can bring along."""
    gone = ("created_s", "updated_s", "revision")
    return [{k: v for k, v in x.items() if k not in gone} for x in exported]


# ------------------------------------------------------------ import, export


def fill(weir):
    """All that a device can have."""
    weir.ok("ca", "init")
    weir.ok("cert", "issue", "till-7", "--out", "certs")
    weir.ok("cert", "issue", "till-7", "--out", "more")
    weir.ok("cert", "issue", "meter-12", "--out", "certs")
    weir.ok("cert", "revoke", "meter-12", "--compromised")
    weir.ok("suspend", "till-8", "--reason", 'lost, "they" say', "--for", "2h")
    weir.ok("quarantine", "meter-13")
    weir.ok("device", "set", "meter-12", "--mode", "observe",
            "--attr", "zone=a,b", "--attr", "zone=\"c\"", "--attr", "k=v;w")
    weir.ok("retire", "ledger")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["csv", "jsonl"])
def test_export_comes_back(weir, form):
    fill(weir)
    text = weir.ok(*form, "device", "export")
    there = other(weir, "there")
    rest = [x["id"] for x in there.lines("device", "list")]
    for host in (there, weir):
        done = host.json("device", "import", "-", "--upsert",
                         stdin=text.encode())
        assert done["added"] == 0
    assert rest == [x["id"] for x in weir.lines("device", "list")]
    assert told(there.lines("device", "export")) == told(
        weir.lines("device", "export"))
    sound(there)
    # What comes back changes nothing where it comes from.
    assert done["changed"] == 0 and done["unchanged"] == len(rest)
    assert done["credentials_added"] == 0
    assert there.json("cert", "show", "../certs/meter-12.crt")["key_barred"]


def test_export_filters(weir):
    fill(weir)
    ids = lambda *a: [x["id"] for x in weir.lines("device", "export", *a)]
    assert ids("--class", "payment-terminal") == ["till-7", "till-8"]
    assert ids("--status", "suspended") == ["till-8"]
    assert ids("--mode", "observe") == ["meter-12"]
    assert ids("--class", "none") == []
    weir.fails(2, "device", "export", "--status", "gone")
    done = list(csv.DictReader(weir.ok(
        "device", "export", "--class", "payment-terminal").splitlines()))
    assert [x["id"] for x in done] == ["till-7", "till-8"]
    assert done[0]["iccid"] == "8944010000000000017"
    assert len(json.loads(done[0]["credentials"])) == 2


def test_import_is_one_change(weir):
    file = write(weir, "f.csv", "id,class,attr.site", "a,meter,x", "b,meter,")
    before = weir.revision()
    done = weir.json("device", "import", file)
    assert (done["added"], done["changed"]) == (2, 0)
    assert weir.revision() == before + 1
    entry = weir.lines("audit", "list", "-n", "1")[0]
    assert entry["action"] == "device.import"
    assert entry["detail"]["devices"] == 2
    assert entry["detail"]["file_sha256"] == done["file_sha256"]
    assert openssl("dgst", "-sha256", file).decode().split()[-1] == done[
        "file_sha256"]
    sound(weir)


def test_import_all_or_nothing(weir):
    lines = ["id,class,iccid", "a,meter,", "till-7,meter,", "b,,",
             "c,meter,123", "a,meter,", "d,meter,8944010000000000033"]
    revision = weir.revision()
    text = weir.fails(2, "device", "import", write(weir, "f.csv", *lines))
    for line, says in ((3, "exists already"), (4, "no class"), (5, "iccid"),
                       (6, "exists already"), (7, "meter-12")):
        assert [x for x in text.splitlines()
                if f"f.csv:{line}: " in x and says in x], (line, text)
    assert weir.revision() == revision and len(text.splitlines()) == 5
    weir.fails(2, "device", "import", write(weir, "g.csv", "id,klass", "a,b"),
               says="klass")
    weir.fails(2, "device", "import", write(
        weir, "g.csv", "id", *(f"-{i}" for i in range(99))),
        says="not looked at")
    weir.fails(3, "device", "import", "none.csv")
    weir.fails(2, "device", "import")
    assert weir.revision() == revision
    sound(weir)


def test_import_gives_no_right_back(weir):
    fill(weir)
    text = weir.ok("--json", "device", "export")
    was_active = "".join(json.dumps(dict(
        json.loads(x), status="active", status_reason=None, status_until_s=None,
        credentials=[dict(c, status="active", revoked_s=None, reason=None)
                     for c in json.loads(x)["credentials"]])) + "\n"
        for x in text.splitlines())
    done = weir("--json", "device", "import", "-", "--upsert",
                stdin=was_active.encode())
    assert done.returncode == 0, done.stderr
    assert b"'till-8' keeps its stricter status" in done.stderr
    assert b"'meter-12': what is revoked stays revoked" in done.stderr
    done = json.loads(done.stdout)
    assert done["status_kept"] == 3 and done["credentials_kept"] == 1
    assert weir.ok("--json", "device", "export") == text


def test_import_that_takes_a_right_says_so_to_the_broker(weir):
    seq = lambda: weir.json("status")["registry"]["change_seq"]
    before = seq()
    weir.ok("device", "import", write(weir, "f.csv", "id,class", "new,meter"))
    weir.ok("device", "import", write(
        weir, "f.csv", "id,class", "till-7,payment-terminal"), "--upsert")
    assert seq() == before
    done = weir.json("device", "import", write(
        weir, "f.csv", "id,class", "till-7,meter"), "--upsert", "--wait", "1s")
    assert done["changed"] == 1 and done["wait"]["state"] == "no_broker"
    assert seq() == before + 1


def test_import_check_digit(weir):
    f = write(weir, "f.csv", "id,class,iccid", "a,meter,89860007180304180022")
    weir.fails(2, "device", "import", f, says="f.csv:2")
    weir.ok("device", "import", f, "--any-check-digit")


# ----------------------------------------------------------------- cert bulk


def manifest(weir, n, name="m.csv"):
    return write(weir, name, "id,class,attr.site",
                 *(f"b-{i:06d},meter,s{i % 7}" for i in range(n)))


FORMS = pytest.mark.parametrize("form", [(), ("--bundle",)],
                                ids=["files", "bundle"])


def from_pem(text):
    return base64.b64decode("".join(text.splitlines()[1:-1]))


def pairs(out):
    """Certificate and key (or None), as PEM, by device: of all files in OUT."""
    found = {}
    for x in out.glob("*.crt"):
        key = x.with_suffix(".key")
        found[x.stem] = (x.read_text(),
                         key.read_text() if key.exists() else None)
    for x in sorted(out.glob("bundle-*.jsonl")):
        for line in map(json.loads, x.open()):
            assert line["id"] not in found
            assert set(line) <= {"id", "certificate", "key"}
            found[line["id"]] = (line["certificate"], line.get("key"))
    return found


def whole(weir, out, n):
    """Each of N devices has one certificate, and the files are its own."""
    have = pairs(out)
    assert sorted(have) == [f"b-{i:06d}" for i in range(n)]
    if not list(out.glob("bundle-*")):
        assert sorted(x.name for x in out.iterdir()) == sorted(
            f"{id}.{x}" for id in have for x in ("crt", "key"))
    registered = dict(rows(
        weir, "SELECT device_id, lower(hex(fingerprint)) FROM credential"))
    assert len(registered) == n
    assert counts(weir) == [n + 5, n]
    for id, (crt, key) in have.items():
        der = from_pem(crt)
        assert registered[id] == hashlib.sha256(der).hexdigest()
        # The public point, with which a P-256 key ends.
        assert from_pem(key)[-65:] in der
    private(out)


def keys_match(weir, out, ids):
    have = pairs(out)
    for id in ids:
        crt, key = write(weir, "k.crt", have[id][0]), write(
            weir, "k.key", have[id][1])
        assert openssl("x509", "-in", crt, "-noout", "-pubkey") == openssl(
            "pkey", "-in", key, "-pubout", "-check").replace(
                b"Key is valid\n", b"")
        openssl("verify", "-x509_strict", "-CAfile", weir.ca / "ca.crt",
                "-purpose", "sslclient", crt)


@FORMS
def test_bulk(ca, form):
    out = ca.folder / "out"
    done = ca.json("cert", "bulk", manifest(ca, 50), "--out", out,
                   "--jobs", "3", "--days", "10", *form)
    assert (done["issued"], done["failed"]) == (50, 0)
    whole(ca, out, 50)
    keys_match(ca, out, [f"b-{i:06d}" for i in range(0, 50, 7)])
    again = ca.json("cert", "bulk", "m.csv", "--out", out, *form)
    assert (again["issued"], again["done_before"]) == (0, 50)
    whole(ca, out, 50)
    # The other way in the same folder would issue all of it once more.
    other_form = () if form else ("--bundle",)
    ca.fails(2, "cert", "bulk", "m.csv", "--out", out, *other_form,
             says="--bundle")
    more = ca.json("cert", "bulk", manifest(ca, 60, "more.csv"), "--out", out,
                   *form)
    assert (more["issued"], more["done_before"]) == (10, 50)
    whole(ca, out, 60)
    # For devices that are there, and with another folder: one more each.
    ca.ok("cert", "bulk", "m.csv", "--out", "out2", *form)
    assert counts(ca) == [65, 110]
    sound(ca)


@pytest.mark.parametrize("more", [
    ("--key-type", "p384"), ("--key-type", "rsa2048"), ("--sim-in-cert",)],
    ids=["p384", "rsa2048", "sim"])
@FORMS
def test_bulk_the_long_way(ca, form, more):
    """What does not come from the mint (certs/mint.h)."""
    file = write(ca, "m.csv", "id,class,imei", "a,meter,490154203237518",
                 "b,meter,352099001761481")
    out = ca.folder / "out"
    done = ca.json("cert", "bulk", file, "--out", out, *more, *form)
    assert (done["issued"], done["failed"]) == (2, 0)
    assert sorted(pairs(out)) == ["a", "b"]
    keys_match(ca, out, ["a", "b"])
    crt = write(ca, "k.crt", pairs(out)["a"][0])
    shown = ca.json("cert", "show", crt)
    assert bool(shown["stated"]["imei"]) == ("--sim-in-cert" in more)


def test_bundle_goes_to_another_host(ca):
    """Without its key a line is what device import takes."""
    out = ca.folder / "out"
    ca.ok("cert", "bulk", manifest(ca, 3), "--out", out, "--bundle")
    lines = [json.loads(x) for x in (out / "bundle-000001.jsonl").open()]
    for x in lines:
        del x["key"]
        x["class"] = "meter"
    there = other(ca, "there")
    done = there.json("device", "import", write(
        there, "b.jsonl", *map(json.dumps, lines)))
    assert (done["added"], done["credentials_added"]) == (3, 3)


def test_bundle_that_is_none(ca):
    out, file = ca.folder / "out", manifest(ca, 3)
    ca.ok("cert", "bulk", file, "--out", out, "--bundle")
    bundle = out / "bundle-000001.jsonl"
    text = bundle.read_text()
    bundle.write_text(text[:-300])
    ca.fails(2, "cert", "bulk", file, "--out", out, "--bundle",
             says="bundle-000001.jsonl:3")
    # What is in no registry is not done, whatever a file says.
    bundle.write_text(text)
    there = other(ca, "there")
    done = there.json("--ca", ca.ca, "cert", "bulk", file, "--out", out,
                      "--bundle")
    assert (done["issued"], done["done_before"]) == (3, 0)


def names(out):
    return sorted(x.name for x in out.iterdir())


def test_bundle_failures(ca):
    csr = ca.folder / "k.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca.folder / "k",
            "-out", csr, "-subj", "/CN=x")
    lines = [
        {"id": "ok-1", "class": "meter"},
        {"id": "ok-2", "class": "meter", "csr": csr.read_text()},
        {"id": "key-of-ok-2", "class": "meter", "csr": csr.read_text()},
        {"id": "bad-csr", "class": "meter", "csr": "AAAA"},
        {"id": "sim", "class": "meter", "iccid": "8944010000000000017"},
        {"id": "ok-1", "class": "meter"},
        {"id": "ok-3", "class": "meter"},
    ]
    out = ca.folder / "out"
    file = write(ca, "m.jsonl", *map(json.dumps, lines))
    done = ca.json("cert", "bulk", file, "--out", out, "--bundle", status=1)
    assert (done["issued"], done["done_before"], done["failed"]) == (3, 1, 3)
    have = pairs(out)
    assert sorted(have) == ["ok-1", "ok-2", "ok-3"]
    assert have["ok-2"][1] is None and have["ok-1"][1]
    assert sorted(int(x["line"]) for x in csv.DictReader(
        (out / "failed.csv").open())) == [3, 4, 5]
    assert names(out) == ["bundle-000001.jsonl", "bundle-000002.jsonl",
                          "failed.csv"]
    # All that fails leaves no bundle.
    done = ca.json("cert", "bulk", file, "--out", out, "--bundle", status=1)
    assert (done["issued"], done["done_before"], done["failed"]) == (0, 4, 3)
    assert len(list(out.glob("bundle-*"))) == 2
    sound(ca)


def test_bulk_failures(ca):
    key, csr = ca.folder / "k.key", ca.folder / "k.csr"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
            "-subj", "/CN=x")
    der = base64.b64encode(openssl("req", "-in", csr, "-outform", "DER"))
    pem = csr.read_text()
    lines = [
        {"id": "ok-1", "class": "meter"},
        {"id": "ok-2", "class": "meter", "csr": pem},
        {"id": "key-of-ok-2", "class": "meter", "csr": der.decode()},
        {"id": "bad-csr", "class": "meter", "csr": "AAAA"},
        {"id": "no-class"},
        {"id": "till-7", "class": "meter"},
        {"id": "sim", "class": "meter", "iccid": "8944010000000000017"},
        {"id": "taken", "class": "meter"},
        {"id": "meter-12"},
        {"id": "ok-1", "class": "meter"},
        {"id": "bad", "class": "meter", "status": "active"},
    ]
    out = ca.folder / "out"
    out.mkdir()
    (out / "taken.key").write_text("mine")
    file = write(ca, "m.jsonl", *map(json.dumps, lines))
    done = ca.json("cert", "bulk", file, "--out", out, status=1)
    assert (done["issued"], done["done_before"], done["failed"]) == (3, 1, 7)
    failed = list(csv.DictReader((out / "failed.csv").open()))
    assert [(int(x["line"]), x["id"]) for x in failed] == [
        (8, "taken"), (11, ""), (3, "key-of-ok-2"), (4, "bad-csr"),
        (5, "no-class"), (6, "till-7"), (7, "sim")] or sorted(
        int(x["line"]) for x in failed) == [3, 4, 5, 6, 7, 8, 11]
    assert (out / "taken.key").read_text() == "mine"
    assert not (out / "ok-2.key").exists()
    assert sorted(x.name for x in out.iterdir()) == [
        "failed.csv", "meter-12.crt", "meter-12.key", "ok-1.crt", "ok-1.key",
        "ok-2.crt", "taken.key"]
    assert [x["fingerprint"] for x in ca.lines("cert", "list", "ok-2")]
    assert ca.lines("cert", "list", "till-7") == []
    (out / "taken.key").unlink()
    ca.ok("cert", "bulk", write(ca, "n.csv", "id,class", "taken,meter"),
          "--out", out)
    assert not (out / "failed.csv").exists()
    sound(ca)


def test_failed_file_is_a_new_one(ca):
    """What lies under its name is neither followed nor written into."""
    out, other = ca.folder / "out", ca.folder / "other"
    out.mkdir()
    other.write_text("precious")
    (out / "failed.csv.new").symlink_to(other)
    (out / "failed.csv").symlink_to(other)
    file = write(ca, "f.csv", "id,class", "no id,meter")
    assert ca("cert", "bulk", file, "--out", out).returncode == 1
    assert other.read_text() == "precious"
    assert not (out / "failed.csv").is_symlink()
    assert "no device id" in (out / "failed.csv").read_text()


def test_bulk_refused(ca):
    m = manifest(ca, 3)
    revision = ca.revision()
    ca.fails(2, "cert", "bulk", m, says="--out")
    ca.fails(2, "cert", "bulk", m, "--out", "o", "--jobs", "0")
    ca.fails(2, "cert", "bulk", m, "--out", "o", "--key-type", "dsa")
    ca.fails(2, "cert", "bulk", write(ca, "x.csv", "id,status", "a,active"),
             "--out", "o", says="weir device import")
    ca.fails(3, "cert", "bulk", "none.csv", "--out", "o")
    ca.fails(3, "cert", "bulk", m, "--out", "/proc/none")
    ca.fails(3, "--ca", ca.folder / "none", "cert", "bulk", m, "--out", "o")
    ca.fails(3, "--state", ca.folder / "none", "cert", "bulk", m, "--out", "o")
    assert ca.revision() == revision and not (ca.folder / "o").exists()


def start(weir, *args):
    environment = dict(os.environ, HOME=str(weir.folder),
                       WEIR_STATE=str(weir.folder / "state"),
                       WEIR_CA=str(weir.ca))
    return subprocess.Popen([WEIR, *map(str, args)], env=environment,
                            cwd=weir.folder, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def private(out):
    """Keys under any name, from their first byte."""
    for x in (*out.glob("*.key*"), *out.glob("bundle-*")):
        with contextlib.suppress(FileNotFoundError):
            assert stat.S_IMODE(x.stat().st_mode) == 0o600, x


@FORMS
def test_bulk_killed(ca, capsys, form):
    rng, out = random.Random(f"{SEED}{form}"), ca.folder / "out"
    file = manifest(ca, N)
    began, killed = time.monotonic(), 0
    few = N // 20
    ca.ok("cert", "bulk", manifest(ca, few, "few.csv"), "--out", out, *form,
          timeout=max(60, N // 50))
    # Seconds a certificate takes here; each wait is for at most a part of what
    # is left, so that a run seldom ends before the last kill.
    each, there = (time.monotonic() - began) / few, few
    while killed < KILLS:
        run = start(ca, "cert", "bulk", file, "--out", out, *form)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(rng.uniform(0, 0.5 * (N - there) * each /
                                 (KILLS - killed + 1)))
        run.send_signal(signal.SIGKILL)
        _, said = run.communicate()
        assert run.returncode in (0, -signal.SIGKILL), said
        private(out)
        before, there = there, counts(ca)[1]
        assert counts(ca)[0] - 5 == there and before <= there <= N
        if run.returncode == 0:
            break
        killed += 1
        if there == before:
            each *= 1.3
    assert killed > KILLS // 4
    assert there > few
    sound(ca)
    done = ca("--json", "cert", "bulk", file, "--out", out, *form,
              timeout=max(60, N // 50))
    assert done.returncode == 0, done.stderr
    done = json.loads(done.stdout)
    assert done["issued"] + done["done_before"] == N and done["failed"] == 0
    whole(ca, out, N)
    keys_match(ca, out, rng.sample([f"b-{i:06d}" for i in range(N)], 20))
    sound(ca)
    with capsys.disabled():
        print(f"\n    {N} devices, {killed} kills, WEIR_SEED={SEED}: {there} "
              f"were there after the last, {time.monotonic() - began:.0f} s")


def test_import_killed(weir):
    """Any number of devices, or none of them."""
    file = weir.folder / "f.jsonl"
    with file.open("w") as out:
        subprocess.run([REPO / "tests/bench/fleet_file.py", "20000"],
                       check=True, stdout=out)
    rng, pause = random.Random(SEED), threading.Event()
    before = counts(weir)
    for _ in range(KILLS // 2):
        run = start(weir, "device", "import", file)
        pause.wait(rng.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        now = counts(weir)
        assert now in (before, [before[0] + 20000, before[1] + 20000])
        if now != before:
            break
    sound(weir)
    if counts(weir) == before:
        weir.ok("device", "import", file)
    assert counts(weir) == [before[0] + 20000, before[1] + 20000]
    sound(weir)


@FORMS
def test_two_at_once(ca, form):
    out, file = ca.folder / "out", manifest(ca, 3000)
    one = start(ca, "cert", "bulk", file, "--out", out, *form)
    while not list(out.glob("*.*")) and one.poll() is None:
        pass
    ca.fails(3, "cert", "bulk", file, "--out", out, *form,
             says="another weir")
    two = start(ca, "device", "import", write(ca, "f.csv", "id,class",
                                              "imported,meter"))
    assert one.wait() == 0 and two.wait() == 0
    assert counts(ca) == [3006, 3000]
    for run in (one, two):
        run.communicate()
    sound(ca)


# --------------------------------------------------------------- environment


@contextlib.contextmanager
def small_disk(path, kib):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "weir-test",
                    path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@FORMS
def test_full_disk(ca, form):
    file = manifest(ca, 3000)
    with small_disk(ca.folder / "small", 1200 if form else 3000) as out:
        text = ca.fails(3, "cert", "bulk", file, "--out", out, *form,
                        says="No space")
        private(out)
        n = counts(ca)[1]
        assert n < 3000 and f"{n} certificates are issued" in text or n == 0
        have = pairs(out)
        assert len(have) == n and all(key for _, key in have.values())
        assert not list(out.glob("*.new"))
    sound(ca)
    assert counts(ca)[0] == n + 5


@FORMS
def test_full_disk_of_the_registry(ca, form):
    state = ca.folder / "small"
    with small_disk(state, 2000):
        user = ca.ok("--state", state, "init", "--broker-user", "root")
        assert user
        done = subprocess.run(
            [REPO / "tests/bench/fleet_file.py", "9000"], check=True,
            stdout=subprocess.PIPE)
        ca.fails(3, "--state", state, "device", "import", "-",
                 stdin=done.stdout, says="full")
        assert ca.json("--state", state, "status")["registry"]["devices"][
            "active"] == 0
        ca.fails(3, "--state", state, "cert", "bulk", manifest(ca, 20000),
                 "--out", "o", *form, says="full")
        out = ca.folder / "o"
        listed = len(ca.lines("--state", state, "cert", "list"))
        assert len(pairs(out)) == listed
        assert not list(out.glob("*.new"))
        assert ca.json("--state", state, "audit", "verify")["ok"]


def test_read_only(ca):
    file = write(ca, "f.csv", "id,class", "a,meter")
    state = ca.folder / "state"
    subprocess.run(["mount", "--bind", "-o", "ro", state, state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", state], check=True)
        ca.fails(3, "device", "import", file)
        ca.fails(3, "cert", "bulk", file, "--out", "o")
        ca.fails(3, "cert", "import", ca.ca / "ca.crt", "--id-from", "cn",
                 "--class", "meter")
    finally:
        subprocess.run(["umount", state], check=True)
    assert not list(ca.folder.glob("o/*"))
    sound(ca)


def test_export_to_a_full_disk(ca):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [WEIR, "--state", ca.folder / "state", "device", "export"],
            stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 3


# --------------------------------------------------------------- cert import


def elsewhere(folder, name, subject, *more):
    openssl("req", "-new", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-keyout",
            folder / f"{name}.key", "-out", folder / f"{name}.crt", "-subj",
            subject, "-addext", "basicConstraints=critical,CA:FALSE", *more)


def test_cert_import(weir):
    have = weir.folder / "have"
    have.mkdir()
    elsewhere(have, "1", "/CN=dev-1/serialNumber=SN-1", "-addext",
              "subjectAltName=URI:urn:x:dev-1,"
              "URI:urn:gsma:imei:35663806-123451-0")
    elsewhere(have, "2", "/CN=dev-2/serialNumber=SN-2", "-addext",
              "subjectAltName=URI:https://x.example/d/dev-2")
    for id_from, ids in (("cn", ["dev-1", "dev-2"]),
                         ("serialnumber", ["SN-1", "SN-2"]),
                         ("san-uri", ["urn:x:dev-1", "dev-2"])):
        host = other(weir, id_from)
        args = ("cert", "import", have, "--id-from", id_from, "--class",
                "meter")
        assert host.json(*args)["added"] == 2
        assert sorted(x["device_id"] for x in host.lines("cert", "list")) == (
            sorted(ids))
        assert host.json(*args)["there_before"] == 2
        assert host.lines("audit", "list", "-n", "1")[0]["action"] == (
            "cert.import")
        sound(host)


def test_cert_import_refused(weir):
    have = weir.folder / "have"
    have.mkdir()
    args = ("--id-from", "cn", "--class", "meter")
    elsewhere(have, "1", "/CN=dev-1")
    elsewhere(have, "2", "/CN=no id")
    elsewhere(have, "3", "/O=none")
    elsewhere(have, "4", "/CN=server", "-addext", "extendedKeyUsage=serverAuth")
    (have / "5.pem").write_text("nothing")
    revision = weir.revision()
    text = weir.fails(2, "cert", "import", have, *args)
    for n, says in (("2.crt", "no device id"), ("3.crt", "no common name"),
                    ("4.crt", "clientAuth"), ("5.pem", "")):
        assert [x for x in text.splitlines() if n in x and says in x], text
    weir.fails(2, "cert", "import", have / "1.crt", "--id-from", "dn",
               "--class", "meter", says="--id-from")
    weir.fails(2, "cert", "import", have / "1.crt", "--id-from", "cn",
               says="--class")
    weir.fails(3, "cert", "import", have / "none", *args)
    weir.fails(2, "cert", "import", *args)
    assert weir.revision() == revision
    weir.ok("cert", "import", have / "1.crt", *args)
    weir.ok("cert", "revoke", "dev-1")
    weir.fails(2, "cert", "import", have / "1.crt", *args, says="stays so")
