"""An artifact's page: what made it, from which exact bytes, what was made from it, and who else made the same."""

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from include.ledger.models import Blob
from include.panel.access import Reader, ReaderDep
from include.panel.pages import Place, render
from include.panel.reading import LedgerDep
from include.panel.sending import INLINE
from include.proof.trace import Line, Making, downstream, making, makings_of, upstream

router = APIRouter()

DIGEST = re.compile(r"^[0-9a-f]{8,64}$")


@dataclass(frozen=True)
class Branch:
    """One line of the tree of inputs; `making` is None where the reader may not know it.

    `again` marks an artifact that is spelled out further up.
    """

    making: Making | None
    again: bool = False
    branches: list["Branch"] = field(default_factory=list)


def may_read(reader: Reader, made: Making) -> bool:
    """Say whether a person may read a making: by the DAG that made it, else by the one that opened its job."""
    return reader.may_read(made.dag_id or made.family)


@router.get("/artifacts/{artifact_id}")
def show_artifact(request: Request, ledger: LedgerDep, reader: ReaderDep, artifact_id: UUID) -> Response:
    """Show one making."""
    made = readable(ledger, reader, artifact_id)
    return _show(request, ledger, reader, made)


@router.get("/blobs/{sha256}")
def show_blob(request: Request, ledger: LedgerDep, reader: ReaderDep, sha256: str) -> Response:
    """Show the first making of these bytes, with every other one beside it."""
    found = [item for item in makings_of(ledger, sha256) if may_read(reader, item)]
    if not found:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No job of this deployment made or read these bytes.")
    return _show(request, ledger, reader, found[0])


@router.get("/trace")
def trace(
    request: Request, ledger: LedgerDep, reader: ReaderDep, digest: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Lead from a digest (or an id) to what made it; without one, ask for it."""
    wanted = digest.strip().lower().removeprefix("sha256:")
    place = Place(str(request.scope.get("root_path", "")))
    if not wanted:
        return render(request, "trace", digest="", message="", candidates=[])
    if identity := _uuid(wanted):
        made = making(ledger, identity)
        known = made is not None and may_read(reader, made)
        return RedirectResponse(
            place.artifact(identity) if known else place.job(identity), HTTPStatus.SEE_OTHER
        )
    if not DIGEST.match(wanted):
        message = "That is neither a sha256 (64 hexadecimal digits, or the first 8 or more) nor an id."
        return render(request, "trace", http_status=400, digest=digest, message=message, candidates=[])
    candidates = [
        sha256
        for sha256 in ledger.scalars(
            select(Blob.sha256).where(Blob.sha256.startswith(wanted)).order_by(Blob.sha256).limit(20)
        )
        if any(may_read(reader, item) for item in makings_of(ledger, sha256))
    ]
    if len(candidates) == 1:
        return RedirectResponse(place.blob(candidates[0]), HTTPStatus.SEE_OTHER)
    message = (
        "Several files begin like this."
        if candidates
        else "Unknown: no job of this deployment made or read these bytes."
    )
    status = HTTPStatus.OK if candidates else HTTPStatus.NOT_FOUND
    return render(request, "trace", http_status=status, digest=digest, message=message, candidates=candidates)


def _uuid(wanted: str) -> UUID | None:
    """Return the id that this is; the beginning of a digest, which could be one without its dashes, is none."""
    try:
        return UUID(wanted) if "-" in wanted else None
    except ValueError:
        return None


def readable(ledger: Session, reader: Reader, artifact_id: UUID) -> Making:
    """Return a making that the reader may know; 404 otherwise."""
    made = making(ledger, artifact_id)
    if made is None or not may_read(reader, made):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such artifact.")
    return made


def _show(request: Request, ledger: Session, reader: Reader, made: Making) -> Response:
    before, after = upstream(ledger, made.artifact_id), downstream(ledger, made.artifact_id)
    return render(
        request,
        "artifact",
        made=made,
        inline=INLINE.get(made.media_type),
        inputs=tree(before, reader, forwards=False),
        sources=[
            item
            for item in before.sources()
            if may_read(reader, item) and item is not before.makings[before.root]
        ],
        upstream_cut=before.cut,
        uses=tree(after, reader, forwards=True),
        downstream_cut=after.cut,
        makings=[item for item in makings_of(ledger, made.sha256) if may_read(reader, item)],
    )


def tree(line: Line, reader: Reader, *, forwards: bool) -> list[Branch]:
    """Return a line as a tree below its root; what was spelled out once is only named again."""
    spelled: set[UUID] = set()

    def below(artifact_id: UUID) -> list[Branch]:
        branches = []
        for item in line.uses(artifact_id) if forwards else line.inputs(artifact_id):
            if not may_read(reader, item):
                branches.append(Branch(None))
            elif item.artifact_id in spelled:
                branches.append(Branch(item, again=True))
            else:
                spelled.add(item.artifact_id)
                branches.append(Branch(item, branches=below(item.artifact_id)))
        return branches

    return below(line.root)
