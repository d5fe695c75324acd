"""Lineage between runs: which run wrote what another one read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from include.marquez.server.answers import at, not_found
from include.marquez.server.identity import made_of

if TYPE_CHECKING:
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.openlineage import Json


async def upstream(connection: Connection, run_id: UUID, depth: int) -> Json:
    """Return a run and, up to `depth` steps back, the runs that wrote what it read; each once, nearest first."""
    if not await connection.fetchval("SELECT true FROM run WHERE id = $1", run_id):
        raise not_found("Run", run_id)
    order: list[UUID] = [run_id]
    inputs: dict[UUID, list[Json]] = defaultdict(list)
    level = [run_id]
    for step in range(max(depth, 0) + 1):
        if not level:
            break
        found: list[UUID] = []
        for row in await connection.fetch(
            "SELECT io.run_id, d.id AS dataset_id, d.namespace, d.name, v.version, v.run_id AS writer FROM run_io io"
            " JOIN dataset d ON d.id = io.dataset_id"
            " LEFT JOIN LATERAL (SELECT k.version, k.run_id FROM dataset_version k WHERE k.dataset_id = io.dataset_id"
            " AND k.current_at <= io.seen_at AND k.run_id IS DISTINCT FROM io.run_id"
            " ORDER BY k.current_at DESC, k.id DESC LIMIT 1) v ON true"
            " WHERE io.is_input AND io.run_id = ANY($1::uuid[]) ORDER BY d.namespace, d.name",
            level,
        ):
            inputs[row["run_id"]].append(_input(row))
            if row["writer"]:
                found.append(row["writer"])
        known = set(order)
        # The inputs of the last step are shown; the runs behind them are not.
        level = [run for run in dict.fromkeys(found) if run not in known] if step < depth else []
        order += level
    shown = {
        row["id"]: {
            "job": {"namespace": row["namespace"], "name": row["name"], "version": row["current_version"]},
            "run": {
                "id": row["id"],
                "start": at(row["started_at"]),
                "end": at(row["ended_at"]),
                "status": row["state"],
            },
            "inputs": inputs.get(row["id"], []),
        }
        for row in await connection.fetch(
            "SELECT r.id, r.started_at, r.ended_at, r.state, j.namespace, j.name, j.current_version"
            " FROM run r JOIN job j ON j.id = r.job_id WHERE r.id = ANY($1::uuid[])",
            order,
        )
    }
    return {"runs": [shown[run] for run in order if run in shown]}


def _input(row: Any) -> Json:
    own = made_of(
        "dataset version", str(made_of("written version", str(row["dataset_id"]), str(row["run_id"])))
    )
    return {
        "namespace": row["namespace"],
        "name": row["name"],
        "version": row["version"] or own,
        "producedByRunId": row["writer"],
    }
