"""What made these bytes: every making of a digest, the exact inputs behind it, and what was made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from include.ledger.models import Artifact, ArtifactInput, Blob, Job, StageRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

LIMIT = 1000


@dataclass(frozen=True)
class Making:
    """One making of a blob: what it is, who made it, for which job. `size_bytes` in bytes, times in UTC."""

    artifact_id: UUID
    job_id: UUID
    family: str
    kind: str
    key: str
    name: str
    namespace: str
    dataset: str
    sha256: str
    size_bytes: int
    media_type: str
    path: str
    facts: dict[str, Any]
    stage_run_id: UUID
    stage: str
    stage_key: str
    dag_id: str | None
    run_id: str | None
    task_id: str | None
    ol_run_id: UUID | None
    reused_from: UUID | None
    superseded_at: datetime | None
    created_at: datetime

    @property
    def is_source(self) -> bool:
        """Say whether these bytes came from outside: the line ends here."""
        return self.kind == "source"


@dataclass(frozen=True)
class Line:
    """The makings reached from one artifact along exact edges, itself among them.

    An edge is (made, input). `cut` says that the walk stopped at its limit: there is more.
    """

    root: UUID
    makings: dict[UUID, Making]
    edges: tuple[tuple[UUID, UUID], ...]
    cut: bool = False
    _inputs: dict[UUID, list[UUID]] = field(init=False, repr=False, compare=False)
    _uses: dict[UUID, list[UUID]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        inputs: dict[UUID, list[UUID]] = {}
        uses: dict[UUID, list[UUID]] = {}
        for made, used in self.edges:
            inputs.setdefault(made, []).append(used)
            uses.setdefault(used, []).append(made)
        object.__setattr__(self, "_inputs", {key: self._sorted(value) for key, value in inputs.items()})
        object.__setattr__(self, "_uses", {key: self._sorted(value) for key, value in uses.items()})

    def inputs(self, artifact_id: UUID) -> list[Making]:
        """Return what went into an artifact, by kind and key."""
        return [self.makings[key] for key in self._inputs.get(artifact_id, [])]

    def uses(self, artifact_id: UUID) -> list[Making]:
        """Return what was made from an artifact, by kind and key."""
        return [self.makings[key] for key in self._uses.get(artifact_id, [])]

    def sources(self) -> list[Making]:
        """Return the outside files and answers at the ends of the line."""
        return [self.makings[key] for key in self._sorted(self.makings) if self.makings[key].is_source]

    def _sorted(self, keys: Iterable[UUID]) -> list[UUID]:
        def order(key: UUID) -> tuple[str, str, datetime, str]:
            making = self.makings[key]
            return making.kind, making.key, making.created_at, str(key)

        return sorted(keys, key=order)


def making(session: Session, artifact_id: UUID) -> Making | None:
    """Return one making, None where the ledger has no such artifact."""
    return next(iter(_makings(session, [artifact_id]).values()), None)


def makings_of(session: Session, sha256: str) -> list[Making]:
    """Return every making of these bytes, the first maker first; empty for unknown bytes."""
    ids = session.scalars(
        select(Artifact.artifact_id)
        .where(Artifact.sha256 == sha256)
        .order_by(Artifact.created_at, Artifact.reused_from.is_not(None), Artifact.artifact_id)
    ).all()
    found = _makings(session, ids)
    return [found[key] for key in ids]


def upstream(session: Session, artifact_id: UUID, *, limit: int = LIMIT) -> Line:
    """Return everything an artifact was made from, to the sources; each artifact once, whatever the shape."""
    return _walk(session, artifact_id, limit, backwards=True)


def downstream(session: Session, artifact_id: UUID, *, limit: int = LIMIT) -> Line:
    """Return everything that was made from an artifact."""
    return _walk(session, artifact_id, limit, backwards=False)


def _walk(session: Session, root: UUID, limit: int, *, backwards: bool) -> Line:
    here, there = ArtifactInput.artifact_id, ArtifactInput.input_id
    if not backwards:
        here, there = there, here
    reached = {root}
    frontier = [root]
    edges: set[tuple[UUID, UUID]] = set()
    cut = False
    # One statement per hop: the depth of a line is small, its width is what grows.
    while frontier and not cut:
        following: list[UUID] = []
        step = select(ArtifactInput.artifact_id, ArtifactInput.input_id).where(here.in_(frontier))
        for made, used in session.execute(step.order_by(there, here)):
            target = used if backwards else made
            if target not in reached:
                if len(reached) >= limit:
                    cut = True
                    continue
                reached.add(target)
                following.append(target)
            edges.add((made, used))
        frontier = following
    return Line(root, _makings(session, reached), tuple(sorted(edges, key=str)), cut)


def _makings(session: Session, ids: Iterable[UUID]) -> dict[UUID, Making]:
    wanted = list(ids)
    if not wanted:
        return {}
    rows = session.execute(
        select(Artifact, Blob, StageRun, Job.family)
        .join(Blob, Blob.sha256 == Artifact.sha256)
        .join(StageRun, StageRun.stage_run_id == Artifact.stage_run_id)
        .join(Job, Job.job_id == Artifact.job_id)
        .where(Artifact.artifact_id.in_(wanted))
    )
    return {
        artifact.artifact_id: Making(
            artifact_id=artifact.artifact_id,
            job_id=artifact.job_id,
            family=family,
            kind=artifact.kind,
            key=artifact.key,
            name=artifact.name,
            namespace=artifact.namespace,
            dataset=artifact.dataset,
            sha256=artifact.sha256,
            size_bytes=blob.size_bytes,
            media_type=blob.media_type,
            path=blob.path,
            facts=artifact.facts,
            stage_run_id=run.stage_run_id,
            stage=run.stage,
            stage_key=run.key,
            dag_id=run.dag_id,
            run_id=run.run_id,
            task_id=run.task_id,
            ol_run_id=run.ol_run_id,
            reused_from=artifact.reused_from,
            superseded_at=artifact.superseded_at,
            created_at=artifact.created_at,
        )
        for artifact, blob, run, family in rows
    }
