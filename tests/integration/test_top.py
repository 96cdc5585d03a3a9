# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody opens weir top on a terminal, presses keys, makes the window
smaller, stops it with Ctrl-Z and goes on, ends it one way or another, while
the broker comes and goes. Somebody else wants one picture in a file or as
JSON.

Question: does it show what happens, with rates that are right? Is the terminal
given back in whatever way it ends? Does nothing of what is in the meter reach
the terminal raw?

Expected: the rates of known traffic; refusals marked; each key does what its
help says; the terminal's modes, cursor and main screen are back after q,
SIGINT, SIGTERM and SIGHUP, and while stopped.
"""

import errno
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness import BUILD, DEADLINE_S, Broker, eventually

WEIR = BUILD / "bin" / "weir"
LEFT = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""How the main screen and the cursor come back."""


class Terminal:
    """weir top on a terminal of its own, and what it shows."""

    def __init__(self, fleet, *args, rows=24, columns=100, **env):
        self.main, self.side = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.side)
        self.raw = ""
        self.p = subprocess.Popen(
            [WEIR, "top", *map(str, args)], stdin=self.side, stdout=self.side,
            stderr=subprocess.PIPE, start_new_session=True,
            env=dict({**os.environ, "TERM": "xterm",
                      "WEIR_STATE": str(fleet.state)}, **env),
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def size(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout):
        if not select.select([self.main], [], [], timeout)[0]:
            return
        try:
            self.raw += os.read(self.main, 65536).decode(errors="replace")
        except OSError as e:
            assert e.errno == errno.EIO

    def picture(self):
        """The lines of the last whole picture, as they look."""
        frames = self.raw.split("\x1b[H")[1:]
        whole = [f for f in frames if "\x1b[J" in f]
        if not whole:
            return []
        text = whole[-1].split("\x1b[J")[0]
        # The terminal makes \r\n of \n.
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text).split("\n")

    def shows(self, pattern):
        """Waits until a line of the picture matches; returns it."""
        def found():
            self.read(0.05)
            return next((x for x in self.picture() if re.search(pattern, x)),
                        None)
        try:
            return eventually(pattern, found)
        except AssertionError:
            raise AssertionError("\n".join(
                [f"no line matches {pattern}:", *self.picture()])) from None

    def hides(self, pattern):
        def gone():
            self.read(0.05)
            return self.picture() and not any(
                re.search(pattern, x) for x in self.picture())
        eventually(f"no line matches {pattern}", gone)

    def devices(self):
        """The ids, from the first down."""
        lines = self.picture()
        first = next(i for i, x in enumerate(lines) if x.startswith("  ("))
        return [x[2:].split()[0] for x in lines[first + 1:-1]]

    def keys(self, text):
        os.write(self.main, text.encode())

    def ended(self):
        def over():
            self.read(0.02)
            return self.p.poll() is not None
        eventually("weir top has ended", over)
        self.read(0.1)
        return self.p.returncode

    def given_back(self):
        return (termios.tcgetattr(self.side) == self.before
                and self.raw.rstrip().endswith(LEFT))

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait(DEADLINE_S)
        self.p.stderr.close()
        os.close(self.main)
        os.close(self.side)


@pytest.fixture
def top(closing):
    return lambda *a, **k: closing(Terminal(*a, **k))


def pictures(fleet, *args):
    return [json.loads(x) for x in fleet.weir(
        "--json", "top", *args).splitlines()]


# --------------------------------------------------------------- one picture

def test_rates(own_fleet, own_broker, wire):
    """What came between the two looks, and that alone."""
    d = own_fleet.device("meter")
    w = wire(own_broker, d).admitted()
    for _ in range(3):
        w.publish(f"m/{d}/up", b"12345")
    env = dict(os.environ, WEIR_STATE=str(own_fleet.state))
    with subprocess.Popen([WEIR, "top", "--json"], env=env, text=True,
                          stdout=subprocess.PIPE) as p:
        eventually("it waits for its second look, a second later", lambda: (
            "meter.seg" in maps_of(p.pid) and stat_of(p.pid) == "S"))
        for _ in range(20):
            w.publish(f"m/{d}/up", b"12345", qos=0)
        for _ in range(5):
            w.publish("m/other/up", b"x", qos=0)
        w.ping()
        [got] = [json.loads(x) for x in p.stdout]
    assert got["device"] == d.id and got["class"] == "meter"
    assert got["connections"] == 1 and got["broker"] == "running"
    assert got["messages_in"] == 23 and got["refused"] == 5
    assert 1 <= got["seconds"] < 1 + DEADLINE_S
    assert got["per_second"]["messages_in"] == pytest.approx(
        20 / got["seconds"], abs=0.001)
    assert got["per_second"]["payload_bytes_in"] == pytest.approx(
        100 / got["seconds"], abs=0.001)
    assert got["per_second"]["refused"] == pytest.approx(
        5 / got["seconds"], abs=0.001)
    assert got["per_second"]["connects"] == 0


def test_picture_without_terminal(fleet, broker, wire):
    d = fleet.device("meter")
    w = wire(broker, d).admitted()
    w.publish("m/other/up")
    for args in (["-1"], []):  # a pipe is no terminal
        told = fleet.weir("top", *args, "--device", d)
        assert "\x1b" not in told
        lines = told.splitlines()
        assert lines[0].startswith("weir top") and "running, pid" in lines[0]
        assert "1 of " in lines[1]
        assert lines[5].split()[0] == d.id
        assert "publish no_rule m/other/up" in lines[5]


def test_filters_and_sort(fleet, broker, wire):
    few, many = fleet.device("ops"), fleet.device("ops")
    for d, n in ((few, 2), (many, 9)):
        w = wire(broker, d).admitted()
        for _ in range(n):
            w.publish("other/topic", b"x")
        w.ping()
    got = [x["device"] for x in pictures(fleet, "--class", "ops")]
    assert sorted(got) == sorted([few.id, many.id])
    assert pictures(fleet, "--class", "ops", "--device", many)[0][
        "device"] == many.id
    assert len(pictures(fleet, "-n", 1)) == 1
    assert pictures(fleet, "--device", "no such id") == []
    # All: as many as have ever been here.
    devices = fleet.weir("--json", "usage", "--top", 10000).splitlines()
    assert len(pictures(fleet, "-n", "all")) == len(devices)


@pytest.mark.parametrize("args,status,says", [
    (["--class", "nobody"], 1, "neither in the policy"),
    (["--sort", "wire"], 2, "is no counter"),
    (["--sort", "messges_in"], 2, "did you mean messages_in"),
    (["--device", "x" * 65], 2, "longer than any id"),
    (["-n", "0"], 2, "whole number"),
    (["word"], 2, "one word too many"),
])
def test_refused_arguments(fleet, broker, args, status, says):
    done = fleet.run("top", "-1", *args)
    assert done.returncode == status and done.stdout == ""
    assert says in done.stderr, done.stderr


def test_without_broker(own_fleet, wire):
    done = own_fleet.run("top", "-1")
    assert done.returncode == 0
    assert "has not run with this state directory" in done.stdout
    d = own_fleet.device("meter")
    with Broker(own_fleet) as b:
        wire(b, d).admitted().publish(f"m/{d}/up")
    done = own_fleet.run("top", "-1")
    assert done.returncode == 0 and d.id in done.stdout
    assert "broker: stopped, last seen" in done.stdout
    (own_fleet.state / "meter" / "meter.seg").write_bytes(b"x")
    done = own_fleet.run("top", "-1")
    assert (done.returncode, done.stdout) == (3, "")


# --------------------------------------------------------------- full screen

def test_keys(own_fleet, own_broker, wire, top):
    loud, quiet = own_fleet.device("meter"), own_fleet.device("meter")
    other = own_fleet.device("sensor")
    w = {d.id: wire(own_broker, d).admitted() for d in (loud, quiet, other)}
    for _ in range(9):
        w[loud.id].publish(f"m/{loud}/up", b"x" * 100)
    w[quiet.id].publish("m/other/up", b"x")
    t = top(own_fleet)
    t.shows(r"^weir top .*broker: running, pid \d+, start 1, up .*3 connected")
    t.shows(r"3 of 3 devices")
    t.keys("t")
    t.shows("^totals; most wire_bytes_in first")
    assert t.devices()[0] == loud.id
    t.keys("r")
    t.shows("least wire_bytes_in first")
    assert t.devices()[-1] == loud.id
    t.keys("r")
    t.keys("x")
    t.shows("1 of 3 devices; refused only")
    assert t.devices() == [quiet.id]
    t.keys("\x1b")
    t.shows("3 of 3 devices")
    t.keys("csensor\r")
    t.shows("1 of 3 devices; class sensor")
    t.shows(r"^  \(the class\)")
    assert t.devices() == [other.id]
    t.keys("cnobody\r")
    t.shows("no device was ever of class 'nobody'")
    t.keys("c\r")
    t.shows("3 of 3 devices$")
    t.keys(f"/{loud.id[1:]}x")
    t.shows(rf"part of the id.*: {loud.id[1:]}x_$")
    t.keys("\x7f\r")
    t.shows(f"1 of 3 devices; id with {loud.id[1:]}")
    t.keys("/no such\r/abc\x1b")  # typed, and thought better of
    t.shows("0 of 3 devices; id with nosuch")
    t.keys("\x1b")
    t.keys("\x1b[C")
    t.shows("most wire_bytes_out first")
    t.keys("\x1b[D<")
    t.shows("most mqtt_bytes_sent first")
    t.keys("?")
    t.shows("any key: back")
    t.keys("z")
    t.shows("^  DEVICE")
    t.keys(" ")
    t.shows("^PAUSED")
    t.keys(" q")
    assert t.ended() == 0
    assert t.given_back()


def test_rates_and_refusals_as_they_come(own_fleet, own_broker, wire, top):
    d = own_fleet.device("meter")
    w = wire(own_broker, d).admitted()
    t = top(own_fleet, "--sort", "messages_in")
    t.shows(rf"^  {d} .* 0 +0")
    w.publish(f"m/{d}/up", b"x")
    t.shows(rf"^  {d} .* (1|0\.\d) ")  # a second, or a little more
    w.publish("m/other/up", b"x")
    t.shows(rf"^! {d} ")  # marked, and in red
    assert f"\x1b[1;31m! {d}" in t.raw
    t.shows(rf"^  {d} ")  # and no more, a look later


def test_no_colour(own_fleet, own_broker, wire, top):
    d = own_fleet.device("meter")
    w = wire(own_broker, d).admitted()
    t = top(own_fleet, NO_COLOR="1")
    t.shows(rf"^  {d} ")
    w.publish("m/other/up", b"x")
    t.shows(rf"^! {d} ")
    assert "\x1b[1;31m" not in t.raw and f"\x1b[1m! {d}" in t.raw


def test_resize_and_scroll(own_fleet, own_broker, wire, top):
    devices = [own_fleet.device("meter") for _ in range(12)]
    for d in devices:
        wire(own_broker, d).admitted()
    t = top(own_fleet, rows=12, columns=80)
    t.shows("12 of 12 devices")
    # Clearing the rest of a full line would take its last character.
    assert all(len(x) < 80 for x in t.picture())
    assert len(t.devices()) == 6 and len(t.picture()) == 12
    t.keys("\x1b[F")
    t.shows("scrolled")
    last = t.devices()
    t.keys("\x1b[H")
    t.hides("scrolled")
    assert set(t.devices()) | set(last) == {d.id for d in devices}
    for rows, columns in ((9, 60), (3, 60), (40, 150)):
        t.size(rows, columns)
        eventually("a picture of the new size", lambda: t.read(0.05) or (
            len(t.picture()) == min(rows, 5 + 12 + 1)
            and max(map(len, t.picture())) < columns))
    t.size(4, 20)  # too small for it: cut by the terminal, no line wraps
    eventually("four lines", lambda: t.read(0.05) or len(t.picture()) == 4)
    assert "\x1b[?7l" in t.raw
    t.size(40, 150)
    eventually("all again", lambda: t.read(0.05) or len(t.picture()) == 18)
    for columns in range(62, 130):
        t.size(40, columns)
        eventually(f"a width below {columns}", lambda: t.read(0.05) or (
            40 < max(map(len, t.picture())) < columns
            and any(re.search(" refused($|  LAST)", x)
                    for x in t.picture())))
    assert len(t.devices()) == 12


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_give_the_terminal_back(own_fleet, top, sig):
    t = top(own_fleet)
    t.shows("has not run with this state directory")
    assert not t.given_back()
    t.p.send_signal(sig)
    assert t.ended() == -sig
    assert t.given_back()
    assert t.p.stderr.read() == b""


def test_cut_while_it_is_read(own_fleet, top):
    """The kernel says so by a signal: the terminal comes back, then a message
    on it."""
    t = top(own_fleet)
    t.shows("has not run with this state directory")
    t.p.send_signal(signal.SIGBUS)
    assert t.ended() == 3
    assert t.given_back()
    assert b"cut short while it was read" in t.p.stderr.read()


def test_ctrl_c(own_fleet, top):
    t = top(own_fleet)
    t.shows("weir top")
    t.keys("\x03")
    assert t.ended() == -signal.SIGINT
    assert t.given_back()


def test_stop_and_go_on(own_fleet, top, tmp_path):
    """Ctrl-Z under a shell that does job control."""
    t = top(own_fleet)
    t.shows("weir top")
    # Ours is a group that nobody looks after: the kernel would not stop it
    # for Ctrl-Z. SIGSTOP and SIGCONT, as of any other stop:
    t.p.send_signal(signal.SIGSTOP)
    eventually("it is stopped", lambda: "T" in stat_of(t.p.pid))
    termios.tcsetattr(t.side, termios.TCSANOW, t.before)  # the shell's
    t.raw = ""
    t.p.send_signal(signal.SIGCONT)
    t.shows("weir top")
    assert "\x1b[?1049h" in t.raw
    t.keys("q")  # keys are read as they are typed again
    assert t.ended() == 0
    assert t.given_back()


def maps_of(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        return f.read()


def stat_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def test_ctrl_z(own_fleet, tmp_path):
    """A shell with job control starts it, gets the terminal back while it is
    stopped, and brings it to the front again."""
    main, side = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = dict(os.environ, TERM="xterm", PS1="$ ",
               WEIR_STATE=str(own_fleet.state))
    p = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=side, stdout=side,
        stderr=side, start_new_session=True, env=env,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    seen = ""

    def until(text):
        nonlocal seen
        end = time.monotonic() + DEADLINE_S
        while text not in seen:
            assert time.monotonic() < end, (text, seen)
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 65536).decode(errors="replace")
        seen = seen.split(text, 1)[1]
    try:
        os.write(main, f"{WEIR} top; echo en''ded $?\n".encode())
        until("\x1b[?1049h")
        until("has not run")
        os.write(main, b"\x1a")
        until(LEFT)
        until("Stopped")
        os.write(main, b"stty -a | grep -c ' icanon.* echo '; echo do''ne\n")
        until("done")
        os.write(main, b"fg\n")
        until("\x1b[?1049h")
        until("has not run")
        os.write(main, b"q")
        until(LEFT)
        os.write(main, b"exit\n")
        assert p.wait(DEADLINE_S) is not None
    finally:
        p.kill()
        p.wait()
        os.close(main)
        os.close(side)


def test_dumb_terminal(own_fleet, top):
    """One picture, without sequences."""
    t = top(own_fleet, TERM="dumb")
    assert t.ended() == 0
    assert "\x1b" not in t.raw and "has not run" in t.raw


def test_broker_comes_and_goes(own_fleet, wire, top):
    t = top(own_fleet)
    t.shows("broker: has not run with this state directory")
    d = own_fleet.device("meter")
    with Broker(own_fleet) as b:
        t.shows("broker: running, pid .*, start 1")
        wire(b, d).admitted().publish(f"m/{d}/up", b"x")
        t.shows(rf"^  {d} +meter +1 ")
        b.kill()
        t.shows("broker: stopped, last seen .*; what it had counted:")
        t.shows(rf"^  {d} +meter +0 ")
        b.start()
        t.shows("broker: running, pid .*, start 2")
        t.keys("t")
        assert " 1 " in t.shows(rf"^  {d} +meter +0 ")
        b.kill()
        path = own_fleet.state / "meter" / "meter.seg"
        path.rename(path.with_name("old"))
        t.shows("has not run")
        b.start()
        t.shows("broker: running, pid .*, start 1")
        t.shows("0 of 0 devices")
        os.truncate(path, 100)  # the broker begins another one
        t.shows("broker: running, pid .*, start 2")
        b.kill()
        os.truncate(path, 100)  # nobody does
        t.shows("broker: unknown: ")
        t.keys("q")
        assert t.ended() == 0


def test_growth(own_fleet, wire, top):
    """The file grows while it is looked at: a new one has room for nobody."""
    t = top(own_fleet)
    with Broker(own_fleet) as b:
        t.shows("0 of 0 devices")
        d = own_fleet.device("meter")
        wire(b, d).admitted()
        t.shows("1 of 1 devices")
        t.shows(rf"^  {d} +meter +1 ")
