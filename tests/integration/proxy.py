# SPDX-License-Identifier: Apache-2.0
"""
A TCP proxy that counts: what really went through each connection, to compare
the meter's wire bytes with.
"""

import contextlib
import socket
import threading


class Pipe:
    """One connection: bytes to the broker and from it, and its end."""

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
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def join(self):
        for t in self.threads:
            t.join()
        for s in self.ends:
            s.close()


class Proxy:
    """Listens beside a broker; `port` is where clients go."""

    def __init__(self, broker):
        self.to = broker.port
        self.fleet = broker.fleet
        self.broker = broker
        self.pipes = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                for s in (client, server):
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.pipes.append(Pipe(client, server))

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for p in self.pipes:
            for s in p.ends:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
            p.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
