# SPDX-License-Identifier: Apache-2.0
"""
live.db as weir-feed writes it, and as somebody writes it who has become
weir-feed.
"""

import os
import shutil
import sqlite3
import time

import feed_support
from harness import eventually

SCHEMA = """
CREATE TABLE quarantine (device_id TEXT PRIMARY KEY NOT NULL, since_s INTEGER \
NOT NULL, until_s INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL, \
change INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_until ON quarantine (until_s) WHERE until_s <> 0;
CREATE TABLE action (change INTEGER PRIMARY KEY, t_s INTEGER NOT NULL, actor \
TEXT NOT NULL, action TEXT NOT NULL CHECK (action IN ('quarantine', \
'release')), device_id TEXT NOT NULL, reason TEXT NOT NULL, until_s INTEGER \
NOT NULL) STRICT;
PRAGMA user_version = 1;
"""


class Live:
    """Stays open, so that SQLite leaves the files beside it where they are."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.user = feed_support.account()
        fleet.weir("init")
        self.path = fleet.state / "live" / "live.db"
        self.db = None
        self.make()

    def make(self):
        """Makes it anew in a file of its own, which then takes the place of
        what is there."""
        self.close()
        fresh = self.path.with_name("fresh.db")
        db = sqlite3.connect(fresh, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        db.close()
        for more in ("-wal", "-shm"):
            self.beside(more).unlink(missing_ok=True)
            self.beside(more).touch()
        self.own(fresh)
        os.rename(fresh, self.path)
        self.open()

    def beside(self, more):
        return self.path.with_name(self.path.name + more)

    def own(self, path):
        gid = os.stat(self.fleet.state).st_gid
        os.chown(path, self.user.pw_uid, gid, follow_symlinks=False)
        os.chmod(path, 0o640)

    def open(self):
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("SELECT * FROM action LIMIT 1").fetchall()
        for path in (self.path, self.beside("-wal"), self.beside("-shm")):
            self.own(path)

    def close(self):
        if self.db is not None:
            self.db.close()
        self.db = None

    def remove(self):
        self.close()
        for more in ("", "-wal", "-shm"):
            path = self.beside(more)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    # ---------------------------------------------------------------- actions

    def act(self, action, ids, until_s=0, reason="odd"):
        ids = [str(x) for x in ids]
        now = int(time.time())
        self.db.execute("BEGIN IMMEDIATE")
        for id in ids:
            change = self.db.execute(
                "INSERT INTO action (t_s, actor, action, device_id, reason, "
                "until_s) VALUES (?, 'token ops', ?, ?, ?, ?)",
                (now, action, id, reason, until_s)).lastrowid
            if action == "quarantine":
                self.db.execute(
                    "INSERT OR REPLACE INTO quarantine VALUES "
                    "(?, ?, ?, ?, 'token ops', ?)",
                    (id, now, until_s, reason, change))
            else:
                self.db.execute("DELETE FROM quarantine WHERE device_id = ?",
                                (id,))
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return change

    def quarantine(self, *ids, **more):
        return self.act("quarantine", ids, **more)

    def release(self, *ids):
        return self.act("release", ids)

    def applied(self, change=None):
        """Waits until the broker has it in force."""
        def done():
            s = self.fleet.status()
            return (s["broker"]["applied_live"]
                    == (s["live"]["change"] if change is None else change))
        eventually("live.db is in force", done)
