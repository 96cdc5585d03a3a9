# SPDX-License-Identifier: Apache-2.0
"""
Scenario: an operator has followed docs/OPERATIONS.md on a Debian 12; the broker and
weir-feed run as services of systemd. Question: do they live as services should:
ready when systemd says so, stopped in time, back after a crash, a fault or a
reboot? Expected: yes. The tests stand in the order of a service's life.
"""

import json
import time

import pytest

import guide
import harness


def pid(m, unit):
    return int(m.unit(unit, "MainPID"))


def runs(m, unit):
    return m.unit(unit, "ActiveState") == "active"


def broker_status(m):
    return json.loads(m.run("weir", "--json", "status"))


def eventually(what, check):
    """What systemd starts again, it starts after a second or more."""
    return harness.eventually(what, check, 60)


def tries(m, unit, n):
    """Awaits that systemd has started UNIT again N times more."""
    before = int(m.unit(unit, "NRestarts"))
    eventually(f"{unit} is tried {n} times more",
               lambda: int(m.unit(unit, "NRestarts")) >= before + n)


@pytest.fixture(scope="module")
def token(machine):
    return machine.run("weir", "token", "add", "tests", "--rights",
                       "act").strip()


@pytest.fixture(scope="module")
def sensor(machine):
    guide.device(machine, "sensor-1")
    return "sensor-1"


# ------------------------------------------------------------------ it is there

def test_page_leads_to_a_running_service(machine):
    for unit in ("mosquitto", "weir-feed"):
        assert machine.unit(unit, "ActiveState") == "active"
        assert machine.unit(unit, "UnitFileState") == "enabled"
        assert machine.unit(unit, "NRestarts") == "0"
    assert broker_status(machine)["broker"]["state"] == "running"


def test_doctor_has_nothing_to_say(machine):
    """But that the CA's key is on the machine, which is so here."""
    said = machine.run("weir", "doctor", "--json", "--broker-conf",
                       "/etc/mosquitto/mosquitto.conf")
    found = [json.loads(line) for line in said.splitlines()]
    assert [f["check"] for f in found if f["severity"] != "note"] == []


def test_ready_is_ready(machine, measured):
    """Type=notify: it serves when `systemctl start` has returned."""
    machine.run("systemctl", "stop", "weir-feed")
    assert guide.health(machine) is None
    began = time.monotonic()
    machine.run("systemctl", "start", "weir-feed")
    measured("weir-feed is ready after", f"{time.monotonic() - began:.2f} s")
    assert guide.well(machine)


def test_device_shows_up(machine, sensor):
    status, said = guide.publish(machine, sensor)
    assert (status, said) == (0, "")
    eventually("the feed has counted it",
               lambda: guide.counted(machine, sensor)["messages_in"] == 1)
    listed = guide.get(machine, "/devices")["devices"]
    assert [d["device"]["id"] for d in listed] == [sensor]


def test_stranger_does_not_get_in(machine, sensor):
    machine.run("weir", "cert", "revoke", sensor, "--wait", "20s")
    status, said = guide.publish(machine, sensor)
    assert status != 0 and "ot authori" in said, (status, said)
    machine.run("rm", "-r", "/root/devices")
    machine.run("weir", "cert", "issue", sensor, "--out", "/root/devices")
    assert guide.publish(machine, sensor)[0] == 0


# ------------------------------------------------------------------- quarantine

def test_quarantine_reaches_the_broker(machine, token, sensor):
    """weir-feed writes live.db within its unit, the broker reads it in its own."""
    done, answer = guide.post(machine, token,
                              f"/devices/{sensor}/quarantine", {"for_s": 3600})
    assert done == 200, answer
    eventually("it is in force", lambda: [
        q["in_force"] for q in guide.get(machine, "/quarantines")["quarantines"]
    ] == [True])
    before = guide.counted(machine, sensor)
    guide.publish(machine, sensor)
    after = eventually("it is counted", lambda: [
        c for c in [guide.counted(machine, sensor)]
        if c["refused_publishes"] > before["refused_publishes"]])[0]
    assert after["messages_in"] == before["messages_in"]


# ---------------------------------------------------------------- stop and fall

def test_stop_is_graceful(machine, measured):
    began = time.monotonic()
    machine.run("systemctl", "stop", "weir-feed")
    measured("weir-feed stops in", f"{time.monotonic() - began:.2f} s")
    assert machine.unit("weir-feed", "Result") == "success"
    assert machine.unit("weir-feed", "ExecMainStatus") == "0"
    assert "stopped as asked" in machine.run(
        "journalctl", "-t", "weir-feed", "-o", "cat", "-n", "1")
    machine.run("systemctl", "start", "weir-feed")
    assert guide.well(machine)


@pytest.mark.parametrize("unit", ["weir-feed", "mosquitto"])
def test_killed_is_back(machine, measured, sensor, unit):
    counted = guide.counted(machine, sensor)
    old, began = pid(machine, unit), time.monotonic()
    machine.run("kill", "-9", str(old))
    eventually("another one runs", lambda: runs(machine, unit) and
               pid(machine, unit) not in (0, old))
    measured(f"{unit} is back after a kill in",
             f"{time.monotonic() - began:.2f} s")
    eventually("all is well", lambda: guide.well(machine))
    # Counters only grow.
    again = guide.counted(machine, sensor)
    assert all(again[k] >= n for k, n in counted.items()
               if isinstance(n, int)), (counted, again)


def test_broker_restarts_under_the_feed(machine, sensor, token):
    feed = pid(machine, "weir-feed")
    machine.run("systemctl", "restart", "mosquitto")
    eventually("the feed sees it", lambda: guide.well(machine))
    before = guide.counted(machine, sensor)["refused_publishes"]
    # Quarantined before, and so it is now.
    guide.publish(machine, sensor)
    eventually("it counts on", lambda: guide.counted(
        machine, sensor)["refused_publishes"] > before)
    assert pid(machine, "weir-feed") == feed


@pytest.mark.parametrize("unit,says", [
    ("mosquitto", "Reloading config"), ("weir-feed", '"event":"reload"')])
def test_reload_disturbs_nobody(machine, unit, says):
    """`systemctl reload`: shut in, its kill may signal the service still."""
    before = pid(machine, unit)
    machine.run("systemctl", "reload", unit)
    eventually("it has heard", lambda: says in machine.run(
        "journalctl", "-u", unit, "-o", "cat", "-b"))
    assert pid(machine, unit) == before
    assert guide.well(machine)


# -------------------------------------------------------------- what goes wrong

def test_broker_is_tried_until_it_can(machine):
    """Without a registry it admits nobody and does not start; systemd goes on
    trying, beyond the five times in ten seconds after which it gives up if
    nothing else is said, and the broker is back by itself."""
    away = "/root/registry.away"
    machine.run("mv", "/var/lib/weir/registry.db", away)
    machine.run("kill", "-9", str(pid(machine, "mosquitto")))
    try:
        tries(machine, "mosquitto", 7)
        assert machine.unit("mosquitto", "Result") != "start-limit-hit"
    finally:
        machine.run("mv", away, "/var/lib/weir/registry.db")
    eventually("it is back", lambda: runs(machine, "mosquitto"))
    eventually("all is well", lambda: guide.well(machine))


def test_feed_is_tried_until_it_can(machine):
    machine.run("systemctl", "stop", "weir-feed")
    machine.run("systemd-run", "--unit=on-its-port", "perl",
                "-MIO::Socket::INET", "-e",
                'my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:9782", '
                "Listen => 1, ReuseAddr => 1) or die; sleep")
    eventually("its port is taken",
               lambda: runs(machine, "on-its-port") and
               machine.ask("bash", "-c", ": >/dev/tcp/127.0.0.1/9782")[0] == 0)
    try:
        assert machine.ask("systemctl", "start", "weir-feed")[0] != 0
        tries(machine, "weir-feed", 7)
        assert "9782" in machine.run("journalctl", "-t", "weir-feed", "-n", "3")
    finally:
        machine.run("systemctl", "stop", "on-its-port")
    eventually("it is back", lambda: guide.well(machine))


@pytest.mark.parametrize("text,says", [
    ('{"listen": "nowhere"}', "listen"),
    ('{"listen": "0.0.0.0:9782"}', "TLS alone"),
    ('{"metrics": {"top": 5,}}', "feed.json:1:23")])
def test_wrong_configuration_is_told_once(machine, text, says):
    """It stays down, for `systemctl` and whoever watches it to see."""
    machine.put("/etc/weir/feed.json", text)
    try:
        assert machine.ask("bash", "-c", guide.block("--check-config"))[0] != 0
        assert runs(machine, "weir-feed"), "it was not restarted"
        assert machine.ask("systemctl", "restart", "weir-feed")[0] != 0
        assert machine.unit("weir-feed", "ActiveState") == "failed"
        assert machine.unit("weir-feed", "ExecMainStatus") == "2"
        assert machine.unit("weir-feed", "NRestarts") == "0"
        assert says in machine.run("journalctl", "-t", "weir-feed", "-n", "3")
    finally:
        (machine.root / "etc/weir/feed.json").unlink()
        machine.run("bash", "-euc", guide.block("--check-config"))
    assert guide.well(machine)


# ------------------------------------------------------------------ and a reboot

def test_reboot(machine, measured, sensor):
    """/run is new, and nothing is lost: registry, quarantine, counters, history."""
    counted = guide.counted(machine, sensor)
    history = guide.health(machine)["history"]["bytes"]
    machine.reboot()
    eventually("all is well", lambda: guide.well(machine))
    measured("systemd's word on the boot", machine.run(
        "systemd-analyze", "time").splitlines()[0])
    for unit in ("mosquitto", "weir-feed"):
        assert runs(machine, unit)
        assert machine.unit(unit, "NRestarts") == "0"
    assert guide.counted(machine, sensor)["messages_in"] == \
        counted["messages_in"]
    assert guide.health(machine)["history"]["bytes"] >= history > 0
    [held] = guide.get(machine, "/quarantines")["quarantines"]
    assert held["device"] == sensor


def test_release_after_the_reboot(machine, token, sensor):
    done, answer = guide.post(machine, token, f"/devices/{sensor}/release", {})
    assert done == 200, answer
    before = guide.counted(machine, sensor)["messages_in"]

    def let_in():
        guide.publish(machine, sensor)
        return guide.counted(machine, sensor)["messages_in"] > before
    eventually("it is let in again", let_in)


def test_journal(machine):
    """Of this boot, in which nothing went wrong: one JSON object a line, and no
    word of a fault."""
    lines = machine.run("journalctl", "-b", "-t", "weir-feed", "-o",
                        "cat").splitlines()
    said = [json.loads(line) for line in lines]
    assert {"listening", "broker", "action"} <= {s["event"] for s in said}
    for s in said:
        assert list(s)[:3] == ["t", "level", "event"]
        assert s["level"] == "notice", s
    # The journal files them by it.
    filed = machine.run("journalctl", "-b", "-t", "weir-feed", "-o", "json")
    assert {json.loads(line)["PRIORITY"]
            for line in filed.splitlines()} == {"5"}
    broker = machine.run("journalctl", "-b", "-u", "mosquitto", "-o", "cat")
    assert "weir: policy revision" in broker
    for word in ("Error", "cannot", "denied"):
        assert word not in broker, broker


# ------------------------------------------------------------ a meter on a tmpfs

def test_meter_on_a_tmpfs(machine, sensor):
    """docs/METER.md: the folder is there at each boot, the broker makes a new meter
    in it, and weir-feed and its group may read that."""
    machine.script(guide.block("weir.tmpfiles.conf", guide.METER_PAGE))
    machine.script("""
        sed -i '/^plugin_opt_state /a plugin_opt_meter /run/weir/meter.seg' \
            /etc/mosquitto/mosquitto.conf
        echo '{"meter": "/run/weir/meter.seg"}' > /etc/weir/feed.json
        systemctl restart mosquitto weir-feed
    """)
    eventually("all is well", lambda: guide.well(machine))
    machine.reboot()
    eventually("all is well", lambda: guide.well(machine))
    assert guide.publish(machine, sensor)[0] == 0
    eventually("the feed reads the new one",
               lambda: guide.counted(machine, sensor)["messages_in"] == 1)
    assert machine.run("stat", "-c", "%U:%G %a", "/run/weir/meter.seg") == \
        "mosquitto:weir 640\n"
    said = machine.run("weir", "doctor", "--meter", "/run/weir/meter.seg",
                       "--broker-conf", "/etc/mosquitto/mosquitto.conf")
    assert "0 errors, 0 warnings" in said
