"""What may leave the store: bytes that still are those of their digest, under a name and a type that are ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from include.artifacts.store import SUFFIX, Store
from include.errors import ArtifactCorrupt
from include.settings import settings

if TYPE_CHECKING:
    from include.proof.trace import Making

# What a browser shows without running anything of it; all else is a download.
INLINE = {"video/mp4": "video", "image/png": "image", "audio/wav": "audio", "application/pdf": "pdf"}

_verified: dict[tuple[str, int, int, int], str] = {}
_KEPT = 512


def file_name(made: Making) -> str:
    """Return the name a download gets: letters, digits and dashes, whatever the ledger holds."""
    words = "-".join(word for word in (made.kind, made.key) if word)
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in words)[:60].strip(
        "-"
    )
    suffix = Path(made.path).suffix
    return f"{plain or 'artifact'}-{made.sha256[:12]}{suffix if SUFFIX.match(suffix) else ''}"


def verified(made: Making) -> Path:
    """Return the path of the stored bytes, digested anew unless this very file was digested before.

    A browser asks for a video in many ranges; the inode, size and change time say that it is still the same file.

    Raises ArtifactCorrupt.
    """
    store = Store(settings().store)
    path = store.root / made.path
    if not path.resolve().is_relative_to(store.root / "blobs") or path.is_symlink():
        raise ArtifactCorrupt(f"{made.path}: not a file of the store")
    if not path.is_file():
        raise ArtifactCorrupt(f"{made.path}: the file of blob {made.sha256} is missing from the store")
    key = _signature(path)
    if _verified.get(key) != made.sha256:
        store.open(made.path, made.sha256)
        if len(_verified) >= _KEPT:
            _verified.clear()
        _verified[key] = made.sha256
    return path


def _signature(path: Path) -> tuple[str, int, int, int]:
    found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 Path.stat follows links unless told
    return str(path), found.st_ino, found.st_size, found.st_ctime_ns
