"""What the database knows of the aggregates that some events touch: read whole, in one statement, under their locks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.marquez.server import exact_json
from include.marquez.server.fold import Io, Run, resume
from include.marquez.server.records import Job, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from include.marquez.server.database import Connection


@dataclass
class Wanted:
    """What events touch, by identifier."""

    digests: list[bytes] = field(default_factory=list)
    namespaces: dict[str, datetime] = field(default_factory=dict)
    """Namespaces, with the earliest event that names each."""
    jobs: set[UUID] = field(default_factory=set)
    runs: set[UUID] = field(default_factory=set)
    parents: set[UUID] = field(default_factory=set)
    """Runs that the events name as parents."""
    tables: set[UUID] = field(default_factory=set)
    """Names of the datasets that the events tell of."""
    names: set[UUID] = field(default_factory=set)
    """All names of datasets that the events hold: those, their symlinks, the sources of their columns."""

    @property
    def locked(self) -> set[UUID]:
        return self.jobs | self.runs | self.parents | self.tables


@dataclass
class RunRow:
    """A stored run. `told`: by events of its own, else only by those of its children."""

    job_id: UUID
    sort_at: datetime
    child_at: datetime | None
    told: bool
    run: Run | None = None


@dataclass
class Known:
    """What there is of what is wanted."""

    digests: set[bytes]
    owners: dict[UUID, UUID]
    """Name of a dataset -> the dataset."""
    namespaces: dict[str, tuple[datetime, bool, bool]]
    """Namespace -> created, stated by a client, hidden."""
    runs: dict[UUID, RunRow]
    tables: dict[UUID, Table]
    jobs: dict[UUID, Job]


READ = """
WITH told AS MATERIALIZED (
    SELECT id, dataset_id FROM dataset_name WHERE id = ANY($1::uuid[])
), held AS MATERIALIZED (
    SELECT run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets FROM run_io WHERE run_id = ANY($3::uuid[])
), touched AS (
    SELECT dataset_id FROM told WHERE id = ANY($2::uuid[]) UNION SELECT dataset_id FROM held
)
SELECT
    (SELECT array_agg(digest) FROM event WHERE digest = ANY($5::bytea[])) AS digests,
    (SELECT array_agg(ROW(id, dataset_id)) FROM told) AS owners,
    (SELECT array_agg(ROW(name, created_at, stated, hidden)) FROM namespace WHERE name = ANY($6::text[])) AS namespaces,
    (SELECT array_agg(ROW(id, job_id, sort_at, child_at, fold, facets, job_facets))
     FROM run WHERE id = ANY($3::uuid[])) AS runs,
    (SELECT array_agg(ROW(id, job_id, sort_at, child_at, fold IS NOT NULL))
     FROM run WHERE id = ANY($4::uuid[])) AS parents,
    (SELECT array_agg(ROW(run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets)) FROM held) AS held,
    (SELECT array_agg(ROW(d.id, d.namespace, d.name, d.created_at, d.attributes, d.read_until, d.current_version,
                          d.current_at, v.read_facets, v.inferred, c.columns))
     FROM touched t JOIN dataset d ON d.id = t.dataset_id
     LEFT JOIN dataset_version v ON v.id = d.current_version
     LEFT JOIN LATERAL (SELECT w.columns FROM dataset_version w WHERE w.dataset_id = d.id AND w.columns <> '[]'
                        ORDER BY w.created_at DESC, w.id DESC LIMIT 1) c ON true) AS tables,
    (SELECT array_agg(ROW(j.id, j.namespace, j.name, j.created_at, j.updated_at, j.attributes, j.current_version,
                          j.version_at, j.version_by, j.version_strong, j.latest_run, j.latest_state, j.latest_at,
                          v.created_at))
     FROM job j LEFT JOIN job_version v ON v.id = j.current_version WHERE j.id = ANY($7::uuid[])) AS jobs
"""


async def read(connection: Connection, wanted: Wanted) -> Known:
    """Read what is known; the caller holds the locks of what is wanted."""
    row = await connection.fetchrow(
        READ,
        list(wanted.names),
        list(wanted.tables),
        list(wanted.runs),
        list(wanted.parents - wanted.runs),
        wanted.digests,
        list(wanted.namespaces),
        list(wanted.jobs),
    )
    runs: dict[UUID, RunRow] = {}
    for run, job, sort_at, child_at, fold, facets, job_facets in row["runs"] or ():
        whole = resume(run, fold, facets, job_facets) if fold else None
        runs[run] = RunRow(job, sort_at, child_at, whole is not None, whole)
    for run, job, sort_at, child_at, told in row["parents"] or ():
        runs[run] = RunRow(job, sort_at, child_at, told)
    for run, dataset, is_input, seen_at, told_at, facets, io_facets in row["held"] or ():
        held = runs[run].run
        if held is not None:
            io = Io(seen_at, told_at, exact_json.loads(facets), exact_json.loads(io_facets))
            io.stored = (facets, io_facets, told_at)
            (held.inputs if is_input else held.outputs)[dataset] = io
    return Known(
        digests=set(row["digests"] or ()),
        owners=dict(row["owners"] or ()),
        namespaces={name: tuple(state) for name, *state in row["namespaces"] or ()},
        runs=runs,
        tables={found[0]: _table(found) for found in row["tables"] or ()},
        jobs={found[0]: _job(found) for found in row["jobs"] or ()},
    )


def _table(row: Sequence[Any]) -> Table:
    (
        identifier,
        namespace,
        name,
        created,
        attributes,
        read_until,
        version,
        current_at,
        read_facets,
        inferred,
        columns,
    ) = row
    return Table(
        exact_json.loads(attributes),
        id=identifier,
        name=(namespace, name),
        created=created,
        read_until=read_until,
        current_version=version,
        current_at=current_at,
        read_facets=read_facets or "{}",
        inferred=bool(inferred),
        columns=columns or "[]",
        told=False,
    )


def _job(row: Sequence[Any]) -> Job:
    identifier, namespace, name, created, updated, attributes, *rest = row
    version, made_at, made_by, made_strong, latest, state, latest_at, version_created = rest
    return Job(
        exact_json.loads(attributes),
        id=identifier,
        name=(namespace, name),
        created=created,
        updated=updated,
        current_version=version,
        version_created=version_created,
        made_at=made_at,
        made_by=made_by,
        made_strong=made_strong,
        latest_run=latest,
        latest_state=state,
        latest_at=latest_at,
    )
