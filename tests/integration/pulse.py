# SPDX-License-Identifier: Apache-2.0
"""
A well-behaved device and its backend, as a process of their own: the device
publishes, the backend receives, and the time between is taken, 100 times a
second (in real time 250) and in this process alone, so that what a test does
costs it nothing.

    pulse.py PORT CA DEVICE-CRT DEVICE-KEY DEVICE-ID BACKEND-CRT … ID

Says `ready`, and after each line it is sent, a number, one line of JSON: what
the round trips since the one before took in ms, once there are that many. The
end of its input ends it.
"""

import gc
import json
import sys
import threading
import time
import types

from clients import PUBLISH, Wire, text
from harness import REALTIME, Device

PACE_S = 0.004 if REALTIME else 0.01


class Pulse:
    def __init__(self, port, ca, *who):
        broker = types.SimpleNamespace(
            port=int(port), fleet=types.SimpleNamespace(ca=Folder(ca)))
        device = Device(who[2], who[0], who[1])
        backend = Device(who[5], who[3], who[4])
        self.ear = Wire(broker, backend).admitted(keepalive=0)
        self.topic = f"$pulse/{device}"
        assert self.ear.subscribe(self.topic) == 0
        self.mouth = Wire(broker, device).admitted(keepalive=0)
        self.cond, self.took_ms, self.n = threading.Condition(), [], 0

    def beat(self):
        self.n += 1
        payload = b"%d" % self.n
        start = time.monotonic()
        self.mouth.send(PUBLISH, text(self.topic) + payload)
        assert self.ear.until(self.topic, payload) == []
        took = (time.monotonic() - start) * 1000
        with self.cond:
            self.took_ms.append(took)
            self.cond.notify()

    def report(self, at_least):
        with self.cond:
            self.cond.wait_for(lambda: len(self.took_ms) >= at_least)
            ms, self.took_ms = self.took_ms, []
        return ms


class Folder:
    """A folder of one file, under whatever name."""

    def __init__(self, file):
        self.file = file

    def __truediv__(self, _name):
        return self.file


def main():
    pulse, over = Pulse(*sys.argv[1:]), threading.Event()

    def answer():
        for line in sys.stdin:
            print(json.dumps(pulse.report(int(line))), flush=True)
        over.set()
    threading.Thread(target=answer, daemon=True).start()
    gc.disable()  # what is taken is the broker's time
    print("ready", flush=True)
    while not over.wait(PACE_S):
        pulse.beat()


if __name__ == "__main__":
    main()
