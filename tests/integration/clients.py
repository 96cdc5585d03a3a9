# SPDX-License-Identifier: Apache-2.0
"""
MQTT clients for the tests. Client is paho's, what a device would run. Wire is
a connection of our own: it shows reason codes, sends what no library would,
resumes TLS sessions, and can vanish without a word.
"""

import base64
import collections
import os
import socket
import ssl
import struct
import threading
import time

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness import DEADLINE_S

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = range(8, 12)
PINGREQ, PINGRESP, DISCONNECT = range(12, 15)

NOBODY_LISTENS, REFUSED, REFUSED_V311 = 0x10, 0x87, 0x80

Message = collections.namedtuple("Message", "topic payload qos retain")


class Closed(Exception):
    """The broker has ended the connection; code: of its DISCONNECT packet,
    or None."""

    def __init__(self, code=None, why=""):
        super().__init__(f"closed {code} {why}")
        self.code = code


def tls_context(broker, device, version=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(broker.fleet.ca / "ca.crt")
    if device is not None and device.crt is not None:
        ctx.load_cert_chain(device.crt, device.key)
    if version is not None:
        ctx.minimum_version = ctx.maximum_version = version
    return ctx


def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("!H", len(b)) + b


def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 0x7F
        out += bytes([low | (0x80 if n else 0)])
        if not n:
            return out


class Pace:
    """How often Wire makes a TLS handshake: see measured.py."""

    def __init__(self):
        self.per_s, self.next = None, 0

    def wait(self):
        if self.per_s is None:
            return
        now = time.monotonic()
        self.next = max(now, self.next + 1 / self.per_s)
        time.sleep(self.next - now)


PACE = Pace()


class Wire:
    """A raw connection. LIKE: another one, whose TLS session is resumed; it
    must be open, for OpenSSL forgets the session of one that was cut off."""

    def __init__(self, broker, device=None, version=4, tls=None, like=None):
        self.v5, self.device = version == 5, device
        self.version, self.inbox, self.pid = version, [], 0
        self.code = None
        self.ctx = like.ctx if like else tls_context(broker, device, tls)
        session = like.sock.session if like else None
        PACE.wait()
        plain = socket.create_connection(("127.0.0.1", broker.port),
                                         timeout=DEADLINE_S)
        self.local_port = plain.getsockname()[1]
        try:
            self.sock = self.ctx.wrap_socket(
                plain, server_hostname="localhost", session=session)
        except BaseException:
            plain.close()
            raise

    def close(self):
        """Without DISCONNECT: to the broker the device is lost."""
        self.sock.close()

    # ---------------------------------------------------------------- packets

    def send(self, kind, body, flags=0):
        try:
            self.sock.sendall(bytes([kind << 4 | flags])
                              + varint(len(body)) + body)
        except (ssl.SSLError, OSError) as e:
            raise Closed(why=str(e)) from e

    def _bytes(self, n):
        got = b""
        while len(got) < n:
            try:
                more = self.sock.recv(n - len(got))
            except (TimeoutError, socket.timeout):
                raise AssertionError("the broker says nothing") from None
            except (ssl.SSLError, OSError) as e:
                raise Closed(self.code, str(e)) from e
            if not more:
                raise Closed(self.code)
            got += more
        return got

    def read(self):
        """One packet: (kind, flags, body)."""
        head, n, shift = self._bytes(1)[0], 0, 0
        while True:
            b = self._bytes(1)[0]
            n, shift = n | (b & 0x7F) << shift, shift + 7
            if not b & 0x80:
                break
        return head >> 4, head & 15, self._bytes(n)

    def _take_message(self, flags, body):
        n = struct.unpack("!H", body[:2])[0]
        topic, rest = body[2:2 + n].decode(), body[2 + n:]
        qos = flags >> 1 & 3
        if qos:
            pid, rest = rest[:2], rest[2:]
            self.send(PUBACK if qos == 1 else PUBREC, pid)
        if self.v5:
            assert rest[0] < 0x80, "long properties are not read here"
            rest = rest[1 + rest[0]:]
        self.inbox.append(Message(topic, rest, qos, bool(flags & 1)))

    def expect(self, kind):
        """The body of the next packet of a kind; messages go to inbox."""
        while True:
            got, flags, body = self.read()
            if got == kind:
                return body
            if got == PUBLISH:
                self._take_message(flags, body)
            elif got == PUBREL:
                self.send(PUBCOMP, body[:2])
            elif got == DISCONNECT:
                self.code = body[0] if body else 0
            else:
                raise AssertionError(f"packet {got}, not {kind}")

    def _next_pid(self):
        self.pid = self.pid % 65535 + 1
        return struct.pack("!H", self.pid)

    # ------------------------------------------------------------ what one does

    def connect(self, client_id=None, clean=True, will=None, username=None,
                expiry=None, will_delay=0, keepalive=60, password=None):
        """The CONNACK's code; self.present: the session was there. EXPIRY:
        of an MQTT 5 session, in seconds."""
        client_id = self.device.id if client_id is None else client_id
        flags = 2 if clean else 0
        props, tail = b"", text(client_id)
        if self.v5 and not clean and expiry is None:
            expiry = 3600
        if expiry is not None:
            props += b"\x11" + struct.pack("!I", expiry)
        if will is not None:
            flags |= 4 | will.qos << 3 | (32 if will.retain else 0)
            own = b"\x18" + struct.pack("!I", will_delay)
            if self.v5:
                tail += varint(len(own)) + own
            tail += text(will.topic) + text(will.payload)
        if username is not None:
            flags |= 128
            tail += text(username)
        if password is not None:
            flags |= 64
            tail += text(password)
        head = text("MQTT") + bytes([self.version, flags])
        head += struct.pack("!H", keepalive)
        if self.v5:
            head += varint(len(props)) + props
        self.send(CONNECT, head + tail)
        answer = self.expect(CONNACK)
        self.present = bool(answer[0] & 1)
        return answer[1]

    def admitted(self, *args, **kw):
        assert self.connect(*args, **kw) == 0
        return self

    def publish(self, topic, payload=b"x", qos=1, retain=False, props=b""):
        """The reason code of the acknowledgement, 0 for any success; None
        with QoS 0."""
        payload = payload if isinstance(payload, bytes) else payload.encode()
        pid = self._next_pid() if qos else b""
        body = text(topic) + pid
        if self.v5:
            body += varint(len(props)) + props
        self.send(PUBLISH, body + payload, qos << 1 | retain)
        if not qos:
            return None
        ack = self.expect(PUBACK if qos == 1 else PUBREC)
        assert ack[:2] == pid
        code = ack[2] if len(ack) > 2 else 0
        code = 0 if code == NOBODY_LISTENS else code
        if qos == 2 and code < 0x80:
            self.send(PUBREL, pid, 2)
            self.expect(PUBCOMP)
        return code

    def subscribe(self, topic, qos=0):
        """The SUBACK's code."""
        body = self._next_pid() + (b"\0" if self.v5 else b"")
        self.send(SUBSCRIBE, body + text(topic) + bytes([qos]), 2)
        return self.expect(SUBACK)[-1]

    def ping(self):
        self.send(PINGREQ, b"")
        self.expect(PINGRESP)

    def until(self, topic, payload=None):
        """All that came before the message with that topic, that one not
        included; takes it all out of the inbox."""
        seen = 0
        while True:
            for i in range(seen, len(self.inbox)):
                m = self.inbox[i]
                if m.topic == topic and payload in (None, m.payload):
                    before = self.inbox[:i]
                    del self.inbox[:i + 1]
                    return before
            seen = len(self.inbox)
            kind, flags, body = self.read()
            if kind == PUBLISH:
                self._take_message(flags, body)
            elif kind == PUBREL:
                self.send(PUBCOMP, body[:2])
            elif kind == DISCONNECT:
                self.code = body[0] if body else 0

    def disconnect(self):
        self.send(DISCONNECT, b"")
        self.ended()

    def ended(self):
        """Waits for the end of the connection: its DISCONNECT's code."""
        try:
            self.until("no message has this topic")
        except Closed as e:
            return e.code


class WebSocket:
    """What Wire takes for a socket: MQTT in binary frames."""

    def __init__(self, sock):
        self.sock, self.got = sock, b""
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(("GET /mqtt HTTP/1.1\r\nHost: localhost\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Key: {key}\r\n"
                      "Sec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = sock.recv(1)
            if not more:
                raise Closed(why="no upgrade")
            head += more
        assert head.startswith(b"HTTP/1.1 101"), head

    @property
    def session(self):
        return self.sock.session

    def sendall(self, data):
        n = len(data)
        size = (bytes([0x80 | n]) if n < 126 else
                b"\xfe" + struct.pack("!H", n) if n < 65536 else
                b"\xff" + struct.pack("!Q", n))
        # A mask of zeros: MUST be there, need not hide anything here.
        self.sock.sendall(b"\x82" + size + b"\0\0\0\0" + data)

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.sock.recv(n - len(got))
            if not more:
                return None
            got += more
        return got

    def recv(self, n):
        while not self.got:
            head = self._exactly(2)
            if head is None or head[0] & 15 == 8:
                return b""
            size = head[1] & 127
            if size > 125:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8),
                                      "big")
            data = self._exactly(size)
            if head[0] & 15 in (0, 2):
                self.got = data
        out, self.got = self.got[:n], self.got[n:]
        return out

    def close(self):
        self.sock.close()


def refused_connect(wire, *args, **kw):
    """True when the broker answers with a code or closes without one."""
    try:
        return wire.connect(*args, **kw) != 0
    except Closed:
        return True


class Client:
    """paho, with its callbacks as things to wait for."""

    def __init__(self, broker, device, client_id=None, version=4, clean=True,
                 tls=None, will=None, expiry=3600):
        self.broker, self.clean, self.expiry = broker, clean, expiry
        self.v5 = version == 5
        self.cond, self.messages = threading.Condition(), []
        self.connack = self.gone = None
        self.granted = {}
        self.c = mqtt.Client(client_id or device.id,
                             None if self.v5 else clean, protocol=version,
                             reconnect_on_failure=False)
        self.c.tls_set_context(tls_context(broker, device, tls))
        if will is not None:
            self.c.will_set(*will)
        self.c.on_connect = lambda c, u, f, rc, p=None: self._set(
            connack=rc.value if self.v5 else rc)
        self.c.on_disconnect = lambda c, u, rc, p=None: self._set(
            gone=time.monotonic())
        self.c.on_message = self._on_message
        self.c.on_subscribe = lambda c, u, mid, codes, p=None: self._set(
            granted={**self.granted, mid: [getattr(x, "value", x)
                                           for x in codes]})

    def _set(self, **values):
        with self.cond:
            self.__dict__.update(values)
            self.cond.notify_all()

    def _on_message(self, _c, _u, m):
        with self.cond:
            self.messages.append(Message(m.topic, m.payload, m.qos,
                                         bool(m.retain)))
            self.cond.notify_all()

    def _wait(self, what, check, timeout=DEADLINE_S):
        with self.cond:
            got = self.cond.wait_for(check, timeout)
            assert got, f"not within {timeout} s: {what}; {self.messages}"
            return got

    def connect(self):
        """Returns itself once the broker has admitted it."""
        more = {}
        if self.v5:
            p = Properties(PacketTypes.CONNECT)
            p.SessionExpiryInterval = 0 if self.clean else self.expiry
            more = {"clean_start": self.clean, "properties": p}
        self.c.connect("localhost", self.broker.port, **more)
        self.c.loop_start()
        self._wait("an answer to CONNECT",
                   lambda: self.connack is not None or self.gone)
        assert self.connack == 0, f"refused: {self.connack}"
        return self

    def subscribe(self, topic, qos=1):
        """The SUBACK's code."""
        _, mid = self.c.subscribe(topic, qos)
        self._wait(f"SUBACK of {topic}", lambda: mid in self.granted)
        return self.granted[mid][0]

    def listening(self, *filters):
        for f in filters:
            assert self.subscribe(f) < 0x80, f
        return self

    def publish(self, topic, payload="x", qos=1, retain=False):
        info = self.c.publish(topic, payload, qos, retain)
        info.wait_for_publish(DEADLINE_S)
        assert info.is_published()

    def until(self, topic, payload=None):
        """As Wire.until, without messages that were retained before it
        subscribed."""
        def at():
            return next((i + 1 for i, m in enumerate(self.messages)
                         if m.topic == topic
                         and payload in (None, m.payload)), 0)
        n = self._wait(f"message {topic}", at)
        with self.cond:
            before = [m for m in self.messages[:n - 1] if not m.retain]
            del self.messages[:n]
        return before

    def ended(self):
        """Waits for the end of the connection; its time, monotonic."""
        return self._wait("the end of the connection", lambda: self.gone)

    def close(self):
        self.c.disconnect()
        self.c.loop_stop()


class Publisher:
    """Publishes until the broker is gone, and knows what was acknowledged."""

    WINDOW = 20
    """Messages in flight."""

    SIZE = 50

    def __init__(self, broker, device):
        self.broker, self.device = broker, device
        self.sent = self.acked = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            w = Wire(self.broker, self.device).admitted()
        except (Closed, OSError):
            return
        body = f"k/{self.device}".encode()
        body = len(body).to_bytes(2, "big") + body
        try:
            while True:
                while self.sent - self.acked < self.WINDOW:
                    self.sent += 1
                    pid = (self.sent % 65535 + 1).to_bytes(2, "big")
                    w.send(3, body + pid + b"x" * self.SIZE, 2)
                if w.read()[0] == PUBACK:
                    self.acked += 1
        except (Closed, OSError):
            pass
        finally:
            w.close()
