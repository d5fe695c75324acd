"""A proxy between a client and PostgreSQL that loses what the server answers to one statement, once.

It reads the frontend/backend protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html): after a
statement that contains a given text was sent, and the server has said that a given command is complete, both connections are
cut before the client hears of it. What the server has committed stays committed.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY, PARSE, BIND = b"Q", b"P", b"B"
COMMAND_COMPLETE = b"C"


@dataclass
class Wire:
    """`dsn` goes through the proxy; `lost` counts the answers that were lost, at most one for each `lose`."""

    dsn: str
    lost: int = 0
    _armed: tuple[bytes, bytes] | None = None
    _seen: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, statement: str, command: str) -> None:
        """Lose the next answer that says `command` (``COMMIT``, ``INSERT 0 1``) after a statement with that text."""
        self._seen.clear()
        self._armed = statement.encode(), command.encode() + b"\0"

    def sent(self, body: bytes) -> None:
        if self._armed is not None and self._armed[0] in body:
            self._seen.set()

    def cuts(self, body: bytes) -> bool:
        with self._lock:
            if self._armed is None or not self._seen.is_set() or body != self._armed[1]:
                return False
            self._armed = None
            self.lost += 1
            return True


def _read(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _message(source: socket.socket, *, typed: bool = True) -> tuple[bytes, bytes, bytes]:
    """Return a message's type, its body and all of its bytes; a start-up message has no type."""
    kind = _read(source, 1) if typed else b""
    length = _read(source, 4)
    body = _read(source, int.from_bytes(length) - 4)
    return kind, body, kind + length + body


def _forward(client: socket.socket, server: socket.socket, wire: Wire) -> None:
    prepared: dict[bytes, bytes] = {}
    typed = False  # no TLS and no encryption are asked for on this machine: the first message is the start-up
    with suppress(EOFError, OSError):
        while True:
            kind, body, raw = _message(client, typed=typed)
            typed = True
            if kind == QUERY:
                wire.sent(body)
            elif kind == PARSE:
                name, text, _ = body.split(b"\0", 2)
                prepared[name] = text
            elif kind == BIND:
                wire.sent(prepared[body.split(b"\0", 2)[1]])
            server.sendall(raw)
    _cut(client, server)


def _back(client: socket.socket, server: socket.socket, wire: Wire) -> None:
    with suppress(EOFError, OSError):
        while True:
            kind, body, raw = _message(server)
            if kind == COMMAND_COMPLETE and wire.cuts(body):
                _message(server)  # the server is ready for the next query: it has committed
                break
            client.sendall(raw)
    _cut(client, server)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def wired(dsn: str) -> Iterator[Wire]:
    """Run a proxy to the database of a DSN."""
    parts = urlsplit(dsn)
    target = (parts.hostname or "", parts.port or 5432)
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"{parts.netloc.rsplit('@', 1)[0]}@127.0.0.1:{listener.getsockname()[1]}"
    wire = Wire(urlunsplit(parts._replace(netloc=address, query="sslmode=disable&gssencmode=disable")))
    open_ends: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(target)
                open_ends.extend([client, server])
                for direction in (_forward, _back):
                    threading.Thread(target=direction, args=(client, server, wire), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield wire
    finally:
        _cut(listener)
        accepting.join()
        _cut(*open_ends)
