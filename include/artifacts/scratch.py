"""Folders for work in progress outside the store: gone when the work ends, found by the sweeper when a death left them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "throughline-scratch-"


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder of the machine's temporary files; it is deleted with all that is in it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        yield Path(name)


def scratch_folders() -> list[Path]:
    """Return the folders that are there: of work in progress, and of work whose process was killed."""
    return sorted(path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if path.is_dir())
