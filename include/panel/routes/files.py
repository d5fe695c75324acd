"""Bytes: an artifact's file, checked against its digest before it is sent, and the panel's own style and script."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from include.artifacts.store import SUFFIX, Store
from include.errors import ArtifactCorrupt
from include.panel.access import ReaderDep
from include.panel.pages import STATIC
from include.panel.reading import LedgerDep
from include.proof.trace import Making, making
from include.settings import settings

router = APIRouter()

# What a browser shows without running anything of it; all else is a download.
INLINE = {"video/mp4": "video", "image/png": "image", "audio/wav": "audio", "application/pdf": "pdf"}
OWN = {
    "panel.css": "text/css; charset=utf-8",
    "panel.js": "text/javascript; charset=utf-8",
    "line.svg": "image/svg+xml",
    "line-dark.svg": "image/svg+xml",
}

_verified: dict[tuple[str, int, int, int], str] = {}
_KEPT = 512


@router.get("/artifacts/{artifact_id}/file")
def send_file(
    ledger: LedgerDep, reader: ReaderDep, artifact_id: UUID, download: Annotated[bool, Query()] = False
) -> Response:
    """Send an artifact's bytes under a name made from its kind and digest; never a path from outside."""
    made = making(ledger, artifact_id)
    if made is None or not reader.may_read(made.dag_id or made.family):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such artifact.")
    path = verified(made)
    inline = made.media_type in INLINE and not download
    return FileResponse(
        path,
        media_type=made.media_type if made.media_type in INLINE else "application/octet-stream",
        filename=file_name(made),
        content_disposition_type="inline" if inline else "attachment",
        headers={"Accept-Ranges": "bytes"},
    )


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


@router.get("/static/{name}")
def send_own_file(name: str) -> Response:
    """Send one of the panel's own files, by a name from a fixed list; its address changes with its content."""
    if name not in OWN:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such page.")
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response((STATIC / name).read_bytes(), media_type=OWN[name], headers=headers)
