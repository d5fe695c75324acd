"""The versions of datasets, when an event arrives late: what was current when, and who read what, is settled again by time.

The usual event is the latest of its datasets; `ingest` then extends the history by itself. These statements are for the
others, and give the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.marquez.server import exact_json
from include.marquez.server.fold import Io
from include.marquez.server.records import lay, told_version
from include.marquez.server.writes import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.fold import Run
    from include.marquez.server.openlineage import Json, Name
    from include.marquez.server.records import Version

    Read = tuple[UUID, Run, Io]
    """A dataset, a run that reads it, and what the run says about it."""

UPSERT = (
    "INSERT INTO dataset_version AS v (id, dataset_id, version, schema_version, run_id, created_at, current_at, fields,"
    " lifecycle, description, source_name, facets, output_facets, columns, inferred, read_facets)"
    " SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],"
    " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],"
    " $15::boolean[], $16::text[])"
    " AS n(id, dataset_id, version, schema_version, run_id, created_at, current_at, fields, lifecycle, description,"
    " source_name, facets, output_facets, columns, inferred, read_facets)"
)
ON_CONFLICT = (
    " ON CONFLICT (id) DO UPDATE SET schema_version = excluded.schema_version,"
    # One that no run wrote is named after the first that told it.
    " version = CASE WHEN excluded.run_id IS NOT NULL OR (excluded.created_at, excluded.version) < (v.created_at, v.version)"
    " THEN excluded.version ELSE v.version END,"
    " created_at = least(v.created_at, excluded.created_at),"
    # A run's version is told whole each time; one that no run wrote became current when it was first seen.
    " current_at = CASE WHEN excluded.run_id IS NULL THEN least(v.current_at, excluded.current_at)"
    " ELSE excluded.current_at END,"
    " fields = excluded.fields, lifecycle = excluded.lifecycle, description = excluded.description,"
    " source_name = excluded.source_name, facets = excluded.facets, output_facets = excluded.output_facets,"
    " columns = excluded.columns, inferred = v.inferred AND excluded.inferred"
)


TELLER = (
    "(SELECT w.id, w.created_at, w.run_id, w.columns FROM dataset_version w WHERE w.dataset_id = d.id"
    " AND w.columns <> '[]' ORDER BY w.created_at DESC, w.id DESC LIMIT 1)"
)
"""The version of dataset `d` that was last to tell how its columns are made, whether or not its run ended well."""


async def settle(
    connection: Connection, written: Sequence[Version], reads: Sequence[Read], names: Mapping[UUID, Name]
) -> None:
    """Bring the datasets of these versions (already stored) and of these reads to what the whole history says."""
    since: dict[UUID, datetime] = {}
    for identifier, at in (
        *((version.dataset_id, version.current_at) for version in written),
        *((identifier, io.seen_at) for identifier, _, io in reads),
    ):
        if at is not None:
            since[identifier] = min(since.get(identifier, at), at)
    await _drop_disproved(connection, written)
    await _infer(connection, reads, names)
    await _lay_again(connection, since)
    await move_current(connection, set(since))


async def lay_late(connection: Connection, reads: Sequence[Read]) -> list[Read]:
    """Lay what readers say over the versions they read, which are no longer current; return those that read none known."""
    rows = await connection.fetch(
        "SELECT r.place, v.id, v.read_facets FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY"
        " AS r(dataset_id, at, place) JOIN LATERAL (SELECT id, read_facets, inferred FROM dataset_version k"
        " WHERE k.dataset_id = r.dataset_id AND k.current_at <= r.at ORDER BY current_at DESC, id DESC LIMIT 1) v ON true",
        [identifier for identifier, _, _ in reads],
        [io.seen_at for _, _, io in reads],
    )
    laid: dict[UUID, Json] = {}
    for row in rows:
        facets = laid.setdefault(row["id"], exact_json.loads(row["read_facets"]))
        _, run, io = reads[row["place"] - 1]
        lay(facets, run.id, io)
    if laid:
        await connection.execute(
            LAY, *columns((key, exact_json.dumps(facets)) for key, facets in sorted(laid.items()))
        )
    known = {row["place"] - 1 for row in rows}
    return [read for place, read in enumerate(reads) if place not in known]


async def _drop_disproved(connection: Connection, written: Sequence[Version]) -> None:
    """A version that was only inferred from a reader never existed if a writer's version is older than the reading."""
    rows = [
        (version.dataset_id, version.current_at)
        for version in written
        if version.current_at and version.run_id
    ]
    if rows:
        await connection.execute(
            "DELETE FROM dataset_version i USING unnest($1::uuid[], $2::timestamptz[]) AS w(dataset_id, at)"
            " WHERE i.dataset_id = w.dataset_id AND i.inferred AND i.current_at >= w.at",
            *columns(rows),
        )


async def _infer(connection: Connection, reads: Sequence[Read], names: Mapping[UUID, Name]) -> None:
    """A dataset that is read before anything is known to have written it has the version that its first reader describes."""
    versions = [
        told_version(identifier, names[identifier], io.facets, io.seen_at, "input", run.id, inferred=True)
        for identifier, run, io in reads
        # What the run itself wrote is the version, if there is no earlier one.
        if identifier not in run.outputs
    ]
    if not versions:
        return
    versions.sort(key=lambda version: version.seniority, reverse=True)
    await connection.execute(
        UPSERT + " WHERE NOT EXISTS (SELECT FROM dataset_version k WHERE k.dataset_id = n.dataset_id"
        " AND k.current_at <= n.current_at AND (k.current_at < n.current_at OR NOT k.inferred))"
        " ON CONFLICT (id) DO UPDATE SET version = CASE WHEN (excluded.created_at, excluded.version)"
        " < (v.created_at, v.version) THEN excluded.version ELSE v.version END,"
        " created_at = least(v.created_at, excluded.created_at),"
        " current_at = least(v.current_at, excluded.current_at)",
        *columns(version.row() for version in {version.id: version for version in versions}.values()),
    )
    # Of several inferred versions only the earliest stands: later readers read that one.
    await connection.execute(
        "DELETE FROM dataset_version i WHERE i.dataset_id = ANY($1::uuid[]) AND i.inferred AND EXISTS"
        " (SELECT FROM dataset_version k WHERE k.dataset_id = i.dataset_id AND k.inferred"
        " AND (k.current_at, k.id) < (i.current_at, i.id))",
        list({version.dataset_id for version in versions}),
    )


async def _lay_again(connection: Connection, since: dict[UUID, datetime]) -> None:
    """Lay what readers say over the versions they read, from the version that was current before `since` on."""
    rows = await connection.fetch(
        "WITH start AS (SELECT k.id, coalesce((SELECT max(v.current_at) FROM dataset_version v WHERE v.dataset_id = k.id"
        " AND v.current_at < k.since), k.since) AS at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(id, since)),"
        " cleared AS (UPDATE dataset_version v SET read_facets = '{}' FROM start s"
        " WHERE v.dataset_id = s.id AND v.current_at >= s.at AND v.read_facets <> '{}')"
        " SELECT io.facets, io.io_facets, io.seen_at, io.told_at, io.run_id, v.id FROM start s"
        " JOIN run_io io ON io.dataset_id = s.id AND io.is_input AND io.seen_at >= s.at"
        " JOIN LATERAL (SELECT id FROM dataset_version k WHERE k.dataset_id = io.dataset_id"
        " AND k.current_at <= io.seen_at ORDER BY current_at DESC, id DESC LIMIT 1) v ON true",
        *columns(sorted(since.items())),
    )
    laid: dict[UUID, Json] = {}
    for row in rows:
        io = Io(
            row["seen_at"],
            row["told_at"],
            exact_json.loads(row["facets"]),
            exact_json.loads(row["io_facets"]),
        )
        lay(laid.setdefault(row["id"], {}), row["run_id"], io)
    if laid:
        await connection.execute(
            LAY, *columns((key, exact_json.dumps(facets)) for key, facets in sorted(laid.items()))
        )


LAY = (
    "UPDATE dataset_version v SET read_facets = n.facets FROM unnest($1::uuid[], $2::text[]) AS n(id, facets)"
    " WHERE v.id = n.id"
)


async def move_current(connection: Connection, datasets: set[UUID]) -> None:
    """Make the latest version of each dataset current."""
    await connection.execute(
        "UPDATE dataset d SET current_version = c.id, current_at = c.current_at FROM"
        " (SELECT k.dataset_id, v.id, v.current_at FROM unnest($1::uuid[]) AS k(dataset_id) JOIN LATERAL"
        " (SELECT id, current_at FROM dataset_version w WHERE w.dataset_id = k.dataset_id"
        " AND w.current_at IS NOT NULL ORDER BY current_at DESC, id DESC LIMIT 1) v ON true) c"
        " WHERE d.id = c.dataset_id",
        sorted(datasets),
    )


async def count_settled(connection: Connection, datasets: set[UUID]) -> None:
    """Tell `nodes` that earlier runs may have read another version of these datasets than was known."""
    await connection.execute(
        "UPDATE dataset SET settled = settled + 1 WHERE id = ANY($1::uuid[])", sorted(datasets)
    )


async def draw_columns(connection: Connection, datasets: set[UUID]) -> None:
    """Draw the column edges of datasets anew, as their stored versions tell them."""
    keys = sorted(datasets)
    await connection.execute("DELETE FROM column_edge WHERE dataset_id = ANY($1::uuid[])", keys)
    await connection.execute(
        "INSERT INTO column_edge SELECT d.id, e ->> 0, (e ->> 1)::uuid, e ->> 2, e ->> 3, e ->> 4"  # noqa: S608  # a constant
        f" FROM unnest($1::uuid[]) AS d(id) JOIN LATERAL {TELLER} v ON true"
        " CROSS JOIN jsonb_array_elements(v.columns::jsonb) e",
        keys,
    )


# Edges that a version now told replaces: those of its dataset, unless a later version tells them.
_UNLESS_LATER = (
    " AND NOT EXISTS (SELECT FROM dataset_version w WHERE w.dataset_id = n.dataset_id AND w.columns <> '[]'"
    " AND w.id <> n.version AND (w.created_at, w.id) > (n.at, n.version))"
)
ERASE_EDGES = (
    "DELETE FROM column_edge c USING unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS n(dataset_id, version, at)"  # noqa: S608  # a constant
    f" WHERE c.dataset_id = n.dataset_id {_UNLESS_LATER}"
)
INSERT_EDGES = (
    "INSERT INTO column_edge SELECT n.dataset_id, n.field, n.input, n.input_field, n.description, n.type FROM unnest("  # noqa: S608  # a constant
    "$1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[])"
    f" AS n(dataset_id, version, at, field, input, input_field, description, type) WHERE true {_UNLESS_LATER}"
)
