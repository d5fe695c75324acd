"""Reading a store on disk: which files it has, and what the bytes of many of them really are."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from include.artifacts.digests import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BATCH = 256  # files per hand-over to a thread: handing over one costs more than hashing 20 kB
SMALL = 1 << 20  # bytes; read at once


class Content(NamedTuple):
    """What a file held when it was read; the size in bytes."""

    sha256: str
    size: int


class Digests:
    """The content of the files below a folder, each read once however often it is asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, Content | None] = {}

    def read(self, names: Iterable[str]) -> dict[str, Content | None]:
        """Return what each file (a path relative to the root) holds, None where there is no file.

        Files not read before are read by a few threads.
        """
        wanted = list(names)
        # In order of address: files of one folder lie together, on the disk and in its cache.
        missing = sorted({name for name in wanted if name not in self._known})
        parts = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        if parts:
            with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
                for part, found in zip(parts, pool.map(self._contents, parts), strict=True):
                    self._known.update(zip(part, found, strict=True))
        return {name: self._known[name] for name in wanted}

    def _contents(self, names: Sequence[str]) -> list[Content | None]:
        return [_content(f"{self.root}/{name}") for name in names]


def stored(root: Path) -> list[str]:
    """Return every blob file below a store's root (``blobs/<aa>/<name>``), relative to it, in order of address."""
    found = []
    try:
        folders = [entry.name for entry in os.scandir(root / "blobs") if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    for folder in folders:
        with os.scandir(root / "blobs" / folder) as entries:
            found += [f"blobs/{folder}/{entry.name}" for entry in entries if entry.is_file()]
    return sorted(found)


def _content(name: str) -> Content | None:
    try:
        handle = os.open(name, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        size = os.fstat(handle).st_size
        if size <= SMALL:  # hashlib lets the other threads work meanwhile
            content = os.read(handle, size + 1)
            if len(content) == size:
                return Content(hashlib.sha256(content).hexdigest(), size)
    finally:
        os.close(handle)
    return Content(sha256_file(Path(name)), size)
