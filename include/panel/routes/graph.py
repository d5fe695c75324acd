"""The lineage graph of any job or dataset, drawn here from the API of whichever lineage server answers."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from include.ledger.models import Artifact, Job
from include.marquez.client import connect, identity
from include.panel.access import Reader, ReaderDep
from include.panel.lineage_graph import neighbourhood
from include.panel.pages import Place, render
from include.panel.reading import LedgerDep
from include.proof.drawing.layout import draw
from include.settings import settings

router = APIRouter()

DEPTHS = (1, 2, 3, 5, 10, 20)
FOUND = 50


@router.get("/graph")
def show_graph(
    request: Request,
    ledger: LedgerDep,
    reader: ReaderDep,
    node: Annotated[str, Query(max_length=4000)] = "",
    depth: Annotated[int, Query(ge=1, le=20)] = 2,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Draw the neighbourhood of a node, or show what a search finds, or offer the datasets that were made last."""
    common: dict[str, Any] = {"depth": depth, "depths": DEPTHS, "q": q, "node": node, "server": identity()}
    if q.strip():
        return render(request, "search", found=_search(q.strip(), reader), newest=[], **common)
    if not node:
        families = reader.readable(ledger.scalars(select(Job.family).distinct()))
        newest = ledger.execute(
            select(Artifact.namespace, Artifact.dataset)
            .join(Job, Job.job_id == Artifact.job_id)
            .where(Job.family.in_(families))
            .group_by(Artifact.namespace, Artifact.dataset)
            .order_by(func.max(Artifact.created_at).desc())
            .limit(FOUND)
        ).all()
        return render(request, "search", found=None, newest=newest, **common)
    if not node.startswith(("job:", "dataset:")):
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, "A node is job:<namespace>:<name> or dataset:<namespace>:<name>."
        )
    with connect() as client:
        answer = client.graph(
            node, depth + 1
        )  # one further than drawn, so that the border can say what it hides
    place = Place(str(request.scope.get("root_path", "")))
    graph = neighbourhood(
        answer or {}, node, depth, place, may_read=reader.may_read, namespace=settings().namespace
    )
    if not graph.nodes:
        raise HTTPException(HTTPStatus.NOT_FOUND, "The lineage server knows no such job or dataset.")
    return render(request, "graph", graph=graph, drawing=draw(graph), centre=graph.node(node), **common)


def _search(words: str, reader: Reader) -> list[dict[str, Any]]:
    with connect() as client:
        answer = client.search(words, limit=FOUND)
    own = settings().namespace
    return [
        item
        for item in answer.get("results", [])
        if item["type"] != "JOB"
        or item["namespace"] != own
        or reader.may_read(item["name"].partition(".")[0])
    ]
