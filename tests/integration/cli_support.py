# SPDX-License-Identifier: Apache-2.0
"""The weir command on a state directory and a CA of its own."""

import contextlib
import json
import os
import pathlib
import pty
import pwd
import sqlite3
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.path.join(os.environ.get("WEIR_BUILD", REPO / "build"), "bin", "weir")
EXAMPLE = REPO / "examples" / "first-light"


def account():
    """A user that init can take for the broker's: the one we are."""
    return pwd.getpwuid(os.geteuid()).pw_name


def edit(db, text, *values):
    """Changes the registry DB behind the command's back."""
    # The last to close the file would take -wal and -shm away, which readers
    # need.
    with contextlib.closing(
            sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as keep:
        keep.execute("SELECT count(*) FROM device").fetchone()
        with contextlib.closing(sqlite3.connect(db)) as con:
            con.execute(text, values)
            con.commit()


class Weir:
    """The command, run on a state directory and a CA in FOLDER."""

    def __init__(self, folder):
        self.folder = folder
        self.state, self.ca = folder / "state", folder / "ca"

    def environment(self):
        return dict(os.environ, HOME=str(self.folder),
                    WEIR_STATE=str(self.state), WEIR_CA=str(self.ca))

    def __call__(self, *args, stdin=b"", timeout=60, env=None, **more):
        return subprocess.run(
            [WEIR, *map(str, args)], input=stdin, cwd=self.folder,
            env=self.environment() | (env or {}), timeout=timeout,
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE, **more)

    def ok(self, *args, **more):
        done = self(*args, **more)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *args, status=0, **more):
        done = self("--json", *args, **more)
        assert done.returncode == status, done.stderr.decode()
        return json.loads(done.stdout)

    def lines(self, *args):
        return [json.loads(x) for x in self.ok("--json", *args).splitlines()]

    def fails(self, status, *args, says="", **more):
        done = self(*args, **more)
        text = done.stderr.decode()
        assert done.returncode == status, (done.stdout, text)
        assert text.startswith("weir: ") or "\nweir: " in text
        assert says in text, text
        return text

    def sql(self, text, *values):
        edit(self.state / "registry.db", text, *values)

    def revision(self):
        return self.json("status")["registry"]["revision"]

    def change_seq(self):
        return self.json("status")["registry"]["change_seq"]

    def actions(self):
        return [a["action"] for a in self.lines("audit", "list", "-n", "all")]


def make(folder):
    """A registry with the example's policy and devices."""
    w = Weir(folder)
    w.ok("init", "--broker-user", account())
    w.ok("policy", "apply", EXAMPLE / "policy.json")
    for device, more in (
            ("till-7", ["--class", "payment-terminal",
                        "--iccid", "8944010000000000017",
                        "--imei", "356638061234511"]),
            ("till-8", ["--class", "payment-terminal",
                        "--iccid", "8944010000000000025",
                        "--imei", "356638061234529"]),
            ("meter-12", ["--class", "meter", "--attr", "zone=north",
                          "--attr", "zone=south",
                          "--iccid", "8944010000000000033"]),
            ("meter-13", ["--class", "meter"]),
            ("ledger", ["--class", "backend"])):
        w.ok("device", "add", device, *more)
    return w


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


def start(weir, *args):
    environment = dict(os.environ, HOME=str(weir.folder),
                       WEIR_STATE=str(weir.folder / "state"),
                       WEIR_CA=str(weir.ca))
    return subprocess.Popen([WEIR, *map(str, args)], env=environment,
                            cwd=weir.folder, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def typed(weir, text, *args):
    """WEIR run with ARGS on a terminal of its own, where TEXT is typed once it
    has written something: its exit status, and all that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(weir.folder)
        os.execve(WEIR, [WEIR, *map(str, args)], weir.environment())
    shown = b""
    try:
        while True:
            more = os.read(terminal, 4096)
            if not more:
                break
            if not shown:
                os.write(terminal, text.encode())
            shown += more
    except OSError:  # EIO: it has ended
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def openssl(*args, **more):
    return subprocess.run(["openssl", *map(str, args)], check=True,
                          capture_output=True, timeout=60, **more).stdout
