# SPDX-License-Identifier: Apache-2.0
"""
Scenario: an operator installs weir-feed as a service with the files of
broker-conf/. Question: does systemd understand them, do they shut the daemon
in, and does it live within what they allow? Expected: yes.
"""

import os
import re
import shutil
import socket
import subprocess

import pytest

import feed_support
import harness

UNIT = harness.REPO / "broker-conf" / "weir-feed.service"
DROP_IN = (harness.REPO / "broker-conf" / "mosquitto.service.d" /
           "weir.conf")
SYSUSERS = harness.REPO / "broker-conf" / "weir-feed.sysusers.conf"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def systemd(*args):
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True,
                          timeout=harness.HALF_MINUTE_S, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    """The unit, of the weir-feed that was built."""
    text = UNIT.read_text().replace(
        "/usr/local/bin/weir-feed", str(harness.BUILD / "bin" / "weir-feed"))
    path = tmp_path_factory.mktemp("unit") / "weir-feed.service"
    path.write_text(text)
    return path


@needs_systemd
def test_unit_is_understood(unit):
    status, said = systemd("systemd-analyze", "verify", "--man=no", unit)
    assert (status, said) == (0, "")


@needs_systemd
def test_unit_shuts_it_in(unit):
    """systemd's own measure, 0 to 10: below 2."""
    status, said = systemd("systemd-analyze", "security", "--offline=true",
                           "--threshold=20", unit)
    assert status == 0, said


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None,
                    reason="there is no systemd-sysusers")
def test_sysusers(tmp_path):
    status, said = systemd("systemd-sysusers", "--dry-run",
                           f"--root={tmp_path}", SYSUSERS)
    assert status == 0, said
    for what in ("group 'weir'", "user 'weir-feed'"):
        assert f"Creating {what}" in said, said


def allowed():
    """The system calls that the unit's filters leave."""
    def members(name):
        _, text = systemd("systemd-analyze", "syscall-filter", name)
        calls = set()
        for word in re.findall(r"^    (\S+)$", text, re.M):
            calls |= members(word) if word.startswith("@") else {word}
        return calls
    filters = re.findall(r"^SystemCallFilter=(\S+)$", UNIT.read_text(), re.M)
    assert filters == ["@system-service", "~@privileged", "lchown"]
    return members("@system-service") - members("@privileged") | {"lchown"}


@needs_systemd
@pytest.mark.skipif(
    bool(os.environ.get("ASAN_OPTIONS")),
    reason="a sanitizer makes system calls of its own")
def test_system_calls(own_fleet):
    """What it calls while it starts, serves and stops is within the filter."""
    if shutil.which("strace") is None:
        pytest.fail("strace is missing: tests/support/install.sh tests")
    trace = own_fleet.root / "trace"
    trace.touch()
    trace.chmod(0o666)

    class Traced(feed_support.Feed):
        def command(self):
            command = super().command()
            at = command.index("--") + 1
            return command[:at] + [
                "strace", "-f", "-o", str(trace), "-qq", "--signal=none",
            ] + command[at:]

    with harness.Broker(own_fleet), Traced(own_fleet) as f:
        assert f.get("/api/v1/health").status == 200
        assert f.get("/metrics").status == 200
        token = own_fleet.weir("token", "add", "t").strip()
        assert f.get("/metrics", token=token).status == 200
        mark = trace.stat().st_size
        harness.eventually("some seconds pass",
                           lambda: trace.stat().st_size > mark + 4000)
        # strace is what is stopped otherwise, and takes its child along.
        child = subprocess.run(["pgrep", "-P", str(f.process.pid)],
                               capture_output=True, text=True, check=True)
        os.kill(int(child.stdout), 15)
        assert f.end() == 0
    called = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
    # It is strace's child that was started by these.
    called -= {"execve", "exit_group"}
    assert {"accept4", "poll"} <= called
    assert called <= allowed(), called - allowed()


def test_readiness(own_fleet):
    """Type=notify: it says when it is ready, and when it stops."""
    path = own_fleet.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        path.chmod(0o777)
        s.settimeout(harness.DEADLINE_S)

        class Notifying(feed_support.Feed):
            def command(self):
                return ["env", f"NOTIFY_SOCKET={path}", *super().command()]

        with Notifying(own_fleet) as f:
            assert s.recv(100) == b"READY=1"
            assert f.get("/api/v1/health").status == 200
        assert s.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("of", [UNIT, DROP_IN], ids=["feed", "broker"])
def test_systemd_does_not_give_up(of):
    """By default it does, after five failures in ten seconds; the lane systemd
    has it happen."""
    assert "\nRestart=always\n" in of.read_text()
    head = of.read_text().split("[Service]")[0]
    assert "[Unit]" in head and "\nStartLimitIntervalSec=0\n" in head


def test_wrong_configuration_is_not_tried_again():
    """It exits with 2 then, and with no other fault: test_feed_server.py."""
    assert "\nRestartPreventExitStatus=2\n" in UNIT.read_text()
