# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a factory and a broker host exchange devices in files. Files are wrong,
a disk is full, an import is killed; no broker.

Question: is a file all in or not at all, does what is exported come back the
same, and does an import give no right back?

Expected: exit status 0 done, 2 what is in the file, 3 environment.

WEIR_BULK_KILLS sets how often an import is killed at most (half of 20),
WEIR_SEED the seed.
"""

import csv
import json
import os
import random
import signal
import subprocess
import threading

import pytest

from cli_support import (REPO, WEIR, counts, make, openssl, other, sound,
                         start, write)

KILLS = int(os.environ.get("WEIR_BULK_KILLS", "20"))
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(2**32)))


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def told(exported):
    """What an import can bring along."""
    gone = ("created_s", "updated_s", "revision")
    return [{k: v for k, v in x.items() if k not in gone} for x in exported]


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


def test_export_to_a_full_disk(weir):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [WEIR, "--state", weir.folder / "state", "device", "export"],
            stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 3
