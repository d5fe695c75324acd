"""What made these bytes: every making of a digest, the exact inputs behind it, and what was made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Uuid, any_, literal, select

from include.ledger.models import Artifact, ArtifactInput, Blob, Job, StageRun
from include.ledger.validity import existed
from include.proof.walk import reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
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

    An edge is (made, input); a reuse is (making, the making whose bytes it took over). `cut` says that the walk
    stopped at its limit: there is more.
    """

    root: UUID
    makings: dict[UUID, Making]
    edges: tuple[tuple[UUID, UUID], ...]
    cut: bool = False
    reuses: tuple[tuple[UUID, UUID], ...] = ()
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
    return next(iter(makings(session, [artifact_id]).values()), None)


def makings_of(session: Session, sha256: str, *, as_of: datetime | None = None) -> list[Making]:
    """Return every making of these bytes, the first maker first; empty for bytes unknown by that moment."""
    ids = session.scalars(
        select(Artifact.artifact_id)
        .where(Artifact.sha256 == sha256, existed(as_of))
        .order_by(Artifact.created_at, Artifact.reused_from.is_not(None), Artifact.artifact_id)
    ).all()
    found = makings(session, ids)
    return [found[key] for key in ids]


def upstream(session: Session, artifact_id: UUID, *, limit: int = LIMIT, reuse: bool = False) -> Line:
    """Return everything an artifact was made from, to the sources; each artifact once, whatever the shape.

    With `reuse`, also the makings whose bytes were taken over, and what those were made from. The line of an artifact
    never changes: what was made from it later does not lie upstream.
    """
    return _walk(session, artifact_id, limit, backwards=True, reuse=reuse)


def downstream(session: Session, artifact_id: UUID, *, limit: int = LIMIT, reuse: bool = False) -> Line:
    """Return everything that was made from an artifact; with `reuse`, also those that took its bytes over."""
    return _walk(session, artifact_id, limit, backwards=False, reuse=reuse)


def _walk(session: Session, root: UUID, limit: int, *, backwards: bool, reuse: bool) -> Line:
    reached = reach(select(literal(root).label("artifact_id")), backwards=backwards, reuse=reuse)
    # A recursive query yields its rows step by step: the limit keeps the nearest, and ends the walk.
    found = session.scalars(select(reached.c.artifact_id).limit(limit + 1)).all()
    within = makings(session, found[:limit])
    edges, reuses = links_among(session, within)
    return Line(root, within, edges, len(found) > limit, reuses if reuse else ())


def links_among(
    session: Session, within: Mapping[UUID, Making]
) -> tuple[tuple[tuple[UUID, UUID], ...], tuple[tuple[UUID, UUID], ...]]:
    """Return the edges (made, input) and the reuses (making, origin) between these makings, in a fixed order."""
    edges = session.execute(
        select(ArtifactInput.artifact_id, ArtifactInput.input_id).where(
            ArtifactInput.artifact_id == _any(within), ArtifactInput.input_id == _any(within)
        )
    )
    reuses = (
        (made.artifact_id, made.reused_from)
        for made in within.values()
        if made.reused_from is not None and made.reused_from in within
    )
    return tuple(sorted((made, used) for made, used in edges)), tuple(sorted(reuses))


def makings(session: Session, ids: Iterable[UUID]) -> dict[UUID, Making]:
    """Return the makings of these ids; unknown ids are left out."""
    wanted = list(ids)
    if not wanted:
        return {}
    rows = session.execute(
        select(Artifact, Blob, StageRun, Job.family)
        .join(Blob, Blob.sha256 == Artifact.sha256)
        .join(StageRun, StageRun.stage_run_id == Artifact.stage_run_id)
        .join(Job, Job.job_id == Artifact.job_id)
        .where(Artifact.artifact_id == _any(wanted))
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


def _any(ids: Iterable[UUID]) -> Any:
    """Return one array parameter: a list of parameters ends at 65 535."""
    return any_(literal(list(ids), ARRAY(Uuid())))
