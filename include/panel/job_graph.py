"""The graph of one job: its artifacts and the exact edges of the ledger, by digest, nothing inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.proof.drawing.graph import Edge, Graph, Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.panel.pages import Place

LIMIT = 300


def job_graph(artifacts: Sequence[dict[str, Any]], place: Place, limit: int = LIMIT) -> Graph:
    """Return the graph of a job's artifacts, as `include.ledger.history.artifacts_of` gives them.

    An input that another job made, or an earlier making, is drawn as a guest. Nodes are in order of kind and key.
    """
    shown = sorted(artifacts, key=_order)[:limit]
    own = {artifact["artifact_id"] for artifact in shown}
    guests: dict[str, dict[str, Any]] = {}
    edges: set[tuple[str, str]] = set()
    all_own = {artifact["artifact_id"] for artifact in artifacts}
    for artifact in shown:
        for used in artifact["inputs"]:
            if used["artifact_id"] in own:
                edges.add((used["artifact_id"], artifact["artifact_id"]))
            elif used["artifact_id"] not in all_own:
                guests[used["artifact_id"]] = used
                edges.add((used["artifact_id"], artifact["artifact_id"]))
    nodes = [
        Node(
            id=artifact["artifact_id"],
            kind="source" if artifact["kind"] == "source" else "artifact",
            label=label(artifact),
            detail=artifact["stage"],
            title=f"{artifact['kind']} {artifact['key']} {artifact['name']} sha256 {artifact['sha256']}",
            href=place.artifact(artifact["artifact_id"]),
            state="REUSED" if artifact["reused_from"] else None,
        )
        for artifact in shown
    ] + [
        Node(
            id=guest["artifact_id"],
            kind="elsewhere",
            label=label(guest),
            detail="made by another job",
            title=f"{guest['kind']} {guest['key']} sha256 {guest['sha256']}",
            href=place.artifact(guest["artifact_id"]),
        )
        for guest in sorted(guests.values(), key=_order)
    ]
    notes: tuple[str, ...] = ()
    if len(artifacts) > limit:
        notes = (
            f"{len(artifacts) - limit} of {len(artifacts)} artifacts are not drawn; the table above has all.",
        )
    return Graph(tuple(nodes), tuple(Edge(*pair) for pair in sorted(edges)), notes=notes)


def label(artifact: dict[str, Any]) -> str:
    """Return the name of an artifact within its job.

    >>> label({"kind": "scene", "key": "01"})
    'scene 01'
    """
    return f"{artifact['kind']} {artifact['key']}".strip()


def _order(artifact: dict[str, Any]) -> tuple[str, str, str]:
    return artifact["kind"], artifact["key"], artifact["artifact_id"]
