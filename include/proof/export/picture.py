"""The line as SVG: one box per artifact, an arrow per exact input, drawn as the panel draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.proof.drawing.graph import Edge, Graph, Node
from include.proof.drawing.svg import standalone

if TYPE_CHECKING:
    from include.proof.export.record import Record
    from include.proof.trace import Making

LIMIT = 1000


def graph(record: Record, limit: int = LIMIT) -> Graph:
    """Return the graph of a line; where it has more than `limit` artifacts the newest are drawn, and the rest counted.

    An artifact of another job than the roots' is a guest. A reuse is an arrow from the making whose bytes were taken
    over.
    """
    own = {record.artifacts[root].job_id for root in record.roots}
    kept = {item.artifact_id: item for item in list(record.artifacts.values())[-limit:]}
    shown = sorted(kept.values(), key=lambda item: (item.kind, item.key, str(item.artifact_id)))
    nodes = tuple(_node(record, item, item.job_id in own) for item in shown)
    links = {
        (str(used), str(made))
        for made, used in (*record.edges, *record.reuses)
        if {made, used} <= kept.keys()
    }
    left_out = len(record.artifacts) - len(kept)
    notes = (
        (f"{left_out} of {len(record.artifacts)} artifacts, the oldest, are not drawn; the CSV has all.",)
        if left_out
        else ()
    )
    centre = str(record.roots[0]) if len(record.roots) == 1 else None
    return Graph(nodes, tuple(Edge(*pair) for pair in sorted(links)), centre=centre, notes=notes)


def _node(record: Record, item: Making, own: bool) -> Node:
    kind = "source" if item.is_source else "artifact" if own else "elsewhere"
    return Node(
        id=str(item.artifact_id),
        kind=kind,  # type: ignore[arg-type]  # the words of `Kind`, chosen above
        label=f"{item.kind} {item.key}".strip(),
        detail=item.stage if own else f"{item.stage} of job {str(item.job_id)[:8]}",
        title=f"{item.kind} {item.key} {item.name} sha256 {item.sha256} job {item.job_id}"
        + ("" if record.is_current(item) else " (superseded)"),
        href="",
        state="REUSED" if item.reused_from else None,
    )


def document(record: Record, limit: int = LIMIT) -> str:
    """Return the file."""
    drawn = graph(record, limit)
    return standalone(
        drawn,
        title=record.title,
        description=f"{len(drawn.nodes)} artifacts, {len(drawn.edges)} links; "
        "an arrow leads from what was read to what was made from it",
    )
