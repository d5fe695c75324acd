"""Taking events: one transaction, a handful of set-based statements, the same result in whatever order events arrive.

* A run is the fold of its events in their own order (`fold`).
* Everything else that events change is a register that keeps the value of the latest event, by event time.
* What depends on several runs (which version an input was, what readers say about a version) is settled by time: at once
  where the event is the latest of its datasets, else by `history`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.marquez.server import history
from include.marquez.server.fold import Io, Run, apply, begin, resume
from include.marquez.server.identity import dataset_id, job_id, lock_keys, made_of
from include.marquez.server.openlineage import Event, Name, parse_json, read_event, walk_datasets
from include.marquez.server.records import Job, JobVersion, Table, Version, lay, told_version
from include.marquez.server.writes import Writes, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection, Pool
    from include.marquez.server.history import Read


async def take(pool: Pool, events: Sequence[Event]) -> int:
    """Store events in one transaction; return how many were new. A repeated event changes nothing."""
    async with pool.acquire() as connection:
        intake = Intake(connection, events)
        # The transaction begins with its locks, in one round trip; the keys are integers of our own.
        keys = ",".join(map(str, intake.locks()))
        await connection.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock(key) FROM unnest('{{{keys}}}'::bigint[]) AS key"  # noqa: S608
        )
        try:
            count = await intake.run()
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return count


class Intake:
    """One transaction's work on a list of events."""

    def __init__(self, connection: Connection, events: Sequence[Event]) -> None:
        self.connection = connection
        self.events = list({event.digest: event for event in events}.values())
        self.clock = datetime.now(UTC)
        self.ids: dict[Name, UUID] = {}
        self.named: set[UUID] = set()
        self.tables: dict[UUID, Table] = {}
        self.jobs: dict[UUID, Job] = {}
        self.runs: dict[UUID, Run] = {}
        self.writes = Writes()

    async def run(self) -> int:
        await self._store_events()
        if not self.events:
            return 0
        await self._find_datasets(self.events)
        await self._fold_runs()
        await self._load_tables()
        await self._load_jobs()
        self._tell_jobs()
        self._tell_datasets()
        changed = self._make_job_versions()
        self._write_jobs()
        self._write_runs()
        self._write_parents()
        written, reads, behind = self._plan_versions()
        self._write_datasets()
        self._write_io()
        await self.writes.run(self.connection)
        if behind:
            reads += await history.lay_late(self.connection, behind)
        if written or reads:
            await history.settle(self.connection, written, reads)
        await self._write_edges(changed)
        await self._latest_runs()
        return len(self.events)

    # --- reading what is there ---------------------------------------------------------------------------------------

    def locks(self) -> list[int]:
        touched: set[UUID] = set()
        for event in self.events:
            touched |= {dataset_id(*dataset.name) for dataset in walk_datasets(event)}
            if event.job:
                touched.add(job_id(*event.job))
            if event.run:
                touched.add(event.run)
            if event.parent:
                touched |= {job_id(*event.parent[0]), event.parent[1]}
        return lock_keys(touched)

    async def _store_events(self) -> None:
        """Store the events and the namespaces they name; go on with the events that are new."""
        seen: dict[str, datetime] = {}
        for event in self.events:
            for name in _namespaces_of(event):
                seen[name] = min(seen.get(name, event.time), event.time)
        stored = (
            (e.digest, e.kind if e.listed else "L", e.time, e.type, e.run, *(e.job or (None, None)), e.body)
            for e in sorted(self.events, key=lambda e: e.digest)
        )
        # Namespace rows that would not change are left unlocked: every event of a deployment names the same few.
        rows = await self.connection.fetch(
            "WITH spaces AS (INSERT INTO namespace AS n (name, created_at, updated_at)"
            " SELECT s.name, s.at, s.at FROM unnest($9::text[], $10::timestamptz[]) AS s(name, at)"
            " WHERE NOT EXISTS (SELECT FROM namespace k WHERE k.name = s.name"
            " AND (k.stated OR k.created_at <= s.at) AND NOT k.hidden) ORDER BY s.name"
            " ON CONFLICT (name) DO UPDATE SET hidden = false,"
            " created_at = CASE WHEN n.stated THEN n.created_at ELSE least(n.created_at, excluded.created_at) END,"
            " updated_at = CASE WHEN n.stated THEN n.updated_at ELSE least(n.updated_at, excluded.updated_at) END)"
            " INSERT INTO event (digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
            ' SELECT digest, kind::"char", event_time, event_type, run_id, job_namespace, job_name, body FROM unnest('
            "$1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[])"
            " AS e(digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
            " ON CONFLICT (digest) DO NOTHING RETURNING digest",
            *columns(stored),
            list(seen),
            list(seen.values()),
        )
        new = {row["digest"] for row in rows}
        repeated = [event for event in self.events if event.digest not in new]
        if repeated:
            await self._revive(repeated)
        self.events = sorted((e for e in self.events if e.digest in new), key=lambda e: e.order)

    async def _revive(self, events: list[Event]) -> None:
        """A repeated event changes nothing, but what was deleted and is told of again is back."""
        jobs = {job_id(*event.job) for event in events if event.job}
        jobs |= {job_id(*event.parent[0]) for event in events if event.parent}
        names = {dataset_id(*dataset.name) for event in events for dataset in walk_datasets(event)}
        await self.connection.execute(
            "WITH j AS (UPDATE job SET hidden = false WHERE hidden AND id = ANY($1::uuid[])),"
            " d AS (UPDATE dataset SET hidden = false WHERE hidden AND id IN"
            " (SELECT dataset_id FROM dataset_name WHERE id = ANY($2::uuid[]))) SELECT 1",
            sorted(jobs),
            sorted(names),
        )

    async def _find_datasets(self, events: Iterable[Event]) -> None:
        """Learn the id of every dataset that the events name; a symlinked name leads to the dataset it is a name of."""
        told = [dataset for event in events for dataset in walk_datasets(event)]
        links = (
            link for dataset in told for link in dataset.facets.get("symlinks", {}).get("identifiers") or ()
        )
        sources = {name for dataset in told for name in _sources_of(dataset.facets)}
        await self._find_names(
            {dataset.name for dataset in told} | {(k["namespace"], k["name"]) for k in links} | sources
        )
        for dataset in told:
            self.ids.setdefault(dataset.name, dataset_id(*dataset.name))

    async def _find_names(self, names: set[Name]) -> None:
        wanted = {dataset_id(*name): name for name in names if name not in self.ids}
        if not wanted:
            return
        for row in await self.connection.fetch(
            "SELECT id, dataset_id FROM dataset_name WHERE id = ANY($1::uuid[])", list(wanted)
        ):
            self.ids[wanted[row["id"]]] = row["dataset_id"]
            self.named.add(row["id"])

    async def _fold_runs(self) -> None:
        new: dict[UUID, list[Event]] = {}
        for event in self.events:
            if event.run:
                new.setdefault(event.run, []).append(event)
        if not new:
            return
        rows = await self.connection.fetch(
            "SELECT id, fold, facets, job_facets FROM run WHERE id = ANY($1::uuid[]) AND fold IS NOT NULL",
            list(new),
        )
        late: list[UUID] = []
        for row in rows:
            run = resume(row["id"], row["fold"], row["facets"], row["job_facets"])
            if run.last < new[run.id][0].order:
                self.runs[run.id] = run
            else:
                late.append(run.id)
        if self.runs:
            await self._load_io()
        if late:
            bodies = await self.connection.fetch(
                "SELECT body FROM event WHERE run_id = ANY($1::uuid[])", late
            )
            past = [read_event(parse_json(row["body"].encode())) for row in bodies]
            await self._find_datasets(past)
            for run_id in late:
                new[run_id] = sorted((e for e in past if e.run == run_id), key=lambda e: e.order)
        for run_id, events in new.items():
            run = self.runs.setdefault(run_id, begin(events[0]))
            for event in events:
                apply(run, event, self.ids)
        outputs = [io for run in self.runs.values() for io in run.outputs.values()]
        await self._find_names({name for io in outputs for name in _sources_of(io.facets)})

    async def _load_io(self) -> None:
        for row in await self.connection.fetch(
            "SELECT run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets FROM run_io"
            " WHERE run_id = ANY($1::uuid[])",
            list(self.runs),
        ):
            run = self.runs[row["run_id"]]
            side = run.inputs if row["is_input"] else run.outputs
            io = Io(row["seen_at"], row["told_at"], json.loads(row["facets"]), json.loads(row["io_facets"]))
            side[row["dataset_id"]] = io

    async def _load_tables(self) -> None:
        """Read and lock the rows of every dataset that an event or a run names."""
        wanted = {self.ids[dataset.name] for event in self.events for dataset in walk_datasets(event)}
        for run in self.runs.values():
            wanted |= set(run.inputs) | set(run.outputs)
        if not wanted:
            return
        for row in await self.connection.fetch(
            "SELECT d.id, d.namespace, d.name, d.created_at, d.attributes, d.read_until, d.current_version, d.current_at,"
            " v.read_facets"
            " FROM dataset d LEFT JOIN dataset_version v ON v.id = d.current_version"
            " WHERE d.id = ANY($1::uuid[]) ORDER BY d.id FOR UPDATE OF d",
            list(wanted),
        ):
            self.tables[row["id"]] = Table(
                json.loads(row["attributes"]),
                id=row["id"],
                name=(row["namespace"], row["name"]),
                created=row["created_at"],
                read_until=row["read_until"],
                current_version=row["current_version"],
                current_at=row["current_at"],
                read_facets=row["read_facets"] or "{}",
                told=False,
            )

    async def _load_jobs(self) -> None:
        wanted = {job_id(*event.job) for event in self.events if event.job}
        wanted |= {job_id(*event.parent[0]) for event in self.events if event.parent}
        wanted |= {job_id(*run.job) for run in self.runs.values()}
        if not wanted:
            return
        for row in await self.connection.fetch(
            "SELECT id, namespace, name, created_at, updated_at, attributes, current_version, version_at, version_by,"
            " version_strong FROM job WHERE id = ANY($1::uuid[])",
            list(wanted),
        ):
            self.jobs[row["id"]] = Job(
                json.loads(row["attributes"]),
                id=row["id"],
                name=(row["namespace"], row["name"]),
                created=row["created_at"],
                updated=row["updated_at"],
                current_version=row["current_version"],
                made_at=row["version_at"],
                made_by=row["version_by"],
                made_strong=row["version_strong"],
            )

    # --- what the events say ----------------------------------------------------------------------------------------

    def _job(self, name: Name, at: datetime) -> Job:
        identifier = job_id(*name)
        job = self.jobs.setdefault(identifier, Job(id=identifier, name=name, created=at, updated=at))
        job.created, job.updated = min(job.created, at), max(job.updated, at)
        return job

    def _tell_jobs(self) -> None:
        for event in self.events:
            if event.job:
                _describe(self._job(event.job, event.time), event)
            if event.parent and event.parent[0] != event.job:
                self._job(event.parent[0], event.time)

    def _table(self, name: Name, at: datetime) -> Table:
        identifier = self.ids[name]
        table = self.tables.setdefault(identifier, Table(id=identifier, name=name, created=at))
        table.created = min(table.created, at)
        table.told = True
        return table

    def _tell_datasets(self) -> None:
        for event in self.events:
            written = {id(dataset) for dataset in event.outputs} if event.type == "COMPLETE" else set()
            for dataset in walk_datasets(event):
                table = self._table(dataset.name, event.time)
                moves = id(dataset) in written or dataset is event.dataset
                table.said("updated", event.order, (self.clock if moves else event.time).isoformat())
                facets = dataset.facets
                if "documentation" in facets:
                    table.said("description", event.order, facets["documentation"]["description"])
                if facets.get("dataSource", {}).get("name"):
                    source = facets["dataSource"]
                    table.said(
                        "source", event.order, [source["name"], source.get("uri"), event.time.isoformat()]
                    )
                for link in facets.get("symlinks", {}).get("identifiers") or ():
                    table.said("physical", event.order, link["name"])
                    self.ids.setdefault((link["namespace"], link["name"]), table.id)

    def _make_job_versions(self) -> dict[UUID, JobVersion]:
        """Write the versions of jobs that ended runs and job events make; return those whose edges are to be drawn anew."""
        made = [JobVersion.of_run(run) for run in self.runs.values() if run.version_at]
        for event in self.events:
            if event.kind == "J" and event.job:
                inputs = {self.ids[dataset.name] for dataset in event.inputs}
                outputs = {self.ids[dataset.name] for dataset in event.outputs}
                location = event.job_facets.get("sourceCodeLocation", {}).get("url")
                made.append(JobVersion.of(event.job, inputs, outputs, location, event.time, None))
        if not made:
            return {}
        changed: dict[UUID, JobVersion] = {}
        for version in sorted(made, key=lambda version: version.order):
            if self.jobs[version.job].take(version):
                changed[version.job] = version
        earliest = {
            version.id: version for version in sorted(made, key=lambda version: version.at, reverse=True)
        }
        self.writes.add(
            "INSERT INTO job_version AS v (id, job_id, version, created_at, location, inputs, outputs)"
            " SELECT n.id, n.job_id, n.version, n.at, n.location,"
            " ARRAY(SELECT jsonb_array_elements_text(n.inputs::jsonb)::uuid),"
            " ARRAY(SELECT jsonb_array_elements_text(n.outputs::jsonb)::uuid)"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])"
            " AS n(id, job_id, version, at, location, inputs, outputs)"
            " ON CONFLICT (id) DO UPDATE SET created_at = least(v.created_at, excluded.created_at)",
            *columns(version.row() for version in sorted(earliest.values(), key=lambda version: version.id)),
        )
        return changed

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write_jobs(self) -> None:
        rows = [
            (
                job.id,
                *job.name,
                job_id(*job.now("parent")) if job.now("parent") else None,
                "STREAM" if (job.now("type") or [""])[0] == "STREAMING" else "BATCH",
                job.created,
                job.updated,
                job.now("location"),
                job.now("description"),
                json.dumps([label for label in (job.now("type") or ["", None, None])[1:] if label]),
                json.dumps(job.attributes),
                json.dumps(job.now("facets") or {}),
                job.current_version,
                job.made_at,
                job.made_by,
                job.made_strong,
            )
            for job in sorted(self.jobs.values(), key=lambda job: job.id)
        ]
        if not rows:
            return
        self.writes.add(
            "INSERT INTO job (id, namespace, name, parent_id, type, created_at, updated_at, location, description, labels,"
            " attributes, facets, current_version, version_at, version_by, version_strong)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],"
            " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[],"
            " $14::timestamptz[], $15::uuid[], $16::boolean[])"
            " ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, type = excluded.type,"
            " created_at = excluded.created_at, updated_at = excluded.updated_at, location = excluded.location,"
            " description = excluded.description, labels = excluded.labels, attributes = excluded.attributes,"
            " facets = excluded.facets, current_version = excluded.current_version, version_at = excluded.version_at,"
            " version_by = excluded.version_by, version_strong = excluded.version_strong, hidden = false",
            *columns(rows),
        )

    def _write_runs(self) -> None:
        rows = []
        for run in sorted(self.runs.values(), key=lambda run: run.id):
            nominal_start, nominal_end = run.nominal
            rows.append(
                (
                    run.id,
                    job_id(*run.job),
                    run.created,
                    run.updated,
                    nominal_start,
                    nominal_end,
                    run.state,
                    run.started,
                    run.ended,
                    run.started or run.created,
                    json.dumps(run.args),
                    json.dumps(run.facets),
                    json.dumps(run.job_facets),
                    run.fold(),
                    JobVersion.of_run(run).version if run.version_at else None,
                )
            )
        if not rows:
            return
        self.writes.add(
            "INSERT INTO run (id, job_id, created_at, updated_at, nominal_start, nominal_end, state, started_at, ended_at,"
            " sort_at, args, facets, job_facets, fold, job_version)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],"
            " $6::timestamptz[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[],"
            " $12::text[], $13::text[], $14::text[], $15::uuid[])"
            " ON CONFLICT (id) DO UPDATE SET job_id = excluded.job_id, created_at = excluded.created_at,"
            " updated_at = excluded.updated_at, nominal_start = excluded.nominal_start,"
            " nominal_end = excluded.nominal_end, state = excluded.state, started_at = excluded.started_at,"
            " ended_at = excluded.ended_at, sort_at = excluded.sort_at, args = excluded.args,"
            " facets = excluded.facets, job_facets = excluded.job_facets, fold = excluded.fold,"
            " job_version = excluded.job_version",
            *columns(rows),
        )

    def _write_parents(self) -> None:
        """A parent known only from its children is a run that began no later than its first child's first event."""
        children: dict[UUID, tuple[UUID, datetime]] = {}
        for event in self.events:
            if event.parent and event.parent[1] not in self.runs:
                name, parent_run, _ = event.parent
                held = children.get(parent_run)
                if held is None or event.time < held[1]:
                    children[parent_run] = (job_id(*name), event.time)
        if not children:
            return
        self.writes.add(
            "INSERT INTO run AS r (id, job_id, created_at, updated_at, state, started_at, sort_at, child_at, args, facets,"
            " job_facets)"
            " SELECT p.id, p.job_id, p.at, p.at, 'RUNNING', p.at, p.at, p.at, '{}', '{}', '{}'"
            " FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS p(id, job_id, at)"
            " WHERE NOT EXISTS (SELECT FROM run k WHERE k.id = p.id AND (k.fold IS NOT NULL OR k.child_at <= p.at))"
            " ORDER BY p.id"
            " ON CONFLICT (id) DO UPDATE SET child_at = excluded.child_at, created_at = excluded.created_at,"
            " updated_at = excluded.updated_at, started_at = excluded.started_at, sort_at = excluded.sort_at,"
            " job_id = excluded.job_id"
            " WHERE r.fold IS NULL AND r.child_at > excluded.child_at",
            *columns((run, job, at) for run, (job, at) in sorted(children.items())),
        )

    def _write_datasets(self) -> None:
        rows = []
        for table in sorted(
            (table for table in self.tables.values() if table.told), key=lambda table: table.id
        ):
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
                    json.dumps(table.attributes),
                    table.read_until,
                    table.current_version,
                    table.current_at,
                )
            )
        if not rows:
            return
        self.writes.add(
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
        names = sorted(
            (identifier, *name, owner)
            for name, owner in self.ids.items()
            if owner in self.tables and (identifier := dataset_id(*name)) not in self.named
        )
        if names:
            self.writes.add(
                "INSERT INTO dataset_name (id, namespace, name, dataset_id)"
                " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) ON CONFLICT (id) DO NOTHING",
                *columns(names),
            )

    def _write_io(self) -> None:
        rows = [
            (
                run.id,
                identifier,
                is_input,
                io.seen_at,
                io.told_at,
                json.dumps(io.facets),
                json.dumps(io.io_facets),
            )
            for run in self.runs.values()
            for is_input, side in ((True, run.inputs), (False, run.outputs))
            for identifier, io in side.items()
        ]
        if rows:
            self.writes.add(
                "INSERT INTO run_io (run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets)"
                " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::timestamptz[],"
                " $6::text[], $7::text[])"
                " ON CONFLICT (run_id, is_input, dataset_id) DO UPDATE SET seen_at = excluded.seen_at,"
                " told_at = excluded.told_at, facets = excluded.facets, io_facets = excluded.io_facets",
                *columns(rows),
            )

    async def _write_edges(self, changed: dict[UUID, JobVersion]) -> None:
        if not changed:
            return
        await self.connection.execute("DELETE FROM job_edge WHERE job_id = ANY($1::uuid[])", list(changed))
        edges = [
            (job, identifier, is_input)
            for job, version in changed.items()
            for is_input, side in ((True, version.inputs), (False, version.outputs))
            for identifier in side
        ]
        if edges:
            await self.connection.execute(
                "INSERT INTO job_edge (job_id, dataset_id, is_input)"
                " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[])",
                *columns(edges),
            )

    async def _latest_runs(self) -> None:
        if self.jobs:
            await self.connection.execute(
                "UPDATE job j SET latest_run = r.id, latest_state = r.state FROM"
                " (SELECT k.id AS job_id, v.id, v.state FROM unnest($1::uuid[]) AS k(id) LEFT JOIN LATERAL"
                " (SELECT id, state FROM run WHERE job_id = k.id ORDER BY sort_at DESC, id LIMIT 1) v ON true) r"
                " WHERE j.id = r.job_id AND (j.latest_run, j.latest_state) IS DISTINCT FROM (r.id, r.state)",
                sorted(self.jobs),
            )

    # --- versions -----------------------------------------------------------------------------------------------------

    def _plan_versions(self) -> tuple[list[Version], list[Read], list[Read]]:
        """Write the versions that the events make, and extend the history where the events are the latest of a dataset.

        Return the versions and reads that `history` must settle, and the reads of versions that are no longer current.
        """
        versions = self._told_versions()
        written: dict[UUID, list[Version]] = {}
        for version in versions.values():
            if version.current_at:
                written.setdefault(version.dataset_id, []).append(version)
        read: dict[UUID, list[Read]] = {}
        for run in self.runs.values():
            for identifier, io in run.inputs.items():
                read.setdefault(identifier, []).append((identifier, run, io))
        unsettled_writes: list[Version] = []
        unsettled: list[Read] = []
        behind: list[Read] = []
        moved: list[Version] = []
        laid: list[tuple[UUID, str]] = []
        for identifier in sorted(written.keys() | read.keys()):
            table = self.tables[identifier]
            ours, theirs = written.get(identifier, []), read.get(identifier, [])
            if ours and (theirs or not _extend(table, ours, moved)):
                unsettled_writes += ours
                unsettled += theirs
            elif theirs and table.current_version is None:
                inferred = _infer(table, theirs)
                if inferred:
                    versions[inferred.id] = inferred
            elif theirs:
                now = [
                    told for told in theirs if table.current_at is None or told[2].seen_at >= table.current_at
                ]
                behind += [told for told in theirs if told not in now]
                if now and table.current_version:
                    facets = json.loads(table.read_facets)
                    for _, run, io in now:
                        lay(facets, run.id, io)
                    laid.append((table.current_version, json.dumps(facets)))
            until = max((io.seen_at for _, _, io in theirs), default=None)
            if until and (table.read_until is None or table.read_until < until):
                table.read_until, table.told = until, True
        self._write_versions(list(versions.values()), moved, laid)
        return unsettled_writes, unsettled, behind

    def _told_versions(self) -> dict[UUID, Version]:
        told = [version for run in self.runs.values() for version in self._written(run)]
        for event in self.events:
            if event.dataset is not None:
                told.append(
                    told_version(self.ids[event.dataset.name], event.dataset.facets, event.time, "event")
                )
            if event.kind == "J":
                told += [
                    told_version(self.ids[dataset.name], dataset.facets, event.time, "job")
                    for dataset in (*event.inputs, *event.outputs)
                    if dataset.facets.get("schema")
                ]
        told.sort(key=lambda version: version.created_at, reverse=True)
        return {version.id: version for version in told}  # of equal ones, the earliest

    def _write_versions(
        self, versions: list[Version], moved: list[Version], laid: list[tuple[UUID, str]]
    ) -> None:
        if versions:
            versions.sort(key=lambda version: version.id)
            self.writes.add(
                history.UPSERT + history.ON_CONFLICT, *columns(version.row() for version in versions)
            )
        if laid:
            self.writes.add(history.LAY, *columns(laid))
        if moved:
            self.writes.add(
                "DELETE FROM column_edge WHERE dataset_id = ANY($1::uuid[])",
                [version.dataset_id for version in moved],
            )
            edges = [(version.dataset_id, *edge) for version in moved for edge in version.columns]
            if edges:
                self.writes.add(history.INSERT_EDGES, *columns(edges))

    def _written(self, run: Run) -> list[Version]:
        current_at = run.outputs_current_at
        return [
            Version(
                id=made_of("written version", str(identifier), str(run.id)),
                dataset_id=identifier,
                run_id=run.id,
                created_at=io.seen_at,
                current_at=current_at,
                facets=io.facets,
                output_facets=io.io_facets,
                columns=self._columns_of(run, io),
            )
            for identifier, io in run.outputs.items()
        ]

    def _columns_of(self, run: Run, io: Io) -> list[list[Any]]:
        """Column edges that hold: from an input of the same run, to a column that the output has."""
        fields = io.facets.get("columnLineage", {}).get("fields") or {}
        known = {item["name"] for item in io.facets.get("schema", {}).get("fields") or ()}
        edges: list[list[Any]] = []
        for name, output in fields.items():
            if known and name not in known:
                continue
            how = (output.get("transformationDescription"), output.get("transformationType"))
            for item in output.get("inputFields") or ():
                source = self.ids.get((item["namespace"], item["name"]))
                read = run.inputs.get(source) if source else None
                if source is None or read is None:
                    continue
                theirs = {column["name"] for column in read.facets.get("schema", {}).get("fields") or ()}
                if not theirs or item["field"] in theirs:
                    edges.append([name, str(source), item["field"], *how])
        return edges


def _extend(table: Table, versions: list[Version], moved: list[Version]) -> bool:
    """Put written versions at the end of a dataset's history; return False where they do not belong there."""
    told_again = [version for version in versions if version.id == table.current_version]
    newer = [version for version in versions if version.id != table.current_version]
    if any(version.run_id is None for version in versions):
        return False
    if any(version.current_at != table.current_at for version in told_again):
        return False
    for version in newer:
        at = version.current_at
        if (
            at is None
            or (table.current_at and at <= table.current_at)
            or (table.read_until and at <= table.read_until)
        ):
            return False
    if newer:
        latest = max(newer, key=lambda version: (version.current_at, version.id))
        table.current_version, table.current_at, table.told = latest.id, latest.current_at, True
        moved.append(latest)
    else:
        moved += told_again
    return True


def _infer(table: Table, reads: list[Read]) -> Version | None:
    """Return the version that the first reader of a dataset describes: nothing is known to have written it.

    A run that reads what it also writes reads, where there is nothing older, its own.
    """
    others = [(run, io) for _, run, io in reads if table.id not in run.outputs]
    told = [told_version(table.id, io.facets, io.seen_at, "input") for _, io in others]
    if not told:
        return None
    first = min(told, key=lambda version: (version.created_at, version.id))
    facets: dict[str, Any] = {}
    for run, io in others:
        lay(facets, run.id, io)
    first.read_facets = json.dumps(facets)
    table.current_version, table.current_at, table.told = first.id, first.current_at, True
    return first


def _describe(job: Job, event: Event) -> None:
    facets = event.job_facets
    if "documentation" in facets:
        job.said("description", event.order, facets["documentation"]["description"])
    if facets.get("sourceCodeLocation", {}).get("url"):
        job.said("location", event.order, facets["sourceCodeLocation"]["url"])
    if "jobType" in facets:
        kind = facets["jobType"]
        job.said("type", event.order, [kind["processingType"], kind["jobType"], kind["integration"]])
    if event.parent and event.parent[0] != event.job:
        job.said("parent", event.order, list(event.parent[0]))
    if event.kind == "J":
        job.said("facets", event.order, facets)


def _namespaces_of(event: Event) -> set[str]:
    names = {event.job[0]} if event.job else set()
    names |= {event.parent[0][0]} if event.parent else set()
    for dataset in walk_datasets(event):
        names.add(dataset.name[0])
        names |= {link["namespace"] for link in dataset.facets.get("symlinks", {}).get("identifiers") or ()}
    return names


def _sources_of(facets: dict[str, Any]) -> set[Name]:
    """Return the datasets that a column lineage facet points at."""
    fields = facets.get("columnLineage", {}).get("fields") or {}
    return {
        (item["namespace"], item["name"])
        for told in fields.values()
        for item in told.get("inputFields") or ()
    }
