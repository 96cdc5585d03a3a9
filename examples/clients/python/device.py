#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A device in Python, with paho-mqtt 1.6 (Debian 12's), to start from.

    device.py HOST PORT ID CAFILE CERTIFICATE KEY TOPIC...

Publishes a reading to each TOPIC, waits for the broker's word on it, and obeys
commands under dev/ID/cmd/. README.md, one folder up, says what it does when
the broker refuses something, and why.
"""

import os
import random
import signal
import ssl
import struct
import sys
import time

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

KEEPALIVE_S = 30
SESSION_EXPIRY_S = 3600
NOT_AUTHORIZED = 0x87


def setting(name, fallback):
    """Seconds in the environment variable NAME."""
    return float(os.environ.get(name, fallback))


def say(text):
    print(text, flush=True)


class Client(mqtt.Client):
    """paho 1.6 reads the reason code of a PUBACK and tells nobody; from 2.0 on
    its on_publish has it."""

    def _handle_pubackcomp(self, cmd):
        packet = self._in_packet["packet"]
        mid, = struct.unpack("!H", packet[:2])
        self.on_puback(mid, packet[2] if len(packet) > 2 else 0)
        return super()._handle_pubackcomp(cmd)


class Device:
    def __init__(self, host, port, id, cafile, certificate, key, *topics):
        self.host, self.port, self.id = host, int(port), id
        self.tls = ssl.create_default_context(cafile=cafile)
        self.tls.load_cert_chain(certificate, key)
        self.topics = {t: None for t in topics}
        """The number of the message on its way for each topic."""
        self.refused_until = {}
        self.commands = f"dev/{id}/cmd/+"
        self.status = f"dev/{id}/status"
        self.clean_start = False
        self.failures = 0
        self.stopping = self.connected = self.not_authorised = False
        self.interval_s = setting("INTERVAL_S", 60)
        self.retry_s = setting("RETRY_S", 1)
        self.retry_max_s = setting("RETRY_MAX_S", 300)
        self.refused_s = setting("REFUSED_S", 900)
        self.client = None

    # -------------------------------------------------------------- callbacks

    def on_connect(self, client, _userdata, flags, code, _props):
        if code.value != 0:
            say(f"connect refused {code.value}")
            self.not_authorised = code.value == NOT_AUTHORIZED
            return
        resumed = flags["session present"]
        say("connected" + (", session resumed" if resumed else ""))
        self.connected = True
        self.failures = 0
        self.clean_start = False
        # Each time: the broker drops a subscription that was refused.
        client.subscribe(self.commands, qos=1)
        client.publish(self.status, "online", qos=1, retain=True)

    def on_disconnect(self, _client, _userdata, code, _props=None):
        if self.connected:
            say(f"disconnected {getattr(code, 'value', code)}")
        self.connected = False

    def on_puback(self, mid, code):
        for topic, on_its_way in self.topics.items():
            if on_its_way != mid:
                continue
            self.topics[topic] = None
            if code < 0x80:  # 16: taken, and nobody listens
                say(f"sent {topic}")
            else:
                say(f"refused {topic} {code}")
                self.refused_until[topic] = time.monotonic() + self.refused_s

    def on_subscribe(self, _client, _userdata, _mid, codes, _props):
        if codes[0].value >= 0x80:
            say(f"refused {self.commands} {codes[0].value}")
        else:
            say("listening")

    def on_message(self, _client, _userdata, message):
        # What a device does with a command is its own; payloads are bytes.
        say(f"command {message.topic} "
            + message.payload.decode("utf-8", "backslashreplace"))

    # ---------------------------------------------------------------- running

    def connect(self):
        """True when there is a connection on which to wait for the answer."""
        self.not_authorised = False
        for topic in self.topics:
            self.topics[topic] = None
        self.refused_until.clear()
        # MQTT 5: MQTT 3.1.1 has no way to say that a publish was refused.
        self.client = client = Client(self.id, protocol=mqtt.MQTTv5,
                                      reconnect_on_failure=False)
        client.tls_set_context(self.tls)
        client.will_set(self.status, "lost", qos=1, retain=True)
        client.on_connect = self.on_connect
        client.on_disconnect = self.on_disconnect
        client.on_subscribe = self.on_subscribe
        client.on_message = self.on_message
        client.on_puback = self.on_puback
        # With a session that stays, commands wait for a device that is away.
        props = Properties(PacketTypes.CONNECT)
        props.SessionExpiryInterval = SESSION_EXPIRY_S
        try:
            client.connect(self.host, self.port, KEEPALIVE_S,
                           clean_start=self.clean_start, properties=props)
        except OSError as e:
            say(f"cannot connect: {e}")
            return False
        return True

    def publish_readings(self):
        now = time.monotonic()
        for topic, on_its_way in self.topics.items():
            # One at a time: what is unconfirmed is not piled up.
            if on_its_way is None and now >= self.refused_until.get(topic, 0):
                reading = f"{now:.0f}"
                self.topics[topic] = self.client.publish(
                    topic, reading, qos=1).mid

    def serve(self):
        """Until the connection ends."""
        due = 0
        while not self.stopping and self.client.loop(0.1) == 0:
            if self.connected and time.monotonic() >= due:
                self.publish_readings()
                due = time.monotonic() + self.interval_s
        if self.stopping and self.connected:
            # A DISCONNECT, so that the will is not published.
            last = self.client.publish(self.status, "offline", 1, retain=True)
            for _ in range(10):
                if last.is_published() or self.client.loop(0.1) != 0:
                    break
            self.client.disconnect()
            self.client.loop(0.1)
        elif self.connected:
            say("connection lost")
        self.connected = False

    def wait(self, delay_s):
        # Half to all of it: a fleet that lost its broker at one moment must
        # not come back at one.
        delay_s *= random.uniform(0.5, 1)
        say(f"retry in {delay_s:.1f} s")
        end = time.monotonic() + delay_s
        while not self.stopping and time.monotonic() < end:
            time.sleep(0.05)

    def back_off(self):
        if self.not_authorised and not self.clean_start:
            # It may be the session that is refused (session_stale): one try
            # without it, at once.
            self.clean_start = True
            say("once with a clean session")
        elif self.not_authorised:
            # Suspended, revoked, not known yet: people change that, not
            # minutes.
            self.clean_start = False
            self.wait(self.refused_s)
        else:
            self.wait(min(self.retry_max_s,
                          self.retry_s * 2 ** min(self.failures, 16)))
            self.failures += 1

    def run(self):
        while not self.stopping:
            if self.connect():
                self.serve()
            if not self.stopping:
                self.back_off()

    def stop(self, *_):
        self.stopping = True


def main():
    if len(sys.argv) < 8:
        sys.exit("usage: device.py HOST PORT ID CAFILE CERTIFICATE KEY "
                 "TOPIC...")
    device = Device(*sys.argv[1:])
    signal.signal(signal.SIGTERM, device.stop)
    signal.signal(signal.SIGINT, device.stop)
    device.run()


if __name__ == "__main__":
    main()
