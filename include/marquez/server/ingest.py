"""Taking events: one transaction, a handful of set-based statements, the same result in whatever order events arrive.

* A run is the fold of its events in their own order (`fold`).
* Everything else that events change is a register that keeps the value of the latest event, by event time.
* What depends on several runs (which version an input was, what readers say about a version) is settled by time: at once
  where the event is the latest of its datasets, else by `history`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.marquez.server import exact_json, history
from include.marquez.server.fold import Run, apply, begin
from include.marquez.server.identity import dataset_id, job_id, lock_keys, made_of
from include.marquez.server.known import Wanted, read
from include.marquez.server.openlineage import Event, Name, read_event, walk_datasets
from include.marquez.server.records import Job, JobVersion, Table, Version, lay, told_version
from include.marquez.server.writes import Writes, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection, Pool
    from include.marquez.server.fold import Io
    from include.marquez.server.history import Read


async def store_events(pool: Pool, events: Sequence[Event]) -> set[bytes]:
    """Store events in one transaction; return the digests of those that were new."""
    intake = Intake(events)
    async with pool.acquire() as connection:
        while True:
            # The transaction begins with its locks, in one round trip; the keys are integers of our own.
            keys = ",".join(map(str, intake.locks))
            try:
                await connection.execute(
                    f"BEGIN; SELECT pg_advisory_xact_lock(key) FROM unnest('{{{keys}}}'::bigint[]) AS key"  # noqa: S608
                )
                if await intake.learn(connection):
                    new = await intake.store(connection)
                    await connection.execute("COMMIT")
                    return new
            except BaseException:
                await connection.execute("ROLLBACK")
                raise
            # Symlinks, or earlier events of a run, lead to datasets that are not locked yet: begin again with those too.
            await connection.execute("ROLLBACK")


class Intake:
    """One transaction's work on a list of events."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = list({event.digest: event for event in events}.values())
        self.clock = datetime.now(UTC)
        self.wanted = _wanted(self.events)
        self.locks = lock_keys(self.wanted.locked)
        self.ids: dict[Name, UUID] = {}
        self.runs: dict[UUID, Run] = {}
        self.late: set[UUID] = set()
        self.writes = Writes()

    async def learn(self, connection: Connection) -> bool:
        """Read what is there; return False when that asks for more locks."""
        self.known = await read(connection, self.wanted)
        self.tables, self.jobs = self.known.tables, self.known.jobs
        # A run may have begun under another job than its new events name.
        jobs = {row.job_id for run, row in self.known.runs.items() if run in self.wanted.runs or not row.told}
        needed = {*self.locks, *lock_keys(self.tables.keys() | jobs)}
        if len(needed) == len(self.locks) and jobs <= self.wanted.jobs:
            return True
        self.wanted.jobs |= jobs
        self.locks = sorted(needed)
        return False

    async def store(self, connection: Connection) -> set[bytes]:
        """Write what the events say; return the digests of those that were new."""
        repeated = [event for event in self.events if event.digest in self.known.digests]
        if repeated:
            await _revive(connection, repeated)
        self.events = sorted(
            (e for e in self.events if e.digest not in self.known.digests), key=lambda e: e.order
        )
        if not self.events:
            return set()
        self._write_events()
        self._write_namespaces()
        self._name_datasets(self.events)
        await self._fold_runs(connection)
        self._tell_jobs()
        self._tell_datasets()
        changed = self._make_job_versions()
        self._write_runs()
        self._write_parents()
        self._write_jobs()
        self._write_edges(changed)
        written, reads, behind = self._plan_versions()
        self._write_datasets()
        self._write_io()
        await self.writes.run(connection)
        if behind:
            reads += await history.lay_late(connection, behind)
        if written or reads:
            await history.settle(connection, written, reads, self._names())
        if self.late:
            await history.draw_columns(
                connection, {key for run in self.late for key in self.runs[run].outputs}
            )
        await self._ask_latest_runs(connection)
        return {event.digest for event in self.events}

    def _write_events(self) -> None:
        rows = (
            (e.digest, e.kind if e.listed else "L", e.time, e.type, e.run, *(e.job or (None, None)), e.body)
            for e in self.events
        )
        self.writes.add(
            "INSERT INTO event (digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
            ' SELECT digest, kind::"char", event_time, event_type, run_id, job_namespace, job_name, body FROM unnest('
            "$1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[])"
            " AS e(digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)",
            *columns(rows),
        )
        days = Counter(e.time.date() for e in self.events if e.kind == "R" and e.listed)
        if days:
            self.writes.add(
                "INSERT INTO event_count AS c (day, shard, n) SELECT d.day, pg_backend_pid() % 8, d.n"
                " FROM unnest($1::date[], $2::bigint[]) AS d(day, n)"
                " ON CONFLICT (day, shard) DO UPDATE SET n = c.n + excluded.n",
                *columns(sorted(days.items())),
            )

    def _write_namespaces(self) -> None:
        """Add the namespaces that are new, were hidden, or are older than was known."""
        rows = []
        for name, at in sorted(self.wanted.namespaces.items()):
            created, stated, hidden = self.known.namespaces.get(name, (None, False, False))
            if created is None or hidden or (not stated and at < created):
                rows.append((name, at))
        if rows:
            self.writes.add(
                "INSERT INTO namespace AS n (name, created_at, updated_at)"
                " SELECT s.name, s.at, s.at FROM unnest($1::text[], $2::timestamptz[]) AS s(name, at)"
                " ON CONFLICT (name) DO UPDATE SET hidden = false,"
                " created_at = CASE WHEN n.stated THEN n.created_at ELSE least(n.created_at, excluded.created_at) END,"
                " updated_at = CASE WHEN n.stated THEN n.updated_at ELSE least(n.updated_at, excluded.updated_at) END",
                *columns(rows),
            )

    # --- which dataset a name means --------------------------------------------------------------------------------------

    def _name_datasets(self, events: Iterable[Event]) -> None:
        """Learn the id of every dataset that the events name; a symlinked name leads to the dataset it is a name of."""
        told = [dataset for event in events for dataset in walk_datasets(event)]
        for dataset in told:
            for name in (dataset.name, *_links_of(dataset.facets), *_sources_of(dataset.facets)):
                owner = self.known.owners.get(dataset_id(*name))
                if owner is not None:
                    self.ids[name] = owner
        for dataset in told:
            self.ids.setdefault(dataset.name, dataset_id(*dataset.name))

    async def _look_up(self, connection: Connection, names: set[Name]) -> None:
        """Learn the owners of names that only earlier events hold."""
        missing = {dataset_id(*name) for name in names} - self.wanted.names
        if missing:
            self.wanted.names |= missing
            rows = await connection.fetch(
                "SELECT id, dataset_id FROM dataset_name WHERE id = ANY($1::uuid[])", list(missing)
            )
            self.known.owners.update(dict(rows))
        for name in names:
            owner = self.known.owners.get(dataset_id(*name))
            if owner is not None:
                self.ids[name] = owner

    # --- runs ------------------------------------------------------------------------------------------------------------

    async def _fold_runs(self, connection: Connection) -> None:
        new: dict[UUID, list[Event]] = {}
        for event in self.events:
            if event.run:
                new.setdefault(event.run, []).append(event)
        for run_id, events in new.items():
            row = self.known.runs.get(run_id)
            held = row.run if row else None
            if held is not None and held.last < events[0].order:
                self.runs[run_id] = held
            elif held is not None:
                self.late.add(run_id)
        if self.late:
            await self._unfold(connection, new)
        for run_id, events in new.items():
            run = self.runs.setdefault(run_id, begin(events[0]))
            for event in events:
                apply(run, event, self.ids)
        outputs = [io for run in self.runs.values() for io in run.outputs.values()]
        await self._look_up(connection, {name for io in outputs for name in _sources_of(io.facets)})

    async def _unfold(self, connection: Connection, new: dict[UUID, list[Event]]) -> None:
        """Put the stored events of runs that hear of something late beside their new ones, in order."""
        bodies = await connection.fetch(
            "SELECT body FROM event WHERE run_id = ANY($1::uuid[])", list(self.late)
        )
        past = [read_event(exact_json.loads(row["body"])) for row in bodies]
        told = [dataset for event in past for dataset in walk_datasets(event)]
        names = {dataset.name for dataset in told}
        await self._look_up(connection, names.union(*(_links_of(dataset.facets) for dataset in told)))
        self._name_datasets(past)
        for event in past:
            if event.run in self.late:
                new[event.run].append(event)
        for run_id in self.late:
            new[run_id].sort(key=lambda event: event.order)

    # --- what the events say ----------------------------------------------------------------------------------------

    def _names(self) -> dict[UUID, Name]:
        return {identifier: table.name for identifier, table in self.tables.items()}

    def _job(self, name: Name, at: datetime, *, listed: bool = True) -> Job:
        identifier = job_id(*name)
        job = self.jobs.setdefault(identifier, Job(id=identifier, name=name, created=at, updated=at))
        # A request that names a moment in the past does not change when the job was made.
        job.created = min(job.created, at) if listed else job.created
        job.updated = max(job.updated, at) if listed else at
        return job

    def _tell_jobs(self) -> None:
        for event in self.events:
            if event.job:
                _describe(self._job(event.job, event.time, listed=event.listed), event)
            if event.parent and event.parent[0] != event.job:
                self._job(event.parent[0], event.time)

    def _table(self, name: Name, at: datetime, *, listed: bool) -> Table:
        identifier = self.ids[name]
        table = self.tables.setdefault(identifier, Table(id=identifier, name=name, created=at))
        table.created = min(table.created, at) if listed else table.created
        table.told = True
        return table

    def _tell_datasets(self) -> None:
        for event in self.events:
            written = {id(dataset) for dataset in event.outputs} if event.type == "COMPLETE" else set()
            for dataset in walk_datasets(event):
                table = self._table(dataset.name, event.time, listed=event.listed)
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
        names = self._names()
        made = [JobVersion.of_run(run, names) for run in self.runs.values() if run.version_at]
        for event in self.events:
            if event.kind == "J" and event.job:
                inputs, outputs = (
                    {key: names[key] for dataset in side if (key := self.ids[dataset.name])}
                    for side in (event.inputs, event.outputs)
                )
                location = event.job_facets.get("sourceCodeLocation", {}).get("url")
                made.append(JobVersion.of(event.job, inputs, outputs, location, event.time, None))
        if not made:
            return {}
        held = {job.id: (job.current_version, job.version_created) for job in self.jobs.values()}
        changed: dict[UUID, JobVersion] = {}
        for version in sorted(made, key=lambda version: version.order):
            if self.jobs[version.job].take(version):
                changed[version.job] = version
        earliest = {
            version.id: version for version in sorted(made, key=lambda version: version.at, reverse=True)
        }
        new = [v for v in earliest.values() if not _holds(held[v.job], v)]
        if not new:
            return changed
        self.writes.add(
            "INSERT INTO job_version AS v (id, job_id, version, created_at, location, inputs, outputs)"
            " SELECT n.id, n.job_id, n.version, n.at, n.location,"
            " ARRAY(SELECT jsonb_array_elements_text(n.inputs::jsonb)::uuid),"
            " ARRAY(SELECT jsonb_array_elements_text(n.outputs::jsonb)::uuid)"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])"
            " AS n(id, job_id, version, at, location, inputs, outputs)"
            " ON CONFLICT (id) DO UPDATE SET created_at = least(v.created_at, excluded.created_at)",
            *columns(version.row() for version in sorted(new, key=lambda version: version.id)),
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
                exact_json.dumps([label for label in (job.now("type") or ["", None, None])[1:] if label]),
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
            for job in sorted(self.jobs.values(), key=lambda job: job.id)
        ]
        if not rows:
            return
        self.writes.add(
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

    def _write_runs(self) -> None:
        new: list[tuple[Any, ...]] = []
        again: list[tuple[Any, ...]] = []
        names = self._names()
        for run in sorted(self.runs.values(), key=lambda run: run.id):
            nominal_start, nominal_end = run.nominal
            job = job_id(*run.job)
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
                job,
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
            held = self.known.runs.get(run.id)
            if held is not None and held.job_id != job:
                self.jobs[held.job_id].asks = True
            self.jobs[job].has_run(run.id, run.sort_at, run.state)
        if new:
            self.writes.add(
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
            self.writes.add(
                "UPDATE run r SET job_id = n.job_id, created_at = n.created_at, updated_at = n.updated_at,"  # noqa: S608  # constants
                " nominal_start = n.nominal_start, nominal_end = n.nominal_end, state = n.state,"
                " started_at = n.started_at, ended_at = n.ended_at, sort_at = n.sort_at, args = n.args,"
                " facets = coalesce(n.facets, r.facets), job_facets = coalesce(n.job_facets, r.job_facets),"
                f" fold = n.fold, job_version = n.job_version FROM {RUN_ROWS} AS n({RUN_COLUMNS}) WHERE r.id = n.id",
                *columns(again),
            )

    def _write_parents(self) -> None:
        """A parent known only from its children is a run that began no later than its first child's first event."""
        children: dict[UUID, tuple[UUID, datetime]] = {}
        for event in self.events:
            if event.parent and event.parent[1] not in self.runs:
                name, parent_run, _ = event.parent
                held = self.known.runs.get(parent_run)
                if held is not None and (
                    held.told or (held.child_at is not None and held.child_at <= event.time)
                ):
                    continue
                earlier = children.get(parent_run)
                if earlier is None or event.time < earlier[1]:
                    children[parent_run] = (job_id(*name), event.time)
        if not children:
            return
        for run_id, (job, at) in children.items():
            held = self.known.runs.get(run_id)
            if held is not None and held.job_id != job:
                self.jobs[held.job_id].asks = True
            self.jobs[job].has_run(run_id, at, "RUNNING")
        self.writes.add(
            "INSERT INTO run AS r (id, job_id, created_at, updated_at, state, started_at, sort_at, child_at, args, facets,"
            " job_facets)"
            " SELECT p.id, p.job_id, p.at, p.at, 'RUNNING', p.at, p.at, p.at, '{}', '{}', '{}'"
            " FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS p(id, job_id, at)"
            " ON CONFLICT (id) DO UPDATE SET child_at = excluded.child_at, created_at = excluded.created_at,"
            " updated_at = excluded.updated_at, started_at = excluded.started_at, sort_at = excluded.sort_at,"
            " job_id = excluded.job_id",
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
                    exact_json.dumps(table.attributes),
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
            if owner in self.tables and (identifier := dataset_id(*name)) not in self.known.owners
        )
        if names:
            self.writes.add(
                "INSERT INTO dataset_name (id, namespace, name, dataset_id)"
                " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) ON CONFLICT (id) DO NOTHING",
                *columns(names),
            )

    def _write_io(self) -> None:
        new, again = [], []
        for run in self.runs.values():
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
            self.writes.add(
                "INSERT INTO run_io (run_id, dataset_id, is_input, seen_at, told_at, facets, io_facets)"
                " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::timestamptz[],"
                " $6::text[], $7::text[])"
                " ON CONFLICT (run_id, is_input, dataset_id) DO UPDATE SET seen_at = excluded.seen_at,"
                " told_at = excluded.told_at, facets = excluded.facets, io_facets = excluded.io_facets",
                *columns(new),
            )
        if again:
            self.writes.add(
                "UPDATE run_io io SET told_at = n.told_at, facets = coalesce(n.facets, io.facets),"
                " io_facets = coalesce(n.io_facets, io.io_facets) FROM unnest($1::uuid[], $2::uuid[], $3::boolean[],"
                " $4::timestamptz[], $5::text[], $6::text[])"
                " AS n(run_id, dataset_id, is_input, told_at, facets, io_facets)"
                " WHERE io.run_id = n.run_id AND io.is_input = n.is_input AND io.dataset_id = n.dataset_id",
                *columns(again),
            )

    def _write_edges(self, changed: dict[UUID, JobVersion]) -> None:
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
        self.writes.add(
            f"DELETE FROM job_edge e WHERE e.job_id = ANY($4::uuid[]) AND NOT EXISTS (SELECT FROM {rows}"  # noqa: S608  # constants
            " WHERE n.job_id = e.job_id AND n.dataset_id = e.dataset_id AND n.is_input = e.is_input)",
            *drawn,
            list(changed),
        )
        if edges:
            self.writes.add(
                f"INSERT INTO job_edge (job_id, dataset_id, is_input) SELECT * FROM {rows} ON CONFLICT DO NOTHING",  # noqa: S608  # constants
                *drawn,
            )

    async def _ask_latest_runs(self, connection: Connection) -> None:
        """Where the latest run of a job turned out to be older than it seemed, look which one it is."""
        asking = sorted(job.id for job in self.jobs.values() if job.asks)
        if asking:
            await connection.execute(
                "UPDATE job j SET latest_run = r.id, latest_state = r.state, latest_at = r.sort_at FROM"
                " (SELECT k.id AS job_id, v.id, v.state, v.sort_at FROM unnest($1::uuid[]) AS k(id) LEFT JOIN LATERAL"
                " (SELECT id, state, sort_at FROM run WHERE job_id = k.id ORDER BY sort_at DESC, id LIMIT 1) v ON true) r"
                " WHERE j.id = r.job_id",
                asking,
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
        laid: list[tuple[UUID, str]] = []
        for identifier in sorted(written.keys() | read.keys()):
            table = self.tables[identifier]
            ours, theirs = written.get(identifier, []), read.get(identifier, [])
            if ours and (theirs or not _extend(table, ours)):
                unsettled_writes += ours
                unsettled += theirs
            elif theirs and table.current_version is None:
                inferred = _infer(table, theirs)
                if inferred:
                    versions[inferred.id] = inferred
            elif theirs:
                # Of readers of one moment that describe a version nobody wrote, arrival must not choose.
                tied = [told for told in theirs if table.inferred and told[2].seen_at == table.current_at]
                unsettled += tied
                theirs = [told for told in theirs if told not in tied]
                now = [
                    told for told in theirs if table.current_at is None or told[2].seen_at >= table.current_at
                ]
                behind += [told for told in theirs if told not in now]
                if now and table.current_version:
                    facets = exact_json.loads(table.read_facets)
                    for _, run, io in now:
                        lay(facets, run.id, io)
                    laid.append((table.current_version, exact_json.dumps(facets)))
            until = max((io.seen_at for _, _, io in read.get(identifier, [])), default=None)
            if until and (table.read_until is None or table.read_until < until):
                table.read_until, table.told = until, True
        self._write_versions(list(versions.values()), laid)
        return unsettled_writes, unsettled, behind

    def _told_versions(self) -> dict[UUID, Version]:
        told = [version for run in self.runs.values() for version in self._written(run)]
        for event in self.events:
            if event.dataset is not None:
                key = self.ids[event.dataset.name]
                name = self.tables[key].name
                told.append(told_version(key, name, event.dataset.facets, event.time, "event"))
            if event.kind == "J":
                told += [
                    told_version(key, self.tables[key].name, dataset.facets, event.time, "job")
                    for dataset in (*event.inputs, *event.outputs)
                    if dataset.facets.get("schema") and (key := self.ids[dataset.name])
                ]
        told.sort(key=lambda version: version.created_at, reverse=True)
        return {version.id: version for version in told}  # of equal ones, the earliest

    def _write_versions(self, versions: list[Version], laid: list[tuple[UUID, str]]) -> None:
        versions.sort(key=lambda version: version.id)
        new = [version for version in versions if not version.same]
        if new:
            self.writes.add(history.UPSERT + history.ON_CONFLICT, *columns(version.row() for version in new))
        current = [
            (version.id, version.current_at) for version in versions if version.same and version.current_at
        ]
        if current:
            self.writes.add(
                "UPDATE dataset_version v SET current_at = n.at FROM unnest($1::uuid[], $2::timestamptz[]) AS n(id, at)"
                " WHERE v.id = n.id",
                *columns(current),
            )
        if laid:
            self.writes.add(history.LAY, *columns(laid))
        telling: dict[UUID, Version] = {}
        for version in sorted(new, key=lambda version: (version.created_at, version.id)):
            if (
                version.columns
                and exact_json.dumps(version.columns) != self.tables[version.dataset_id].columns
            ):
                telling[version.dataset_id] = version
        if telling:
            told = [(version.dataset_id, version.id, version.created_at) for version in telling.values()]
            edges = [
                (*row, *edge)
                for row, version in zip(told, telling.values(), strict=True)
                for edge in version.columns
            ]
            self.writes.add(history.ERASE_EDGES, *columns(told))
            self.writes.add(history.INSERT_EDGES, *columns(edges))

    def _written(self, run: Run) -> list[Version]:
        current_at = run.outputs_current_at
        return [
            Version(
                id=made_of("written version", str(identifier), str(run.id)),
                dataset_id=identifier,
                name=self.tables[identifier].name,
                run_id=run.id,
                told_by=run.id,
                created_at=io.seen_at,
                current_at=current_at,
                facets=io.facets,
                output_facets=io.io_facets,
                columns=self._columns_of(run, io),
                same=run.same_io,
                texts=io.texts,
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


RUN_COLUMNS = (
    "id, job_id, created_at, updated_at, nominal_start, nominal_end, state, started_at, ended_at, sort_at, args, facets,"
    " job_facets, fold, job_version"
)
RUN_ROWS = (
    "unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],"
    " $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],"
    " $14::text[], $15::uuid[])"
)


def _holds(held: tuple[UUID | None, datetime | None], version: JobVersion) -> bool:
    """Whether a job's current version, stored since some time, is this one or an earlier making of it."""
    current, created = held
    return current == version.id and created is not None and created <= version.at


def _extend(table: Table, versions: list[Version]) -> bool:
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
    return True


def _infer(table: Table, reads: list[Read]) -> Version | None:
    """Return the version that the first reader of a dataset describes: nothing is known to have written it.

    A run that reads what it also writes reads, where there is nothing older, its own.
    """
    others = [(run, io) for _, run, io in reads if table.id not in run.outputs]
    told = [told_version(table.id, table.name, io.facets, io.seen_at, "input", run.id) for run, io in others]
    if not told:
        return None
    first = min(told, key=lambda version: version.seniority)
    facets: dict[str, Any] = {}
    for run, io in others:
        lay(facets, run.id, io)
    first.read_facets = exact_json.dumps(facets)
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


async def _revive(connection: Connection, events: list[Event]) -> None:
    """A repeated event changes nothing, but what was deleted and is told of again is back."""
    jobs = {job_id(*event.job) for event in events if event.job}
    jobs |= {job_id(*event.parent[0]) for event in events if event.parent}
    names = {dataset_id(*dataset.name) for event in events for dataset in walk_datasets(event)}
    spaces = {name for event in events for name in _namespaces_of(event)}
    await connection.execute(
        "WITH n AS (UPDATE namespace SET hidden = false WHERE hidden AND name = ANY($3::text[])),"
        " j AS (UPDATE job SET hidden = false WHERE hidden AND id = ANY($1::uuid[])),"
        " d AS (UPDATE dataset SET hidden = false WHERE hidden AND id IN"
        " (SELECT dataset_id FROM dataset_name WHERE id = ANY($2::uuid[]))) SELECT 1",
        sorted(jobs),
        sorted(names),
        sorted(spaces),
    )


def _wanted(events: Iterable[Event]) -> Wanted:
    """Return what events touch."""
    wanted = Wanted()
    for event in events:
        wanted.digests.append(event.digest)
        for space in _namespaces_of(event):
            wanted.namespaces[space] = min(wanted.namespaces.get(space, event.time), event.time)
        if event.job:
            wanted.jobs.add(job_id(*event.job))
        if event.run:
            wanted.runs.add(event.run)
        if event.parent:
            wanted.jobs.add(job_id(*event.parent[0]))
            wanted.parents.add(event.parent[1])
        for dataset in walk_datasets(event):
            wanted.tables.add(dataset_id(*dataset.name))
            for name in (*_links_of(dataset.facets), *_sources_of(dataset.facets)):
                wanted.names.add(dataset_id(*name))
    wanted.names |= wanted.tables
    return wanted


def _namespaces_of(event: Event) -> set[str]:
    names = {event.job[0]} if event.job else set()
    names |= {event.parent[0][0]} if event.parent else set()
    for dataset in walk_datasets(event):
        names.add(dataset.name[0])
        names |= {namespace for namespace, _ in _links_of(dataset.facets)}
    return names


def _links_of(facets: dict[str, Any]) -> set[Name]:
    """Return the other names that a symlinks facet gives a dataset."""
    if "symlinks" not in facets:
        return set()
    return {(link["namespace"], link["name"]) for link in facets["symlinks"].get("identifiers") or ()}


def _sources_of(facets: dict[str, Any]) -> set[Name]:
    """Return the datasets that a column lineage facet points at."""
    if "columnLineage" not in facets:
        return set()
    fields = facets.get("columnLineage", {}).get("fields") or {}
    return {
        (item["namespace"], item["name"])
        for told in fields.values()
        for item in told.get("inputFields") or ()
    }
