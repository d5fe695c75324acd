"""The spool: the local file that takes the events which the event table could not take, and how they get there after all.

Writers are the OpenLineage client's file transport in many processes: each opens ``events.ndjson`` to append, writes one
line and closes. They know no lock, so the file is never cut while it may be open. The reader remembers how far it read
each file, by inode; a file that has grown large is renamed, is read on under its new name, and goes when all of it
is read and it has been still for a week. The identity of an event makes reading twice harmless, so whenever the memory is
in doubt a file is read from its start.

Lines that are no event go, with the reason, to ``rejects.ndjson``. Events of rehearsals belong to no job that others see;
they stay where they are.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import psycopg
import structlog

from include.lineage.events import belongs, store_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

ROTATE_BYTES = 32 * 2**20
KEEP_S = 7 * 86_400
SEAL_BYTES = 256
SAVE_EVERY = 50
ALONE_S = 5.0
"""How long a reader waits for another one that does not get on."""
# Where an event begins: the client writes its keys in order.
BEGIN = re.compile(rb'(?=\{"eventTime")')


@dataclass(frozen=True)
class Unread:
    """What waits in the spool: whole lines, bytes (with a torn last line), and lines that were put aside before."""

    lines: int
    size_bytes: int
    rejects: int


@dataclass
class _Taken:
    """How far a file was read: the offset, and a digest of the bytes before it, which tells a file from its successor."""

    offset: int = 0
    seal: str = ""


@dataclass
class _Count:
    stored: int = 0
    known: int = 0
    kept: int = 0
    rejected: int = 0


@dataclass
class Spool:
    """The spool in `folder`; reading is exclusive by a lock on a file in it."""

    folder: Path
    rotate_bytes: int = ROTATE_BYTES
    alone_s: float = ALONE_S
    _still: tuple[tuple[str, int, int], ...] = field(default=(), repr=False)

    @property
    def path(self) -> Path:
        """The file that writers append to."""
        return self.folder / "events.ndjson"

    @property
    def rejects(self) -> Path:
        """The file of lines that are no event: JSON with ``taken_at, file, offset, reason`` and ``line`` or ``line_base64``."""
        return self.folder / "rejects.ndjson"

    def ingest(self, connection: psycopg.Connection[Any]) -> int:
        """Store every whole line that was not read before; return how many events were new to the event table.

        The connection commits by itself. A torn last line is left for another time. Raises psycopg.OperationalError
        when the ledger goes away (what was read until then is remembered) and OSError when the folder cannot be used.
        """
        seen = self._sizes()
        if seen == self._still:
            return 0
        with self._alone() as alone:
            if not alone:
                return 0
            taken = self._remembered()
            count = _Count()
            try:
                for path in self._files():
                    with path.open("rb") as file:
                        self._read(file, path, taken, connection, count)
            finally:
                self._remember(taken)
            self._turn_over(taken)
        self._still = seen
        if count.stored or count.rejected:
            log.info("spool taken in", **vars(count))
        return count.stored

    def taken(self) -> bytes:
        """Return what tells how far it was read, by whomever; another answer means that somebody read on."""
        try:
            return self._memory.read_bytes()
        except FileNotFoundError:
            return b""

    def unread(self) -> Unread:
        """Count what `ingest` has not read yet."""
        taken = self._remembered()
        lines = size = 0
        for path in self._files():
            with path.open("rb") as file:
                file.seek(_start(file, taken))
                for block in iter(lambda: file.read(2**20), b""):
                    lines += block.count(b"\n")
                    size += len(block)
        put_aside = self.rejects.read_bytes().count(b"\n") if self.rejects.exists() else 0
        return Unread(lines, size, put_aside)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(
        self,
        file: BinaryIO,
        path: Path,
        taken: dict[str, _Taken],
        connection: psycopg.Connection[Any],
        count: _Count,
    ) -> None:
        mark = taken.setdefault(_inode(file), _Taken())
        mark.offset = _start(file, taken)
        file.seek(mark.offset)
        end = os.fstat(file.fileno()).st_size  # what is written from here on waits for the next call
        try:
            for number, line in enumerate(iter(file.readline, b""), 1):
                if not line.endswith(b"\n") or mark.offset >= end:
                    break
                self._take(line[:-1], f"{path.name}@{mark.offset}", connection, count)
                mark.offset += len(line)
                if number % SAVE_EVERY == 0:
                    mark.seal = _seal(file, mark.offset)
                    self._remember(taken)
        finally:
            mark.seal = _seal(file, mark.offset)

    def _take(self, line: bytes, where: str, connection: psycopg.Connection[Any], count: _Count) -> None:
        # A writer that died in the middle of its line leaves a beginning to which the next writer appends.
        for piece in (line,) if _is_json(line) else BEGIN.split(line):
            if not piece.strip():
                continue
            reason, event = _event_in(piece)
            if event is not None:
                try:
                    if not belongs(event):
                        count.kept += 1
                    elif store_event(connection, event):
                        count.stored += 1
                    else:
                        count.known += 1
                except (
                    psycopg.DataError,
                    psycopg.IntegrityError,
                    ValueError,
                    TypeError,
                    LookupError,
                    AttributeError,
                ) as error:
                    reason = f"not an event that the table can hold: {error!r}"
            if reason:
                self._put_aside(piece, where, reason)
                count.rejected += 1

    def _put_aside(self, piece: bytes, where: str, reason: str) -> None:
        log.error("spooled line is no event", where=where, reason=reason, rejects=str(self.rejects))
        told = {"taken_at": datetime.now(UTC).isoformat(), "from": where, "reason": reason}
        try:
            told["line"] = piece.decode()
        except UnicodeDecodeError:
            told["line_base64"] = base64.b64encode(piece).decode()
        descriptor = os.open(self.rejects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(told).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    # --- files --------------------------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        """Return the files to read, the oldest first."""
        return [*sorted(self.folder.glob("events.*.ndjson")), *([self.path] if self.path.exists() else [])]

    def _sizes(self) -> tuple[tuple[str, int, int], ...]:
        """Return what tells whether anything was written since."""
        states = [(path.name, path.stat()) for path in self._files()]
        return tuple((name, state.st_ino, state.st_size) for name, state in states)

    def _turn_over(self, taken: dict[str, _Taken]) -> None:
        """Rename the file when it is large; delete renamed ones that were read and still for `KEEP_S`."""
        for path in self._files():
            state = path.stat()
            if path == self.path:
                if state.st_size >= self.rotate_bytes:
                    path.replace(self.folder / f"events.{self._next():020d}.ndjson")
            elif time.time() - state.st_mtime > KEEP_S:
                mark = taken.get(str(state.st_ino))
                if mark is not None and mark.offset == state.st_size:
                    path.unlink()

    def _next(self) -> int:
        """Return the time, or more: files are read by their names, and a clock may go back."""
        numbers = [path.name.split(".")[1] for path in self.folder.glob("events.*.ndjson")]
        return max([time.time_ns(), *(int(number) + 1 for number in numbers if number.isdecimal())])

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        if not self.folder.is_dir():
            yield False
            return
        with (self.folder / "ingest.lock").open("wb") as file:
            deadline, seen = time.monotonic() + self.alone_s, self.taken()
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if (now := self.taken()) != seen:
                        deadline, seen = time.monotonic() + self.alone_s, now
                    if time.monotonic() < deadline:
                        time.sleep(0.05)
                        continue
                    yield False
                else:
                    yield True
                return

    # --- memory -------------------------------------------------------------------------------------------------------

    @property
    def _memory(self) -> Path:
        return self.folder / "progress.json"

    def _remembered(self) -> dict[str, _Taken]:
        try:
            said = json.loads(self._memory.read_bytes())
            return {inode: _Taken(int(one["offset"]), str(one["seal"])) for inode, one in said.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the spool's memory is unreadable; it is read from its start", error=repr(error))
            return {}

    def _remember(self, taken: dict[str, _Taken]) -> None:
        there = {str(path.stat().st_ino) for path in self._files()}
        told = {inode: vars(mark) for inode, mark in taken.items() if inode in there}
        temporary = self._memory.with_suffix(".part")
        temporary.write_text(json.dumps(told))
        temporary.replace(self._memory)


def _inode(file: BinaryIO) -> str:
    return str(os.fstat(file.fileno()).st_ino)


def _seal(file: BinaryIO, offset: int) -> str:
    begin = max(0, offset - SEAL_BYTES)
    return hashlib.sha256(os.pread(file.fileno(), offset - begin, begin)).hexdigest()


def _start(file: BinaryIO, taken: dict[str, _Taken]) -> int:
    """Return where to go on in a file: where reading ended, unless another file has its inode now."""
    mark = taken.get(_inode(file))
    if mark is None or os.fstat(file.fileno()).st_size < mark.offset or _seal(file, mark.offset) != mark.seal:
        return 0
    return mark.offset


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _event_in(piece: bytes) -> tuple[str, dict[str, Any] | None]:
    """Return why a piece is no event, or the event.

    >>> _event_in(b'{"eventTime": "2026-')[0][:8], _event_in(b'[1]')[0]
    ('not JSON', 'not an OpenLineage event: no object with eventTime and a run, job or dataset')
    """
    try:
        value = json.loads(piece)
    except ValueError as error:
        return f"not JSON: {error}", None
    if (
        not isinstance(value, dict)
        or "eventTime" not in value
        or not {"run", "job", "dataset"} & value.keys()
    ):
        return "not an OpenLineage event: no object with eventTime and a run, job or dataset", None
    try:
        datetime.fromisoformat(value["eventTime"])
    except (TypeError, ValueError) as error:
        return f"eventTime is no time: {error}", None
    return "", value
