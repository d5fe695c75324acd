"""Taking events: one transaction, a handful of set-based statements, the same result in whatever order events arrive.

* A run is the fold of its events in their own order (`fold`).
* Everything else that events change is a register that keeps the value of the latest event, by event time.
* What depends on several runs (which version an input was, what readers say about a version) is resolved by time, in the
  query that answers or when a late event moves the history.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.marquez.server.fold import Io, Run, apply, begin, resume
from include.marquez.server.identity import dataset_id, job_id, lock_keys, made_of
from include.marquez.server.openlineage import (
    Event,
    Json,
    Name,
    parse_json,
    read_event,
    walk_datasets,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from include.marquez.server.database import Connection, Pool

Order = tuple[str, int, str]


@dataclass
class Job:
    """A job row while events are taken; `attributes` maps an attribute to [order of the event that said it, value]."""

    id: UUID
    name: Name
    created: datetime
    updated: datetime
    attributes: Json = field(default_factory=dict)
    facets: str = "{}"
    static_at: Order = ("", 0, "")

    def said(self, attribute: str, order: Order, value: Any) -> None:
        _register(self.attributes, attribute, order, value)

    def now(self, attribute: str) -> Any:
        entry = self.attributes.get(attribute)
        return entry[1] if entry else None


@dataclass
class Table:
    """A dataset row while events are taken."""

    id: UUID
    name: Name
    created: datetime
    attributes: Json = field(default_factory=dict)
    read_until: datetime | None = None
    told: bool = True

    def said(self, attribute: str, order: Order, value: Any) -> None:
        _register(self.attributes, attribute, order, value)

    def now(self, attribute: str) -> Any:
        entry = self.attributes.get(attribute)
        return entry[1] if entry else None


def _register(attributes: Json, attribute: str, order: Order, value: Any) -> None:
    held = attributes.get(attribute)
    if held is None or tuple(held[0]) <= order:
        attributes[attribute] = [list(order), value]


async def take(pool: Pool, events: Sequence[Event]) -> int:
    """Store events in one transaction; return how many were new. A repeated event changes nothing."""
    async with pool.acquire() as connection, connection.transaction():
        return await Intake(connection, events).run()


class Intake:
    """One transaction's work on a list of events."""

    def __init__(self, connection: Connection, events: Sequence[Event]) -> None:
        self.connection = connection
        self.events = list({event.digest: event for event in events}.values())
        self.clock = datetime.now(UTC)
        self.ids: dict[Name, UUID] = {}
        self.tables: dict[UUID, Table] = {}
        self.jobs: dict[UUID, Job] = {}
        self.runs: dict[UUID, Run] = {}

    async def run(self) -> int:
        await self._lock()
        await self._store_events()
        if not self.events:
            return 0
        await self._namespaces()
        await self._find_datasets(self.events)
        await self._fold_runs()
        await self._load_tables()
        self._tell_datasets()
        await self._write_jobs()
        await self._write_runs()
        await self._write_datasets()
        await self._write_io()
        await self._write_versions()
        await self._write_edges()
        await self._latest_runs()
        return len(self.events)

    # --- reading what is there ---------------------------------------------------------------------------------------

    async def _lock(self) -> None:
        touched: set[UUID] = set()
        for event in self.events:
            touched |= {dataset_id(*dataset.name) for dataset in walk_datasets(event)}
            if event.job:
                touched.add(job_id(*event.job))
            if event.run:
                touched.add(event.run)
            if event.parent:
                touched |= {job_id(*event.parent[0]), event.parent[1]}
        await self.connection.execute(
            "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key", lock_keys(touched)
        )

    async def _store_events(self) -> None:
        rows = await self.connection.fetch(
            "INSERT INTO event (digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
            ' SELECT digest, kind::"char", event_time, event_type, run_id, job_namespace, job_name, body FROM unnest('
            "$1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[])"
            " AS e(digest, kind, event_time, event_type, run_id, job_namespace, job_name, body)"
            " ON CONFLICT (digest) DO NOTHING RETURNING digest",
            *_columns(
                (
                    e.digest,
                    e.kind if e.listed else "L",
                    e.time,
                    e.type,
                    e.run,
                    *(e.job or (None, None)),
                    e.body,
                )
                for e in sorted(self.events, key=lambda e: e.digest)
            )
            or [[] for _ in range(8)],
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
            "WITH j AS (UPDATE job SET hidden = false WHERE hidden AND id = ANY($1::uuid[]) RETURNING namespace),"
            " d AS (UPDATE dataset SET hidden = false WHERE hidden AND id IN"
            " (SELECT dataset_id FROM dataset_name WHERE id = ANY($2::uuid[])) RETURNING namespace)"
            " UPDATE namespace SET hidden = false WHERE hidden"
            " AND name IN (SELECT namespace FROM j UNION SELECT namespace FROM d)",
            sorted(jobs),
            sorted(names),
        )

    async def _namespaces(self) -> None:
        seen: dict[str, datetime] = {}
        for event in self.events:
            names = {dataset.name[0] for dataset in walk_datasets(event)}
            for dataset in walk_datasets(event):
                names |= {
                    link["namespace"] for link in dataset.facets.get("symlinks", {}).get("identifiers") or ()
                }
            names |= {event.job[0]} if event.job else set()
            names |= {event.parent[0][0]} if event.parent else set()
            for name in names:
                seen[name] = min(seen.get(name, event.time), event.time)
        # Rows that would not change are left unlocked: every event of a deployment names the same few namespaces.
        await self.connection.execute(
            "INSERT INTO namespace AS n (name, created_at, updated_at)"
            " SELECT s.name, s.at, s.at FROM unnest($1::text[], $2::timestamptz[]) AS s(name, at)"
            " WHERE NOT EXISTS (SELECT FROM namespace k WHERE k.name = s.name AND (k.stated OR k.created_at <= s.at) AND NOT k.hidden)"
            " ORDER BY s.name"
            " ON CONFLICT (name) DO UPDATE SET hidden = false,"
            " created_at = CASE WHEN n.stated THEN n.created_at ELSE least(n.created_at, excluded.created_at) END,"
            " updated_at = CASE WHEN NOT n.stated THEN least(n.updated_at, excluded.updated_at)"
            " ELSE n.updated_at END",
            list(seen),
            list(seen.values()),
        )

    async def _find_datasets(self, events: Iterable[Event]) -> None:
        """Learn the id of every dataset that the events name; a symlinked name leads to the dataset it is a name of."""
        told = [dataset for event in events for dataset in walk_datasets(event)]
        links = (
            link for dataset in told for link in dataset.facets.get("symlinks", {}).get("identifiers") or ()
        )
        await self._find_names(
            {dataset.name for dataset in told} | {(k["namespace"], k["name"]) for k in links}
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

    async def _load_tables(self) -> None:
        """Read and lock the rows of every dataset that an event or a run names."""
        wanted = {self.ids[dataset.name] for event in self.events for dataset in walk_datasets(event)}
        for run in self.runs.values():
            wanted |= set(run.inputs) | set(run.outputs)
        if not wanted:
            return
        for row in await self.connection.fetch(
            "SELECT id, namespace, name, created_at, attributes, read_until FROM dataset"
            " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
            list(wanted),
        ):
            self.tables[row["id"]] = Table(
                row["id"],
                (row["namespace"], row["name"]),
                row["created_at"],
                json.loads(row["attributes"]),
                row["read_until"],
                told=False,
            )

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
        for row in (
            await self.connection.fetch(
                "SELECT run_id, dataset_id, is_input, seen_at, facets, io_facets FROM run_io WHERE run_id = ANY($1::uuid[])",
                list(self.runs),
            )
            if self.runs
            else ()
        ):
            run = self.runs[row["run_id"]]
            side = run.inputs if row["is_input"] else run.outputs
            side[row["dataset_id"]] = Io(
                row["seen_at"], json.loads(row["facets"]), json.loads(row["io_facets"])
            )
        if late:
            bodies = await self.connection.fetch(
                "SELECT body FROM event WHERE run_id = ANY($1::uuid[])", late
            )
            history = [read_event(parse_json(row["body"].encode())) for row in bodies]
            await self._find_datasets(history)
            for run_id in late:
                new[run_id] = sorted((e for e in history if e.run == run_id), key=lambda e: e.order)
        for run_id, events in new.items():
            run = self.runs.setdefault(run_id, begin(events[0]))
            for event in events:
                apply(run, event, self.ids)
        outputs = [io for run in self.runs.values() for io in run.outputs.values()]
        await self._find_names({name for io in outputs for name in _sources_of(io)})

    # --- what the events say ----------------------------------------------------------------------------------------

    def _table(self, name: Name, at: datetime) -> Table:
        identifier = self.ids[name]
        table = self.tables.setdefault(identifier, Table(identifier, name, at))
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

    async def _write_jobs(self) -> None:
        told: dict[UUID, list[tuple[Name, Event, bool]]] = {}
        for event in self.events:
            if event.job:
                told.setdefault(job_id(*event.job), []).append((event.job, event, True))
            if event.parent and event.parent[0] != event.job:
                told.setdefault(job_id(*event.parent[0]), []).append((event.parent[0], event, False))
        if not told:
            return
        for row in await self.connection.fetch(
            "SELECT id, namespace, name, created_at, updated_at, attributes, facets FROM job WHERE id = ANY($1::uuid[])",
            list(told),
        ):
            self.jobs[row["id"]] = Job(
                row["id"],
                (row["namespace"], row["name"]),
                row["created_at"],
                row["updated_at"],
                json.loads(row["attributes"]),
                row["facets"],
            )
        for identifier, sayings in told.items():
            name, first, _ = sayings[0]
            job = self.jobs.setdefault(identifier, Job(identifier, name, first.time, first.time))
            for _, event, own in sayings:
                job.created, job.updated = min(job.created, event.time), max(job.updated, event.time)
                if own:
                    _describe(job, event)
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
            )
            for job in sorted(self.jobs.values(), key=lambda job: job.id)
        ]
        await self.connection.execute(
            "INSERT INTO job (id, namespace, name, parent_id, type, created_at, updated_at, location, description, labels,"
            " attributes, facets)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],"
            " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])"
            " ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, type = excluded.type,"
            " created_at = excluded.created_at, updated_at = excluded.updated_at, location = excluded.location,"
            " description = excluded.description, labels = excluded.labels, attributes = excluded.attributes,"
            " facets = excluded.facets, hidden = false",
            *_columns(rows),
        )

    async def _write_runs(self) -> None:
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
                    _job_version(run).version if run.version_at else None,
                )
            )
        if rows:
            await self.connection.execute(
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
                *_columns(rows),
            )
        await self._write_parents()

    async def _write_parents(self) -> None:
        """A parent known only from its children is a run that began no later than its first child's first event."""
        children: dict[UUID, tuple[UUID, datetime]] = {}
        for event in self.events:
            if event.parent and event.parent[1] != event.run:
                name, parent_run, _ = event.parent
                held = children.get(parent_run)
                if held is None or event.time < held[1]:
                    children[parent_run] = (job_id(*name), event.time)
        if not children:
            return
        await self.connection.execute(
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
            *_columns((run, job, at) for run, (job, at) in sorted(children.items())),
        )

    async def _write_datasets(self) -> None:
        for run in self.runs.values():
            for identifier, io in run.inputs.items():
                table = self.tables[identifier]
                if table.read_until is None or table.read_until < io.seen_at:
                    table.read_until, table.told = io.seen_at, True
        tables = sorted((table for table in self.tables.values() if table.told), key=lambda table: table.id)
        if not tables:
            return
        rows = []
        for table in tables:
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
                )
            )
        await self.connection.execute(
            "INSERT INTO dataset (id, namespace, name, physical_name, source_name, source_uri, source_at, description,"
            " created_at, updated_at, attributes, read_until)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
            " $7::timestamptz[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::timestamptz[])"
            " ON CONFLICT (id) DO UPDATE SET physical_name = excluded.physical_name, source_name = excluded.source_name,"
            " source_uri = excluded.source_uri, source_at = excluded.source_at, description = excluded.description,"
            " created_at = excluded.created_at, updated_at = excluded.updated_at, attributes = excluded.attributes,"
            " read_until = excluded.read_until, hidden = false",
            *_columns(rows),
        )
        names = sorted(
            (dataset_id(*name), *name, owner) for name, owner in self.ids.items() if owner in self.tables
        )
        await self.connection.execute(
            "INSERT INTO dataset_name (id, namespace, name, dataset_id)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) ON CONFLICT (id) DO NOTHING",
            *_columns(names),
        )

    async def _write_io(self) -> None:
        rows = [
            (
                run.id,
                identifier,
                is_input,
                entry.seen_at,
                json.dumps(entry.facets),
                json.dumps(entry.io_facets),
            )
            for run in self.runs.values()
            for is_input, side in ((True, run.inputs), (False, run.outputs))
            for identifier, entry in side.items()
        ]
        if not rows:
            return
        await self.connection.execute(
            "INSERT INTO run_io (run_id, dataset_id, is_input, seen_at, facets, io_facets)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::text[], $6::text[])"
            " ON CONFLICT (run_id, is_input, dataset_id) DO UPDATE SET seen_at = excluded.seen_at,"
            " facets = excluded.facets, io_facets = excluded.io_facets",
            *_columns(rows),
        )

    # --- versions -----------------------------------------------------------------------------------------------------

    async def _write_versions(self) -> None:
        versions = [v for run in self.runs.values() for v in self._written(run)]
        for event in self.events:
            if event.dataset is not None:
                versions.append(
                    _told(self.ids[event.dataset.name], event.dataset.facets, event.time, "event")
                )
            if event.kind == "J":
                versions += [
                    _told(self.ids[dataset.name], dataset.facets, event.time, "job")
                    for dataset in (*event.inputs, *event.outputs)
                    if dataset.facets.get("schema")
                ]
        versions.sort(key=lambda version: version.created_at, reverse=True)
        merged = {version.id: version for version in versions}  # of equal ones, the earliest
        await self._upsert_versions(list(merged.values()))
        reads = [
            (identifier, run.id, io) for run in self.runs.values() for identifier, io in run.inputs.items()
        ]
        await self._input_versions(reads)
        moved = {v.dataset_id: v.current_at for v in merged.values() if v.current_at}
        touched = set(moved) | {identifier for identifier, _, _ in reads}
        if not touched:
            return
        await self._attach_reads(reads, moved)
        await self._move_current(touched)

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
            for item in output.get("inputFields") or ():
                source = self.ids.get((item["namespace"], item["name"]))
                read = run.inputs.get(source) if source else None
                if source is None or read is None:
                    continue
                columns = {column["name"] for column in read.facets.get("schema", {}).get("fields") or ()}
                if columns and item["field"] not in columns:
                    continue
                how = (output.get("transformationDescription"), output.get("transformationType"))
                edges.append([name, str(source), item["field"], *how])
        return edges

    async def _upsert_versions(self, versions: list[Version]) -> None:
        if not versions:
            return
        versions.sort(key=lambda version: version.id)
        await self.connection.execute(
            "INSERT INTO dataset_version AS v (id, dataset_id, version, schema_version, run_id, created_at, current_at, fields,"
            " lifecycle, description, source_name, facets, output_facets, read_facets, columns)"
            " SELECT n.id, n.dataset_id, n.version, n.schema_version, n.run_id, n.created_at, n.current_at, n.fields,"
            " n.lifecycle, n.description, n.source_name, n.facets, n.output_facets, '{}', n.columns"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],"
            " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])"
            " AS n(id, dataset_id, version, schema_version, run_id, created_at, current_at, fields, lifecycle, description,"
            " source_name, facets, output_facets, columns)"
            " ON CONFLICT (id) DO UPDATE SET schema_version = excluded.schema_version,"
            " created_at = least(v.created_at, excluded.created_at),"
            # A run's version is told whole each time; one that no run wrote became current when it was first seen.
            " current_at = CASE WHEN excluded.run_id IS NULL THEN least(v.current_at, excluded.current_at)"
            " ELSE excluded.current_at END,"
            " fields = excluded.fields, lifecycle = excluded.lifecycle, description = excluded.description,"
            " source_name = excluded.source_name, facets = excluded.facets, output_facets = excluded.output_facets,"
            " columns = excluded.columns",
            *_columns(version.row() for version in versions),
        )
        # A version that was only inferred from a reader never existed when a writer's version is older than the reading.
        await self.connection.execute(
            "DELETE FROM dataset_version i USING unnest($1::uuid[], $2::timestamptz[]) AS w(dataset_id, at)"
            " WHERE i.dataset_id = w.dataset_id AND i.inferred AND i.current_at >= w.at",
            *_columns((v.dataset_id, v.current_at) for v in versions if v.current_at and v.run_id)
            or [[], []],
        )

    async def _input_versions(self, reads: list[tuple[UUID, UUID, Io]]) -> None:
        """A dataset that is read before anything is known to have written it has the version that its reader describes."""
        if not reads:
            return
        rows = []
        for identifier, run_id, io in reads:
            if identifier in self.runs[run_id].outputs:
                continue  # what the run itself wrote is the version, if there is no earlier one
            rows.append(_told(identifier, io.facets, io.seen_at, "input"))
        if not rows:
            return
        rows.sort(key=lambda version: (version.id, version.created_at))
        unique = list({version.id: version for version in reversed(rows)}.values())
        await self.connection.execute(
            "INSERT INTO dataset_version AS v (id, dataset_id, version, schema_version, run_id, created_at, current_at, fields,"
            " lifecycle, description, source_name, facets, output_facets, read_facets, columns, inferred)"
            " SELECT n.id, n.dataset_id, n.version, n.schema_version, n.run_id, n.created_at, n.current_at, n.fields,"
            " n.lifecycle, n.description, n.source_name, n.facets, n.output_facets, '{}', n.columns, true"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],"
            " $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])"
            " AS n(id, dataset_id, version, schema_version, run_id, created_at, current_at, fields, lifecycle, description,"
            " source_name, facets, output_facets, columns)"
            " WHERE NOT EXISTS (SELECT FROM dataset_version k WHERE k.dataset_id = n.dataset_id"
            " AND k.current_at <= n.current_at)"
            " ON CONFLICT (id) DO UPDATE SET created_at = least(v.created_at, excluded.created_at),"
            " current_at = least(v.current_at, excluded.current_at)",
            *_columns(version.row() for version in unique),
        )
        # Of several inferred versions only the earliest stands: later readers read that one.
        await self.connection.execute(
            "DELETE FROM dataset_version i WHERE i.dataset_id = ANY($1::uuid[]) AND i.inferred AND EXISTS"
            " (SELECT FROM dataset_version k WHERE k.dataset_id = i.dataset_id AND k.inferred"
            " AND (k.current_at, k.id) < (i.current_at, i.id))",
            list({version.dataset_id for version in unique}),
        )

    async def _attach_reads(self, reads: list[tuple[UUID, UUID, Io]], moved: dict[UUID, datetime]) -> None:
        """Lay what readers say over the version each of them read; rebuild it where a late event moved the history."""
        rebuild: set[UUID] = {
            identifier
            for identifier, at in moved.items()
            if (until := self.tables[identifier].read_until) is not None and until >= at
        }
        simple = [read for read in reads if read[0] not in rebuild]
        if simple:
            rows = await self.connection.fetch(
                "SELECT r.ordinal, v.id, v.read_facets, v.read_at, v.read_by FROM unnest($1::uuid[], $2::timestamptz[])"
                " WITH ORDINALITY AS r(dataset_id, at, ordinal)"
                " JOIN LATERAL (SELECT id, read_facets, read_at, read_by FROM dataset_version k"
                " WHERE k.dataset_id = r.dataset_id AND k.current_at <= r.at ORDER BY current_at DESC, id DESC LIMIT 1) v ON true",
                [identifier for identifier, _, _ in simple],
                [io.seen_at for _, _, io in simple],
            )
            state: dict[UUID, tuple[datetime | None, UUID | None, Json]] = {}
            order = sorted(
                rows, key=lambda row: (simple[row["ordinal"] - 1][2].seen_at, simple[row["ordinal"] - 1][1])
            )
            for row in order:
                identifier, run_id, io = simple[row["ordinal"] - 1]
                stored = (row["read_at"], row["read_by"], json.loads(row["read_facets"]))
                at, by, facets = state.get(row["id"], stored)
                if at is not None and by is not None and (io.seen_at, run_id) < (at, by):
                    rebuild.add(identifier)
                    continue
                state[row["id"]] = (io.seen_at, run_id, {**facets, **io.facets, **io.io_facets})
            if state:
                await self.connection.execute(
                    "UPDATE dataset_version v SET read_facets = n.facets, read_at = n.at, read_by = n.by"
                    " FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[]) AS n(id, facets, at, by)"
                    " WHERE v.id = n.id",
                    *_columns(
                        (key, json.dumps(facets), at, by) for key, (at, by, facets) in sorted(state.items())
                    ),
                )
        if rebuild:
            await self._rebuild_reads(rebuild)

    async def _rebuild_reads(self, datasets: set[UUID]) -> None:
        rows = await self.connection.fetch(
            "SELECT io.facets, io.io_facets, io.seen_at, io.run_id, v.id FROM run_io io JOIN LATERAL"
            " (SELECT id FROM dataset_version k WHERE k.dataset_id = io.dataset_id AND k.current_at <= io.seen_at"
            " ORDER BY current_at DESC, id DESC LIMIT 1) v ON true"
            " WHERE io.dataset_id = ANY($1::uuid[]) AND io.is_input ORDER BY io.seen_at, io.run_id",
            list(datasets),
        )
        state: dict[UUID, tuple[str, datetime, UUID]] = {}
        laid: dict[UUID, Json] = {}
        for row in rows:
            facets = laid.setdefault(row["id"], {})
            facets |= json.loads(row["facets"])
            facets |= json.loads(row["io_facets"])
            state[row["id"]] = ("", row["seen_at"], row["run_id"])
        await self.connection.execute(
            "UPDATE dataset_version SET read_facets = '{}', read_at = NULL, read_by = NULL"
            " WHERE dataset_id = ANY($1::uuid[]) AND read_at IS NOT NULL AND NOT id = ANY($2::uuid[])",
            list(datasets),
            list(state),
        )
        if state:
            await self.connection.execute(
                "UPDATE dataset_version v SET read_facets = n.facets, read_at = n.at, read_by = n.by"
                " FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[]) AS n(id, facets, at, by)"
                " WHERE v.id = n.id",
                *_columns((key, json.dumps(laid[key]), at, by) for key, (_, at, by) in sorted(state.items())),
            )

    async def _move_current(self, datasets: set[UUID]) -> None:
        rows = await self.connection.fetch(
            "UPDATE dataset d SET current_version = c.id, current_at = c.current_at FROM"
            " (SELECT k.dataset_id, v.id, v.current_at, v.columns FROM unnest($1::uuid[]) AS k(dataset_id) JOIN LATERAL"
            " (SELECT id, current_at, columns FROM dataset_version w WHERE w.dataset_id = k.dataset_id"
            " AND w.current_at IS NOT NULL ORDER BY current_at DESC, id DESC LIMIT 1) v ON true) c"
            " WHERE d.id = c.dataset_id RETURNING d.id, c.columns",
            sorted(datasets),
        )
        edges = [(row["id"], *edge) for row in rows for edge in json.loads(row["columns"])]
        await self.connection.execute(
            "DELETE FROM column_edge WHERE dataset_id = ANY($1::uuid[])", [row["id"] for row in rows]
        )
        if edges:
            await self.connection.execute(
                "INSERT INTO column_edge SELECT * FROM"
                " unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[])",
                *_columns(edges),
            )

    # --- edges --------------------------------------------------------------------------------------------------------

    async def _write_edges(self) -> None:
        made = [_job_version(run) for run in self.runs.values() if run.version_at]
        for event in self.events:
            if event.kind == "J" and event.job:
                made.append(self._static_version(event))
        if not made:
            return
        latest: dict[UUID, JobVersion] = {}
        for version in sorted(made, key=lambda version: version.order):
            latest[version.job] = version
        unique: dict[UUID, JobVersion] = {}
        for version in sorted(made, key=lambda version: version.at, reverse=True):
            unique[version.id] = version
        await self.connection.execute(
            "INSERT INTO job_version AS v (id, job_id, version, created_at, location, inputs, outputs)"
            " SELECT n.id, n.job_id, n.version, n.at, n.location,"
            " ARRAY(SELECT jsonb_array_elements_text(n.inputs::jsonb)::uuid),"
            " ARRAY(SELECT jsonb_array_elements_text(n.outputs::jsonb)::uuid)"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])"
            " AS n(id, job_id, version, at, location, inputs, outputs)"
            " ON CONFLICT (id) DO UPDATE SET created_at = least(v.created_at, excluded.created_at)",
            *_columns(version.row() for version in sorted(unique.values(), key=lambda version: version.id)),
        )
        # Edges follow the latest event by time; equal times are decided by the run, so that arrival decides nothing.
        rows = await self.connection.fetch(
            "WITH n AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::boolean[])"
            " AS n(job_id, id, at, by, strong)),"
            " was AS (SELECT j.id, j.current_version FROM job j JOIN n ON n.job_id = j.id)"
            " UPDATE job j SET current_version = n.id, version_at = n.at, version_by = n.by, version_strong = n.strong FROM n JOIN was ON was.id = n.job_id"
            " WHERE j.id = n.job_id AND (j.version_at IS NULL OR j.version_by IS NOT DISTINCT FROM n.by"
            " OR (j.version_strong, j.version_at, coalesce(j.version_by, '00000000-0000-0000-0000-000000000000'))"
            " <= (n.strong, n.at, coalesce(n.by, '00000000-0000-0000-0000-000000000000')))"
            " RETURNING j.id, was.current_version IS DISTINCT FROM n.id AS changed",
            *_columns(
                (v.job, v.id, v.at, v.by, v.strong) for v in sorted(latest.values(), key=lambda v: v.job)
            ),
        )
        changed = [row["id"] for row in rows if row["changed"]]
        if changed:
            await self.connection.execute("DELETE FROM job_edge WHERE job_id = ANY($1::uuid[])", changed)
            edges = [
                (job, identifier, is_input)
                for job in changed
                for is_input, side in ((True, latest[job].inputs), (False, latest[job].outputs))
                for identifier in side
            ]
            if edges:
                await self.connection.execute(
                    "INSERT INTO job_edge (job_id, dataset_id, is_input)"
                    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[])",
                    *_columns(edges),
                )

    def _static_version(self, event: Event) -> JobVersion:
        inputs = sorted({self.ids[dataset.name] for dataset in event.inputs})
        outputs = sorted({self.ids[dataset.name] for dataset in event.outputs})
        location = event.job_facets.get("sourceCodeLocation", {}).get("url")
        if event.job is None:
            raise ValueError("a job event names its job")
        return JobVersion.of(event.job, inputs, outputs, location, event.time, None)

    async def _latest_runs(self) -> None:
        jobs = {job_id(*run.job) for run in self.runs.values()} | set(self.jobs)
        if jobs:
            await self.connection.execute(
                "UPDATE job j SET latest_run = r.id, latest_state = r.state FROM"
                " (SELECT k.id AS job_id, v.id, v.state FROM unnest($1::uuid[]) AS k(id) LEFT JOIN LATERAL"
                " (SELECT id, state FROM run WHERE job_id = k.id ORDER BY sort_at DESC, id LIMIT 1) v ON true) r"
                " WHERE j.id = r.job_id",
                sorted(jobs),
            )


@dataclass
class Version:
    """A dataset version to be written."""

    id: UUID
    dataset_id: UUID
    run_id: UUID | None
    created_at: datetime
    current_at: datetime | None
    facets: Json
    output_facets: Json
    columns: list[list[Any]]

    def row(self) -> tuple[Any, ...]:
        fields = [
            {
                "name": item["name"],
                "type": item.get("type"),
                "tags": [],
                "description": item.get("description"),
            }
            for item in self.facets.get("schema", {}).get("fields") or ()
        ]
        told = json.dumps(fields)
        return (
            self.id,
            self.dataset_id,
            made_of("dataset version", str(self.id)),
            made_of("schema version", str(self.dataset_id), told),
            self.run_id,
            self.created_at,
            self.current_at,
            told,
            self.facets.get("lifecycleStateChange", {}).get("lifecycleStateChange") or "",
            self.facets.get("documentation", {}).get("description"),
            self.facets.get("dataSource", {}).get("name") or "default",
            json.dumps(self.facets),
            json.dumps(self.output_facets),
            json.dumps(self.columns),
        )


@dataclass(frozen=True)
class JobVersion:
    """The datasets of a job as one run, or one event without a run, told them; equal content is the same version."""

    id: UUID
    version: UUID
    job: UUID
    at: datetime
    by: UUID | None
    location: str | None
    inputs: tuple[UUID, ...]
    outputs: tuple[UUID, ...]
    strong: bool
    """A run that failed before it named a dataset is weak: it says nothing about the edges of its job."""

    @classmethod
    def of(
        cls,
        job: Name,
        inputs: Iterable[UUID],
        outputs: Iterable[UUID],
        location: str | None,
        at: datetime,
        by: UUID | None,
        *,
        strong: bool = True,
    ) -> JobVersion:
        ins, outs = tuple(sorted(inputs)), tuple(sorted(outputs))
        content = json.dumps([[str(i) for i in ins], [str(o) for o in outs], location])
        version = made_of("job version", *job, content)
        return cls(
            made_of("job version row", str(version)),
            version,
            job_id(*job),
            at,
            by,
            location,
            ins,
            outs,
            strong,
        )

    @property
    def order(self) -> tuple[bool, datetime, str]:
        return (self.strong, self.at, str(self.by or ""))

    def row(self) -> tuple[Any, ...]:
        inputs, outputs = (
            json.dumps([str(i) for i in self.inputs]),
            json.dumps([str(o) for o in self.outputs]),
        )
        return (self.id, self.job, self.version, self.at, self.location, inputs, outputs)


def _told(identifier: UUID, facets: Json, at: datetime, how: str) -> Version:
    """Return a version that no run is known to have written: equal content is the same version."""
    content = json.dumps(
        [facets.get("schema", {}).get("fields"), facets.get("lifecycleStateChange")], sort_keys=True
    )
    return Version(
        id=made_of("told version", how, str(identifier), content),
        dataset_id=identifier,
        run_id=None,
        created_at=at,
        current_at=None if how == "job" else at,
        facets=facets,
        output_facets={},
        columns=[],
    )


def _job_version(run: Run) -> JobVersion:
    if run.version_at is None:
        raise ValueError(f"run {run.id} has not ended")
    return JobVersion.of(
        run.job, run.inputs, run.outputs, run.location, run.version_at, run.id, strong=run.tells_edges
    )


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


def _sources_of(io: Io) -> set[Name]:
    """Return the datasets that the column lineage of an output points at."""
    fields = io.facets.get("columnLineage", {}).get("fields") or {}
    return {
        (item["namespace"], item["name"])
        for told in fields.values()
        for item in told.get("inputFields") or ()
    }


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into the column arrays that ``unnest`` takes; an empty list for no rows."""
    return [list(column) for column in zip(*rows, strict=True)]
