"""What every export is made from: the artifacts of a line, the exact links between them, and the runs that made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, Uuid, any_, literal, select

from include.errors import InvalidInput
from include.ledger.models import StageRun
from include.proof.impact import file_of
from include.proof.trace import links_among, makings
from include.proof.walk import reach

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.proof.target import Target
    from include.proof.trace import Making


@dataclass(frozen=True)
class Run:
    """One attempt of a stage that succeeded: what ran, where in Airflow, when (UTC)."""

    stage_run_id: UUID
    job_id: UUID
    scope: str
    family: str
    stage: str
    key: str
    attempt: int
    status: str
    code_digest: str
    recipe: str | None
    dag_id: str | None
    run_id: str | None
    task_id: str | None
    map_index: int
    try_number: int
    ol_run_id: UUID | None
    started_at: datetime
    finished_at: datetime

    @property
    def where(self) -> str:
        """Return the coordinates in Airflow, or the stage alone where no Airflow was around."""
        if self.dag_id is None or self.task_id is None:
            return f"{self.family}.{self.stage}"
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{mapped}"


@dataclass(frozen=True)
class Record:
    """A line: `edges` are (made, input), `reuses` are (making, the making whose bytes it took over).

    Artifacts are in the order they were made.
    """

    target: Target
    namespace: str
    as_of: datetime | None
    roots: tuple[UUID, ...]
    artifacts: dict[UUID, Making]
    edges: tuple[tuple[UUID, UUID], ...]
    reuses: tuple[tuple[UUID, UUID], ...]
    runs: dict[UUID, Run]

    @property
    def title(self) -> str:
        """Return what the export is called."""
        return f"Lineage of {self.target}" + (f" as of {self.as_of.isoformat()}" if self.as_of else "")

    def inputs(self) -> dict[UUID, list[Making]]:
        """Return the exact inputs of each artifact, by kind and key."""
        found: dict[UUID, list[Making]] = {key: [] for key in self.artifacts}
        for made, used in self.edges:
            found[made].append(self.artifacts[used])
        for items in found.values():
            items.sort(key=lambda item: (item.kind, item.key, str(item.artifact_id)))
        return found

    def maker(self, item: Making) -> Making:
        """Return the making whose run wrote the bytes: the artifact itself, or the one it took them over from."""
        while item.reused_from is not None:
            item = self.artifacts[item.reused_from]
        return item

    def is_current(self, item: Making) -> bool:
        """Say whether an artifact was current at the moment of the export."""
        return item.superseded_at is None or (self.as_of is not None and item.superseded_at > self.as_of)

    def file(self, item: Making) -> str:
        """Return where the artifact is found below the store."""
        rehearsal = self.runs[item.stage_run_id].scope == "rehearsal"
        return file_of(item.job_id, item.name, item.path, rehearsal, item.superseded_at)


def gather(session: Session, target: Target, *, as_of: datetime | None = None) -> Record:
    """Return the whole line behind a target, uncut: of a job what was current, of bytes every making of them.

    Raises InvalidInput where there is nothing to export.
    """
    query = target.artifacts(as_of, only_current=target.kind in ("job", "dataset"))
    roots = session.scalars(query).all()
    if not roots:
        when = f" by {as_of.isoformat()}" if as_of else ""
        raise InvalidInput(f"{target}: the ledger has no artifact of it{when}, so there is no line to export")
    reached = reach(query, backwards=True)
    found = makings(session, session.scalars(select(reached.c.artifact_id)))
    artifacts = dict(sorted(found.items(), key=lambda pair: (pair[1].created_at, str(pair[0]))))
    edges, reuses = links_among(session, artifacts)
    return Record(
        target=target,
        namespace=artifacts[roots[0]].namespace,
        as_of=as_of,
        roots=tuple(key for key in artifacts if key in set(roots)),
        artifacts=artifacts,
        edges=edges,
        reuses=reuses,
        runs=_runs(session, {item.stage_run_id for item in artifacts.values()}),
    )


def _runs(session: Session, ids: Iterable[UUID]) -> dict[UUID, Run]:
    names = list(Run.__dataclass_fields__)
    rows = session.execute(
        select(*(getattr(StageRun, name) for name in names))
        .where(StageRun.stage_run_id == any_(literal(list(ids), ARRAY(Uuid()))))
        .order_by(StageRun.started_at, StageRun.stage_run_id)
    )
    return {row.stage_run_id: Run(**dict(zip(names, row, strict=True))) for row in rows}
