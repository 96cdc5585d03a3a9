# SPDX-License-Identifier: Apache-2.0
"""
A TCP proxy that counts what really went through each connection, to compare
the meter's wire bytes with.
"""

import contextlib
import socket
import threading

from harness import eventually


class Pipe:
    """One connection: bytes to the broker, and back."""

    def __init__(self, client, server):
        self.ends, self.to, self.back = (client, server), 0, 0
        self.threads = [
            threading.Thread(target=self._copy, args=(client, server, "to")),
            threading.Thread(target=self._copy, args=(server, client, "back"))]
        for t in self.threads:
            t.start()

    def _copy(self, source, sink, name):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)
        self.shut()

    def shut(self):
        for s in self.ends:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def over(self):
        return not any(t.is_alive() for t in self.threads)

    def close(self):
        self.shut()
        for t in self.threads:
            t.join()
        for s in self.ends:
            s.close()


class Proxy:
    """Before a port of the broker; clients take it for the broker."""

    def __init__(self, broker, to=None):
        self.fleet, self.to, self.pipes = broker.fleet, to or broker.port, {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, address = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                for s in (client, server):
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.pipes[address[1]] = Pipe(client, server)

    def pipe(self, wire):
        """The connection that a client's socket leads into."""
        return eventually("the connection", lambda: self.pipes.get(
            wire.local_port))

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for p in self.pipes.values():
            p.close()
