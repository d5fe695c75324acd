"""Datasets, their versions and their tags, as the API shows them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server import exact_json
from include.marquez.server.answers import ApiError, as_facets, as_json, as_told, at, not_found
from include.marquez.server.catalog import one_namespace
from include.marquez.server.history import TELLER
from include.marquez.server.identity import dataset_id
from include.marquez.server.jobs import runs_by_id
from include.marquez.server.openlineage import REQUESTED
from include.marquez.server.records import shown_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    import orjson

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json

_DATASET = (
    "SELECT d.id, n.namespace, n.name, d.physical_name, d.source_name, d.description, d.created_at,"  # noqa: S608  # a constant
    " d.updated_at, d.current_version, v.fields, v.lifecycle, v.facets, v.read_facets, t.columns"
    " FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id LEFT JOIN dataset_version v ON v.id = d.current_version"
    f" LEFT JOIN LATERAL {TELLER} t ON true"
)
_NODE = (
    "SELECT d.id, d.xmin, d.namespace, d.name, d.physical_name, d.source_name, d.description, d.created_at, d.updated_at,"
    " v.fields, v.lifecycle FROM dataset d LEFT JOIN dataset_version v ON v.id = d.current_version"
)
"""By its own name alone, and without what the node of a graph does not show, which is most of it."""
WITHOUT_COLUMNS: Json = {"columnLineage": None}
"""The answer to a change of a dataset leaves its column lineage out."""
_WRITE = "UPDATE dataset SET hidden = hidden WHERE id = $1"
"""Who writes a dataset's tags writes the dataset: `nodes` looks at that alone."""
NAME_ORDER = "n.namespace, left(n.name, 300), n.id"


class Tags:
    """Tags of datasets and of their fields."""

    def __init__(self) -> None:
        self.of_dataset: dict[UUID, list[str]] = defaultdict(list)
        self.of_field: dict[UUID, dict[str, list[str]]] = defaultdict(dict)

    @classmethod
    async def read(cls, connection: Connection, ids: Sequence[UUID]) -> Tags:
        tags = cls()
        for row in await connection.fetch(
            "SELECT dataset_id, NULL AS field, tag FROM dataset_tag WHERE dataset_id = ANY($1::uuid[]) UNION ALL"
            " SELECT dataset_id, field, tag FROM field_tag WHERE dataset_id = ANY($1::uuid[]) ORDER BY tag",
            list(ids),
        ):
            if row["field"] is None:
                tags.of_dataset[row["dataset_id"]].append(row["tag"])
            else:
                tags.of_field[row["dataset_id"]].setdefault(row["field"], []).append(row["tag"])
        return tags

    def fields(self, dataset: UUID, stored: str | None) -> orjson.Fragment | list[Json]:
        """Return the fields as stored, unless one of them has a tag."""
        if not stored:
            return []
        tagged = self.of_field.get(dataset)
        if not tagged:
            return as_json(stored)
        return [item | {"tags": tagged.get(item["name"], [])} for item in json.loads(stored)]


async def known_dataset(connection: Connection, namespace: str, name: str) -> UUID | None:
    """Return the id of a dataset that is not deleted, by any of its names."""
    found = await connection.fetchval(
        "SELECT d.id FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id WHERE n.id = $1 AND NOT d.hidden",
        dataset_id(namespace, name),
    )
    return found if isinstance(found, UUID) else None


async def find_dataset(connection: Connection, namespace: str, name: str) -> UUID:
    """Return the id of a dataset that is not deleted; its namespace is missed before it is."""
    found = await known_dataset(connection, namespace, name)
    if found is None:
        await one_namespace(connection, namespace)
        raise not_found("Dataset", name)
    return found


async def one_dataset(connection: Connection, namespace: str, name: str) -> Json:
    await find_dataset(connection, namespace, name)
    row = await connection.fetchrow(_DATASET + " WHERE n.id = $1", dataset_id(namespace, name))
    return (await shown_datasets(connection, [row]))[0]


async def list_datasets(connection: Connection, namespace: str, limit: int, offset: int) -> Json:
    await one_namespace(connection, namespace)
    rows = await connection.fetch(
        _DATASET + f" WHERE n.namespace = $1 AND NOT d.hidden ORDER BY {NAME_ORDER} LIMIT $2 OFFSET $3",
        namespace,
        limit,
        offset,
    )
    total = await connection.fetchval(
        "SELECT count(*) FROM dataset_name n JOIN dataset d ON d.id = n.dataset_id WHERE n.namespace = $1 AND NOT d.hidden",
        namespace,
    )
    return {"totalCount": total, "datasets": await shown_datasets(connection, rows)}


async def shown_datasets(connection: Connection, rows: Sequence[Any]) -> list[Json]:
    tags = await Tags.read(connection, [row["id"] for row in rows])
    columns = {row["id"]: json.loads(row["columns"]) if row["columns"] else [] for row in rows}
    wanted = {UUID(edge[1]) for edges in columns.values() for edge in edges}
    names = await dataset_names(connection, list(wanted))
    return [
        dataset_head(row, tags)
        | {
            "fields": tags.fields(row["id"], known_fields(row["fields"], row["read_facets"])),
            "currentVersion": row["current_version"],
            "columnLineage": _column_lineage(columns[row["id"]], names),
            "facets": merged(row["facets"], row["read_facets"]),
            "deleted": row["lifecycle"] == "DROP",
        }
        for row in rows
    ]


def dataset_head(row: Any, tags: Tags) -> Json:
    """Return what a dataset's page and its node in a graph share."""
    return {
        "id": {"namespace": row["namespace"], "name": row["name"]},
        "type": "DB_TABLE",
        "name": row["name"],
        "physicalName": row["physical_name"],
        "createdAt": at(row["created_at"]),
        "updatedAt": at(row["updated_at"]),
        "namespace": row["namespace"],
        "sourceName": row["source_name"],
        "fields": tags.fields(row["id"], row["fields"]),
        "tags": tags.of_dataset.get(row["id"], []),
        "lastModifiedAt": None,
        "lastLifecycleState": row["lifecycle"],
        "description": row["description"],
    }


async def dataset_names(
    connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, tuple[str, str, UUID | None]]:
    """Return namespace, name and current version of datasets."""
    if not ids:
        return {}
    rows = await connection.fetch(
        "SELECT id, namespace, name, current_version FROM dataset WHERE id = ANY($1::uuid[]) AND NOT hidden",
        list(ids),
    )
    return {row["id"]: (row["namespace"], row["name"], row["current_version"]) for row in rows}


def merged(written: str | None, read: str | None, output: str | None = None) -> orjson.Fragment:
    """Return the facets of a version: its writer's, under what its readers say of it; a single part is copied as it is."""
    if not written:
        return as_json("{}")
    if REQUESTED in written or ((not read or read == "{}") and (not output or output == "{}")):
        return as_facets(written)
    facets: Json = exact_json.loads(written)
    facets |= {name: told[2] for name, told in exact_json.loads(read or "{}").items()}
    facets |= exact_json.loads(output or "{}")
    return as_told(facets)


def _column_lineage(
    edges: list[list[str]], names: dict[UUID, tuple[str, str, UUID | None]]
) -> list[Json] | None:
    by_field: dict[str, list[Json]] = defaultdict(list)
    told: dict[str, Json] = {}
    for field, source, column, description, kind in edges:
        how: Json = {"transformationDescription": description, "transformationType": kind}
        told[field] = how
        named = names.get(UUID(source))
        if named:
            by_field[field].append(
                {
                    "namespace": named[0],
                    "dataset": named[1],
                    "field": column,
                }
                | how
            )
    return [{"name": name, "inputFields": inputs} | told[name] for name, inputs in by_field.items()] or None


def known_fields(written: str | None, read: str | None) -> str | None:
    """Return the fields of a version: its writer's or, where that told none, those that its last reader tells."""
    if written != "[]" or not read or '"schema"' not in read:
        return written
    told = exact_json.loads(read).get("schema")
    return exact_json.dumps(shown_fields(told[2])) if told else written


async def graph_datasets(connection: Connection, ids: Sequence[UUID]) -> list[tuple[Any, Json]]:
    """Return the rows of datasets that are not deleted, each with what its node in a graph shows."""
    rows = await connection.fetch(
        _NODE + " WHERE d.id = ANY($1::uuid[]) AND NOT d.hidden",
        list(ids),
    )
    tags = await Tags.read(connection, [row["id"] for row in rows])
    return [(row, dataset_head(row, tags)) for row in rows]


# --- versions ----------------------------------------------------------------------------------------------------------


# What a job is said to read is a version only if there was none.
_NONE_BEFORE = (
    " AND NOT (v.inferred AND v.current_at IS NULL AND EXISTS (SELECT FROM dataset_version k"
    " WHERE k.dataset_id = v.dataset_id AND k.current_at <= v.created_at))"
)


async def dataset_versions(
    connection: Connection, namespace: str, name: str, limit: int, offset: int
) -> Json:
    dataset = await find_dataset(connection, namespace, name)
    rows = await connection.fetch(
        "SELECT v.*, d.physical_name FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id WHERE v.dataset_id = $1"  # noqa: S608
        f"{_NONE_BEFORE} ORDER BY v.created_at DESC, v.id LIMIT $2 OFFSET $3",
        dataset,
        limit,
        offset,
    )
    total = await connection.fetchval(
        f"SELECT count(*) FROM dataset_version v WHERE v.dataset_id = $1{_NONE_BEFORE}",  # noqa: S608  # a constant
        dataset,
    )
    return {"versions": await _shown_versions(connection, namespace, name, rows), "totalCount": total}


async def one_dataset_version(connection: Connection, namespace: str, name: str, version: UUID) -> Json:
    dataset = await find_dataset(connection, namespace, name)
    rows = await connection.fetch(
        "SELECT v.*, d.physical_name FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id"
        " WHERE v.dataset_id = $1 AND v.id = $2",
        dataset,
        version,
    )
    if not rows:
        raise not_found("Dataset version", version)
    return (await _shown_versions(connection, namespace, name, rows, whole=True))[0]


async def _shown_versions(
    connection: Connection, namespace: str, name: str, rows: Sequence[Any], *, whole: bool = False
) -> list[Json]:
    if not rows:
        return []
    runs = await runs_by_id(connection, [row["run_id"] for row in rows if row["run_id"]])
    tags = await Tags.read(connection, [rows[0]["dataset_id"]])
    return [
        {
            "id": {"namespace": namespace, "name": name},
            "type": "DB_TABLE",
            "name": name,
            "physicalName": row["physical_name"],
            "createdAt": at(row["created_at"]),
            "version": row["id"],
            "namespace": namespace,
            "sourceName": row["source_name"],
            "fields": tags.fields(row["dataset_id"], row["fields"]),
            "tags": tags.of_dataset.get(row["dataset_id"], []),
            "lifecycleState": row["lifecycle"],
            "description": row["description"],
            "currentSchemaVersion": row["schema_version"],
            "createdByRun": runs.get(row["run_id"]),
            "facets": merged(row["facets"], row["read_facets"], row["output_facets"] if whole else None),
        }
        for row in rows
    ]


# --- changes -----------------------------------------------------------------------------------------------------------


async def hide_dataset(connection: Connection, namespace: str, name: str) -> Json:
    """Delete a dataset softly and return it; a new event brings it back."""
    dataset = await find_dataset(connection, namespace, name)
    shown = await one_dataset(connection, namespace, name)
    await connection.execute("UPDATE dataset SET hidden = true WHERE id = $1", dataset)
    return shown | WITHOUT_COLUMNS


async def tag_dataset(connection: Connection, namespace: str, name: str, tag: str, *, add: bool) -> Json:
    dataset = await find_dataset(connection, namespace, name)
    async with connection.transaction():
        await connection.execute(_WRITE, dataset)
        if add:
            await connection.execute("INSERT INTO tag (name) VALUES ($1) ON CONFLICT DO NOTHING", tag)
            await connection.execute(
                "INSERT INTO dataset_tag VALUES ($1, $2) ON CONFLICT DO NOTHING", dataset, tag
            )
        else:
            await connection.execute(
                "DELETE FROM dataset_tag WHERE dataset_id = $1 AND tag = $2", dataset, tag
            )
    return await one_dataset(connection, namespace, name) | WITHOUT_COLUMNS


async def tag_field(
    connection: Connection, namespace: str, name: str, field: str, tag: str, *, add: bool
) -> Json:
    """Tag one field of a dataset; Marquez writes these tags in capitals."""
    dataset = await find_dataset(connection, namespace, name)
    row = await connection.fetchrow(
        "SELECT v.fields, v.read_facets FROM dataset d JOIN dataset_version v ON v.id = d.current_version WHERE d.id = $1",
        dataset,
    )
    known = known_fields(row["fields"], row["read_facets"]) if row else None
    if not any(item["name"] == field for item in json.loads(known or "[]")):
        raise ApiError(404, {"code": 404, "message": f"Field '{field}' not found for dataset '{name}'."})
    await mark_field(connection, dataset, field, tag.upper(), add=add)
    return await one_dataset(connection, namespace, name) | WITHOUT_COLUMNS


async def mark_field(connection: Connection, dataset: UUID, field: str, tag: str, *, add: bool) -> None:
    """Write or erase a tag of a field, as it is spelled."""
    async with connection.transaction():
        await connection.execute(_WRITE, dataset)
        await connection.execute(
            "DELETE FROM field_tag WHERE dataset_id = $1 AND field = $2 AND tag = $3", dataset, field, tag
        )
        if add:
            await connection.execute("INSERT INTO tag (name) VALUES ($1) ON CONFLICT DO NOTHING", tag)
            await connection.execute("INSERT INTO field_tag VALUES ($1, $2, $3)", dataset, field, tag)
