"""Lineage between runs: which run wrote what another one read, and which runs read what one wrote."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from include.marquez.server.answers import at, not_found
from include.marquez.server.jobs import OWN, READ, READERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json


async def upstream(connection: Connection, run_id: UUID, depth: int) -> Json:
    """Return a run and, up to `depth` steps back, the runs that wrote what it read; each once, nearest first.

    Each run has `inputs`: namespace, name, version and `producedByRunId`, which is null where no run is known to have
    written the version.
    """
    order, inputs = await _walk(connection, run_id, depth, _read_by)
    return {
        "runs": [
            run | {"inputs": inputs.get(run["run"]["id"], [])} for run in await _shown(connection, order)
        ]
    }


async def downstream(connection: Connection, run_id: UUID, depth: int) -> Json:
    """Return a run and, up to `depth` steps on, the runs that read what it wrote; each once, nearest first.

    Each run has `outputs`: namespace, name, version and `consumedByRunIds`.
    """
    order, outputs = await _walk(connection, run_id, depth, _written_by)
    return {
        "runs": [
            run | {"outputs": outputs.get(run["run"]["id"], [])} for run in await _shown(connection, order)
        ]
    }


async def _walk(
    connection: Connection, run_id: UUID, depth: int, step: Any
) -> tuple[dict[UUID, int], dict[UUID, list[Json]]]:
    """Return the runs within `depth` steps with their distance, and what `step` tells of each."""
    if not await connection.fetchval("SELECT true FROM run WHERE id = $1", run_id):
        raise not_found("Run", run_id)
    distance: dict[UUID, int] = {run_id: 0}
    told: dict[UUID, list[Json]] = defaultdict(list)
    level = [run_id]
    for steps in range(max(depth, 0) + 1):
        if not level:
            break
        found: list[UUID] = []
        for run, item, neighbours in await step(connection, level):
            told[run].append(item)
            found += neighbours
        # What the runs of the last step touched is shown; the runs behind that are not.
        level = [run for run in dict.fromkeys(found) if run not in distance] if steps < depth else []
        distance |= dict.fromkeys(level, steps + 1)
    return distance, told


async def _read_by(connection: Connection, runs: Sequence[UUID]) -> list[tuple[UUID, Json, list[UUID]]]:
    rows = await connection.fetch(
        "SELECT io.run_id, d.namespace, d.name, coalesce(r.version, w.version) AS version, r.run_id AS writer,"  # noqa: S608  # constants
        " CASE WHEN r.version IS NULL THEN w.run_id ELSE r.run_id END AS produced_by FROM run_io io"
        f" JOIN dataset d ON d.id = io.dataset_id LEFT JOIN LATERAL {READ} r ON true LEFT JOIN LATERAL {OWN} w ON true"
        " WHERE io.is_input AND io.run_id = ANY($1::uuid[]) ORDER BY d.namespace, d.name",
        list(runs),
    )
    return [
        (
            row["run_id"],
            {
                "namespace": row["namespace"],
                "name": row["name"],
                "version": row["version"],
                "producedByRunId": row["produced_by"],
            },
            [row["writer"]] if row["writer"] else [],
        )
        for row in rows
    ]


async def _written_by(connection: Connection, runs: Sequence[UUID]) -> list[tuple[UUID, Json, list[UUID]]]:
    rows = await connection.fetch(
        "SELECT io.run_id, io.dataset_id, d.namespace, d.name, w.version FROM run_io io JOIN dataset d ON d.id = io.dataset_id"
        " LEFT JOIN dataset_version w ON w.run_id = io.run_id AND w.dataset_id = io.dataset_id"
        " WHERE NOT io.is_input AND io.run_id = ANY($1::uuid[]) ORDER BY d.namespace, d.name",
        list(runs),
    )
    readers = await _readers(connection, {(row["dataset_id"], row["run_id"]) for row in rows})
    return [
        (
            row["run_id"],
            {
                "namespace": row["namespace"],
                "name": row["name"],
                "version": row["version"],
                "consumedByRunIds": readers.get((row["dataset_id"], row["run_id"]), []),
            },
            readers.get((row["dataset_id"], row["run_id"]), []),
        )
        for row in rows
    ]


async def _readers(
    connection: Connection, written: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], list[UUID]]:
    """Return the runs that read the versions that runs wrote, in the order in which they began to."""
    pairs = sorted(written)
    rows = await connection.fetch(
        "SELECT v.dataset_id, v.run_id AS writer, r.run_id FROM unnest($1::uuid[], $2::uuid[]) AS w(dataset_id, run_id)"  # noqa: S608  # a constant
        " JOIN dataset_version v ON v.dataset_id = w.dataset_id AND v.run_id = w.run_id AND v.current_at IS NOT NULL"
        f" JOIN LATERAL {READERS} r ON true ORDER BY r.seen_at, r.run_id",
        [dataset for dataset, _ in pairs],
        [run for _, run in pairs],
    )
    readers: dict[tuple[UUID, UUID], list[UUID]] = defaultdict(list)
    for row in rows:
        readers[row["dataset_id"], row["writer"]].append(row["run_id"])
    return readers


async def _shown(connection: Connection, distance: dict[UUID, int]) -> list[Json]:
    rows = await connection.fetch(
        "SELECT r.id, r.started_at, r.ended_at, r.state, j.namespace, j.name, v.id AS version FROM run r"
        " JOIN job j ON j.id = r.job_id LEFT JOIN job_version v ON v.job_id = r.job_id AND v.version = r.job_version"
        " WHERE r.id = ANY($1::uuid[])",
        list(distance),
    )
    return [
        {
            "job": {"namespace": row["namespace"], "name": row["name"], "version": row["version"]},
            "run": {
                "id": row["id"],
                "start": at(row["started_at"]),
                "end": at(row["ended_at"]),
                "status": row["state"],
            },
        }
        for row in sorted(rows, key=lambda row: (distance[row["id"]], row["name"], str(row["id"])))
    ]
