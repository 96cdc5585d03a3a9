# SPDX-License-Identifier: Apache-2.0
"""
Debian's Prometheus beside a weir-feed: it scrapes each second, evaluates the
shipped rules, and is asked over its HTTP API.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request

import harness

SHIPPED = harness.REPO / "broker-conf" / "prometheus"


def promtool(*args, stdin=None):
    return subprocess.run(["promtool", *map(str, args)], input=stdin,
                          capture_output=True, text=True, check=False,
                          timeout=harness.HALF_MINUTE_S)


class Prometheus(harness.Logged):
    """TOKEN: it asks over TLS, as the shipped example's comments say."""

    def __init__(self, feed, token=None):
        super().__init__()
        self.target = f"{feed.host}:{feed.port}"
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=feed.fleet.root))
        # As the broker's port is held.
        self.hold = socket.socket()
        self.hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.hold.bind(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.hold.getsockname()[1]
        shutil.copy(SHIPPED / "weir.rules.yml", self.dir)
        shipped = (SHIPPED / "prometheus.yml").read_text()
        shipped = shipped.replace("127.0.0.1:9782", self.target).replace(
            "_interval: 15s", "_interval: 1s")
        if token is not None:
            for key in ("scheme", "authorization", "tls_config"):
                assert f"# {key}:" in shipped
                shipped = shipped.replace(f"# {key}:", f"{key}:")
            self.token = self.dir / "weir.token"
            self.token.write_text(token)
            shutil.copy(feed.fleet.ca / "ca.crt", self.dir / "weir-ca.crt")
        (self.dir / "prometheus.yml").write_text(shipped)

    def start(self):
        mark = self.mark()
        self.run_logged([
            "prometheus", f"--config.file={self.dir / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.dir / 'data'}",
            f"--web.listen-address={self.url.split('//')[1]}"])
        self.await_log("Server is ready to receive web requests", mark)
        harness.eventually("a first scrape", lambda: self.value("up") == 1)
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            print("\n".join(self.lines[-40:]))
        self.stop()
        self.hold.close()

    def api(self, path, **args):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(args)}"
        with urllib.request.urlopen(url, timeout=harness.DEADLINE_S) as got:
            told = json.load(got)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr):
        """What an instant query gives: {labels: value}, labels as a sorted
        tuple of pairs without the job's own."""
        def key(metric):
            return tuple(sorted((k, v) for k, v in metric.items()
                                if k not in ("__name__", "job", "instance")))
        data = self.api("query", query=expr)
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return {key(x["metric"]): float(x["value"][1])
                for x in data["result"]}

    def value(self, expr):
        """Of the one series that EXPR gives; None: of none."""
        got = self.query(expr)
        assert len(got) < 2, got
        return next(iter(got.values()), None)
