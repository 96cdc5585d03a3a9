# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir doctor looks at the shipped mosquitto.conf, and at copies of it
with one bad directive each; at state directories with one thing wrong each.

Question: does it name every way around the guard, with file, line, reason and
remedy, and nothing else?

Expected: the shipped file has no finding above a note, and exit status 0. Each
bad directive has its finding, at its line; an error means exit status 1. A
directive that doctor does not know is an error.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket

import pytest

import policies
from harness import REPO, VERSION, Broker, Fleet, eventually, websockets


@pytest.fixture(scope="module")
def site():
    """A fleet, and the shipped configuration with paths that exist."""
    fleet = Fleet(policies.SHARED)
    broker = Broker(fleet)
    yield fleet, broker.conf
    broker.close()
    fleet.remove()


def findings(fleet, conf=None, args=()):
    more = ["--broker-conf", conf] if conf else []
    done = fleet.run("--json", "doctor", *more, *args)
    assert done.stderr == "", done.stderr
    told = [json.loads(x) for x in done.stdout.splitlines()]
    for f in told:
        assert set(f) == {"severity", "check", "place", "message", "remedy"}
        assert f["severity"] in ("error", "warning", "note")
        assert f["message"] and f["remedy"] and f["place"]
        assert not f["remedy"].endswith(".")
    worst = any(f["severity"] == "error" for f in told)
    assert done.returncode == (1 if worst else 0), told
    return told


def serious(told):
    return [f for f in told if f["severity"] != "note"]


def changed(site, old, new, name="changed.conf"):
    """The configuration with the line that begins with OLD replaced by NEW (or
    NEW appended when OLD is None), and NEW's line number."""
    fleet, conf = site
    lines = conf.read_text().splitlines()
    if old is None:
        lines += [new]
        at = len(lines)
    else:
        at = next(i for i, x in enumerate(lines) if x.startswith(old)) + 1
        lines[at - 1] = new
    path = fleet.root / name
    path.write_text("\n".join(lines) + "\n")
    return path, at


def test_shipped(site):
    fleet, conf = site
    assert serious(findings(fleet, conf)) == []
    shown = fleet.weir("doctor", "--broker-conf", conf)
    assert "0 errors, 0 warnings" in shown
    # What it derives from is the shipped file, directive by directive.
    def names(path):
        return [x.split()[0] for x in path.read_text().splitlines()
                if x and not x.startswith("#")]
    assert names(conf) == names(REPO / "broker-conf" / "mosquitto.conf")


APPEND = [
    ("use_identity_as_username true", "conf.identity", "error"),
    ("use_identity_as_username 1", "conf.identity", "error"),
    ("use_subject_as_username true", "conf.identity", "error"),
    ("use_username_as_clientid true", "conf.clientid", "error"),
    ("listener_allow_anonymous true", "conf.anonymous", "error"),
    ("disable_client_cert_date_checks true", "conf.dates", "warning"),
    ("enable_proxy_protocol 2", "conf.proxy", "error"),
    ("password_file /etc/p", "conf.second", "error"),
    ("acl_file /etc/a", "conf.second", "error"),
    ("psk_file /etc/p", "conf.psk", "error"),
    ("psk_hint x", "conf.psk", "error"),
    ("auto_id_prefix meter-", "conf.empty_clientid", "warning"),
    ("clientid_prefixes meter-", "conf.prefixes", "warning"),
    ("mount_point m/", "conf.mount_point", "warning"),
    ("plugin_use weir", "conf.plugin_use", "error"),
    ("enable_control_api true", "conf.control", "warning"),
    ("connection up", "conf.bridge", "error"),
    ("address example.net", "conf.bridge", "error"),
    ("topic # both", "conf.bridge", "error"),
    ("bridge_insecure true", "conf.bridge", "error"),
    ("bridge_anything x", "conf.bridge", "error"),
    ("remote_username x", "conf.bridge", "error"),
    ("http_dir /srv", "conf.http", "error"),
    ("upgrade_outgoing_qos true", "conf.upgrade", "warning"),
    ("autosave_on_changes true", "conf.autosave", "warning"),
    ("crlfile /etc/crl", "listener.crl", "note"),
    ("retry_interval 20", "conf.old", "note"),
    ("port 1883", "conf.old", "note"),
    ("made_up 1", "conf.unknown", "error"),
    ("allow_anonymus false", "conf.unknown", "error"),
    ("Allow_Anonymous false", "conf.unknown", "error"),
    ("\tallow_anonymous true", "conf.unknown", "error"),
    (" # indented", "conf.unknown", "error"),
    ("set_tcp_nodelay yes", "conf.value", "error"),
    ("max_keepalive ten", "conf.value", "error"),
    ("sys_interval", "conf.value", "error"),
    ("pid_file", "conf.value", "error"),
    ("plugin /usr/lib/other.so", "plugin.other", "warning"),
    ("protocol http_api", "listener.protocol", "error"),
    ("protocol websockets", "listener.websockets", "note"),
    ("listener 0 /run/m.sock", "listener.unix", "error"),
    ("listener 1883", "listener.plaintext", "error"),
    ("listener 1883", "listener.no_certificate", "error"),
    ("listener 1883", "listener.no_ca", "error"),
    ("listener 1883", "listener.max_connections", "warning"),
]

REPLACE = [
    ("allow_anonymous", "allow_anonymous true", "conf.anonymous", "error"),
    ("per_listener", "per_listener_settings true", "conf.per_listener",
     "error"),
    ("allow_zero", "allow_zero_length_clientid true", "conf.empty_clientid",
     "warning"),
    ("check_retain", "check_retain_source true", "conf.retain_source",
     "warning"),
    ("max_queued_messages", "max_queued_messages 0", "conf.queue", "error"),
    ("max_queued_messages", "max_queued_messages -1", "conf.queue", "error"),
    ("max_queued_messages", "max_queued_messages no", "conf.value", "error"),
    ("max_inflight", "max_inflight_messages 0", "conf.inflight", "warning"),
    ("max_packet", "max_packet_size 0", "conf.packet", "warning"),
    ("queue_qos0", "queue_qos0_messages true", "conf.qos0", "warning"),
    ("require_cert", "require_certificate false", "listener.no_certificate",
     "error"),
    ("tls_version", "tls_version tlsv1.1", "listener.tls_version", "error"),
    ("tls_version", "tls_version tlsv1", "listener.tls_version", "error"),
    ("max_connections", "max_connections -1", "listener.max_connections",
     "warning"),
    ("plugin_opt_state", "plugin_opt_state /elsewhere", "plugin.state",
     "error"),
    ("plugin_opt_state", "plugin_opt_made_up 1", "plugin.option", "error"),
    ("cafile", "cafile ca.crt", "file.relative", "warning"),
    ("user", "user root", "conf.user", "error"),
    ("user", "user daemon", "conf.user", "error"),
]

LEFT_OUT = [
    ("require_cert", "listener.no_certificate", "error"),
    ("certfile", "listener.plaintext", "error"),
    ("keyfile", "listener.plaintext", "error"),
    ("cafile", "listener.no_ca", "error"),
    ("tls_version", "listener.tls_version", "warning"),
    ("max_qos", "listener.max_qos", "warning"),
    ("max_connections", "listener.max_connections", "warning"),
    ("max_packet", "conf.packet", "warning"),
    ("allow_zero", "conf.empty_clientid", "warning"),
    ("check_retain", "conf.retain_source", "warning"),
    ("persistent_client", "conf.expiration", "warning"),
    ("plugin_opt_state", "plugin.state", "error"),
    ("plugin /", "plugin.missing", "error"),
]


def expect(told, check, severity, path, line=None):
    hits = [f for f in told if f["check"] == check]
    assert hits, told
    assert hits[0]["severity"] == severity
    places = [f["place"] for f in hits]
    if line is not None:
        assert f"{path}:{line}" in places, places
    return hits


LISTENERS = ("listener.", "plugin.state", "file.")


@pytest.mark.parametrize("line, check, severity", APPEND)
def test_added(site, line, check, severity):
    path, at = changed(site, None, line)
    told = findings(site[0], path)
    # A listener's finding stands at the listener's line.
    exact = not check.startswith(LISTENERS) or line.startswith("listener")
    expect(told, check, severity, path, at if exact else None)


@pytest.mark.parametrize("old, line, check, severity", REPLACE)
def test_replaced(site, old, line, check, severity):
    path, at = changed(site, old, line)
    told = findings(site[0], path)
    exact = not check.startswith("listener.") and check != "file.relative"
    expect(told, check, severity, path, at if exact else None)


@pytest.mark.parametrize("old, check, severity", LEFT_OUT)
def test_left_out(site, old, check, severity):
    path, _ = changed(site, old, "# gone")
    expect(findings(site[0], path), check, severity, path)


def test_plugin_before(site):
    fleet, conf = site
    text = conf.read_text()
    path = fleet.root / "before.conf"
    path.write_text(text.replace("\nplugin ", "\nplugin /lib/o.so\nplugin "))
    hits = expect(findings(fleet, path), "plugin.other", "error", path)
    assert "before mosquitto_weir.so" in hits[0]["message"]
    path.write_text(text + "\nplugin /x/mosquitto_weir.so\n")
    expect(findings(fleet, path), "plugin.twice", "error", path)
    path.write_text("plugin_opt_state /x\n" + text)
    expect(findings(fleet, path), "plugin.option", "error", path, 1)


def test_websockets(site):
    path, _ = changed(site, None, "protocol websockets\ncrlfile /etc/crl")
    expect(findings(site[0], path), "listener.crl_websockets", "error", path)
    path, _ = changed(site, "cafile", "capath /etc/ssl\nprotocol websockets")
    expect(findings(site[0], path), "listener.capath_websockets", "error",
           path)


ADDRESS = "listener.websockets_address"


@pytest.mark.parametrize("lines, told", [
    ("listener 9001 127.0.0.1\nprotocol websockets", True),
    ("listener 9001\nbind_interface lo\nprotocol websockets", True),
    ("listener 9001\nprotocol websockets", False),
    ("listener 9001 127.0.0.1\nprotocol mqtt", False),
    ("listener 9001 127.0.0.1\nbind_interface lo", False)])
def test_websockets_everywhere(site, lines, told):
    """Who writes an address is told that it does nothing."""
    path, _ = changed(site, "listener", lines)
    hits = [x for x in findings(site[0], path) if x["check"] == ADDRESS]
    assert [x["severity"] for x in hits] == ["warning"] * told


def test_websockets_are_everywhere(fleet):
    """Mosquitto 2.0 does what that finding says, 2.1 no more."""
    with websockets(fleet) as (port, extra), Broker(fleet, extra=extra):
        assert f"listener {port} 127.0.0.1\n" in extra
        with (pytest.raises(ConnectionRefusedError) if VERSION >= (2, 1)
              else contextlib.nullcontext()):
            socket.create_connection(("127.0.0.2", port), timeout=10).close()


def test_before_the_listener(site):
    fleet, conf = site
    path = fleet.root / "early.conf"
    path.write_text("max_connections 5\n" + conf.read_text())
    told = findings(fleet, path)
    expect(told, "listener.default", "warning", path, 1)
    expect(told, "listener.plaintext", "error", path, 1)


def test_include_dir(site):
    fleet, conf = site
    folder = fleet.root / "conf.d"
    folder.mkdir()
    main = fleet.root / "main.conf"
    main.write_text(conf.read_text() + f"include_dir {folder}\n")
    assert serious(findings(fleet, main)) == []
    extra = folder / "x.conf"
    extra.write_text("\nuse_identity_as_username true\n")
    told = findings(fleet, main)
    expect(told, "conf.identity", "error", extra, 2)
    # In a file of its own it does not belong to the main file's listener.
    expect(told, "listener.plaintext", "error", extra, 2)
    extra.write_text(f"include_dir {folder}\n")
    expect(findings(fleet, main), "conf.include", "error", extra, 1)
    extra.write_text("user \x01\n")
    done = fleet.run("doctor", "--broker-conf", main)
    assert done.returncode == 2 and "control character" in done.stderr
    assert f"{extra}:1" in done.stderr
    extra.unlink()


def test_no_listener(site):
    fleet, _ = site
    path = fleet.root / "none.conf"
    path.write_text("allow_anonymous false\n")
    expect(findings(fleet, path), "listener.none", "error", path)


def test_usage_and_environment(site):
    fleet, _ = site
    assert fleet.run("doctor", "--broker-conf").returncode == 2
    assert fleet.run("doctor", "word").returncode == 2
    done = fleet.run("doctor", "--broker-conf", "/nowhere.conf")
    assert done.returncode == 3 and "/nowhere.conf" in done.stderr
    done = fleet.run("doctor", "--broker-conf", fleet.root)
    assert done.returncode == 3


# ----------------------------------------------------------------- the machine


def mode(path, bits):
    """Sets a mode, and says how to put it back."""
    before = path.stat().st_mode & 0o7777
    path.chmod(bits)
    return lambda: path.chmod(before)


MODES = [
    ("state/registry.db", 0o644, "state.open"),
    ("state/registry.db", 0o600, "state.access"),
    ("state/registry.db", 0o660, "state.access"),
    ("state", 0o755, "state.open"),
    ("state", 0o700, "state.access"),
    ("state", 0o770, "state.access"),
    ("state/meter", 0o550, "state.access"),
    ("server/server.key", 0o444, "file.key_open"),
    ("server/server.key", 0o000, "file.unreadable"),
]


@pytest.mark.parametrize("name, bits, check", MODES)
def test_modes(site, name, bits, check):
    fleet, conf = site
    path = fleet.root / name
    back = mode(path, bits)
    try:
        expect(findings(fleet, conf), check, "error", conf)
    finally:
        back()
    # SQLite gives an empty -wal the file's mode; weir init repairs all.
    fleet.weir("init")
    assert serious(findings(fleet, conf)) == []


def test_files_of_the_conf(site):
    fleet, conf = site
    path, _ = changed(site, "certfile", "certfile /nowhere.crt")
    expect(findings(fleet, path), "file.unreadable", "error", path)
    path, _ = changed(site, "certfile", f"certfile {path}")
    expect(findings(fleet, path), "file.certificate", "error", path)
    path, _ = changed(site, "persistence_loc", "persistence_location /etc")
    expect(findings(fleet, path), "file.persistence", "error", path)
    back = mode(conf, 0o666)
    expect(findings(fleet, conf), "file.writable", "error", conf)
    back()


@pytest.mark.parametrize("begin_s, end_s, check, severity", [
    (-7200, -3600, "file.expired", "error"),
    (-300, 20 * 86400, "file.expires", "warning"),
    (3600, 99 * 86400, "file.not_yet", "error")])
def test_dates(site, begin_s, end_s, check, severity):
    fleet, _ = site
    made = fleet.sign("localhost", begin_s, end_s)
    public = fleet.root / "dates.crt"
    shutil.copyfile(made.crt, public)
    path, _ = changed(site, "certfile", f"certfile {public}")
    expect(findings(fleet, path), check, severity, path)


def test_ca_key(site):
    fleet, conf = site
    told = findings(fleet, conf)
    expect(told, "ca.here", "note", conf)
    ca = fleet.state / "ca"
    ca.mkdir(mode=0o755)
    ca.chmod(0o755)
    (ca / "ca.key").write_text("")
    (ca / "ca.key").chmod(0o644)
    try:
        expect(findings(fleet, conf), "ca.readable", "error", conf)
    finally:
        shutil.rmtree(ca)


# ------------------------------------------------------------ registry, plugin


def test_registry(own_fleet):
    fleet = own_fleet
    fleet.device("meter", cert=["--days", "10"])
    fleet.weir("device", "add", "odd", "--class", "nobody-has")
    told = findings(fleet)
    assert "odd" in expect(told, "policy.class", "warning", "")[0]["message"]
    expect(told, "registry.expiring", "note", "")
    expect(told, "plugin.stopped", "note", "")
    fleet.sql("UPDATE audit SET actor = 'nobody' WHERE seq = ?", 2)
    hits = expect(findings(fleet), "registry.audit", "error", "")
    assert "entry 2" in hits[0]["message"]
    fleet.sql("UPDATE policy SET text = ?", "{")
    expect(findings(fleet), "policy.read", "error", "")
    fleet.sql("UPDATE policy SET hash = ?", hashlib.sha256(b"{").hexdigest())
    expect(findings(fleet), "policy.invalid", "error", "")
    fleet.sql("DELETE FROM policy WHERE 1 = ?", 1)
    expect(findings(fleet), "policy.missing", "error", "")
    (fleet.state / "registry.db").write_bytes(b"x" * 8192)
    expect(findings(fleet), "registry.open", "error", "")
    (fleet.state / "registry.db").unlink()
    expect(findings(fleet), "registry.open", "error", "")


def test_empty_policy(own_fleet):
    own_fleet.apply({"version": 1, "classes": {}})
    expect(findings(own_fleet), "policy.empty", "note", "")


def test_running(own_fleet, own_broker):
    fleet, broker = own_fleet, own_broker
    fleet.device("meter")
    broker.applied()
    assert serious(findings(fleet, broker.conf)) == []
    # A policy that the plugin cannot load, put there behind weir's back.
    fleet.sql("INSERT INTO policy SELECT revision + 100, t_s, actor, '{',"
              " hash FROM policy ORDER BY revision DESC LIMIT 1")
    eventually("the plugin has refused it",
               lambda: fleet.status()["broker"]["load_error"])
    told = findings(fleet, broker.conf)
    expect(told, "plugin.load", "error", "")
    expect(told, "plugin.policy", "error", "")


def test_meter_cut_short(own_fleet):
    with Broker(own_fleet):
        pass
    os.truncate(own_fleet.state / "meter" / "meter.seg", 100)
    expect(findings(own_fleet), "plugin.meter", "error", "")
