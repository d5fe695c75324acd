"""The digests of many files at once: what the disk really holds."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from include.artifacts.digests import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BATCH = 128  # files per hand-over to a thread: handing over one costs more than hashing 20 kB
SMALL = 1 << 20  # bytes; read at once


class Digests:
    """The sha256 of files, each read once however often it is asked for; None where there is no file."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def read(self, paths: Iterable[Path]) -> dict[Path, str | None]:
        """Return the digest of each path, in the order given; files not read before are read by a few threads."""
        wanted = [(path, str(path)) for path in paths]
        # In order of address: files of one folder lie together, on the disk and in its cache.
        missing = sorted({name for _, name in wanted if name not in self._known})
        parts = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        if parts:
            with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
                for part, found in zip(parts, pool.map(_digests, parts), strict=True):
                    self._known.update(zip(part, found, strict=True))
        return {path: self._known[name] for path, name in wanted}


def _digests(names: Sequence[str]) -> list[str | None]:
    return [_digest(name) for name in names]


def _digest(name: str) -> str | None:
    try:
        handle = os.open(name, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        size = os.fstat(handle).st_size
        if size <= SMALL:  # hashlib lets the other threads work meanwhile
            content = os.read(handle, size + 1)
            if len(content) == size:
                return hashlib.sha256(content).hexdigest()
    finally:
        os.close(handle)
    return sha256_file(Path(name))
