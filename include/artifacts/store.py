"""The store on disk: every blob at the address of its sha256; friendly paths are links to it.

Layout below the store's root: ``blobs/<aa>/<sha256><suffix>`` (bytes), ``incoming/.<uuid><suffix>`` (whatever is not
finished yet), ``out/<job_id>/<name>`` and ``lake/<layer>/<table>/<partition>/<transition_id>.parquet`` (links).
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from include.artifacts import faults
from include.artifacts.digests import sha256_file
from include.artifacts.validate import validate
from include.errors import ArtifactCorrupt, InvalidInput, StoreFull

SUFFIX = re.compile(r"^\.[a-z0-9]{1,8}$")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class StoredBlob:
    """Bytes at their address; `path` is relative to the store."""

    sha256: str
    size_bytes: int
    media_type: str
    path: str


def fsync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Store:
    """The artifact store below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def keep(
        self,
        write: Callable[[Path], None],
        *,
        suffix: str,
        media_type: str,
        stage: str = "",
        check: bool = True,
    ) -> StoredBlob:
        """Let `write` fill a temporary file, validate it, and give it the address of its digest.

        The temporary name is hidden and in the store's own file system, so that the rename is atomic. Whatever
        fails, nothing is left at an address and the temporary file is removed; a death leaves it to the sweeper.

        Raises QualityGateFailed when the file is not what its suffix says, StoreFull when the disk has no room for it.
        """
        if not SUFFIX.match(suffix):
            raise InvalidInput(f"artifact suffix {suffix!r}: lower-case letters and digits after one dot")
        with self._unfinished(suffix) as temporary:
            faults.reach(stage, "before_write")
            write(temporary)
            if check:
                validate(temporary, suffix)
            sha256 = sha256_file(temporary)
            size = temporary.stat().st_size
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            faults.reach(stage, "written")
            relative = f"blobs/{sha256[:2]}/{sha256}{suffix}"
            target = self.root / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or sha256_file(target) != sha256:
                temporary.chmod(0o444)
                temporary.replace(target)
                fsync_folder(target.parent)
            faults.reach(stage, "renamed")
            return StoredBlob(sha256, size, media_type, relative)

    def admit(self, source: Path, *, suffix: str, media_type: str, stage: str = "") -> StoredBlob:
        """Copy an outside file in; its bytes are kept as they are, whatever they are."""
        if not source.is_file():
            raise InvalidInput(f"{source}: no such file")

        def copy(target: Path) -> None:
            shutil.copyfile(source, target)

        return self.keep(copy, suffix=suffix, media_type=media_type, stage=stage, check=False)

    def open(self, relative: str, sha256: str) -> Path:
        """Return the path of a blob whose bytes still are those of its digest.

        Raises ArtifactCorrupt when they are missing or altered.
        """
        path = self.root / relative
        if not path.is_file():
            raise ArtifactCorrupt(f"{relative}: the file of blob {sha256} is missing from the store")
        found = sha256_file(path)
        if found != sha256:
            raise ArtifactCorrupt(f"{relative}: altered; recorded sha256 {sha256}, found {found}")
        return path

    def link(self, relative: str, friendly: str) -> Path:
        """Point a friendly path at a blob; a newer making of the same name replaces the link.

        Raises StoreFull.
        """
        place = self.root / friendly
        if not place.parent.resolve().is_relative_to(self.root):
            raise InvalidInput(f"friendly path {friendly!r} leaves the store")
        target = os.path.relpath(self.root / relative, place.parent)
        if place.is_symlink() and place.readlink() == Path(target):
            return place
        with self._unfinished(".link") as fresh:
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh.symlink_to(target)
            fresh.replace(place)
        return place

    def blobs(self) -> Iterator[Path]:
        """Yield every blob file on disk, in order of digest."""
        yield from sorted(path for path in (self.root / "blobs").glob("*/*") if path.is_file())

    def project(self, friendly: str, content: bytes) -> Path:
        """Write a projection (a file that can be rebuilt from the ledger), replacing it as a whole; raises StoreFull."""
        place = self.root / friendly
        with self._unfinished(".part") as fresh:
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(content)
            fresh.replace(place)
        return place

    @contextmanager
    def _unfinished(self, suffix: str) -> Iterator[Path]:
        """Yield a temporary name of the store's own file system; it is gone afterwards, whatever fails.

        Raises StoreFull for a failure, of whatever class, that came of a full disk.
        """
        incoming = self.root / "incoming"
        temporary = incoming / f".{uuid4().hex}{suffix}"
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            yield temporary
        except Exception as error:
            if _no_room(error):
                raise StoreFull(
                    f"{self.root}: no room on the disk of the artifact store; free some (throughline sweep shows what"
                    " deaths left behind), then run the task again"
                ) from error
            raise
        finally:
            temporary.unlink(missing_ok=True)


def _no_room(error: BaseException | None) -> bool:
    """Return whether a full disk is behind a failure: programs and libraries only quote the system's words for it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        if any(os.strerror(number) in str(error) for number in NO_ROOM):
            return True
        error = error.__cause__ or error.__context__
    return False
