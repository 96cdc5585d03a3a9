# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody has broken into weir-feed, or into the broker, and runs
commands of his own there. Question: is he shut in as the units say? Expected:
what he tries works outside the unit, as the same user, and fails within.
"""

import platform
import re

import pytest

import harness

CALLS = {"x86_64": {"mmap": 9, "ptrace": 101, "umask": 95},
         "aarch64": {"mmap": 222, "ptrace": 117, "umask": 166}}[
             platform.machine()]


def call(name, *args):
    """Perl that makes a system call, and fails with it."""
    numbers = ", ".join(map(str, (CALLS[name], *args)))
    return f"perl -e 'exit(syscall({numbers}) == -1)'"


SHUT_OUT = {
    "writes where everybody may": ": > /srv/open/x && rm /srv/open/x",
    "reads the CA's key with wrong modes": "cat /root/.weir/ca/ca.key",
    "reads a home directory": "cat /home/somebody/key",
    "sees another's temporary file": "cat /tmp/of-another",
    "becomes root by a setuid program": "test $(/srv/root-id -u) = 0",
    "makes a new user namespace": "unshare -U true",
    "traces": call("ptrace", 0, 0, 0, 0),
    "makes memory writable and executable":
        call("mmap", 0, 4096, 7, 0x22, -1, 0),
    "opens a netlink socket": "perl -e 'socket(my $s, 16, 3, 0) or exit 1'",
    "changes its personality": "setarch -R true",
    "sees the processes of others": "test -d /proc/1",
    "sees a device": "test -e /dev/one-more",
}
"""Commands that succeed for everybody, and in no unit."""

SHUT_OUT_OF_ROOT = {
    "writes /etc": ": > /etc/x",
    "writes /usr": ": > /usr/x",
    "writes the registry": ": >> /var/lib/weir/registry.db",
    "reads the CA's key": "cat /root/.weir/ca/ca.key",
    "mounts": "mount -t tmpfs none /mnt",
    "makes a device": "mknod /run/null c 1 3",
    "makes a setuid program":
        "cp /usr/bin/id /run/setuid-id && chmod u+s /run/setuid-id",
    "changes the host's name": "hostname other",
}
"""The same of the broker while it is root still."""

FEED_MAY = {
    "writes usage/": ": > /var/lib/weir/usage/x && rm /var/lib/weir/usage/x",
    "writes live/": ": > /var/lib/weir/live/x && rm /var/lib/weir/live/x",
    "reads the registry": "head -c 1 /var/lib/weir/registry.db",
    "reads the meter": "head -c 1 /var/lib/weir/meter/meter.seg",
}
FEED_MAY_NOT = {
    "writes the state directory": ": > /var/lib/weir/x",
    "writes the registry": ": >> /var/lib/weir/registry.db",
    "writes meter/": ": > /var/lib/weir/meter/x",
    "reads the broker's key": "cat /etc/weir/server.key",
}
BROKER_MAY = {
    "writes meter/": ": > /var/lib/weir/meter/x && rm /var/lib/weir/meter/x",
    "writes its sessions": ": > /var/lib/mosquitto/x && rm /var/lib/mosquitto/x",
    "reads the registry": "head -c 1 /var/lib/weir/registry.db",
    "reads its key": "head -c 1 /etc/weir/server.key",
}
BROKER_MAY_NOT = {
    "writes the state directory": ": > /var/lib/weir/x",
    "writes the registry": ": >> /var/lib/weir/registry.db",
    "writes usage/": ": > /var/lib/weir/usage/x",
    "writes live/": ": > /var/lib/weir/live/x",
}

TRY = """#!/bin/bash
# Each line of the file is a name, a tab and a command: what came of it.
while IFS=$'\\t' read -r name command; do
	bash -c "$command" >/dev/null 2>&1 </dev/null
	printf '%s\\t%s\\n' "$name" "$?"
done <"$1"
"""

AS = {"weir-feed": ["setpriv", "--reuid=weir-feed", "--regid=weir-feed",
                    "--init-groups"],
      "mosquitto": ["setpriv", "--reuid=mosquitto", "--regid=mosquitto",
                    "--init-groups"],
      "root": []}


def same_settings(m, unit, command):
    """The text of a unit that shuts a command in as UNIT shuts in its own."""
    text = m.run("systemctl", "cat", unit)
    for key in ("Type", "NotifyAccess", "Restart", "RestartSec", "ExecStart",
                "ExecStartPre", "ExecReload", "WantedBy"):
        text = re.sub(rf"^{key}=.*\n", "", text, flags=re.M)
    return text + ("\n[Service]\nType=oneshot\nStandardOutput=file:/run/tried\n"
                   f"ExecStart={' '.join(command)}\n")


def within(m, unit, user, commands):
    """What came of commands that USER runs in UNIT, by name."""
    m.put("/srv/commands", "".join(f"{k}\t{v}\n" for k, v in commands.items()))
    # Its user is the unit's, or it is root who becomes that, as the broker does.
    become = [] if unit == "weir-feed" else AS[user]
    if become:
        become = ["/usr/bin/" + become[0], *become[1:]]
    m.put("/etc/systemd/system/trying.service", same_settings(
        m, unit, [*become, "/srv/try", "/srv/commands"]))
    m.run("rm", "-f", "/run/tried")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", "trying")
    return came_of(m.run("cat", "/run/tried"), commands)


def outside(m, user, commands):
    m.put("/srv/commands", "".join(f"{k}\t{v}\n" for k, v in commands.items()))
    return came_of(m.run(*AS[user], "/srv/try", "/srv/commands"), commands)


def came_of(text, commands):
    got = dict(re.findall(r"^(.+)\t(\d+)$", text, re.M))
    assert got.keys() == commands.keys(), text
    return {name: status == "0" for name, status in got.items()}


@pytest.fixture(scope="module")
def prepared(machine):
    """All doors open that only the unit closes."""
    machine.put("/srv/try", TRY, 0o755)
    machine.script("""
        install -d -m 0777 /srv/open
        install -m 4755 /usr/bin/id /srv/root-id
        chmod 0755 /root /root/.weir /root/.weir/ca
        chmod 0644 /root/.weir/ca/ca.key
        install -d -m 0755 /home/somebody
        install -m 0644 /dev/null /home/somebody/key
        install -m 0644 /dev/null /tmp/of-another
        mknod -m 0666 /dev/one-more c 1 3
    """)
    yield machine
    # The broker does not start beside a CA's key that it could read.
    machine.script("""
        rm -rf /srv/* /home/somebody /tmp/of-another /dev/one-more
        chmod 0600 /root/.weir/ca/ca.key
        chmod 0700 /root
        rm -f /etc/systemd/system/trying.service
        systemctl daemon-reload
    """)


@pytest.mark.parametrize("unit,user", [("weir-feed", "weir-feed"),
                                       ("mosquitto", "mosquitto")])
def test_shut_in(prepared, unit, user):
    out = outside(prepared, user, SHUT_OUT)
    assert all(out.values()), out
    got = within(prepared, unit, user, SHUT_OUT)
    assert not any(got.values()), got


def test_root_before_it_is_mosquitto(prepared):
    """Whoever gets in while the broker starts is not the machine's root."""
    tried = {k: v for k, v in SHUT_OUT_OF_ROOT.items()
             if k not in ("writes the registry", "makes a device")}
    out = outside(prepared, "root", tried)
    prepared.run("umount", "/mnt")
    prepared.run("rm", "-f", "/etc/x", "/usr/x", "/run/setuid-id")
    prepared.run("hostname", "broker")
    assert all(out.values()), out
    got = within(prepared, "mosquitto", "root", SHUT_OUT_OF_ROOT)
    assert not any(got.values()), got


@pytest.mark.parametrize("unit,user,may,may_not", [
    ("weir-feed", "weir-feed", FEED_MAY, FEED_MAY_NOT),
    ("mosquitto", "mosquitto", BROKER_MAY, BROKER_MAY_NOT)],
    ids=["feed", "broker"])
def test_files(prepared, unit, user, may, may_not):
    """One writer a file."""
    got = within(prepared, unit, user, may | may_not)
    assert got == {k: k in may for k in may | may_not}


@pytest.mark.parametrize("unit", ["weir-feed", "mosquitto"])
def test_no_privileges(machine, unit):
    """Of the processes themselves, as they run."""
    harness.eventually("it runs", lambda: machine.ask("pidof", unit)[0] == 0)
    status = dict(
        line.split(":\t", 1) for line in machine.run(
            "cat", f"/proc/{machine.run('pidof', unit).strip()}/status"
        ).splitlines() if ":\t" in line)
    for which in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[which], 16) == 0, which
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split() + status["Gid"].split()
    limits = machine.run(
        "cat", f"/proc/{machine.run('pidof', unit).strip()}/limits")
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)


@pytest.mark.parametrize("unit,most", [("weir-feed", 2.0), ("mosquitto", 3.0)])
def test_measure_of_systemd(machine, measured, unit, most):
    """0 to 10, the less the better; Debian's own mosquitto.service has 9.x."""
    said = machine.run("systemd-analyze", "security", "--no-pager", unit)
    exposure = float(re.search(r"Overall exposure level .*: ([\d.]+)", said)[1])
    measured(f"systemd-analyze security {unit}", exposure)
    assert exposure <= most
