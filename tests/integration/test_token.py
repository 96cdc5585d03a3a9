# SPDX-License-Identifier: Apache-2.0
"""
Scenario: an operator makes tokens for weir-feed, lists and revokes them; the
registry is from a weir that knew none; a backup from before a revocation is
restored.

Question: what do the commands print, refuse and record, and does a backup
bring a revoked token back in silence?

Expected: a token is printed once, alone; a name is given once; a registry
without tokens lists none and takes the first; whoever accepts a restored
registry is told which tokens are valid in it.
"""

import contextlib
import json
import re
import sqlite3
import subprocess
import time

import pytest

from cli_support import WEIR, make

TOKEN = r"weir_[A-Za-z0-9_-]{43}"


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def sql(weir, text):
    with contextlib.closing(sqlite3.connect(
            f"file:{weir.folder}/state/registry.db?mode=ro", uri=True)) as db:
        return db.execute(text).fetchall()


def test_add_prints_the_token_alone(weir):
    done = weir("token", "add", "ops")
    assert done.returncode == 0 and done.stderr == b""
    assert re.fullmatch(TOKEN + "\n", done.stdout.decode())
    assert weir.ok("token", "add", "other") != done.stdout.decode()


def test_json(weir):
    before = int(time.time())
    added = weir.json("token", "add", "ops", "--rights", "act", "--days", "2")
    now = int(time.time())
    assert set(added) == {"name", "rights", "created_s", "expires_s", "token"}
    assert re.fullmatch(TOKEN, added["token"])
    assert added["name"] == "ops" and added["rights"] == "act"
    assert before <= added["created_s"] <= now
    assert added["expires_s"] == added["created_s"] + 2 * 86400
    other = weir.json("token", "add", "grafana")
    assert other["expires_s"] is None and other["rights"] == "read"
    revoked = weir.json("token", "revoke", "grafana")
    assert set(revoked) == {"name", "revoked_s"}
    assert weir.lines("token", "list") == [
        {"name": "grafana", "rights": "read", "state": "revoked",
         "created_s": other["created_s"], "expires_s": None,
         "revoked_s": revoked["revoked_s"], "revision": weir.revision()},
        {"name": "ops", "rights": "act", "state": "valid",
         "created_s": added["created_s"], "expires_s": added["expires_s"],
         "revoked_s": None, "revision": weir.revision() - 2}]


def test_list_for_people(weir):
    assert weir.ok("token", "list") == ""
    weir.ok("token", "add", "short", "--days", "1")
    with contextlib.closing(sqlite3.connect(
            weir.folder / "state" / "registry.db")) as db, db:
        db.execute("UPDATE token SET expires_s = 5")
    # weir puts back what this program took along: the log beside the file.
    weir.ok("token", "add", "ops")
    lines = [x.split() for x in weir.ok("token", "list").splitlines()]
    assert lines[0] == ["NAME", "RIGHTS", "STATE", "CREATED", "END"]
    assert lines[1][:3] == ["ops", "read", "valid"] and len(lines[1]) == 4
    assert lines[2][:3] == ["short", "read", "expired"]
    assert lines[2][4] == "1970-01-01T00:00:05Z"


@pytest.mark.parametrize("args, says", [
    (["a b"], "is no name for a token"),
    ([""], "is no name for a token"),
    (["x" * 65], "is no name for a token"),
    (["a\nb"], "is no name for a token"),
    (["ops", "--rights", "write"], "--rights 'write' is not read or act"),
    (["ops", "--rights", ""], "is not read or act"),
    (["ops", "--days", "0"], "--days"),
    (["ops", "--days", "36501"], "--days"),
    (["ops", "--days", "-1"], "--days"),
    (["ops", "--days", "soon"], "--days"),
])
def test_add_refuses(weir, args, says):
    before = weir.revision()
    done = weir("token", "add", *args)
    assert done.returncode == 2 and done.stdout == b""
    assert says in done.stderr.decode()
    assert weir.revision() == before and weir.ok("token", "list") == ""


def test_names_are_given_once(weir):
    weir.ok("token", "add", "ops")
    weir.fails(2, "token", "add", "ops", says="a name is given once")
    weir.ok("token", "revoke", "ops")
    weir.fails(2, "token", "revoke", "ops", says="revoked already")
    weir.fails(2, "token", "add", "ops", says="revoked; a name is given once")
    weir.fails(1, "token", "revoke", "OPS", says="there is no token 'OPS'")


def test_nobody_saw_it(weir):
    """What could not be printed is told, and can be ended."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [WEIR, "token", "add", "ops"], stdout=full,
            stderr=subprocess.PIPE, env=weir.environment(), timeout=60)
    assert done.returncode == 3
    assert b"'ops' is committed, and nobody has seen it: weir token revoke" \
        in done.stderr
    weir.ok("token", "revoke", "ops")


def test_audit(weir):
    weir.ok("token", "add", "ops", "--rights", "act")
    weir.ok("token", "revoke", "ops")
    entries = weir.lines("audit", "list", "--action", "token")
    assert [a["action"] for a in entries] == ["token.add", "token.revoke"]
    for a in entries:
        assert a["device_id"] is None
        assert a["detail"].pop("revision") > 0
        assert a["detail"] == {"name": "ops", "rights": "act",
                               "expires_s": None}
    assert weir.json("audit", "verify")["ok"]


def test_registry_of_a_weir_without_tokens(weir):
    """What init makes has no table of tokens either: it is made with the
    first, and an older weir, which does not know it, is at home in it."""
    assert sql(weir, "SELECT name FROM sqlite_schema WHERE name = 'token'") == []
    assert weir.ok("--json", "token", "list") == ""
    weir.fails(1, "token", "revoke", "ops", says="there is no token 'ops'")
    weir.ok("token", "add", "ops")
    assert len(weir.lines("token", "list")) == 1
    assert sql(weir, "SELECT value FROM meta WHERE key = 'schema'") == [("1",)]


def test_neither_exported_nor_imported(weir):
    weir.ok("token", "add", "ops")
    for args in (["device", "export"], ["--json", "device", "export"]):
        assert "ops" not in weir.ok(*args)


def test_backup_brings_it_back_and_says_so(weir):
    """As a revoked certificate is: no token counts until the registry is
    accepted, and who accepts it is told."""
    weir.ok("token", "add", "gone")
    weir.ok("token", "add", "stays", "--rights", "act")
    weir.ok("token", "add", "ended")
    weir.ok("token", "revoke", "ended")
    weir.ok("backup", "b.db")
    weir.ok("token", "revoke", "gone")
    told = weir.json("restore", "b.db", "--yes")
    assert told["accept_needed"] is True
    done = weir("--json", "registry", "accept", "--yes")
    assert done.returncode == 0
    assert json.loads(done.stdout)["tokens"] == ["gone", "stays"]
    said = done.stderr.decode()
    assert "warning: token gone is valid in this registry" in said
    assert "weir token revoke stays" in said and "token ended" not in said
    assert [t["state"] for t in weir.lines("token", "list")] == [
        "revoked", "valid", "valid"]
    weir.ok("token", "revoke", "gone")
