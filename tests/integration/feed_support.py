# SPDX-License-Identifier: Apache-2.0
"""
weir-feed beside a fleet: run as the user weir-feed on the fleet's state
directory, at a port of its own, and asked over HTTP.
"""

import contextlib
import http.client
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import harness

HEALTH = "/api/v1/health"
LOCAL = b"Host: localhost\r\n"

USER = "weir-feed"
KEPT = 300 << 20 if os.environ.get("ASAN_OPTIONS") else 0
"""Bytes that have been freed, and that a sanitizer keeps for a while."""


def account():
    """The user that weir-feed runs as; made when it is missing."""
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        # Two test processes may try at once: one of them is first.
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home",
                        "--shell", "/usr/sbin/nologin", USER], check=False,
                       capture_output=True, timeout=harness.HALF_MINUTE_S)
        return pwd.getpwnam(USER)


def readable(fleet, path):
    """A copy that weir-feed's user may read, as an operator gives it."""
    copy = fleet.root / f"feed-{path.name}"
    shutil.copy(path, copy)
    shutil.chown(copy, USER, USER)
    copy.chmod(0o400)
    return str(copy)


def tls(fleet, **more):
    """The configuration of TLS, with the broker's certificate."""
    return {"cert": readable(fleet, fleet.root / "server" / "server.crt"),
            "key": readable(fleet, fleet.server_key), **more}


class Answer:
    def __init__(self, got):
        self.status, self.headers, self.body = got.status, got.headers, got.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def lines(self):
        """Of JSON Lines."""
        return [json.loads(x) for x in self.body.splitlines()]

    def detail(self):
        """Of application/problem+json, which it must be."""
        assert self.headers["Content-Type"] == "application/problem+json"
        told = self.json()
        assert told["status"] == self.status, told
        return told["detail"]


class Reply:
    """What came back over a raw socket: one answer."""

    def __init__(self, stream, method="GET"):
        line = stream.readline().decode()
        assert line.startswith("HTTP/1.1 "), repr(line)
        self.status = int(line.split(" ")[1])
        self.headers = http.client.parse_headers(stream)
        self.body = b""
        if method != "HEAD" and self.status >= 200:
            self.body = stream.read(int(self.headers["Content-Length"]))

    def detail(self):
        assert self.headers["Content-Type"] == "application/problem+json"
        return json.loads(self.body)["detail"]


@contextlib.contextmanager
def talk(feed):
    """A connection: its socket, and a stream to read from."""
    with feed.raw() as s, s.makefile("rb") as stream:
        yield s, stream


def ends(stream):
    """True when the other side has closed, and sent nothing more."""
    try:
        return stream.read(1) == b""
    except ConnectionResetError:
        return True


def rss(feed):
    """Resident bytes of the daemon."""
    with open(f"/proc/{feed.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


class Feed(harness.Logged):
    """A weir-feed. CONFIG becomes its configuration file; ARGS are further
    arguments. It keeps its port when it is started again."""

    def __init__(self, fleet, *args, config=None, listen="127.0.0.1:0"):
        super().__init__()
        self.fleet, self.args, self.listen = fleet, args, listen
        self.user = account()
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=fleet.root))
        self.dir.chmod(0o755)
        self.program = shutil.copy(harness.BUILD / "bin" / "weir-feed",
                                   self.dir)
        # live/ and usage/ become its own.
        fleet.weir("init")
        self.config = None
        if config is not None:
            self.configure(config)
        self.url = self.token = self.tls = self.hold = None

    def configure(self, config):
        self.config = self.dir / "feed.json"
        self.config.write_text(
            config if isinstance(config, str) else json.dumps(config))

    # ------------------------------------------------------------ start, stop

    def command(self):
        gid = os.stat(self.fleet.state).st_gid
        command = ["setpriv", f"--reuid={self.user.pw_uid}",
                   f"--regid={self.user.pw_gid}", f"--groups={gid}", "--",
                   self.program, "--state", str(self.fleet.state)]
        if self.config is not None:
            command += ["--config", str(self.config)]
        if self.listen is not None:
            command += ["--listen", self.listen]
        return command + list(map(str, self.args))

    def spawn(self):
        self.run_logged(self.command())
        return self

    def _hold_port(self):
        """Nobody else is given it while the feed is away: as the broker's."""
        host, port = self.listen.rsplit(":", 1)
        self.hold = socket.socket()
        self.hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.hold.bind((host, int(port)))
        self.listen = f"{host}:{self.hold.getsockname()[1]}"

    def start(self):
        if self.hold is None and (self.listen or "").startswith("127."):
            self._hold_port()
        mark = self.mark()
        self.spawn()
        line = self.await_log('"event":"listening"', mark)
        self.url = json.loads(line)["url"]
        self.host, port = self.url.split("://")[1].rsplit(":", 1)
        self.port = int(port)
        return self

    def fails_to_start(self, status):
        """Starts it, expects it to give up with STATUS, and returns its log."""
        mark = self.mark()
        self.spawn()
        self.await_log(r"^\(end of log\)$", mark)
        assert self.end() == status, self.lines[mark:]
        return "\n".join(self.lines[mark:])

    def close(self):
        if self.process is not None:
            self.stop()
        if self.hold is not None:
            self.hold.close()
            self.hold = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            print("\n".join(self.lines[-60:]))
            if self.process is not None:
                self.end(signal.SIGTERM)
        self.close()

    def log(self, event, mark=0):
        """The lines of EVENT so far, parsed."""
        told = [json.loads(x) for x in self.logged("^{", mark)]
        return [x for x in told if x["event"] == event]

    # ----------------------------------------------------------------- asking

    def connection(self, timeout=harness.DEADLINE_S):
        """An http.client connection; the caller closes it."""
        host = self.host.strip("[]")
        if self.tls is not None:
            return http.client.HTTPSConnection(
                host, self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(host, self.port, timeout=timeout)

    def ask(self, method, path, body=None, token=None, **headers):
        """HEADERS: names with '_' for '-'."""
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        token = token or self.token
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        c = self.connection()
        try:
            c.request(method, path, body=body, headers=headers)
            return Answer(c.getresponse())
        finally:
            c.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def ok(self, path, **more):
        """What a 200 holds, parsed."""
        got = self.get(path, **more)
        assert got.status == 200, got.text
        return got.json()

    def post(self, path, value=None, **more):
        body = b"" if value is None else json.dumps(value).encode()
        more.setdefault("Content_Type", "application/json")
        return self.ask("POST", path, body=body, **more)

    def raw(self, timeout=harness.DEADLINE_S, receive=None):
        """A socket to it, TLS included; the caller closes it. RECEIVE: bytes
        that the kernel takes for it while it does not read."""
        host = self.host.strip("[]")
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.settimeout(timeout)
        if receive is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.connect((host, self.port))
        if self.tls is None:
            return s
        return self.tls.wrap_socket(s, server_hostname=host)

    def trust(self, device=None):
        """From now on asks over TLS: trusts the fleet's CA, and shows DEVICE's
        certificate."""
        self.tls = ssl.create_default_context(
            cafile=self.fleet.ca / "ca.crt")
        if device is not None:
            self.tls.load_cert_chain(device.crt, device.key)
        return self
