# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a factory makes certificates for thousands of devices at once. Its
manifest is wrong, disks are full, commands are killed or run twice; no broker.

Question: after any number of kills, has each device of a manifest one
certificate, whose key lies beside it?

Expected: exit status 0 done, 1 a run with failures, 2 what is in the file, 3
environment; exactly as many devices and certificates as lines.

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
import stat
import subprocess
import time

import pytest

from cli_support import (REPO, counts, make, openssl, other, rows, sound,
                         start, write)

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
