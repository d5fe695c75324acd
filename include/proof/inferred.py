"""Where the lineage server's idea of what a run read differs from the bytes that the ledger proves it read.

No event can say which version of a dataset a run read. A server of Marquez's API takes the version that is current
when it places the run, so that two jobs at work on one dataset get each other's. The ledger has the digest of every
byte that was opened. The server is asked over its HTTP API only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from include.lineage.facets import JOB_FACET

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.marquez.client import MarquezClient

Digests = frozenset[str]

# What the newest attempt of each run read, by dataset; rehearsals have no events.
READ = text(
    """
    SELECT r.ol_run_id, r.ol_job_name, r.job_id, item ->> 'namespace' AS namespace, item ->> 'name' AS name,
           array_agg(DISTINCT item ->> 'sha256' ORDER BY item ->> 'sha256') AS digests
    FROM (SELECT DISTINCT ON (ol_run_id) * FROM stage_run
          WHERE ol_run_id IS NOT NULL AND status IN ('succeeded', 'reused')
            AND (CAST(:job AS uuid) IS NULL OR job_id = :job) ORDER BY ol_run_id, started_at DESC) r,
         jsonb_array_elements(r.facts -> 'inputs') item
    WHERE EXISTS (SELECT 1 FROM event e WHERE e.run_id = r.ol_run_id AND e.delivered_at IS NOT NULL
                  AND e.event_type = 'COMPLETE')
    GROUP BY r.ol_run_id, r.ol_job_name, r.job_id, r.started_at, namespace, name
    ORDER BY r.started_at, r.ol_run_id, namespace, name
    """
)


@dataclass(frozen=True)
class Misread:
    """One input of a run whose version the server inferred wrongly.

    `inferred_by` is the run that wrote the inferred version; no inferred digests: that run wrote no bytes of it.
    """

    run_id: UUID
    job_id: UUID
    job_name: str
    dataset: str
    version: str
    inferred_by: str
    inferred: tuple[str, ...]
    actual: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line."""
        shown = ", ".join(digest[:12] for digest in self.inferred) or "a version without bytes"
        real = ", ".join(digest[:12] for digest in self.actual)
        return (
            f"{self.job_name} {self.run_id} {self.dataset}: the server infers version {self.version} ({shown}), "
            f"read was {real}"
        )


@dataclass(frozen=True)
class Inferred:
    """How many inputs were asked about, how many the server names only in part, and which it names wrongly.

    A version is what one run wrote: of a dataset that several runs wrote and one reads (the scenes of a video), the
    server names the last. That is said by `partial` and is no row of `misread`.
    """

    inputs: int
    partial: int
    misread: tuple[Misread, ...]


def misread(session: Session, client: MarquezClient, job_id: UUID | None = None) -> Inferred:
    """Compare what the runs (of one job, or all) read with what the server says they read."""
    read: dict[UUID, dict[tuple[str, str], dict[str, Any]]] = {}
    made: dict[str, dict[str, Digests]] = {}
    found: list[Misread] = []
    asked = partial = 0
    for row in session.execute(READ, {"job": job_id}).all():
        if row.ol_run_id not in read:
            read[row.ol_run_id] = _inputs(client, row.ol_run_id)
        given = read[row.ol_run_id].get((row.namespace, row.name))
        writer = given["producedByRunId"] if given else None
        if given is None or writer is None:
            continue  # what comes from outside has no writer; what the server lacks, its comparison names
        if writer not in made:
            made[writer] = _made(client, writer)
        asked += 1
        inferred, actual = made[writer].get(row.name, frozenset()), frozenset(row.digests)
        if inferred == actual:
            continue
        if inferred and inferred < actual:
            partial += 1
            continue
        found.append(
            Misread(
                row.ol_run_id,
                row.job_id,
                row.ol_job_name,
                row.name,
                given["version"],
                writer,
                tuple(sorted(inferred)),
                tuple(row.digests),
            )
        )
    return Inferred(asked, partial, tuple(found))


def _inputs(client: MarquezClient, run_id: UUID) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the server says a run read, with the run that wrote each."""
    found = client.upstream_runs(run_id) or {"runs": []}
    own = [one for one in found["runs"] if one["run"]["id"] == str(run_id)]
    return {(item["namespace"], item["name"]): item for one in own for item in one["inputs"]}


def _made(client: MarquezClient, run_id: str) -> dict[str, Digests]:
    """Return the digests that a run wrote, by dataset.

    Asked of the run's own facet: the facets of a dataset's version hold what its readers said of it, too.
    """
    facet = ((client.run(run_id) or {}).get("facets") or {}).get(JOB_FACET) or {}
    made: dict[str, set[str]] = {}
    for item in facet.get("artifacts") or []:
        made.setdefault(item["dataset"], set()).add(item["sha256"])
    return {name: frozenset(digests) for name, digests in made.items()}
