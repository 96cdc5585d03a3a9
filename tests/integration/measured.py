# SPDX-License-Identifier: Apache-2.0
"""
How a hostile test is run with WEIR_HOSTILE_REALTIME=1: its attack is repeated
until the well-behaved device has made enough round trips for a 99th percentile
to mean something. That is held to a multiple of the quiet one: the same device
and broker, the same connections and priorities, just before, without an attack.

Device and broker run at real-time priority and the broker on a processor of its
own, so that only what the broker does counts, and not what the attackers and
the rest of the machine take from it.

A TLS handshake takes the broker about a millisecond, in its one thread and
before it asks the plugin: an attack that connects again and again is a flood of
TLS, whatever it does then. So it gets PER_S of them, too few to
matter, and what is measured is what it does with them. WEIR_HOSTILE_PACE=0
leaves that out.
"""

import os

import clients
import hostile
from clients import Closed
from harness import REALTIME, Broker

ROUND_TRIPS = 500
RATIO = 3
"""What the p99 under attack stays below, in quiet ones."""

PER_S = float(os.environ.get("WEIR_HOSTILE_PACE", "1")) or None

HANDSHAKES = ("test_handshakes_held_open", "test_handshakes_one_after_another",
              "test_connects_without_end", "test_takes_itself_over",
              "test_sessions_without_end")
"""Floods of TLS: hundreds of handshakes, which are not held back."""

PACKETS = ("test_refused_publishes", "test_refused_subscribes",
           "test_one_message_a_thousand_times")
"""Floods of what is refused, in a class without refusals_per_s: the broker
serves all packets of a TLS record before the next connection's turn.
test_floods_of_the_refused_are_cut is the same in a class that has it."""

# Of these two kinds nothing is held to RATIO: the same on a broker without the
# plugin is told beside, as far as the first answer that is no refusal.

if REALTIME:
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {hostile.BROKER_CPU})


def attack(item, args, watches, refused=True):
    """The test, as often as it takes. What it opened is closed each time, as
    it is at its end. REFUSED false: nothing is, and the test gets as far as
    the first answer that says so."""
    closing = item.funcargs["closing"]
    while True:
        n = len(closing.open)
        if "rogue" in args:
            args["rogue"] = item.funcargs["wire"](
                args["broker"], item.funcargs["fleet"].device("rogue"),
                args["version"]).admitted()
        try:
            item.obj(**args)
        except (AssertionError, Closed):
            if refused:
                raise
        closing.close(n)
        if "ear" in args:
            args["ear"].heard()  # what the next must not take for its own
        if all([w.take() >= ROUND_TRIPS for w in watches()]):
            return


def bare(item, args):
    """The same attack on a broker without the plugin."""
    fleet, closing = item.funcargs["fleet"], item.funcargs["closing"]
    with Broker.bare(fleet) as b:
        n = len(closing.open)
        watch = closing(hostile.Watch(fleet, b))
        others = {"broker": b, "ear": closing(hostile.Ear(fleet, b))}
        others["ear"].heard()
        watch.begin()
        attack(item, {k: others.get(k, x) for k, x in args.items()},
               lambda: [watch], refused=False)
        closing.close(n)
    with item.funcargs["capsys"].disabled():
        print(f"\n{item.name}, without the plugin: {watch.told()}")
    return watch


def call(item):
    """Runs a test, if it is one that is measured."""
    has = item.funcargs
    # One whose broker is not the one that the device is connected to has
    # nothing to measure.
    if "own_fleet" in has or not {"watched", "guarded"} & has.keys():
        return None

    def watches():
        return [has["watch"]] if "watched" in has else has["guarded"].watches
    args = {a: has[a] for a in item._fixtureinfo.argnames}
    flood = item.originalname in HANDSHAKES + PACKETS
    for w in watches():
        w.settle()
        w.begin()
    clients.PACE.per_s = None if item.originalname in HANDSHAKES else PER_S
    attack(item, args, watches)
    for w in watches():
        if flood:
            bare(item, args)
        else:
            assert w.ratio() < RATIO, w.told()
    return True
