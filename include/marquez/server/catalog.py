"""Namespaces, sources and tags, and the search over names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.marquez.server.answers import at, no_such_page, not_found, possible_namespace
from include.marquez.server.openlineage import is_uri

if TYPE_CHECKING:
    from datetime import date

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json


def _namespace(row: Any) -> Json:
    return {
        "name": row["name"],
        "createdAt": at(row["created_at"]),
        "updatedAt": at(row["updated_at"]),
        "ownerName": row["owner"],
        "description": row["description"],
        "isHidden": row["hidden"],
    }


async def list_namespaces(connection: Connection, limit: int, offset: int) -> Json:
    rows = await connection.fetch("SELECT * FROM namespace ORDER BY name LIMIT $1 OFFSET $2", limit, offset)
    return {"namespaces": [_namespace(row) for row in rows]}


async def one_namespace(connection: Connection, name: str) -> Json:
    """Return a namespace; under a name that none may have there is no page at all."""
    row = await connection.fetchrow("SELECT * FROM namespace WHERE name = $1", name)
    if row is None:
        raise not_found("Namespace", name) if possible_namespace(name) else no_such_page()
    return _namespace(row)


async def put_namespace(connection: Connection, name: str, owner: str, description: str | None) -> Json:
    """Create a namespace or change its owner; its description stays what it was created with."""
    row = await connection.fetchrow(
        "INSERT INTO namespace AS n (name, created_at, updated_at, stated, owner, description)"
        " VALUES ($1, now(), now(), true, $2, $3)"
        " ON CONFLICT (name) DO UPDATE SET updated_at = now(), stated = true, owner = excluded.owner, hidden = false"
        " RETURNING *",
        name,
        owner,
        description,
    )
    return _namespace(row)


async def hide_namespace(connection: Connection, name: str) -> Json:
    """Delete a namespace softly, with its jobs and datasets, and return it as it was; new events bring them back."""
    shown = await one_namespace(connection, name)
    async with connection.transaction():
        await connection.execute("UPDATE namespace SET hidden = true WHERE name = $1", name)
        await connection.execute("UPDATE job SET hidden = true WHERE namespace = $1", name)
        await connection.execute("UPDATE dataset SET hidden = true WHERE namespace = $1", name)
    return shown


# Sources that events name are read off the datasets; what a client said with PUT wins.
_SOURCES = (
    "SELECT name, type, created_at, updated_at, connection_url, description FROM source UNION ALL"
    " SELECT d.source_name, 'POSTGRESQL', min(d.created_at), max(coalesce(d.source_at, d.updated_at)),"
    " coalesce((array_agg(d.source_uri ORDER BY d.source_at DESC NULLS LAST))[1], ''), NULL"
    " FROM dataset d WHERE NOT EXISTS (SELECT FROM source s WHERE s.name = d.source_name) GROUP BY d.source_name"
)


def _source(row: Any) -> Json:
    return {
        "type": row["type"],
        "name": row["name"],
        "createdAt": at(row["created_at"]),
        "updatedAt": at(row["updated_at"]),
        "connectionUrl": _with_scheme(row["connection_url"] or ""),
        "description": row["description"],
    }


def _with_scheme(url: str) -> str:
    """Write a URL as Marquez does: what cannot be one is taken for the name of a host.

    >>> _with_scheme("postgres://h:5432"), _with_scheme("file://")
    ('postgres://h:5432', 'http://file://')
    """
    return url if is_uri(url) else f"http://{url}"


async def list_sources(connection: Connection, limit: int, offset: int) -> Json:
    rows = await connection.fetch(
        f"SELECT * FROM ({_SOURCES}) s ORDER BY name LIMIT $1 OFFSET $2",  # noqa: S608  # a constant
        limit,
        offset,
    )
    return {"sources": [_source(row) for row in rows]}


async def one_source(connection: Connection, name: str) -> Json:
    row = await connection.fetchrow(f"SELECT * FROM ({_SOURCES}) s WHERE name = $1", name)  # noqa: S608  # a constant
    if row is None:
        raise not_found("Source", name)
    return _source(row)


async def put_source(
    connection: Connection, name: str, kind: str, url: str | None, description: str | None
) -> Json:
    row = await connection.fetchrow(
        "INSERT INTO source AS s (name, type, created_at, updated_at, connection_url, description)"
        " VALUES ($1, $2, now(), now(), $3, $4) ON CONFLICT (name) DO UPDATE SET type = excluded.type, updated_at = now(),"
        " connection_url = excluded.connection_url, description = excluded.description RETURNING *",
        name,
        kind,
        url,
        description,
    )
    return _source(row)


async def list_tags(connection: Connection, limit: int, offset: int) -> Json:
    rows = await connection.fetch(
        "SELECT name, description FROM tag ORDER BY name LIMIT $1 OFFSET $2", limit, offset
    )
    return {"tags": [dict(row) for row in rows]}


async def put_tag(connection: Connection, name: str, description: str | None) -> Json:
    row = await connection.fetchrow(
        "INSERT INTO tag AS t (name, description) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET description = coalesce(excluded.description, t.description)"
        " RETURNING name, description",
        name,
        description,
    )
    return dict(row) if row else {}


async def search(
    connection: Connection,
    text: str,
    *,
    kind: str | None,
    namespace: str | None,
    before: date | None,
    after: date | None,
    by_update: bool,
    limit: int,
) -> Json:
    """Return jobs and datasets whose name holds the text, whatever its case.

    ``%`` and ``_`` are plain letters in a text that holds any other; a text of nothing else asks for every name, because a
    text is required.
    """
    plain = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") if text.strip("%_") else ""
    pattern = f"%{plain}%"
    rows = await connection.fetch(
        "SELECT * FROM ("
        " SELECT 'DATASET' AS type, n.name, d.updated_at, n.namespace FROM dataset_name n"
        " JOIN dataset d ON d.id = n.dataset_id AND NOT d.hidden WHERE n.name ILIKE $1 AND $2 <> 'JOB'"
        " UNION ALL SELECT 'JOB', j.name, j.updated_at, j.namespace FROM job j"
        " WHERE NOT j.hidden AND j.name ILIKE $1 AND $2 <> 'DATASET') s"
        " WHERE ($3::text IS NULL OR namespace = $3) AND ($4::date IS NULL OR updated_at < $4::date)"
        " AND ($5::date IS NULL OR updated_at > $5::date)"
        " ORDER BY CASE WHEN $6 THEN updated_at END DESC, type, name, namespace LIMIT $7",
        pattern,
        kind or "",
        namespace,
        before,
        after,
        by_update,
        limit,
    )
    results = [
        {
            "type": row["type"],
            "name": row["name"],
            "updatedAt": at(row["updated_at"]),
            "namespace": row["namespace"],
            "nodeId": f"{row['type'].lower()}:{row['namespace']}:{row['name']}",
        }
        for row in rows
    ]
    return {"results": results, "totalCount": len(results)}
