# SPDX-License-Identifier: Apache-2.0
"""
Clients of weir-feed's GET /api/v1/tail: one through a WebSocket library of
others, and one whose frames are made by hand, to send what no library would.
Each message must be as docs/openapi.json says.
"""

import base64
import json
import os
import struct

import jsonschema
import websocket

import harness
import test_feed_openapi as openapi

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


KINDS = {kind: jsonschema.Draft4Validator(
    {"$ref": ref, "components": openapi.PLAIN["components"]})
    for kind, ref in openapi.DOC["components"]["schemas"]["TailMessage"][
        "discriminator"]["mapping"].items()}


def told(data):
    """A message, checked."""
    message = json.loads(data)
    KINDS[message["type"]].validate(message)
    return message


class Ended(Exception):
    """The stream has ended, with the close frame's CODE; None: without one."""

    def __init__(self, code, why=""):
        super().__init__(f"ended: {code} {why}")
        self.code, self.why = code, why


class Tail:
    """A library's client. ARGS are the arguments of the request."""

    def __init__(self, feed, token=None, timeout=harness.DEADLINE_S, **args):
        scheme = "wss" if feed.tls is not None else "ws"
        query = "&".join(f"{k}={v}" for k, v in args.items())
        token = token or feed.token
        self.ws = websocket.create_connection(
            f"{scheme}://{feed.host}:{feed.port}/api/v1/tail?{query}",
            timeout=timeout, suppress_origin=True,
            header=[f"Authorization: Bearer {token}"] if token else [],
            sslopt={"context": feed.tls} if feed.tls else None)
        self.hello = self.read()
        assert self.hello["type"] == "hello", self.hello

    def read(self):
        """The next message. The library answers pings."""
        code, data = self.ws.recv_data(control_frame=True)
        while code in (PING, PONG):
            code, data = self.ws.recv_data(control_frame=True)
        if code == CLOSE:
            raise Ended(*close_of(data))
        assert code == TEXT, (code, data)
        return told(data)

    def next(self, type, **want):
        """The next message, which must be of TYPE and so."""
        got = self.read()
        assert got["type"] == type, got
        assert {k: got.get(k) for k in want} == want, got
        return got

    def event(self, **want):
        """What the next message, an event, tells."""
        got = self.next("event")["event"]
        assert {k: got.get(k) for k in want} == want, got
        return got

    def round(self):
        """The counters that come up to the end of a round, by device. On a
        loaded machine rounds may have been left out: their counters are in it."""
        told = {}
        while (got := self.read())["type"] != "round":
            assert got["type"] in ("counters", "lag"), got
            if got["type"] == "counters":
                told[got["device"]] = got
        assert got["devices"] == len(told)
        return told

    def ended(self):
        """The code it ends with, after whatever comes before that."""
        try:
            while True:
                self.read()
        except Ended as e:
            return e.code
        except (websocket.WebSocketConnectionClosedException, OSError):
            return None

    def close(self):
        self.ws.shutdown()  # the socket, without a word


def close_of(data):
    if len(data) < 2:
        return None, ""
    return int.from_bytes(data[:2], "big"), data[2:].decode()


class RawTail:
    """A client of frames by hand, over a socket of FEED. BEHIND: bytes sent in
    one piece with the request. RECEIVE: how much the kernel takes for it while
    it does not read."""

    def __init__(self, feed, path="/api/v1/tail", behind=b"", receive=None,
                 **headers):
        self.sock, self.got = feed.raw(receive=receive), b""
        given = {"Host": f"{feed.host}:{feed.port}", "Upgrade": "websocket",
                 "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key":
                     base64.b64encode(os.urandom(16)).decode()}
        given.update({k.replace("_", "-"): v for k, v in headers.items()})
        self.sock.sendall((f"GET {path} HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in given.items() if v is not None)
            + "\r\n").encode() + behind)
        self.head = self._until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])

    def _more(self):
        more = self.sock.recv(65536)
        if not more:
            raise Ended(None, "the socket was closed")
        self.got += more

    def _until(self, end):
        while end not in self.got:
            self._more()
        head, self.got = self.got.split(end, 1)
        return head

    def _take(self, n):
        while len(self.got) < n:
            self._more()
        out, self.got = self.got[:n], self.got[n:]
        return out

    def send(self, first, data=b"", mask=b"\x01\x02\x03\x04", length=None):
        """A frame whose first byte is FIRST; LENGTH: the bytes that tell its
        length, if they are to be other than usual."""
        n = len(data)
        bit = 0x80 if mask else 0
        if length is None:
            length = (bytes([bit | n]) if n < 126 else
                      bytes([bit | 126]) + struct.pack("!H", n))
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data)
                       ) if mask else data
        self.sock.sendall(bytes([first]) + length + (mask or b"") + masked)

    def frame(self):
        """The next frame: its first byte and what it carries. The server's are
        whole, and not masked."""
        first, n = self._take(2)
        assert n < 128
        if n == 126:
            n = int.from_bytes(self._take(2), "big")
            assert n > 125
        elif n == 127:
            n = int.from_bytes(self._take(8), "big")
            assert n > 65535
        return first, self._take(n)

    def message(self):
        first, data = self.frame()
        while first in (0x80 | PING, 0x80 | PONG):
            first, data = self.frame()
        if first == 0x80 | CLOSE:
            raise Ended(*close_of(data))
        assert first == 0x80 | TEXT, first
        return told(data)

    def ended(self):
        """As Tail.ended."""
        try:
            while True:
                self.message()
        except Ended as e:
            return e.code
        except ConnectionResetError:
            return None

    def close(self):
        self.sock.close()


def past(fleet, *args):
    """What `weir tail` tells of what has been."""
    return [json.loads(x) for x in fleet.weir(
        "--json", "tail", "--no-follow", "-n", "all", *args).splitlines()]
