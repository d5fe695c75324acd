"""The rows that taking events adds and changes: one statement per table."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.marquez.server import exact_json
from include.marquez.server.identity import job_id
from include.marquez.server.records import JobVersion
from include.marquez.server.writes import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection
    from include.marquez.server.fold import Run
    from include.marquez.server.openlineage import Event, Name
    from include.marquez.server.records import Job, Table
    from include.marquez.server.writes import Writes

RUN_COLUMNS = (
    "id, job_id, created_at, updated_at, nominal_start, nominal_end, state, started_at, ended_at, sort_at, args, facets,"
    " job_facets, fold, job_version"
)
RUN_ROWS = (
    "unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],"
    " $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],"
    " $14::text[], $15::uuid[])"
)


def add_events(writes: Writes, events: Sequence[Event]) -> None:
    """Keep the events themselves, and count those that are runs' by day."""
    rows = (
        (e.digest, e.kind if e.listed else "L", e.time, e.type, e.run, *(e.job or (None, None)), e.body)
        for e in events
    )
    writes.add(
        "INSERT INTO event (digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
        ' SELECT digest, kind::"char", event_time, event_type, run_id, job_namespace, job_name, body FROM unnest('
        "$1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[])"
        " AS e(digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)",
        *columns(rows),
    )
    days = Counter(e.time.date() for e in events if e.kind == "R" and e.listed)
    if days:
        writes.add(
            "INSERT INTO event_count AS c (day, shard, n) SELECT d.day, pg_backend_pid() % 8, d.n"
            " FROM unnest($1::date[], $2::bigint[]) AS d(day, n)"
            " ON CONFLICT (day, shard) DO UPDATE SET n = c.n + excluded.n",
            *columns(sorted(days.items())),
        )


def add_namespaces(
    writes: Writes, told: dict[str, datetime], known: dict[str, tuple[datetime, bool, bool]]
) -> None:
    """Add the namespaces that are new, were hidden, or are older than was known."""
    rows = []
    for name, at in sorted(told.items()):
        created, stated, hidden = known.get(name, (None, False, False))
        if created is None or hidden or (not stated and at < created):
            rows.append((name, at))
    if rows:
        writes.add(
            "INSERT INTO namespace AS n (name, created_at, updated_at)"
            " SELECT s.name, s.at, s.at FROM unnest($1::text[], $2::timestamptz[]) AS s(name, at)"
            " ON CONFLICT (name) DO UPDATE SET hidden = false,"
            " created_at = CASE WHEN n.stated THEN n.created_at ELSE least(n.created_at, excluded.created_at) END,"
            " updated_at = CASE WHEN n.stated THEN n.updated_at ELSE least(n.updated_at, excluded.updated_at) END",
            *columns(rows),
        )


def add_job_versions(writes: Writes, versions: Sequence[JobVersion]) -> None:
    """Add versions of jobs; of one that is there, the earliest making counts."""
    writes.add(
        "INSERT INTO job_version AS v (id, job_id, version, created_at, location, inputs, outputs)"
        " SELECT n.id, n.job_id, n.version, n.at, n.location,"
        " ARRAY(SELECT jsonb_array_elements_text(n.inputs::jsonb)::uuid),"
        " ARRAY(SELECT jsonb_array_elements_text(n.outputs::jsonb)::uuid)"
        " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])"
        " AS n(id, job_id, version, at, location, inputs, outputs)"
        " ON CONFLICT (id) DO UPDATE SET created_at = least(v.created_at, excluded.created_at)",
        *columns(version.row() for version in sorted(versions, key=lambda version: version.id)),
    )


def put_jobs(writes: Writes, jobs: Iterable[Job]) -> None:
    """Write jobs as they are known now; one that was deleted and is told of again is back."""
    rows = [
        (
            job.id,
            *job.name,
            job_id(*job.now("parent")) if job.now("parent") else None,
            "STREAM" if (job.now("type") or [""])[0].upper() == "STREAMING" else "BATCH",
            job.created,
            job.updated,
            job.now("location"),
            job.now("description"),
            exact_json.dumps(
                [label for label in (job.now("type") or ["", None, None])[1:] if label is not None]
            ),
            exact_json.dumps(job.attributes),
            exact_json.dumps(job.now("facets") or {}),
            job.current_version,
            job.made_at,
            job.made_by,
            job.made_strong,
            job.latest_run,
            job.latest_state,
            job.latest_at,
        )
        for job in sorted(jobs, key=lambda job: job.id)
    ]
    if not rows:
        return
    writes.add(
        "INSERT INTO job (id, namespace, name, parent_id, type, created_at, updated_at, location, description, labels,"
        " attributes, facets, current_version, version_at, version_by, version_strong, latest_run, latest_state,"
        " latest_at)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],"
        " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[],"
        " $14::timestamptz[], $15::uuid[], $16::boolean[], $17::uuid[], $18::text[], $19::timestamptz[])"
        " ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, type = excluded.type,"
        " created_at = excluded.created_at, updated_at = excluded.updated_at, location = excluded.location,"
        " description = excluded.description, labels = excluded.labels, attributes = excluded.attributes,"
        " facets = excluded.facets, current_version = excluded.current_version, version_at = excluded.version_at,"
        " version_by = excluded.version_by, version_strong = excluded.version_strong,"
        " latest_run = excluded.latest_run, latest_state = excluded.latest_state, latest_at = excluded.latest_at,"
        " hidden = false",
        *columns(rows),
    )


def put_runs(writes: Writes, runs: Iterable[Run], names: dict[UUID, Name]) -> None:
    """Add runs and change those that are stored; `names` are the datasets', by id."""
    new: list[tuple[Any, ...]] = []
    again: list[tuple[Any, ...]] = []
    for run in sorted(runs, key=lambda run: run.id):
        nominal_start, nominal_end = run.nominal
        texts: tuple[str | None, str | None]
        texts = facets, job_facets = exact_json.dumps(run.facets), exact_json.dumps(run.job_facets)
        if run.stored:
            # What did not change is left where it lies: these are the large values of the row.
            texts = (
                None if facets == run.stored[0] else facets,
                None if job_facets == run.stored[1] else job_facets,
            )
        row = (
            run.id,
            job_id(*run.job),
            run.created,
            run.updated,
            nominal_start,
            nominal_end,
            run.state,
            run.started,
            run.ended,
            run.sort_at,
            exact_json.dumps(run.args),
            *texts,
            run.fold(),
            JobVersion.of_run(run, names).version if run.version_at else None,
        )
        (again if run.stored else new).append(row)
    if new:
        writes.add(
            f"INSERT INTO run ({RUN_COLUMNS}) SELECT * FROM {RUN_ROWS}"  # noqa: S608  # constants
            " ON CONFLICT (id) DO UPDATE SET job_id = excluded.job_id, created_at = excluded.created_at,"
            " updated_at = excluded.updated_at, nominal_start = excluded.nominal_start,"
            " nominal_end = excluded.nominal_end, state = excluded.state, started_at = excluded.started_at,"
            " ended_at = excluded.ended_at, sort_at = excluded.sort_at, args = excluded.args,"
            " facets = excluded.facets, job_facets = excluded.job_facets, fold = excluded.fold,"
            " job_version = excluded.job_version",
            *columns(new),
        )
    if again:
        writes.add(
            "UPDATE run r SET job_id = n.job_id, created_at = n.created_at, updated_at = n.updated_at,"  # noqa: S608  # constants
            " nominal_start = n.nominal_start, nominal_end = n.nominal_end, state = n.state,"
            " started_at = n.started_at, ended_at = n.ended_at, sort_at = n.sort_at, args = n.args,"
            " facets = coalesce(n.facets, r.facets), job_facets = coalesce(n.job_facets, r.job_facets),"
            f" fold = n.fold, job_version = n.job_version FROM {RUN_ROWS} AS n({RUN_COLUMNS}) WHERE r.id = n.id",
            *columns(again),
        )


def add_parents(writes: Writes, children: dict[UUID, tuple[UUID, datetime]]) -> None:
    """Add runs that only their children have told of: run -> (job, when the first child began)."""
    writes.add(
        "INSERT INTO run AS r (id, job_id, created_at, updated_at, state, started_at, sort_at, child_at, args, facets,"
        " job_facets)"
        " SELECT p.id, p.job_id, p.at, p.at, 'RUNNING', p.at, p.at, p.at, '{}', '{}', '{}'"
        " FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS p(id, job_id, at)"
        " ON CONFLICT (id) DO UPDATE SET child_at = excluded.child_at, created_at = excluded.created_at,"
        " updated_at = excluded.updated_at, started_at = excluded.started_at, sort_at = excluded.sort_at,"
        " job_id = excluded.job_id",
        *columns((run, job, at) for run, (job, at) in sorted(children.items())),
    )


def put_datasets(writes: Writes, tables: Iterable[Table]) -> None:
    """Write what was told of datasets."""
    rows = []
    for table in sorted((table for table in tables if table.told), key=lambda table: table.id):
        source = table.now("source")
        rows.append(
            (
                table.id,
                *table.name,
                table.now("physical") or table.name[1],
                source[0] if source else "default",
                source[1] if source else None,
                datetime.fromisoformat(source[2]) if source else None,
                table.now("description"),
                table.created,
                datetime.fromisoformat(table.now("updated")) if table.now("updated") else table.created,
                exact_json.dumps(table.attributes),
                table.read_until,
                table.current_version,
                table.current_at,
            )
        )
    if not rows:
        return
    writes.add(
        "INSERT INTO dataset (id, namespace, name, physical_name, source_name, source_uri, source_at, description,"
        " created_at, updated_at, attributes, read_until, current_version, current_at)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
        " $7::timestamptz[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::timestamptz[],"
        " $13::uuid[], $14::timestamptz[])"
        " ON CONFLICT (id) DO UPDATE SET physical_name = excluded.physical_name, source_name = excluded.source_name,"
        " source_uri = excluded.source_uri, source_at = excluded.source_at, description = excluded.description,"
        " created_at = excluded.created_at, updated_at = excluded.updated_at, attributes = excluded.attributes,"
        " read_until = excluded.read_until, current_version = excluded.current_version,"
        " current_at = excluded.current_at, hidden = false",
        *columns(rows),
    )


def put_io(writes: Writes, runs: Iterable[Run]) -> None:
    """Write which datasets runs read and wrote, and what they said about them."""
    new, again = [], []
    for run in runs:
        for is_input, side in ((True, run.inputs), (False, run.outputs)):
            for identifier, io in side.items():
                facets, io_facets = io.texts
                if io.stored is None:
                    new.append((run.id, identifier, is_input, io.seen_at, io.told_at, facets, io_facets))
                elif not io.same or io.told_at != io.stored[2]:
                    changed = (
                        None if facets == io.stored[0] else facets,
                        None if io_facets == io.stored[1] else io_facets,
                    )
                    again.append((run.id, identifier, is_input, io.told_at, *changed))
    if new:
        writes.add(
            "INSERT INTO run_io (run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::timestamptz[],"
            " $6::text[], $7::text[])"
            " ON CONFLICT (run_id, is_input, dataset_id) DO UPDATE SET seen_at = excluded.seen_at,"
            " told_at = excluded.told_at, facets = excluded.facets, io_facets = excluded.io_facets",
            *columns(new),
        )
    if again:
        writes.add(
            "UPDATE run_io io SET told_at = n.told_at, facets = coalesce(n.facets, io.facets),"
            " io_facets = coalesce(n.io_facets, io.io_facets) FROM unnest($1::uuid[], $2::uuid[], $3::boolean[],"
            " $4::timestamptz[], $5::text[], $6::text[])"
            " AS n(run_id, dataset_id, is_input, told_at, facets, io_facets)"
            " WHERE io.run_id = n.run_id AND io.is_input = n.is_input AND io.dataset_id = n.dataset_id",
            *columns(again),
        )


def draw_edges(writes: Writes, changed: dict[UUID, JobVersion]) -> None:
    """Draw the edges of jobs anew; those that stay are left alone, so that no row is deleted and written at once."""
    if not changed:
        return
    edges = [
        (job, identifier, is_input)
        for job, version in changed.items()
        for is_input, side in ((True, version.inputs), (False, version.outputs))
        for identifier in side
    ]
    drawn = columns(edges) if edges else [[], [], []]
    rows = "unnest($1::uuid[], $2::uuid[], $3::boolean[]) AS n(job_id, dataset_id, is_input)"
    writes.add(
        f"DELETE FROM job_edge e WHERE e.job_id = ANY($4::uuid[]) AND NOT EXISTS (SELECT FROM {rows}"  # noqa: S608  # constants
        " WHERE n.job_id = e.job_id AND n.dataset_id = e.dataset_id AND n.is_input = e.is_input)",
        *drawn,
        list(changed),
    )
    if edges:
        writes.add(
            f"INSERT INTO job_edge (job_id, dataset_id, is_input) SELECT * FROM {rows} ON CONFLICT DO NOTHING",  # noqa: S608  # constants
            *drawn,
        )


async def ask_latest_runs(connection: Connection, jobs: Iterable[Job]) -> None:
    """Where the latest run of a job turned out to be older than it seemed, look which one it is."""
    asking = sorted(job.id for job in jobs if job.asks)
    if asking:
        await connection.execute(
            "UPDATE job j SET latest_run = r.id, latest_state = r.state, latest_at = r.sort_at FROM"
            " (SELECT k.id AS job_id, v.id, v.state, v.sort_at FROM unnest($1::uuid[]) AS k(id) LEFT JOIN LATERAL"
            " (SELECT id, state, sort_at FROM run WHERE job_id = k.id ORDER BY sort_at DESC, id LIMIT 1) v ON true) r"
            " WHERE j.id = r.job_id",
            asking,
        )


def add_names(writes: Writes, names: Sequence[tuple[UUID, str, str, UUID]]) -> None:
    """Add names of datasets: (id of the name, namespace, name, id of the dataset)."""
    if names:
        writes.add(
            "INSERT INTO dataset_name (id, namespace, name, dataset_id)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) ON CONFLICT (id) DO NOTHING",
            *columns(names),
        )
