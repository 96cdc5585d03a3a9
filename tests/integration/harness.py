# SPDX-License-Identifier: Apache-2.0
"""
What the tests with a real broker share: a Fleet (state directory, CA, policy,
devices, certificates) and a Broker (mosquitto as the user mosquitto, run from
broker-conf/mosquitto.conf). Clients are in clients.py.

Nothing here retries or sleeps: what takes time is awaited under a deadline.
"""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import cli_support

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", REPO / "build")).resolve()
PREFIX = os.environ.get("WEIR_MOSQUITTO_PREFIX")
"""Where another Mosquitto than the system's is installed."""

MOSQUITTO = (f"{PREFIX}/sbin/mosquitto" if PREFIX else
             shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"))
REALTIME = os.environ.get("WEIR_HOSTILE_REALTIME") == "1"
"""The hostile tests measure: see measured.py."""

DEADLINE_S = 20
"""How long anything may take that is expected to come: a loaded machine under
a sanitizer is slow. Whatever must be quick is measured, not timed out."""

HALF_MINUTE_S = 30


def eventually(what, check, timeout=DEADLINE_S):
    """Asks CHECK until it gives something true, and returns that. For state
    that can only be asked for; whatever can be waited for is."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        got = check()
        if got:
            return got
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        pause.wait(0.02)


def memory_of(pid):
    """All that process PID could write in its memory."""
    parts = []
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for begin, end in re.findall(r"^(\w+)-(\w+) rw", maps, re.M):
            mem.seek(int(begin, 16))
            parts.append(mem.read(int(end, 16) - int(begin, 16)))
    return b"|".join(parts)


def broker_version():
    """The broker's, as (2, 0, 11)."""
    # It says so beside its usage, and ends as if that had been an error.
    told = subprocess.run([MOSQUITTO, "-h"], capture_output=True, text=True,
                          timeout=HALF_MINUTE_S, check=False)
    return tuple(map(int, re.match(r"mosquitto version ([\d.]+)",
                                   told.stdout)[1].split(".")))


VERSION = broker_version()

READ_AHEAD = 4096 if VERSION >= (2, 1) else 0
"""Bytes that the broker has of a connection (packet_buffer_size) beside what the
packets that it serves take: the plugin cannot throw them away."""


def go_first(pid, priority, cpu=None):
    """Lets a process run before all that share the machine with it, those of a
    lower priority included (SCHED_FIFO), and on one processor of it."""
    for task in map(int, os.listdir(f"/proc/{pid}/task")):
        if cpu is not None:
            os.sched_setaffinity(task, {cpu})
        os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(priority))


def stamp(offset_s):
    """A time from now, as OpenSSL's configuration writes it."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + offset_s))


class Device:
    """An id, and files of a certificate and its key."""

    def __init__(self, id, crt=None, key=None):
        self.id, self.crt, self.key = id, crt, key

    def __str__(self):
        return self.id


class Fleet:
    """A registry, a CA and devices, all through the weir command."""

    def __init__(self, policy, *ca_args):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="weir-test."))
        # The broker's user passes through, and lists nothing.
        self.root.chmod(0o711)
        self.state, self.ca = self.root / "state", self.root / "ca"
        self.certs = self.root / "certs"
        self.certs.mkdir()
        self.n = 0
        self.weir("init")
        self.weir("ca", "init", "--name", "Test", *ca_args)
        self.weir("ca", "server", "--host", "localhost", "--ip", "127.0.0.1",
                  "--out", self.root / "server")
        self.server_key = self.root / "server" / "server.key"
        shutil.chown(self.server_key, "mosquitto", "mosquitto")
        self.server_key.chmod(0o400)
        self.apply(policy)

    def remove(self):
        shutil.rmtree(self.root)

    # ------------------------------------------------------------ the command

    def run(self, *args, stdin=None):
        env = dict(os.environ, WEIR_STATE=str(self.state),
                   WEIR_CA=str(self.ca), HOME=str(self.root))
        return subprocess.run([BUILD / "bin" / "weir", *map(str, args)],
                              env=env, input=stdin, timeout=HALF_MINUTE_S,
                              capture_output=True, text=True, check=False)

    def weir(self, *args, status=0):
        done = self.run(*args)
        assert done.returncode == status, (args, done.stdout, done.stderr)
        return done.stdout

    def json(self, *args, status=0):
        return json.loads(self.weir("--json", *args, status=status))

    def status(self):
        return self.json("status")

    def explain(self, id, *args):
        """The reason that weir explain gives; its status must agree."""
        done = self.run("--json", "explain", id, *args)
        told = json.loads(done.stdout)
        allowed = told["verdict"] == "allowed"
        assert done.returncode == (0 if allowed else 1), done.stderr
        return told["reason"]

    def seen(self, action):
        """What was observed of the action: the topics of each device."""
        topics = {}
        for line in self.weir("--json", "policy", "seen").splitlines():
            told = json.loads(line)
            if told["action"] == action:
                topics.setdefault(told["device"], set()).add(told["topic"])
        return topics

    def apply(self, policy, *args):
        path = self.root / "policy.json"
        path.write_text(json.dumps(policy))
        return self.weir("policy", "apply", path, "--yes", *args)

    def device(self, cls, *args, cert=(), id=None):
        """A new device of the class, with a certificate unless CERT is None
        (else arguments for cert issue)."""
        self.n += 1
        id = id or f"{cls}-{self.n}"
        self.weir("device", "add", id, "--class", cls, *args)
        if cert is None:
            return Device(id)
        self.weir("cert", "issue", id, "--out", self.certs, *cert)
        return Device(id, self.certs / f"{id}.crt", self.certs / f"{id}.key")

    # ------------------------------------- certificates that weir never makes

    def openssl(self, *args, stdin=None):
        done = subprocess.run(["openssl", *map(str, args)], input=stdin,
                              capture_output=True, timeout=HALF_MINUTE_S,
                              check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def sign(self, cn, begin_s=-300, end_s=86400, extensions="",
             subject=None, key=None):
        """A certificate of the CA with any content, by the openssl tool:
        valid from and to seconds from now, EXTENSIONS as lines of its
        configuration, KEY another device's or a new one."""
        self.n += 1
        base = self.certs / f"made-{self.n}"
        if key is None:
            key = base.with_suffix(".key")
            self.openssl("ecparam", "-name", "prime256v1", "-genkey",
                         "-noout", "-out", key)
        conf, index = base.with_suffix(".cnf"), base.with_suffix(".index")
        index.touch()
        conf.write_text(
            "[ca]\ndefault_ca = this\n[this]\n"
            f"database = {index}\nnew_certs_dir = {self.certs}\n"
            "default_md = sha256\nrand_serial = yes\npolicy = any\n"
            "unique_subject = no\nemail_in_dn = no\nx509_extensions = ext\n"
            "[any]\norganizationName = optional\nserialNumber = optional\n"
            "commonName = supplied\n"
            "[ext]\nkeyUsage = critical,digitalSignature\n"
            f"extendedKeyUsage = clientAuth\n{extensions}\n")
        csr, crt = base.with_suffix(".csr"), base.with_suffix(".crt")
        self.openssl("req", "-new", "-key", key, "-out", csr, "-subj",
                     subject or f"/O=Test/CN={cn}")
        self.openssl("ca", "-batch", "-notext", "-config", conf, "-in", csr,
                     "-out", crt, "-cert", self.ca / "ca.crt", "-keyfile",
                     self.ca / "ca.key", "-startdate", stamp(begin_s),
                     "-enddate", stamp(end_s))
        return Device(cn, crt, key)

    def add_cert(self, id, made):
        self.weir("cert", "add", id, "--cert", made.crt)
        return Device(str(id), made.crt, made.key)

    def force_cert(self, like, made):
        """Registers what weir refuses to: a second credential of the device
        LIKE, as its first but for the fingerprint."""
        fingerprint = self.fingerprint(made)
        columns = ("spki, device_id, serial, issuer, not_before_s, "
                   "not_after_s, revision")
        self.sql(f"INSERT INTO credential (fingerprint, status, revoked_s, "
                 f"reason, {columns}) SELECT ?, 'active', 0, '', {columns} "
                 f"FROM credential WHERE device_id = ? LIMIT 1",
                 bytes.fromhex(fingerprint), like.id)
        return Device(like.id, made.crt, made.key)

    def fingerprint(self, device):
        told = self.openssl("x509", "-in", device.crt, "-noout",
                            "-fingerprint", "-sha256").decode()
        return told.strip().split("=")[1].replace(":", "").lower()

    def sql(self, text, *values):
        """Changes the registry behind the command's back."""
        cli_support.edit(self.state / "registry.db", text, *values)


@contextlib.contextmanager
def websockets(fleet):
    """A WebSocket listener: its port, and the lines of configuration."""
    # Mosquitto 2.0 gives it every address, whatever the configuration says, so
    # that is what must be free, and stay so.
    with contextlib.closing(socket.socket(socket.AF_INET6)) as hold:
        hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hold.bind(("::", 0))
        port = hold.getsockname()[1]
        ca = fleet.root / "web-ca.crt"
        ca.write_bytes((fleet.ca / "ca.crt").read_bytes())
        ca.chmod(0o644)
        yield port, (
            f"listener {port} 127.0.0.1\nprotocol websockets\ncafile {ca}\n"
            f"certfile {fleet.root / 'server' / 'server.crt'}\n"
            f"keyfile {fleet.server_key}\nrequire_certificate true\n")


class Logged:
    """A process of ours whose log, its standard error, is read as it comes."""

    def __init__(self):
        self.lines = []
        self.cond = threading.Condition()
        self.process = None

    def run_logged(self, command, **more):
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE,
                                        cwd="/", text=True, errors="replace",
                                        **more)
        self.reader = threading.Thread(target=self._read,
                                       args=(self.process.stderr,))
        self.reader.start()

    def _read(self, stream):
        for line in stream:
            with self.cond:
                self.lines.append(line.rstrip("\n"))
                self.cond.notify_all()
        with self.cond:
            self.lines.append("(end of log)")
            self.cond.notify_all()

    def end(self, sig=None):
        if sig is not None:
            self.process.send_signal(sig)
        status = self.process.wait(timeout=HALF_MINUTE_S)
        self.reader.join(timeout=HALF_MINUTE_S)
        self.process.stderr.close()
        self.process = None
        return status

    def stop(self):
        assert self.end(signal.SIGTERM) == 0, self.lines[-20:]

    def kill(self):
        self.end(signal.SIGKILL)

    # -------------------------------------------------------------------- log

    def mark(self):
        with self.cond:
            return len(self.lines)

    def await_log(self, pattern, mark=0, timeout=DEADLINE_S):
        """The first line from MARK on that matches, or fails."""
        rx, end, at = re.compile(pattern), time.monotonic() + timeout, mark
        with self.cond:
            while True:
                for at in range(at, len(self.lines)):
                    if rx.search(self.lines[at]):
                        return self.lines[at]
                    assert self.lines[at] != "(end of log)", (
                        f"it ended before: {pattern}\n"
                        + "\n".join(self.lines[mark:]))
                at = len(self.lines)
                left = end - time.monotonic()
                assert left > 0, (f"no line in {timeout} s: {pattern}\n"
                                  + "\n".join(self.lines[mark:]))
                self.cond.wait(left)

    def logged(self, pattern, mark=0):
        with self.cond:
            return [x for x in self.lines[mark:] if re.search(pattern, x)]


class Broker(Logged):
    """A mosquitto on a loopback port of its own, run as mosquitto."""

    def __init__(self, fleet, state=None, extra="", **directives):
        super().__init__()
        self.fleet = fleet
        # Bound and never listening: nobody else is given the port, and the
        # broker, which sets SO_REUSEADDR too, can have it.
        self.hold = socket.socket()
        self.hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.hold.bind(("127.0.0.1", 0))
        self.port = self.hold.getsockname()[1]
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=fleet.root))
        shutil.copy(BUILD / "lib" / "mosquitto_weir.so", self.dir)
        (self.dir / "persistence").mkdir()
        shutil.chown(self.dir / "persistence", "mosquitto", "mosquitto")
        self.dir.chmod(0o755)
        values = {
            "listener": f"{self.port} 127.0.0.1",
            "cafile": fleet.ca / "ca.crt",
            "certfile": fleet.root / "server" / "server.crt",
            "keyfile": fleet.server_key,
            "persistence_location": self.dir / "persistence",
            "plugin": self.dir / "mosquitto_weir.so",
            "plugin_opt_state": state or fleet.state,
            **directives}
        # The CA's folder is closed to the broker's user; its certificate is
        # what an operator copies out of it.
        values["cafile"] = shutil.copy(values["cafile"], self.dir)
        shipped = (REPO / "broker-conf" / "mosquitto.conf").read_text()
        derived = subprocess.run(
            [REPO / "tests" / "support" / "derive_conf.sh",
             *(f"{k} {v}" for k, v in values.items())],
            input=shipped, capture_output=True, text=True, check=False)
        assert derived.returncode == 0, derived.stderr
        self.conf = self.dir / "mosquitto.conf"
        self.conf.write_text(derived.stdout + extra)

    @classmethod
    def bare(cls, fleet):
        """Without the plugin: it admits whoever has a certificate of the CA,
        and passes everything."""
        b = cls(fleet, allow_anonymous="true")
        b.conf.write_text("".join(
            x for x in b.conf.read_text().splitlines(True)
            if not x.startswith("plugin")))
        return b

    # ------------------------------------------------------------ start, stop

    def spawn(self):
        """Starts it and its log's reader, and waits for nothing."""
        user = pwd.getpwnam("mosquitto")
        # By setpriv, not by the broker's own change of user: after the latter
        # the kernel forbids the leak checker to look.
        command = ["setpriv", f"--reuid={user.pw_uid}",
                   f"--regid={user.pw_gid}", "--init-groups", "env"]
        preload = os.environ.get("WEIR_BROKER_PRELOAD")
        if preload:
            command.append(f"LD_PRELOAD={preload}")
        command += os.environ.get("WEIR_BROKER_WRAPPER", "").split()
        command += [MOSQUITTO, "-c", str(self.conf)]
        self.run_logged(command)
        return self

    def start(self):
        mark = self.mark()
        self.spawn()
        self.await_log(r"mosquitto version \S+ running$", mark)
        self.turn()
        return self

    def turn(self):
        """Waits for a turn of its loop: Mosquitto 2.0 loses a signal that
        comes before the first one, or while it reloads."""
        mark = self.mark()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self.await_log("(New|Client) connection from 127.0.0.1", mark)

    def fails_to_start(self):
        """Starts it, expects it to give up, and returns its log."""
        mark = self.mark()
        self.spawn()
        self.await_log(r"^\(end of log\)$", mark)
        assert self.end() != 0
        return "\n".join(self.lines[mark:])

    def reload(self):
        mark = self.mark()
        self.process.send_signal(signal.SIGHUP)
        self.await_log(r"Reloading config\.", mark)
        self.turn()

    def close(self):
        if self.process is not None:
            self.stop()
        self.hold.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            print("\n".join(self.lines[-60:]))
        self.close()

    # -------------------------------------------------------------------- log

    def refused(self, action, reason, mark=0, **fields):
        """The line of a refusal, as a dict of its fields."""
        need = "".join(rf"(?=.* {k}={re.escape(str(v))}( |$))"
                       for k, v in {"reason": reason, **fields}.items())
        line = self.await_log(rf"weir: refused {action}{need}", mark)
        return dict(x.split("=", 1) for x in
                    line.split(f"refused {action} ")[1].split(" "))

    def applied(self):
        """Waits until all that the registry asks for is in force."""
        def done():
            s = self.fleet.status()
            return (s["broker"]["applied_change"]
                    == s["registry"]["change_seq"]
                    and s["broker"]["policy_revision"]
                    == s["registry"]["policy_revision"])
        eventually("the registry is in force", done)
