"""What a death left behind: temporary files and bytes that no row names. Dry run first; never anything recorded."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.artifacts.scratch import scratch_folders
from include.artifacts.store import Store
from include.proof.files import stored
from include.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

KEEP_S = 24 * 3600


@dataclass(frozen=True)
class Swept:
    """What was found, relative to the store (`scratch`: absolute, on this machine), and whether it was deleted."""

    temporaries: tuple[str, ...]
    orphans: tuple[str, ...]
    scratch: tuple[str, ...]
    deleted: bool


def sweep(session: Session, *, dry_run: bool = True, older_than_s: float = KEEP_S) -> Swept:
    """Find (and, without `dry_run`, delete) stale temporaries, files that no artifact names, and this user's scratch.

    A file or folder younger than `older_than_s` may belong to a stage that is about to commit and is left alone. Links are
    never followed.
    """
    store = Store(settings().store)
    limit = time.time() - older_than_s
    named = set(session.execute(text("SELECT path FROM blob JOIN artifact USING (sha256)")).scalars())
    temporaries = [
        path
        for path in sorted((store.root / "incoming").glob(".*"))
        if not path.is_dir() and path.lstat().st_mtime < limit
    ]
    orphans = [
        store.root / name
        for name in stored(store.root)
        if name not in named and (store.root / name).lstat().st_mtime < limit
    ]
    scratch = [
        folder
        for folder in scratch_folders()
        if folder.lstat().st_uid == os.geteuid() and _newest(folder) < limit
    ]
    if not dry_run:
        for path in [*temporaries, *orphans]:
            path.unlink(missing_ok=True)
        for folder in scratch:
            shutil.rmtree(folder)
    return Swept(
        tuple(path.relative_to(store.root).as_posix() for path in temporaries),
        tuple(path.relative_to(store.root).as_posix() for path in orphans),
        tuple(str(folder) for folder in scratch),
        not dry_run,
    )


def _newest(folder: Path) -> float:
    """Return when anything directly in a folder, or the folder itself, was written last."""
    return max(path.lstat().st_mtime for path in [folder, *folder.iterdir()])
