"""Column lineage: the current edges between fields, upstream and, when asked, downstream."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server.answers import ApiError, coded, invalid, no_such_page
from include.marquez.server.datasets import dataset_names
from include.marquez.server.identity import NodeId, dataset_id, job_id, node_readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

Field = tuple[UUID, str]
"""A dataset and the name of one of its fields."""
Edge = tuple[Field, Field]
"""A field and one that it is made from."""
How = tuple[str | None, str | None]
"""Description and type of the transformation that makes a field."""
Edges = dict[Edge, How]


async def column_lineage(connection: Connection, text: str, depth: int, *, downstream: bool) -> Json:
    """Return the fields that a dataset, a field or a job's outputs are made from; `downstream` adds what is made from them."""
    if not text:
        raise invalid("query param nodeId must not be null")
    readings = node_readings(text)
    if not readings or readings[0].kind == "run":
        raise no_such_page()
    version = readings[0].version
    if version and downstream:
        raise ApiError(400, "Node version cannot be specified when withDownstream is true")
    start: set[Field] = set()
    for reading in readings:
        start = await _fields_of(connection, reading)
        if start:
            version = reading.version
            break
    if not start:
        raise coded(404, "Could not find node")
    if version:
        edges, versions = await _past_edges(connection, start, version, depth)
    else:
        edges, versions = await _current_edges(connection, start, depth, downstream=downstream), {}
    return {"graph": await _nodes(connection, edges, versions)}


# The fields of the current version or, where it tells none, of the last version that did.
_KNOWN_FIELDS = (
    "JOIN LATERAL (SELECT coalesce("
    "(SELECT c.fields FROM dataset_version c WHERE c.id = d.current_version AND c.fields <> '[]'),"
    " (SELECT k.fields FROM dataset_version k WHERE k.dataset_id = d.id AND k.fields <> '[]'"
    " ORDER BY k.created_at DESC LIMIT 1)) AS fields) v ON v.fields IS NOT NULL"
)


async def _fields_of(connection: Connection, node: NodeId) -> set[Field]:
    if node.kind == "job":
        rows = await connection.fetch(
            "SELECT d.id, v.fields FROM job j JOIN job_edge e ON e.job_id = j.id AND NOT e.is_input"  # noqa: S608  # constants
            f" JOIN dataset d ON d.id = e.dataset_id AND NOT d.hidden {_KNOWN_FIELDS} WHERE j.id = $1 AND NOT j.hidden",
            job_id(node.namespace, node.name),
        )
    elif node.version:
        rows = await connection.fetch(
            "SELECT d.id, v.fields FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id AND NOT d.hidden"
            " JOIN dataset_version v ON v.dataset_id = d.id AND v.id = $2 WHERE n.id = $1",
            dataset_id(node.namespace, node.name),
            node.version,
        )
    else:
        rows = await connection.fetch(
            "SELECT d.id, v.fields FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id AND NOT d.hidden"  # noqa: S608
            f" {_KNOWN_FIELDS} WHERE n.id = $1",
            dataset_id(node.namespace, node.name),
        )
    fields = {(row["id"], item["name"]) for row in rows for item in json.loads(row["fields"])}
    return {field for field in fields if field[1] == node.field} if node.kind == "datasetField" else fields


async def _current_edges(connection: Connection, start: set[Field], depth: int, *, downstream: bool) -> Edges:
    """Walk level by level; every edge is read once."""
    edges = await _edges(connection, start, upward=True)
    if downstream:
        edges |= await _edges(connection, start, upward=False)
    up: set[Field] = set(start)
    down: set[Field] = set(start) if downstream else set()
    new = edges
    for _ in range(depth - 1):
        ask_up = {source for _, source in new} - up
        ask_down = {made for made, _ in new} - down if downstream else set()
        if not ask_up and not ask_down:
            break
        up |= ask_up
        down |= ask_down
        found = await _edges(connection, ask_up, upward=True)
        if downstream:
            found |= await _edges(connection, ask_down, upward=False)
        new = {edge: how for edge, how in found.items() if edge not in edges}
        edges |= new
    return edges


async def _edges(connection: Connection, fields: Iterable[Field], *, upward: bool) -> Edges:
    asked = list(fields)
    if not asked:
        return {}
    side = (
        "e.dataset_id = f.dataset_id AND e.field = f.field"
        if upward
        else ("e.input_dataset_id = f.dataset_id AND e.input_field = f.field")
    )
    rows = await connection.fetch(
        "SELECT e.dataset_id, e.field, e.input_dataset_id, e.input_field, e.description, e.type"  # noqa: S608  # two constant conditions
        f" FROM unnest($1::uuid[], $2::text[]) AS f(dataset_id, field) JOIN column_edge e ON {side}",
        [dataset for dataset, _ in asked],
        [name for _, name in asked],
    )
    return {
        ((row["dataset_id"], row["field"]), (row["input_dataset_id"], row["input_field"])): (
            row["description"],
            row["type"],
        )
        for row in rows
    }


async def _past_edges(
    connection: Connection, start: set[Field], version: UUID, depth: int
) -> tuple[Edges, dict[UUID, UUID]]:
    """Walk upstream from a version, through the versions that were current when it was made."""
    row = await connection.fetchrow(
        "SELECT dataset_id, coalesce(current_at, created_at) AS at, columns FROM dataset_version WHERE id = $1",
        version,
    )
    if row is None:
        raise coded(404, "Could not find node")
    versions: dict[UUID, UUID] = {row["dataset_id"]: version}
    columns: dict[UUID, list[Any]] = {row["dataset_id"]: json.loads(row["columns"])}
    edges: Edges = {}
    asked = set(start)
    seen: set[Field] = set()
    for _ in range(max(depth, 1)):
        seen |= asked
        new = {
            ((dataset, name), (UUID(source), column)): (description, kind)
            for dataset, field in asked
            for name, source, column, description, kind in columns.get(dataset, [])
            if name == field
        }
        edges |= new
        asked = {source for _, source in new} - seen
        unknown = {dataset for dataset, _ in asked} - set(versions)
        for found in (
            await connection.fetch(
                "SELECT v.* FROM unnest($1::uuid[]) AS k(id) JOIN LATERAL (SELECT id, dataset_id, columns FROM dataset_version w"
                " WHERE w.dataset_id = k.id AND w.current_at <= $2 ORDER BY current_at DESC, id DESC LIMIT 1) v ON true",
                list(unknown),
                row["at"],
            )
            if unknown
            else ()
        ):
            versions[found["dataset_id"]] = found["id"]
            columns[found["dataset_id"]] = json.loads(found["columns"])
        if not asked:
            break
    return edges, versions


async def _nodes(connection: Connection, edges: Edges, versions: dict[UUID, UUID]) -> list[Json]:
    datasets = {field[0] for edge in edges for field in edge}
    names = await dataset_names(connection, list(datasets))
    edges = {edge: how for edge, how in edges.items() if edge[0][0] in names and edge[1][0] in names}
    made_how = {made: how for (made, _), how in edges.items()}
    types = await _types(connection, {made[0] for made, _ in edges}, versions)
    made_from: dict[Field, list[Field]] = defaultdict(list)
    goes_to: dict[Field, list[Field]] = defaultdict(list)
    for made, source in sorted(edges, key=lambda edge: (str(edge[0]), str(edge[1]))):
        made_from[made].append(source)
        goes_to[source].append(made)

    def node_id(field: Field) -> str:
        namespace, name, _ = names[field[0]]
        suffix = f"#{versions[field[0]]}" if field[0] in versions else ""
        return f"datasetField:{namespace}:{name}:{field[1]}{suffix}"

    def how(field: Field) -> Json:
        description, kind = made_how.get(field, (None, None))
        return {"transformationDescription": description, "transformationType": kind}

    nodes = []
    for field in {field for edge in edges for field in edge}:
        namespace, name, current = names[field[0]]
        data: Json = {
            "namespace": namespace,
            "dataset": name,
            "datasetVersion": versions.get(field[0], current),
            "field": field[1],
            "fieldType": types.get(field, "") if field in made_from else "",
            **how(field),
            "inputFields": [
                {
                    "namespace": names[source[0]][0],
                    "dataset": names[source[0]][1],
                    "datasetVersion": versions.get(source[0], names[source[0]][2]),
                    "field": source[1],
                    **how(field),
                }
                for source in made_from.get(field, [])
            ],
        }
        nodes.append(
            {
                "id": node_id(field),
                "type": "DATASET_FIELD",
                "data": data,
                "inEdges": [
                    {"origin": node_id(field), "destination": node_id(source)}
                    for source in made_from.get(field, [])
                ],
                "outEdges": [
                    {"origin": node_id(field), "destination": node_id(made)}
                    for made in goes_to.get(field, [])
                ],
            }
        )
    nodes.sort(key=lambda item: str(item["id"]))
    return nodes


async def _types(
    connection: Connection, datasets: set[UUID], versions: dict[UUID, UUID]
) -> dict[Field, str | None]:
    if not datasets:
        return {}
    rows = await connection.fetch(
        "SELECT v.dataset_id, v.fields FROM dataset d JOIN dataset_version v ON v.dataset_id = d.id"
        " WHERE d.id = ANY($1::uuid[]) AND (v.id = ANY($2::uuid[]) OR (v.id = d.current_version AND NOT d.id = ANY($3::uuid[])))",
        list(datasets),
        list(versions.values()),
        list(versions),
    )
    return {
        (row["dataset_id"], item["name"]): item["type"] for row in rows for item in json.loads(row["fields"])
    }
