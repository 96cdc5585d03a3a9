# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a real Mosquitto starts with the plugin where something is missing,
unreadable, broken or dangerous; where all is well; after a crash; and with a
setting that makes the broker admit clients without asking the plugin.

Question: does it start only when it can guard, and say what to do when not?

Expected: each fault ends the broker at once with one message that names the
thing and the remedy. There is no start "without Weir". Each start counts one
generation. Whom the broker admits behind the plugin's back may do nothing.
"""

import hashlib
import os
import shutil

import pytest

import policies
from clients import refused_connect
from harness import Broker


def told(log):
    """The plugin's own message."""
    lines = [x for x in log.splitlines() if "weir: " in x]
    assert lines, log
    return lines[-1]


def test_correct_start(own_fleet, wire):
    d = own_fleet.device("sensor")
    with Broker(own_fleet) as b:
        s = own_fleet.status()["broker"]
        assert s["state"] == "running" and s["pid"] == b.process.pid
        assert s["generation"] == 1 and s["load_error"] is None
        wire(b, d).admitted()
        assert own_fleet.status()["broker"]["connected"] == 1
    assert own_fleet.status()["broker"]["state"] == "stopped"


def test_restart_counts_generations(own_fleet, wire):
    d = own_fleet.device("sensor")
    with Broker(own_fleet) as b:
        for n in (1, 2, 3):
            assert own_fleet.status()["broker"]["generation"] == n
            wire(b, d).admitted()
            b.stop()
            b.start()
        # A reload is no start.
        b.reload()
        assert own_fleet.status()["broker"]["generation"] == 4


def test_killed_and_started_again(own_fleet, wire):
    d, gone = own_fleet.device("sensor"), own_fleet.device("sensor")
    with Broker(own_fleet) as b:
        wire(b, d).admitted()
        wire(b, gone).admitted()
        b.kill()
        assert own_fleet.status()["broker"]["state"] == "stopped"
        # What happens while there is no broker holds when there is one.
        said = own_fleet.weir("cert", "revoke", gone, "--wait", "5s")
        assert "broker" in said
        mark = b.mark()
        b.start()
        s = own_fleet.status()["broker"]
        assert s["state"] == "running" and s["generation"] == 2
        assert s["connected"] == 0
        w = wire(b, d).admitted()
        assert w.publish(f"s/{d}/up") == 0
        assert refused_connect(wire(b, gone))
        b.refused("connect", "certificate_revoked", mark, device=gone)


# ---------------------------------------------------------------- does not start


def test_no_registry(own_fleet):
    empty = own_fleet.root / "empty"
    (empty / "meter").mkdir(parents=True)
    b = Broker(own_fleet, state=empty)
    said = told(b.fails_to_start())
    assert str(empty / "registry.db") in said and "weir init" in said
    b.close()


def test_no_state_directory(own_fleet):
    b = Broker(own_fleet, state=own_fleet.root / "nowhere")
    assert "weir init" in told(b.fails_to_start())
    b.close()


@pytest.mark.parametrize("what, mode", [
    ("registry.db", 0o600), (".", 0o700)])
def test_registry_not_readable(own_fleet, what, mode):
    (own_fleet.state / what).chmod(mode)
    b = Broker(own_fleet)
    said = told(b.fails_to_start())
    assert "registry.db" in said and "weir init" in said, said
    # What it says to do helps.
    own_fleet.weir("init")
    b.start()
    b.close()


def garbage(path):
    path.write_bytes(b"this is no database at all" * 100)


def cut(path):
    os.truncate(path, 5000)


def emptied(path):
    os.truncate(path, 0)


@pytest.mark.parametrize("spoil", [garbage, cut, emptied])
def test_registry_is_garbage(own_fleet, spoil):
    for f in own_fleet.state.glob("registry.db-*"):
        f.unlink()
    spoil(own_fleet.state / "registry.db")
    b = Broker(own_fleet)
    assert "registry.db" in told(b.fails_to_start())
    b.close()


def test_registry_without_a_valid_policy(own_fleet):
    """As one that a newer version wrote."""
    own_fleet.sql("UPDATE policy SET text = '{', hash = ?",
                  hashlib.sha256(b"{").hexdigest())
    b = Broker(own_fleet)
    said = told(b.fails_to_start())
    assert "policy revision" in said and "weir policy" in said, said
    own_fleet.apply(policies.SHARED)
    b.start()
    b.close()


@pytest.mark.parametrize("open_up", [
    lambda key: key.chmod(0o644),
    lambda key: shutil.chown(key, "mosquitto"),
], ids=["mode", "owner"])
def test_ca_key_readable_by_the_broker(own_fleet, open_up):
    own_fleet.ca.chmod(0o755)
    open_up(own_fleet.ca / "ca.key")
    b = Broker(own_fleet)
    said = told(b.fails_to_start())
    assert str(own_fleet.ca / "ca.key") in said and "chmod" in said, said
    b.close()


def test_ca_key_elsewhere_that_an_option_names(own_fleet):
    other = own_fleet.root / "other"
    shutil.copytree(own_fleet.ca, other)
    (other / "ca.key").chmod(0o644)
    b = Broker(own_fleet, extra=f"\nplugin_opt_ca_dir {other}\n")
    assert str(other / "ca.key") in told(b.fails_to_start())
    b.close()


def test_second_broker_on_the_same_state(own_fleet, wire):
    d = own_fleet.device("sensor")
    with Broker(own_fleet) as first:
        second = Broker(own_fleet)
        said = told(second.fails_to_start())
        assert "meter.seg" in said and "another" in said.lower(), said
        second.close()
        wire(first, d).admitted()
        assert own_fleet.status()["broker"]["pid"] == first.process.pid


def test_meter_not_writable(own_fleet):
    shutil.chown(own_fleet.state / "meter", "root")
    b = Broker(own_fleet)
    assert "meter" in told(b.fails_to_start())
    b.close()


@pytest.mark.parametrize("extra, says", [
    ("plugin_opt_stat /x", "plugin_opt_stat"),
    ("plugin_opt_ca_dir relative/path", "absolute"),
])
def test_wrong_options(own_fleet, extra, says):
    b = Broker(own_fleet, extra=f"\n{extra}\n")
    assert says in told(b.fails_to_start())
    b.close()


# ------------------------------------------------------------------- bypassed


@pytest.mark.parametrize("setting", ["use_identity_as_username",
                                     "use_subject_as_username"])
def test_identity_as_username_admits_and_still_denies(
        own_fleet, wire, version, setting):
    """The broker never asks about the connection then: so all that such a
    client does is refused, though its name is an active device's."""
    ear = own_fleet.device("ops")
    revoked = own_fleet.device("sensor")
    own_fleet.weir("cert", "revoke", revoked)
    active = own_fleet.device("sensor")
    with Broker(own_fleet, extra=f"\n{setting} true\n") as b:
        for d in (revoked, active, own_fleet.sign("stranger")):
            mark = b.mark()
            w = wire(b, d, version).admitted(d.id)
            assert not b.logged("weir: refused connect", mark)
            w.publish(f"s/{d.id}/up")
            b.refused("publish", "unavailable", mark, device="-",
                      client_id=d.id)
            assert w.subscribe(f"s/{d.id}/cmd/#") >= 0x80
            w.disconnect()
        b.await_log(f"Remove .*{setting}")
        w = wire(b, ear, version).admitted()
        assert w.subscribe("#") >= 0x80
