# SPDX-License-Identifier: Apache-2.0
"""
A Debian 12 of its own, booted by systemd-nspawn: its own systemd, users, /run,
processes and loopback, and no other network. What it needs is fetched once,
by debootstrap, and kept in build-systemd/; each Machine is a copy.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

import harness

MIRROR = os.environ.get("WEIR_DEBIAN_MIRROR", "http://deb.debian.org/debian")
KEPT = harness.REPO / "build-systemd"

PACKAGES = [
    "systemd", "systemd-sysv", "dbus",
    "mosquitto", "mosquitto-clients",
    # what weir, weir-feed and the plugin are linked with
    "libwebsockets17", "libcjson1", "libsqlite3-0", "libssl3",
    # what the commands of docs/OPERATIONS.md and the tests call
    "curl", "procps", "util-linux",
]

BOOT_S = 120
"""How long a boot may take on a machine that has other work."""

REBOOTED = 133
"""nspawn's exit status when it leaves starting again to whoever started it."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def told(command, timeout=600):
    """Runs COMMAND of this machine; what it said is in the failure."""
    done = subprocess.run(list(map(str, command)), capture_output=True,
                          text=True, timeout=timeout, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def fetched():
    """The folder of the Debian that every machine is a copy of."""
    what = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    base = KEPT / f"bookworm-{what}"
    if not base.is_dir():
        part = KEPT / f"part-{os.getpid()}"
        KEPT.mkdir(exist_ok=True)
        try:
            told(["debootstrap", "--variant=minbase",
                  "--include=" + ",".join(PACKAGES), "bookworm", part, MIRROR])
            part.rename(base)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return base


class Machine:
    """Boots with `with`; `run` runs inside, as root."""

    def __init__(self):
        self.root = KEPT / f"machine-{os.getpid()}"
        self.name = f"weir-{os.getpid()}"
        self.process = None

    def __enter__(self):
        try:
            told(["cp", "-a", "--reflink=auto", fetched(), self.root])
            # Here names would be looked up for seconds.
            (self.root / "etc" / "resolv.conf").unlink(missing_ok=True)
            (self.root / "etc" / "hostname").write_text("broker\n")
            (self.root / "etc" / "hosts").write_text(
                "127.0.0.1 localhost broker broker.example.net\n::1 localhost\n")
            told(["env", f"DESTDIR={self.root}", "cmake", "--install",
                  harness.BUILD])
            self.spawn()
            self.await_boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            # nspawn shuts the machine down.
            self.process.terminate()
            try:
                self.process.wait(BOOT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)
        pathlib.Path(f"{self.root}.log").unlink(missing_ok=True)

    def spawn(self):
        command = ["systemd-nspawn", "--quiet", "-D", self.root, "--boot",
                   "--private-network", "--register=no", "--console=pipe",
                   f"--machine={self.name}"]
        # Where systemd does not run there is nobody to ask for a scope.
        if not pathlib.Path("/run/systemd/system").is_dir():
            command.append("--keep-unit")
        with open(f"{self.root}.log", "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)

    def leader(self):
        """The process 1 of inside, or None. What nspawn starts before that is in
        this machine still: nothing may be run there."""
        children = pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            child = children.read_text().split()[0]
            inside = os.readlink(f"/proc/{child}/ns/pid") != \
                os.readlink("/proc/self/ns/pid")
            return child if inside else None
        except (OSError, IndexError):
            return None

    def await_boot(self):
        def booted():
            assert self.process.poll() is None, \
                pathlib.Path(f"{self.root}.log").read_text()
            status, state = self.ask("systemctl", "is-system-running")
            return status == 0 or state.strip() == "degraded"
        harness.eventually("it has booted", booted, BOOT_S)

    def reboot(self):
        """Nothing is asked while it goes down: a command that is inside then has
        nobody to answer it, or to reap it."""
        before = self.leader()

        def another():
            if self.process.poll() == REBOOTED:
                self.spawn()
            return self.leader() not in (None, before)
        self.run("systemctl", "reboot")
        harness.eventually("it begins anew", another, BOOT_S)
        self.await_boot()

    def ask(self, *command, text=None, timeout=harness.HALF_MINUTE_S):
        """Runs COMMAND inside, as root: its status, and what it said."""
        leader = self.leader()
        if leader is None:
            return 255, "nspawn has no process\n"
        done = subprocess.run(
            ["nsenter", "-t", leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r",
             "--wdns=/root", "--", "env", "-i", f"PATH={PATH}", "HOME=/root",
             "LANG=C.UTF-8", *map(str, command)],
            input=text, capture_output=True, text=True, timeout=timeout,
            check=False)
        return done.returncode, done.stdout + done.stderr

    def run(self, *command, **more):
        """As ask; what it said, once it has succeeded."""
        status, said = self.ask(*command, **more)
        assert status == 0, f"{' '.join(map(str, command))}: {status}: {said}"
        return said

    def script(self, lines, **more):
        """Runs LINES of shell where the documents were installed."""
        return self.run("bash", "-euc",
                        "cd /usr/local/share/doc/weir\n" + lines, **more)

    def unit(self, unit, key):
        return self.run("systemctl", "show", "--value", "-p", key, unit).strip()

    def put(self, path, text, mode=0o644):
        at = self.root / str(path).lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        at.chmod(mode)
