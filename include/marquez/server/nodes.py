"""The nodes of a lineage graph as they are sent, each kept in memory for as long as what it shows stays as it is.

A graph is asked again and again while few of its jobs run. So a node is rendered once and kept with a stamp of every row
that it was made from; before it is sent again, the database compares the stamps with the rows, in the snapshot that the
whole graph is read in. A node is never older than the question, whoever wrote to the database since.

The stamp of a row is its ``xmin``, the transaction that wrote it last. It speaks for more than the row, because

* who writes the edges of a job writes the job, and who writes what a run touched writes the run;
* who writes a version or a tag of a dataset writes the dataset;
* names stay what they are, no job is ever removed, and a parent is written with its first child.

What a run read is found by time, and may change without the run: then ``dataset.settled`` counts on.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from include.marquez.server.answers import as_json, rendered
from include.marquez.server.datasets import graph_datasets
from include.marquez.server.jobs import ancestors, job_head, jobs_by_id, runs_by_id

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

    Stamp = tuple[UUID, int | None]
    """A row and its stamp; None: there is no such row."""
    Edge = tuple[UUID, bool, bytes]
    """A dataset of a job, whether the job reads it, and the edge as it is sent."""

KEPT_BYTES = 64_000_000
"""How much memory may be taken by nodes that are kept: those of some 15 000 jobs and as many datasets."""
AT_ONCE = 500
"""So many nodes are rendered between two questions to the database; meanwhile other requests take their turn."""

_SETTLED = "d.settled * 2 + d.hidden::int"
_CHANGED_JOBS = (
    "SELECT k.id FROM unnest($1::uuid[], $2::xid[]) AS k(id, stamp) LEFT JOIN job j ON j.id = k.id"  # noqa: S608  # a constant
    " WHERE j.xmin IS DISTINCT FROM k.stamp UNION ALL"
    " SELECT k.id FROM unnest($3::uuid[], $4::xid[]) AS k(id, stamp) LEFT JOIN run r ON r.id = k.id"
    " WHERE r.xmin IS DISTINCT FROM k.stamp UNION ALL"
    " SELECT k.id FROM unnest($5::uuid[], $6::bigint[]) AS k(id, stamp) LEFT JOIN dataset d ON d.id = k.id"
    f" WHERE {_SETTLED} IS DISTINCT FROM k.stamp"
)
_CHANGED_DATASETS = (
    "SELECT k.id FROM unnest($1::uuid[], $2::xid[]) AS k(id, stamp) LEFT JOIN dataset d ON d.id = k.id"
    " WHERE d.xmin IS DISTINCT FROM k.stamp"
)
_EDGES = (
    f"SELECT e.job_id, e.is_input, d.id, d.namespace, d.name, d.hidden, {_SETTLED} AS stamp FROM job_edge e"  # noqa: S608  # a constant
    " JOIN dataset d ON d.id = e.dataset_id WHERE e.job_id = ANY($1::uuid[])"
)
_TOUCHED = (
    f"SELECT io.run_id, d.id, {_SETTLED} AS stamp FROM run_io io JOIN dataset d ON d.id = io.dataset_id"  # noqa: S608  # a constant
    " WHERE io.run_id = ANY($1::uuid[])"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A job, as it is sent, with its edges; or a dataset, as it is sent but for its edges.

    `id` is the node id; `stamps` are those of the rows it shows, by table.
    """

    key: UUID
    id: str
    text: bytes
    stamps: tuple[tuple[Stamp, ...], ...]
    edges: tuple[Edge, ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return 900 + len(self.text) + 450 * len(self.edges)


class Nodes:
    """Renders nodes, and keeps those that were asked for last. The connections it is given see one snapshot throughout."""

    def __init__(self, counts: Counter[str], kept_bytes: int = KEPT_BYTES) -> None:
        self.counts = counts
        """How many nodes were ``rendered``, and how many sent as they were ``kept``."""
        self._kept: OrderedDict[Hashable, Node] = OrderedDict()
        self._room = kept_bytes

    async def jobs(self, connection: Connection, ids: Collection[UUID], *, own_runs: bool) -> list[Node]:
        """Return those of these jobs that are not deleted.

        Each is shown with the run that stands for its latest one or, with `own_runs`, with that itself.
        """
        render = partial(_jobs, own_runs=own_runs)
        return await self._nodes(connection, {key: (own_runs, key) for key in ids}, _CHANGED_JOBS, render)

    async def datasets(self, connection: Connection, ids: Collection[UUID]) -> list[Node]:
        """Return those of these datasets that are not deleted."""
        return await self._nodes(connection, {key: key for key in ids}, _CHANGED_DATASETS, _datasets)

    async def _nodes(
        self,
        connection: Connection,
        places: Mapping[UUID, Hashable],
        question: str,
        render: Callable[[Connection, Sequence[UUID]], Awaitable[list[Node]]],
    ) -> list[Node]:
        kept = []
        for place in places.values():
            node = self._kept.get(place)
            if node is not None:
                self._kept.move_to_end(place)
                kept.append(node)
        nodes = await _unchanged(connection, kept, question)
        self.counts["kept"] += len(nodes)
        current = {node.key for node in nodes}
        missing = [key for key in places if key not in current]
        for start in range(0, len(missing), AT_ONCE):
            made = await render(connection, missing[start : start + AT_ONCE])
            self.counts["rendered"] += len(made)
            for node in made:
                self._keep(places[node.key], node)
            nodes += made
        return nodes

    def _keep(self, place: Hashable, node: Node) -> None:
        held = self._kept.pop(place, None)
        self._kept[place] = node
        self._room += (held.size if held else 0) - node.size
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1].size


async def _unchanged(connection: Connection, kept: list[Node], question: str) -> list[Node]:
    """Return the nodes that show no row that has changed since."""
    if not kept:
        return []
    tables: list[set[Stamp]] = [set() for _ in kept[0].stamps]
    for node in kept:
        for table, stamps in zip(tables, node.stamps, strict=True):
            table.update(stamps)
    asked = [[stamp[part] for stamp in table] for table in tables for part in (0, 1)]
    changed = {row["id"] for row in await connection.fetch(question, *asked)}
    if not changed:
        return kept
    return [node for node in kept if not any(key in changed for rows in node.stamps for key, _ in rows)]


async def _jobs(connection: Connection, ids: Sequence[UUID], *, own_runs: bool) -> list[Node]:
    rows = await jobs_by_id(connection, ids)
    runs = await _runs_shown(connection, rows, own_runs=own_runs)
    ends: dict[UUID, list[tuple[str, Any]]] = defaultdict(list)
    for end in await connection.fetch(_EDGES, [row["id"] for row in rows]):
        ends[end["job_id"]].append((f"dataset:{end['namespace']}:{end['name']}", end))
    nodes = []
    for row in rows:
        key, node_id = row["id"], f"job:{row['namespace']}:{row['name']}"
        run = runs.get(key, _NO_RUN)
        settled = {(end["id"], end["stamp"]) for _, end in ends[key]} | run.settled
        edges: list[Edge] = []
        sides: dict[tuple[UUID, bool], list[Json]] = defaultdict(list)
        for dataset_id, end in sorted(ends[key], key=lambda end: (end[0], end[1]["is_input"])):
            if end["hidden"]:
                continue
            origin, destination = (dataset_id, node_id) if end["is_input"] else (node_id, dataset_id)
            text = _text({"origin": origin, "destination": destination})
            edges.append((end["id"], end["is_input"], text))
            sides[key, end["is_input"]].append({"namespace": end["namespace"], "name": end["name"]})
        node = {
            "id": node_id,
            "type": "JOB",
            "data": job_head(row, sides) | {"currentRunUuid": run.id, "latestRun": run.shown},
            "inEdges": [as_json(text) for _, is_input, text in edges if is_input],
            "outEdges": [as_json(text) for _, is_input, text in edges if not is_input],
        }
        stamps = (((key, row["xmin"]),), run.stamps, tuple(settled))
        nodes.append(Node(key, node_id, _text(node), stamps, tuple(edges)))
    return nodes


@dataclass(frozen=True, slots=True)
class _Run:
    """The run that a job is shown with, the stamps of its line, and of the datasets it touched."""

    id: UUID | None
    shown: Json | None
    stamps: tuple[Stamp, ...]
    settled: set[Stamp]


_NO_RUN = _Run(None, None, (), set())


async def _runs_shown(connection: Connection, rows: Sequence[Any], *, own_runs: bool) -> dict[UUID, _Run]:
    """Return, for each job that has run, the run that it is shown with."""
    latest: dict[UUID, UUID] = {row["id"]: row["latest_run"] for row in rows if row["latest_run"]}
    lines = {run: [run] for run in latest.values()}
    if not own_runs:
        # Only a job that has a parent has runs that do.
        lines |= await ancestors(
            connection, [latest[row["id"]] for row in rows if row["parent_id"] and row["latest_run"]]
        )
    written = await connection.fetch(
        "SELECT id, xmin FROM run WHERE id = ANY($1::uuid[])",
        list({run for line in lines.values() for run in line}),
    )
    stamps: dict[UUID, int] = {run["id"]: run["xmin"] for run in written}
    standing = {
        run: next((above for above in reversed(line) if above in stamps), run) for run, line in lines.items()
    }
    shown = await runs_by_id(connection, list(set(standing.values())))
    settled: dict[UUID, set[Stamp]] = defaultdict(set)
    for touched in await connection.fetch(_TOUCHED, list(shown)):
        settled[touched["run_id"]].add((touched["id"], touched["stamp"]))
    return {
        job: _Run(
            standing[run],
            shown.get(standing[run]),
            tuple((above, stamps.get(above)) for above in lines[run]),
            settled[standing[run]],
        )
        for job, run in latest.items()
    }


async def _datasets(connection: Connection, ids: Sequence[UUID]) -> list[Node]:
    nodes = []
    for row, data in await graph_datasets(connection, ids):
        node_id = f"dataset:{row['namespace']}:{row['name']}"
        text = _text({"id": node_id, "type": "DATASET", "data": data})
        nodes.append(Node(row["id"], node_id, text, (((row["id"], row["xmin"]),),)))
    return nodes


def _text(value: Any) -> bytes:
    """Return a value as JSON in as much memory as it needs: what orjson returns keeps the room in which it was written."""
    return bytes(memoryview(rendered(value)))
