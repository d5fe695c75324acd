"""Bytes: an artifact's file, checked against its digest before it is sent, and the panel's own style and script."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from include.panel.access import ReaderDep
from include.panel.pages import STATIC
from include.panel.reading import LedgerDep
from include.panel.sending import INLINE, file_name, verified
from include.proof.trace import making

router = APIRouter()

OWN = {
    "panel.css": "text/css; charset=utf-8",
    "panel.js": "text/javascript; charset=utf-8",
    "line.svg": "image/svg+xml",
    "line-dark.svg": "image/svg+xml",
}


@router.get("/artifacts/{artifact_id}/file")
def send_file(
    ledger: LedgerDep, reader: ReaderDep, artifact_id: UUID, download: Annotated[bool, Query()] = False
) -> Response:
    """Send an artifact's bytes under a name made from its kind and digest; never a path from outside."""
    made = making(ledger, artifact_id)
    if made is None or not reader.may_read(made.dag_id or made.family):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such artifact.")
    ledger.close()  # a slow reader of a large file must not hold a connection
    path = verified(made)
    inline = made.media_type in INLINE and not download
    return FileResponse(
        path,
        media_type=made.media_type if made.media_type in INLINE else "application/octet-stream",
        filename=file_name(made),
        content_disposition_type="inline" if inline else "attachment",
        headers={"Accept-Ranges": "bytes"},
    )


@router.get("/static/{name}")
def send_own_file(name: str) -> Response:
    """Send one of the panel's own files, by a name from a fixed list; its address changes with its content."""
    if name not in OWN:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such page.")
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response((STATIC / name).read_bytes(), media_type=OWN[name], headers=headers)
