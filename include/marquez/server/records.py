"""Rows of the lineage database while events are taken."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from include.marquez.server import exact_json
from include.marquez.server.identity import job_id, made_of, name_uuid
from include.marquez.server.openlineage import requested, requested_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from include.marquez.server.fold import Io, Run
    from include.marquez.server.openlineage import Json, Name

Order = tuple[str, int, str]


@dataclass
class Register:
    """Attributes that keep the latest value by event order: attribute -> [order of the event that said it, value]."""

    attributes: Json = field(default_factory=dict)

    def said(self, attribute: str, order: Order, value: Any) -> None:
        held = self.attributes.get(attribute)
        if held is None or tuple(held[0]) <= order:
            self.attributes[attribute] = [list(order), value]

    def now(self, attribute: str) -> Any:
        entry = self.attributes.get(attribute)
        return entry[1] if entry else None


@dataclass
class Job(Register):
    """A job; `made_at`, `made_by`, `made_strong` tell what made its current version and with it its edges.

    Its latest run is the one that sorts last, of equal ones the one with the smallest id; `asks`: whether only the
    database can say which one that is now.
    """

    id: UUID = field(kw_only=True)
    name: Name = field(kw_only=True)
    created: datetime = field(kw_only=True)
    updated: datetime = field(kw_only=True)
    current_version: UUID | None = None
    version_created: datetime | None = None
    made_at: datetime | None = None
    made_by: UUID | None = None
    made_strong: bool | None = None
    latest_run: UUID | None = None
    latest_state: str | None = None
    latest_at: datetime | None = None
    asks: bool = False

    def take(self, version: JobVersion) -> bool:
        """Make a version current if it is later than the current one; return whether the edges change."""
        own = version.by is not None and version.by == self.made_by
        if self.made_at is not None and not own and version.order < self.order:
            return False
        changed = self.current_version != version.id
        self.current_version, self.made_at = version.id, version.at
        self.made_by, self.made_strong = version.by, version.strong
        return changed

    def has_run(self, run: UUID, sort_at: datetime, state: str) -> None:
        """Hear of a run of this job, new or changed."""
        if self.latest_at is not None and run != self.latest_run:
            if (sort_at, -run.int) < (self.latest_at, -(self.latest_run or run).int):
                return
        elif self.latest_at is not None and sort_at < self.latest_at:
            self.asks = True  # the latest run turns out to be older: another one may be the latest now
        self.latest_run, self.latest_state, self.latest_at = run, state, sort_at

    @property
    def order(self) -> tuple[bool, datetime | None, str]:
        return (bool(self.made_strong), self.made_at, str(self.made_by or ""))


@dataclass
class Table(Register):
    """A dataset; `current_*`, `read_facets` and `columns` describe its current version and what its readers say of it."""

    id: UUID = field(kw_only=True)
    name: Name = field(kw_only=True)
    created: datetime = field(kw_only=True)
    read_until: datetime | None = None
    current_version: UUID | None = None
    current_at: datetime | None = None
    read_facets: str = "{}"
    inferred: bool = False
    columns: str = "[]"
    told: bool = True


@dataclass
class Version:
    """A dataset version. `told_by`: the run that wrote or read it; `inferred`: known only from a run that read it."""

    id: UUID
    dataset_id: UUID
    name: Name
    run_id: UUID | None
    told_by: UUID | None
    created_at: datetime
    current_at: datetime | None
    facets: Json
    output_facets: Json = field(default_factory=dict)
    columns: list[list[Any]] = field(default_factory=list)
    inferred: bool = False
    read_facets: str = "{}"
    same: bool = False
    """Stored already, and of the same content: only when it became current may have changed."""
    texts: tuple[str, str] | None = None
    """Both kinds of facets as JSON, where they are known."""

    @property
    def fields(self) -> list[Json]:
        return shown_fields(self.facets.get("schema", {}))

    @property
    def lifecycle(self) -> str | None:
        """The state told; "" where an event told none, None where a request described the dataset."""
        told: str | None = self.facets.get("lifecycleStateChange", {}).get("lifecycleStateChange")
        return told or (None if requested(self.facets.get("dataSource")) else "")

    def row(self) -> tuple[Any, ...]:
        fields = self.fields
        return (
            self.id,
            self.dataset_id,
            self.version,
            name_uuid(*self.name, _joined((item["name"], item["type"]) for item in fields)),
            self.run_id,
            self.created_at,
            self.current_at,
            exact_json.dumps(fields),
            self.lifecycle,
            self.facets.get("documentation", {}).get("description"),
            self.facets.get("dataSource", {}).get("name") or "default",
            *(self.texts or (exact_json.dumps(self.facets), exact_json.dumps(self.output_facets))),
            exact_json.dumps(self.columns),
            self.inferred,
            self.read_facets,
        )

    @property
    def version(self) -> UUID:
        """The version as Marquez names it: its content, and the run that told it."""
        return name_uuid(
            self.name[0],
            self.facets.get("dataSource", {}).get("name") or "default",
            self.name[1],
            requested_name(self.facets) or self.name[1],
            _joined(
                (item["name"], item["type"] and item["type"].upper(), item["description"])
                for item in self.fields
            ),
            self.lifecycle,
            str(self.told_by) if self.told_by else None,
        )

    @property
    def seniority(self) -> tuple[datetime, UUID, UUID]:
        """Which of several versions that readers describe stands: the least."""
        return (self.created_at, self.id, self.version)


def _joined(rows: Iterable[tuple[str | None, ...]]) -> str:
    """Join distinct rows in Java's order: by UTF-16 code unit, null first."""
    ordered = sorted(
        set(rows), key=lambda row: [(part is not None, (part or "").encode("utf-16-be")) for part in row]
    )
    return ":".join(":".join(part for part in row if part is not None) for row in ordered)


def shown_fields(schema: Json) -> list[Json]:
    """Return the fields that a schema facet tells, as they are shown."""
    return [
        {"name": item["name"], "type": item.get("type"), "tags": [], "description": item.get("description")}
        for item in schema.get("fields") or ()
    ]


def lay(read_facets: Json, run: UUID, io: Io) -> None:
    """Let a reader say what it says of a version: of each facet, the reader that last named the dataset is heard."""
    order = [io.told_at.isoformat(timespec="microseconds"), str(run)]
    for name, facet in (io.facets | io.io_facets).items():
        held = read_facets.get(name)
        if held is None or held[:2] <= order:
            read_facets[name] = [*order, facet]


def told_version(
    identifier: UUID,
    name: Name,
    facets: Json,
    at: datetime,
    how: Literal["event", "job", "input"],
    reader: UUID | None = None,
    *,
    inferred: bool = False,
) -> Version:
    """Return a version that no run is known to have written: equal content told by the same kind is the same version.

    `inferred`: it is what somebody reads, and not said to be written. What a job is said to touch is never current.
    """
    content = json.dumps(
        [facets.get("schema", {}).get("fields"), facets.get("lifecycleStateChange")], sort_keys=True
    )
    return Version(
        id=made_of("told version", how, str(identifier), content),
        dataset_id=identifier,
        name=name,
        run_id=None,
        told_by=reader,
        created_at=at,
        current_at=None if how == "job" else at,
        facets=facets,
        inferred=inferred,
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
        inputs: Mapping[UUID, Name],
        outputs: Mapping[UUID, Name],
        location: str | None,
        at: datetime,
        by: UUID | None,
        *,
        strong: bool = True,
    ) -> JobVersion:
        ins, outs = tuple(sorted(inputs)), tuple(sorted(outputs))
        content = json.dumps([[str(i) for i in ins], [str(o) for o in outs], location])
        named = [_joined(names.values()) for names in (inputs, outputs)]
        row = made_of("job version row", str(made_of("job version", *job, content)))
        return cls(row, name_uuid(*job, *named, location), job_id(*job), at, by, location, ins, outs, strong)

    @classmethod
    def of_run(cls, run: Run, names: Mapping[UUID, Name]) -> JobVersion:
        """Return the version that an ended run makes; `names` gives the name of every dataset it touched."""
        if run.version_at is None:
            raise ValueError(f"run {run.id} has not ended")
        inputs, outputs = ({key: names[key] for key in side} for side in (run.inputs, run.outputs))
        return cls.of(run.job, inputs, outputs, run.location, run.version_at, run.id, strong=run.tells_edges)

    @property
    def order(self) -> tuple[bool, datetime, str]:
        return (self.strong, self.at, str(self.by or ""))

    def row(self) -> tuple[Any, ...]:
        inputs, outputs = (
            exact_json.dumps([str(i) for i in self.inputs]),
            exact_json.dumps([str(o) for o in self.outputs]),
        )
        return (self.id, self.job, self.version, self.at, self.location, inputs, outputs)
