"""Taking events: one transaction, a handful of set-based statements, the same result in whatever order events arrive.

* A run is the fold of its events in their own order (`fold`).
* Everything else that events change is a register that keeps the value of the latest event, by event time.
* What depends on several runs (which version an input was, what readers say about a version) is settled by time: at once
  where the event is the latest of its datasets, else by `history`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.marquez.server import exact_json, history, rows
from include.marquez.server.fold import Run, apply, begin
from include.marquez.server.identity import dataset_id, job_id, lock_keys, made_of
from include.marquez.server.known import Wanted, read
from include.marquez.server.openlineage import (
    Event,
    Name,
    columns_told,
    read_event,
    requested_name,
    walk_datasets,
)
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
        self.were_current: dict[UUID, datetime] = {}
        """When what runs wrote became current, as was known before these events."""
        self.unsettled: set[UUID] = set()
        """Datasets of which earlier runs may now have read another version, apart from those that `history` settles."""
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
        rows.add_events(self.writes, self.events)
        rows.add_namespaces(self.writes, self.wanted.namespaces, self.known.namespaces)
        self._name_datasets(self.events)
        await self._fold_runs(connection)
        self._tell_jobs()
        self._tell_datasets()
        changed = self._make_job_versions()
        self._place_runs()
        self._write_parents()
        rows.put_runs(self.writes, self.runs.values(), self._names())
        rows.put_jobs(self.writes, self.jobs.values())
        rows.draw_edges(self.writes, changed)
        written, reads, behind = self._plan_versions()
        rows.put_datasets(self.writes, self.tables.values())
        self._write_names()
        rows.put_io(self.writes, self.runs.values())
        await self.writes.run(connection)
        if behind:
            reads += await history.lay_late(connection, behind)
        if written or reads:
            await history.settle(connection, written, reads, self._names())
        settled = {version.dataset_id for version in written} | {dataset for dataset, _, _ in reads}
        if settled or self.unsettled:
            await history.count_settled(connection, settled | self.unsettled)
        if self.late:
            await history.draw_columns(
                connection, {key for run in self.late for key in self.runs[run].outputs}
            )
        await rows.ask_latest_runs(connection, self.jobs.values())
        return {event.digest for event in self.events}

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
            if held is not None and held.outputs_current_at:
                self.were_current[run_id] = held.outputs_current_at
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
                if event.listed or dataset is event.dataset:
                    table.said("physical", event.order, requested_name(facets) or dataset.name[1])
                for link in facets.get("symlinks", {}).get("identifiers") or ():
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
        if new:
            rows.add_job_versions(self.writes, new)
        return changed

    # --- whose runs, whose names ---------------------------------------------------------------------------------------

    def _place_runs(self) -> None:
        """Tell jobs of their runs; a run that its events now name another job of leaves the one that it was under."""
        for run in sorted(self.runs.values(), key=lambda run: run.id):
            self._place(run.id, job_id(*run.job), run.sort_at, run.state)

    def _place(self, run_id: UUID, job: UUID, at: datetime, state: str) -> None:
        held = self.known.runs.get(run_id)
        if held is not None and held.job_id != job:
            self.jobs[held.job_id].asks = True
        self.jobs[job].has_run(run_id, at, state)

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
            self._place(run_id, job, at, "RUNNING")
        rows.add_parents(self.writes, children)

    def _write_names(self) -> None:
        names = sorted(
            (identifier, *name, owner)
            for name, owner in self.ids.items()
            if owner in self.tables and (identifier := dataset_id(*name)) not in self.known.owners
        )
        rows.add_names(self.writes, names)

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
            was = self.were_current.get(version.run_id) if version.run_id else None
            if was and not (version.same and version.current_at == was):
                self.unsettled.add(version.dataset_id)
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
                    if table.read_until:
                        self.unsettled.add(identifier)
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
            if event.kind == "J" and event.listed:
                told += [
                    told_version(key, self.tables[key].name, dataset.facets, event.time, "job", inferred=read)
                    for read, side in ((True, event.inputs), (False, event.outputs))
                    for dataset in side
                    if (key := self.ids[dataset.name])
                ]
        told.sort(key=lambda version: version.created_at, reverse=True)
        versions: dict[UUID, Version] = {}
        for version in told:  # of equal ones, the earliest
            version.inferred = version.inferred and versions.get(version.id, version).inferred
            versions[version.id] = version
        return versions

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
        if "columnLineage" not in io.facets:
            return []
        known = _field_names(io)
        theirs = {source: _field_names(read) for source, read in run.inputs.items()}
        edges: list[list[Any]] = []
        for name, output, item in columns_told(io.facets):
            source = self.ids.get((item["namespace"], item["name"]))
            if source not in theirs or (known and name not in known):
                continue
            if not theirs[source] or item["field"] in theirs[source]:
                how = (output.get("transformationDescription"), output.get("transformationType"))
                edges.append([name, str(source), item["field"], *how])
        return edges


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
    told = [
        told_version(table.id, table.name, io.facets, io.seen_at, "input", run.id, inferred=True)
        for run, io in others
    ]
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


def _field_names(io: Io) -> set[str]:
    return {item["name"] for item in io.facets.get("schema", {}).get("fields") or ()}


def _links_of(facets: dict[str, Any]) -> set[Name]:
    """Return the other names that a symlinks facet gives a dataset."""
    if "symlinks" not in facets:
        return set()
    return {(link["namespace"], link["name"]) for link in facets["symlinks"].get("identifiers") or ()}


def _sources_of(facets: dict[str, Any]) -> set[Name]:
    """Return the datasets that a column lineage facet points at."""
    return {(item["namespace"], item["name"]) for _, _, item in columns_told(facets)}
