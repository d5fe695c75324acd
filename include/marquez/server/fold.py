"""What a run is, folded from its events in the order of what happened.

`apply` takes one event that comes after all events folded so far; when an event arrives late, the run is folded again from
its stored events. The result therefore depends on the events alone, never on their arrival. Pure: no database, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.marquez.server import exact_json
from include.marquez.server.openlineage import Dataset, Event, Json, Name, requested_run
from include.marquez.server.times import parse_time, short_time

if TYPE_CHECKING:
    from collections.abc import Mapping

TERMINAL = {"COMPLETE": "COMPLETED", "ABORT": "ABORTED", "FAIL": "FAILED"}


@dataclass
class Io:
    """One dataset of a run: when the run first and last named it, and its facets as the run tells them.

    `stored`: what the database holds of it, when it does: its two facets and `told_at`.
    """

    seen_at: datetime
    told_at: datetime
    facets: Json = field(default_factory=dict)
    io_facets: Json = field(default_factory=dict)
    stored: tuple[str, str, datetime] | None = None

    @cached_property
    def texts(self) -> tuple[str, str]:
        """The facets and those of this reading or writing, as JSON; asked once no more events will be added."""
        return exact_json.dumps(self.facets), exact_json.dumps(self.io_facets)

    @property
    def same(self) -> bool:
        """Whether the database holds the same facets."""
        return self.stored is not None and self.stored[:2] == self.texts

    def add(self, dataset: Dataset, at: datetime) -> None:
        self.told_at = at
        self.facets |= dataset.facets
        self.io_facets |= dataset.io_facets


@dataclass
class Run:
    """A run after some of its events.

    `started` is the first START, else the first RUNNING; `ended` the last terminal event. Event types that the specification
    does not let change the state (OTHER, unknown, none) leave it alone.
    """

    id: UUID
    job: Name
    created: datetime
    updated: datetime
    last: tuple[str, int, str] = ("", 0, "")
    start_at: datetime | None = None
    running_at: datetime | None = None
    ended: datetime | None = None
    end_type: str | None = None
    completed_at: datetime | None = None
    facets: Json = field(default_factory=dict)
    job_facets: Json = field(default_factory=dict)
    parent: tuple[Name, UUID, str] | None = None
    inputs: dict[UUID, Io] = field(default_factory=dict)
    outputs: dict[UUID, Io] = field(default_factory=dict)
    stored: tuple[str, str] | None = None
    """The run's facets and its job's as the database holds them, when it does."""

    @property
    def started(self) -> datetime | None:
        return self.start_at or self.running_at

    @cached_property
    def same_io(self) -> bool:
        """Whether the database holds the same datasets with the same facets; asked once no more events will be applied."""
        return self.stored is not None and all(
            io.same for io in (*self.inputs.values(), *self.outputs.values())
        )

    @property
    def sort_at(self) -> datetime:
        return self.started or self.created

    @property
    def state(self) -> str:
        if self.end_type:
            return TERMINAL[self.end_type]
        return "RUNNING" if self.started else "NEW"

    @property
    def streaming(self) -> bool:
        return bool(self.job_facets.get("jobType", {}).get("processingType", "").upper() == "STREAMING")

    @property
    def location(self) -> str | None:
        url = self.job_facets.get("sourceCodeLocation", {}).get("url")
        return url if isinstance(url, str) else None

    @property
    def outputs_current_at(self) -> datetime | None:
        """When what the run wrote became current: its completion; for a stream, its first event. None: not (yet)."""
        return self.created if self.streaming else self.completed_at

    @property
    def version_at(self) -> datetime | None:
        """When the run's datasets became a version of its job; None: not (yet)."""
        return self.ended or (self.updated if self.streaming else None)

    @property
    def tells_edges(self) -> bool:
        """Whether the run knows its job's edges: one that failed before it named any dataset does not."""
        return bool(self.completed_at or self.inputs or self.outputs or self.streaming)

    @property
    def nominal(self) -> tuple[datetime | None, datetime | None]:
        """Start and end as a request opened the run; what events say of them is in the facets and arguments only."""
        return _span(requested_run(self.facets))

    @property
    def args(self) -> Json:
        """The run's arguments, as Marquez derives them from the facets."""
        args: Json = dict(requested_run(self.facets).get("args", {}))
        told = self.facets.get("nominalTime", {})
        for key, name in (("nominal_start_time", "nominalStartTime"), ("nominal_end_time", "nominalEndTime")):
            if told.get(name):
                args[key] = short_time(told[name])
        if self.parent:
            (namespace, name), _, given = self.parent
            args |= {"run_id": given, "name": name, "namespace": namespace}
        return args

    def fold(self) -> str:
        """Return, as JSON, what `resume` needs beside the stored columns."""
        known: dict[str, Any] = {"last": self.last, "job": self.job, "end_type": self.end_type}
        for key in ("created", "updated", "start_at", "running_at", "ended", "completed_at"):
            moment: datetime | None = getattr(self, key)
            known[key] = moment.isoformat() if moment else None
        if self.parent:
            known["parent"] = [*self.parent[0], str(self.parent[1]), self.parent[2]]
        return exact_json.dumps(known)


def resume(run_id: UUID, fold: str, facets: str, job_facets: str) -> Run:
    """Return the run that `Run.fold` and the stored columns describe, without its datasets."""
    known = exact_json.loads(fold)
    times = {
        key: datetime.fromisoformat(known[key]) if known[key] else None
        for key in ("created", "updated", "start_at", "running_at", "ended", "completed_at")
    }
    parent = known.get("parent")
    last = known["last"]
    return Run(
        id=run_id,
        job=(known["job"][0], known["job"][1]),
        last=(last[0], last[1], last[2]),
        end_type=known["end_type"],
        facets=exact_json.loads(facets),
        job_facets=exact_json.loads(job_facets),
        parent=((parent[0], parent[1]), UUID(parent[2]), parent[3]) if parent else None,
        stored=(facets, job_facets),
        **times,  # type: ignore[arg-type]  # created and updated are never null in a stored fold
    )


def begin(event: Event) -> Run:
    """Return the run whose first event this is, before it is applied."""
    if event.run is None or event.job is None:
        raise ValueError("only a run event begins a run")
    return Run(id=event.run, job=event.job, created=event.time, updated=event.time)


def apply(run: Run, event: Event, ids: Mapping[Name, UUID]) -> None:
    """Fold one event into the run; it must come after all events before it. `ids` gives the id of every dataset it names."""
    run.last = event.order
    run.updated = event.time
    if event.type == "START":
        run.start_at = run.start_at or event.time
    elif event.type == "RUNNING":
        run.running_at = run.running_at or event.time
    elif event.type in TERMINAL:
        run.ended, run.end_type = event.time, event.type
        if event.type == "COMPLETE":
            run.completed_at = event.time
    run.facets |= event.run_facets
    run.job_facets |= event.job_facets
    run.parent = event.parent or run.parent
    for side, datasets in ((run.inputs, event.inputs), (run.outputs, event.outputs)):
        for dataset in datasets:
            side.setdefault(ids[dataset.name], Io(event.time, event.time)).add(dataset, event.time)


def _span(facet: Json) -> tuple[datetime | None, datetime | None]:
    start, end = facet.get("nominalStartTime"), facet.get("nominalEndTime")
    return (
        parse_time(start) if isinstance(start, str) else None,
        parse_time(end) if isinstance(end, str) else None,
    )
