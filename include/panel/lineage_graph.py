"""From an answer of the Marquez API to what is drawn: the neighbourhood of a node, cut openly where it is large."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from include.proof.drawing.graph import Edge, Graph, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from include.panel.pages import Place

LIMIT = 300


def neighbourhood(
    answer: dict[str, Any],
    centre: str,
    depth: int,
    place: Place,
    *,
    may_read: Callable[[str], bool] = lambda dag_id: True,
    namespace: str = "",
    limit: int = LIMIT,
) -> Graph:
    """Return the graph within `depth` jobs of a node, from an answer that reaches one job further.

    `answer` is ``GET /api/v1/lineage`` of Marquez 0.51.1: ``{"graph": [{id, type, data, inEdges, outEdges}]}``. A step
    from job to job is two edges, over a dataset. What lies behind the border or the limit is counted on the
    nodes beside it. Jobs of the deployment's `namespace` that belong to an unreadable DAG are left out, and said to be.
    """
    items = {item["id"]: item for item in answer.get("graph", [])}
    hidden = {
        name
        for name, item in items.items()
        if _dag_of(item, namespace) and not may_read(_dag_of(item, namespace))
    }
    for name in hidden:
        del items[name]
    edges = sorted(set(_edges(items)))
    hops = _distances(edges, centre) if centre in items else {}
    near = [name for name, distance in hops.items() if distance <= 2 * depth]
    kept = set(sorted(near, key=lambda name: (hops[name], name))[:limit])
    beyond: dict[str, set[str]] = {}
    for origin, destination in edges:
        if origin in kept and destination not in kept:
            beyond.setdefault(origin, set()).add(destination)
        if destination in kept and origin not in kept:
            beyond.setdefault(destination, set()).add(origin)
    nodes = tuple(
        _node(items[name], place, depth, hops[name], len(beyond.get(name, ())))
        for name in sorted(kept, key=lambda name: (hops[name], name))
    )
    drawn = tuple(Edge(a, b) for a, b in edges if a in kept and b in kept)
    notes = []
    if len(near) > limit:
        notes.append(
            f"{len(near) - limit} of {len(near)} nodes within this depth are not drawn; “+n” on a node leads to them."
        )
    if hidden:
        notes.append(f"{len(hidden)} jobs belong to DAGs that you may not read; they are left out.")
    return Graph(nodes, drawn, centre=centre, notes=tuple(notes))


def _dag_of(item: dict[str, Any], namespace: str) -> str:
    """Return the DAG of a job of this deployment's Airflow, else nothing."""
    data = item.get("data") or {}
    if item["type"] != "JOB" or data.get("namespace") != namespace:
        return ""
    return str(data["name"]).partition(".")[0]


def _edges(items: dict[str, dict[str, Any]]) -> Iterable[tuple[str, str]]:
    for item in items.values():
        for edge in [*(item.get("inEdges") or ()), *(item.get("outEdges") or ())]:
            if edge["origin"] in items and edge["destination"] in items:
                yield edge["origin"], edge["destination"]


def _distances(edges: list[tuple[str, str]], centre: str) -> dict[str, int]:
    beside: dict[str, list[str]] = {}
    for origin, destination in edges:
        beside.setdefault(origin, []).append(destination)
        beside.setdefault(destination, []).append(origin)
    found = {centre: 0}
    waiting = deque([centre])
    while waiting:
        here = waiting.popleft()
        for there in beside.get(here, ()):
            if there not in found:
                found[there] = found[here] + 1
                waiting.append(there)
    return found


def _node(item: dict[str, Any], place: Place, depth: int, hops: int, hidden: int) -> Node:
    data = item.get("data") or {}
    name, space = str(data.get("name", item["id"])), str(data.get("namespace", ""))
    address = place.graph(item["id"], depth)
    common: dict[str, Any] = {
        "id": item["id"],
        "title": f"{name} ({space})",
        "href": address,
        "hops": hops,
        "hidden": hidden,
        "more": address if hidden else None,
    }
    if item["type"] == "JOB":
        parent, _, last = name.rpartition(".")
        run = data.get("latestRun") or {}
        return Node(
            kind="job", label=last, detail=parent or space, state=str(run.get("state") or "NONE"), **common
        )
    return Node(kind="dataset", label=name, detail=space, **common)
