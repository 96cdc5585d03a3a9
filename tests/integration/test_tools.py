# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody tries things out with mosquitto_pub and mosquitto_sub.

Question: do libmosquitto's own tools work with a guarded broker, and do they
say that something was refused, as far as their protocol can tell?

Expected: what is allowed passes and exits 0. A refused connection, and with
MQTT 5 a refused publish or subscription, is said on standard error or by the
exit status; with MQTT 3.1.1 a refused publish looks like a good one.
"""

import subprocess

import pytest

from harness import DEADLINE_S

PROTOCOLS = pytest.mark.parametrize("protocol", ["mqttv311", "mqttv5"])


def command(tool, broker, device, protocol, *args, client_id=None):
    # They write into a pipe in blocks, and one waits for a line.
    return ["stdbuf", "-oL", f"mosquitto_{tool}", "-V", protocol, "-h", "localhost",
            "-p", str(broker.port), "-i", client_id or device.id,
            "--cafile", str(broker.fleet.ca / "ca.crt"),
            "--cert", str(device.crt), "--key", str(device.key), *args]


def run(*args, **kw):
    return subprocess.run(command(*args, **kw), capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)


def published(*args, **kw):
    done = run("pub", *args, **kw)
    return done.returncode, done.stdout + done.stderr


@PROTOCOLS
def test_message_passes(fleet, broker, protocol):
    d, ear = fleet.device("meter"), fleet.device("backend")
    with subprocess.Popen(
            command("sub", broker, ear, protocol, "-t", "m/#", "-q", "1", "-v",
                    "-C", "1", "-d"), stdout=subprocess.PIPE, text=True) as sub:
        for line in sub.stdout:
            if line.startswith("Subscribed"):
                break
        status, said = published(broker, d, protocol, "-t", f"m/{d}/up",
                                 "-m", "21.5", "-q", "1")
        assert (status, said) == (0, "")
        assert f"m/{d}/up 21.5\n" in sub.stdout.read()
        assert sub.wait(DEADLINE_S) == 0


@PROTOCOLS
def test_refused_publish(fleet, broker, protocol):
    d = fleet.device("meter")
    mark = broker.mark()
    _, said = published(broker, d, protocol, "-t", "m/another/up", "-m", "x",
                        "-q", "1")
    broker.refused("publish", "no_rule", mark, device=d)
    if protocol == "mqttv5":
        assert "Not authorized" in said
    else:
        assert said == ""


@PROTOCOLS
def test_refused_subscription(fleet, broker, protocol):
    d = fleet.device("meter")
    done = run("sub", broker, d, protocol, "-t", "m/#", "-C", "1", "-W", "5")
    assert "denied" in (done.stdout + done.stderr).lower(), done


@PROTOCOLS
@pytest.mark.parametrize("tool", ["pub", "sub"])
def test_refused_connection(fleet, broker, protocol, tool):
    d, other = fleet.device("meter"), fleet.device("meter")
    rest = ["-t", "x", "-m", "y"] if tool == "pub" else ["-t", "x"]
    mark = broker.mark()
    done = run(tool, broker, d, protocol, *rest, client_id=other.id)
    assert done.returncode != 0
    assert "not authori" in done.stderr.lower(), done
    broker.refused("connect", "client_id_mismatch", mark, device=d)


def test_request_and_response(fleet, broker):
    """mosquitto_rr: MQTT 5 with a Response-Topic that the device may read."""
    d, ear = fleet.device("meter"), fleet.device("backend")
    asked = command("rr", broker, d, "mqttv5", "-t", f"m/{d}/up", "-e",
                    f"m/{d}/cmd/answer", "-m", "?", "-q", "1", "-W", "10")
    with subprocess.Popen(
            command("sub", broker, ear, "mqttv5", "-t", f"m/{d}/up", "-C", "1",
                    "-d", "-F", "asked %R"), stdout=subprocess.PIPE,
            text=True) as sub:
        for line in sub.stdout:
            if line.startswith("Subscribed"):
                break
        with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as rr:
            assert f"asked m/{d}/cmd/answer" in sub.stdout.read()
            again = published(broker, ear, "mqttv5", "-t", f"m/{d}/cmd/answer",
                              "-m", "42", "-q", "1")
            assert again == (0, "")
            assert rr.stdout.read() == "42\n"
