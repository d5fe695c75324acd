"""Column lineage: the edges between fields as they were last told, upstream and, when asked, downstream."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server.answers import coded, invalid, no_such_page
from include.marquez.server.datasets import dataset_names
from include.marquez.server.history import TELLER
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


async def column_lineage(
    connection: Connection, text: str, depth: int, *, downstream: bool, sources: bool = False
) -> Json:
    """Return the fields that a dataset, a field or a job's outputs are made from; `downstream` adds what is made from them.

    As in Marquez, that is what is made from fields that are themselves made from others, and the first step is always one
    upstream; with `sources`, fields that are made from nothing are followed downstream too.
    """
    if not text:
        raise invalid("query param nodeId must not be null")
    readings = node_readings(text)
    if not readings or readings[0].kind == "run":
        raise no_such_page()
    version = readings[0].version
    if version and downstream:
        raise coded(400, "Node version cannot be specified when withDownstream is true")
    start: set[Field] = set()
    for reading in readings:
        start = await fields_of(connection, reading)
        if start:
            version = reading.version
            break
    if not start:
        raise coded(404, "Could not find node")
    if version:
        edges, versions = await _past_edges(connection, start, version, depth)
        return {"graph": await _nodes(connection, edges, versions, versions)}
    edges = await _current_edges(connection, start, depth, downstream=downstream, sources=sources)
    told, read = await _versions(connection, edges)
    return {"graph": await _nodes(connection, edges, told, read, with_versions=False)}


_READ_FIELDS = "k.read_facets::jsonb #>> '{schema,2,fields}'"
# The fields of the current version or, where it tells none, of the last version that did or of which a reader did.
_KNOWN_FIELDS = (
    "JOIN LATERAL (SELECT coalesce("  # noqa: S608  # a constant
    "(SELECT c.fields FROM dataset_version c WHERE c.id = d.current_version AND c.fields <> '[]'),"
    " (SELECT k.fields FROM dataset_version k WHERE k.dataset_id = d.id AND k.fields <> '[]'"
    " ORDER BY k.created_at DESC LIMIT 1),"
    f" (SELECT {_READ_FIELDS} FROM dataset_version k WHERE k.dataset_id = d.id"
    f" AND k.read_facets <> '{{}}' AND {_READ_FIELDS} IS NOT NULL"
    " ORDER BY k.created_at DESC LIMIT 1)) AS fields) v ON v.fields IS NOT NULL"
)
_NAMED = "FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id AND NOT d.hidden"


async def fields_of(connection: Connection, node: NodeId) -> set[Field]:
    """Return the fields of a dataset, of what the latest run of a job wrote, or the one field, if there ever was one."""
    key = (job_id if node.kind == "job" else dataset_id)(node.namespace, node.name)
    if node.kind == "job":
        rows = await connection.fetch(
            "SELECT d.id, v.fields FROM job j JOIN run_io io ON io.run_id = j.latest_run AND NOT io.is_input"  # noqa: S608  # constants
            f" JOIN dataset d ON d.id = io.dataset_id AND NOT d.hidden {_KNOWN_FIELDS} WHERE j.id = $1 AND NOT j.hidden",
            key,
        )
    elif node.version:
        rows = await connection.fetch(
            f"SELECT d.id, coalesce(nullif(k.fields, '[]'), {_READ_FIELDS}, '[]') AS fields {_NAMED}"
            " JOIN dataset_version k ON k.dataset_id = d.id AND k.id = $2 WHERE n.id = $1",
            key,
            node.version,
        )
    else:
        rows = await connection.fetch(f"SELECT d.id, v.fields {_NAMED} {_KNOWN_FIELDS} WHERE n.id = $1", key)
    fields = {(row["id"], item["name"]) for row in rows for item in json.loads(row["fields"])}
    if node.kind != "datasetField":
        return fields
    fields = {field for field in fields if field[1] == node.field}
    if fields or node.version:
        return fields
    past = await connection.fetchval(
        f"SELECT d.id {_NAMED} JOIN dataset_version k ON k.dataset_id = d.id,"  # constants
        " jsonb_build_array(jsonb_build_object('name', $2::text)) AS field(told) WHERE n.id = $1"
        f" AND (k.fields::jsonb @> told OR ({_READ_FIELDS})::jsonb @> told) LIMIT 1",
        key,
        node.field,
    )
    return {(past, node.field)} if isinstance(past, UUID) else set()


async def _current_edges(
    connection: Connection, start: set[Field], depth: int, *, downstream: bool, sources: bool
) -> Edges:
    """Walk from edge to edge, level by level; every field is asked once in each direction."""
    edges = await _edges(connection, start, upward=True)
    up, down = set(start), set[Field]()
    if downstream and sources:
        edges |= await _edges(connection, start, upward=False)
        down |= start
    new = edges
    for _ in range(depth - 1):
        ask_up = {source for _, source in new} - up
        ask_down = {made for made, _ in new} - down if downstream else set()
        if not ask_up and not ask_down:
            break
        up |= ask_up
        down |= ask_down
        found = await _edges(connection, ask_up, upward=True) | await _edges(
            connection, ask_down, upward=False
        )
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


async def _versions(connection: Connection, edges: Edges) -> tuple[dict[UUID, UUID], dict[UUID, UUID]]:
    """Return the versions that told how their columns are made, and the versions that these were made from."""
    rows = await connection.fetch(
        f"SELECT d.id AS dataset_id, v.id, v.created_at, v.run_id FROM unnest($1::uuid[]) AS d(id) JOIN LATERAL {TELLER} v ON true",  # noqa: S608  # a constant
        list({made[0] for made, _ in edges}),
    )
    tellers = {row["dataset_id"]: row for row in rows}
    pairs = sorted({(source[0], made[0]) for made, source in edges if made[0] in tellers})
    rows = await connection.fetch(
        "SELECT s.id AS dataset_id, v.id FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS s(id, at, run_id)"
        " JOIN LATERAL (SELECT id, current_at FROM dataset_version k WHERE k.dataset_id = s.id AND k.current_at <= s.at"
        " AND k.run_id IS DISTINCT FROM s.run_id ORDER BY current_at DESC, id DESC LIMIT 1) v ON true"
        " ORDER BY v.current_at",
        [source for source, _ in pairs],
        [tellers[made]["created_at"] for _, made in pairs],
        [tellers[made]["run_id"] for _, made in pairs],
    )
    return {key: row["id"] for key, row in tellers.items()}, {row["dataset_id"]: row["id"] for row in rows}


async def _nodes(
    connection: Connection,
    edges: Edges,
    told: dict[UUID, UUID],
    read: dict[UUID, UUID],
    *,
    with_versions: bool = True,
) -> list[Json]:
    datasets = {field[0] for edge in edges for field in edge}
    names = await dataset_names(connection, list(datasets))
    edges = {edge: how for edge, how in edges.items() if edge[0][0] in names and edge[1][0] in names}
    made_how = {made: how for (made, _), how in edges.items()}
    types = await _types(connection, list(told.values()))
    made_from: dict[Field, list[Field]] = defaultdict(list)
    goes_to: dict[Field, list[Field]] = defaultdict(list)
    for made, source in sorted(edges, key=lambda edge: (str(edge[0]), str(edge[1]))):
        made_from[made].append(source)
        goes_to[source].append(made)

    def node_id(field: Field) -> str:
        namespace, name, _ = names[field[0]]
        suffix = f"#{told.get(field[0])}" if with_versions and field[0] in told else ""
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
            "datasetVersion": (told if field in made_from else read).get(field[0], current),
            "field": field[1],
            "fieldType": types.get(field, "") if field in made_from else "",
            **how(field),
            "inputFields": [
                {
                    "namespace": names[source[0]][0],
                    "dataset": names[source[0]][1],
                    "datasetVersion": read.get(source[0], names[source[0]][2]),
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


async def _types(connection: Connection, versions: list[UUID]) -> dict[Field, str | None]:
    rows = await connection.fetch(
        "SELECT dataset_id, fields FROM dataset_version WHERE id = ANY($1::uuid[])", versions
    )
    return {
        (row["dataset_id"], item["name"]): item["type"] for row in rows for item in json.loads(row["fields"])
    }
