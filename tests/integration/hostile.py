# SPDX-License-Identifier: Apache-2.0
"""
What the hostile tests share: a policy, a Watch over the broker while it is
attacked, an Ear that hears all that passes, and packets no library would send.
"""

import json
import subprocess
import sys

import pytest

import clients
import policies
from clients import (CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBLISH, SUBACK,
                     SUBSCRIBE, Closed, text, varint)
from harness import HALF_MINUTE_S, REALTIME, Broker, Fleet, go_first

PULSE_WARM, PULSE_QUIET = 30, 500 if REALTIME else 100
"""Round trips that count for nothing, and that say what is usual."""

BROKER_CPU = 0

WORST_MS = 2000
"""A round trip of the good device may be slow on a loaded machine under a
sanitizer; this long means that it was not served."""

ALIAS, RESPONSE_TOPIC, CORRELATION = 0x23, 0x08, 0x09
USER_PROPERTY = 0x26
SUBSCRIPTION_ID, AUTH_METHOD, AUTH_DATA = 0x0B, 0x15, 0x16
AUTH = 15

POLICY = policies.changed(
    rogue={"publish": ["h/${device}/up",
                       {"topic": "h/${device}/q2", "max_qos": 2},
                       {"topic": "h/${device}/small", "max_bytes": 8},
                       {"topic": "h/${device}/keep", "retain": True}],
           "subscribe": ["h/${device}/in/#"]},
    plain={"publish": ["h/${device}/up"],
           "subscribe": ["h/${device}/in/#"]},
    hub={"publish": ["h/#", "jobs/#", {"topic": "h/+/in/#", "retain": True}],
         "subscribe": ["h/#"]},
    member={"subscribe": [{"topic": "jobs/+", "shared": ["workers"]}]},
    rationed={"publish": ["h/${device}/up"], "subscribe": ["h/${device}/#"],
              "client_ids": ["${device}", "${device}/*"],
              "limits": {"messages_per_s": 20, "connects_per_min": 10,
                         "subscriptions": 20}},
    capped={"publish": ["h/${device}/up"],
            "limits": {"refusals_per_s": 50}},
    crowd={"publish": ["h/${device}/up"], "subscribe": ["h/${device}/#"],
           "client_ids": ["${device}", "${device}/*"]},
    watched={"publish": ["h/${device}/up"], "mode": "observe"},
    all={"subscribe": ["#", "$SYS/broker/connection/#", "$CONTROL/#"]},
    pulse={"publish": ["$pulse/${device}"]},
    pulsed={"subscribe": ["$pulse/+"]},
)


def prop(identifier, value):
    return bytes([identifier]) + value


# ----------------------------------------------------------------- the broker


def rss_kib(broker):
    with open(f"/proc/{broker.process.pid}/status") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))


def p99(ms):
    return sorted(ms)[int(0.99 * len(ms))]


class Watch:
    """A well-behaved device beside the attacks, and the broker's memory."""

    def __init__(self, fleet, broker):
        self.broker = broker
        good, backend = fleet.device("pulse"), fleet.device("pulsed")
        self.process = subprocess.Popen(
            [sys.executable, "-B", __file__.replace("hostile", "pulse"),
             str(broker.port), fleet.ca / "ca.crt", good.crt, good.key,
             good.id, backend.crt, backend.key, backend.id],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        if REALTIME:
            # The pulse before the broker, the broker before the attackers and
            # whatever else the machine does.
            go_first(self.process.pid, 2)
            go_first(broker.process.pid, 1, BROKER_CPU)
        self.ask(PULSE_WARM)
        self.hurt = []
        self.settle()
        self.rss = rss_kib(broker)

    def ask(self, at_least=0):
        """What the round trips since the last time, or some more of them,
        took in ms."""
        self.process.stdin.write(f"{at_least}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self):
        self.ask()
        self.hurt, self.rss = [], rss_kib(self.broker)

    def settle(self):
        """What is usual now: the same device, connections and priorities, and
        no attack."""
        self.ask()
        self.quiet = self.ask(PULSE_QUIET)

    def take(self, at_least=0):
        """Adds the round trips since the last time to those under attack."""
        self.hurt += self.ask(at_least)
        return len(self.hurt)

    def ratio(self):
        return p99(self.hurt) / p99(self.quiet)

    def told(self):
        return (f"good device p99 {p99(self.hurt):.2f} ms, worst "
                f"{max(self.hurt):.2f} (quiet: {p99(self.quiet):.2f}), "
                f"ratio {self.ratio():.1f}, round trips {len(self.hurt)}")

    def end(self, name, capsys):
        """Says what the attack cost, and that everyone else was served."""
        assert self.broker.process.poll() is None, self.broker.lines[-20:]
        if not self.hurt:
            self.take(2)
        with capsys.disabled():
            print(f"\n{name}: {self.told()}; broker {self.rss} KiB, after "
                  f"{rss_kib(self.broker)} KiB")
        assert max(self.hurt) < WORST_MS

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=HALF_MINUTE_S) == 0


@pytest.fixture(scope="module")
def fleet():
    f = Fleet(POLICY)
    yield f
    f.remove()


@pytest.fixture(scope="module")
def broker(fleet):
    with Broker(fleet) as b:
        yield b


@pytest.fixture(scope="module")
def watch(fleet, broker):
    w = Watch(fleet, broker)
    yield w
    w.close()


@pytest.fixture
def watched(watch, request, capsys):
    """The test is watched: it fails when the good device is not served."""
    watch.begin()
    yield
    watch.end(request.node.name, capsys)


class Ear:
    """Hears all that passes the broker, retained or not."""

    def __init__(self, fleet, broker):
        self.end = clients.Wire(broker, fleet.device("hub")).admitted()
        self.wire = clients.Wire(broker, fleet.device("all")).admitted()
        for f in ("#", "$SYS/broker/connection/#", "$CONTROL/#"):
            assert self.wire.subscribe(f, 2) == 2
        self.n = 0

    def heard(self):
        """All messages since the last time."""
        self.n += 1
        topic = f"h/{self.end.device}/end/{self.n}"
        assert self.end.publish(topic) == 0
        return self.wire.until(topic)

    def close(self):
        self.wire.close()
        self.end.close()


@pytest.fixture
def ear(fleet, broker, closing):
    e = closing(Ear(fleet, broker))
    e.heard()
    return e


# ------------------------------------------------------------------- packets


def packet(kind, body, flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def publication(wire, topic, payload=b"x", qos=0, pid=1, flags=0, props=b""):
    """A PUBLISH packet."""
    body = text(topic)
    if qos:
        body += pid.to_bytes(2, "big")
    if wire.v5:
        body += varint(len(props)) + props
    return packet(PUBLISH, body + payload, flags | qos << 1)


def subscription(wire, *filters, pid=1, options=0, props=b""):
    """A SUBSCRIBE packet."""
    body = pid.to_bytes(2, "big")
    if wire.v5:
        body += varint(len(props)) + props
    for f in filters:
        body += text(f) + bytes([options])
    return packet(SUBSCRIBE, body, 2)


def connection(client_id, version=4, flags=2, props=b"", tail=b"",
               name="MQTT", keepalive=60):
    """A CONNECT packet."""
    body = text(name) + bytes([version, flags]) + keepalive.to_bytes(2, "big")
    if version == 5:
        body += varint(len(props)) + props
    return packet(CONNECT, body + text(client_id) + tail)


def pour(wire, data):
    """Sends bytes; False when the broker has ended the connection."""
    try:
        wire.sock.sendall(data)
        return True
    except OSError:
        return False


def answers(wire):
    """All packets until the answer to a ping; the last is (DISCONNECT, …)
    when the broker ends the connection. Messages go to the inbox."""
    got = []
    try:
        wire.send(PINGREQ, b"")
        while True:
            kind, flags, body = wire.read()
            if kind == PINGRESP:
                return got
            if kind == PUBLISH:
                wire._take_message(flags, body)
            else:
                got.append((kind, body))
    except Closed as e:
        return [*got, (DISCONNECT, bytes([e.code or 0]))]


def is_over(got):
    return bool(got) and got[-1][0] == DISCONNECT


def codes(wire, got, kind):
    """The reason codes in the acknowledgements of a kind; 0 where there is
    none."""
    bodies = [body for k, body in got if k == kind]
    if kind == SUBACK:
        return [c for b in bodies for c in b[3 if wire.v5 else 2:]]
    return [b[2] if len(b) > 2 else 0 for b in bodies]
