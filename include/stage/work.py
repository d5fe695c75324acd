"""What a stage body holds in its hands: verified inputs, publishing, reuse, facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from include.artifacts import faults
from include.artifacts.digests import sha256_json
from include.errors import ArtifactCorrupt, InvalidInput, NotReady, ThroughlineError
from include.ledger.models import Artifact, Base, Blob, Cost, Job, StageRun, TableVersion
from include.ledger.session import transaction
from include.lineage.naming import check_name, dataset_of_kind
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from sqlalchemy.orm import Session

    from include.artifacts.store import Store, StoredBlob
    from include.stage.declared import Stage


class SkipStage(ThroughlineError):
    """There is nothing to do, and that is no failure; the reason is recorded."""


class Reused(Exception):
    """A finished output of the same recipe exists."""

    def __init__(self, stage_run_id: UUID) -> None:
        super().__init__(str(stage_run_id))
        self.stage_run_id = stage_run_id


@dataclass(frozen=True)
class Coordinates:
    """Where in Airflow a stage runs; all empty when it runs without Airflow."""

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    try_number: int = 1
    ol_run_id: UUID | None = None
    pipeline_run_id: UUID | None = None
    logical_date: datetime | None = None
    clear_number: int = 0


@dataclass(frozen=True)
class Input:
    """One artifact a stage reads: its bytes are verified against the digest."""

    artifact_id: UUID
    kind: str
    key: str
    sha256: str
    path: Path
    namespace: str
    dataset: str
    media_type: str
    size_bytes: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Pending:
    """An artifact whose bytes are at their address and whose rows wait for the commit."""

    artifact_id: UUID
    blob: StoredBlob
    kind: str
    key: str
    namespace: str
    dataset: str
    name: str
    facts: dict[str, Any]
    inputs: tuple[UUID, ...]
    rows: tuple[Base, ...]
    table: tuple[str, str, str] | None = None
    transition_id: UUID | None = None
    reused_from: UUID | None = None


class Work:
    """One attempt of one stage, as its body sees it.

    Everything a body reads and makes goes through here; nothing is visible to others before the body returns and
    the unit of work commits it as a whole.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        job_id: UUID,
        key: str,
        params: Mapping[str, Any],
        at: Coordinates,
        store: Store,
        stage_run_id: UUID,
        code_digest: str,
        rehearsal: bool,
    ) -> None:
        self.declared = stage
        self.stage = stage.name
        self.options = stage.options
        self.job_id = job_id
        self.key = key
        self.params = params
        self.at = at
        self.store = store
        self.stage_run_id = stage_run_id
        self.code_digest = code_digest
        self.rehearsal = rehearsal
        self.log = structlog.get_logger("throughline.stage").bind(
            job_id=str(job_id), stage=stage.name, key=key, run=str(at.ol_run_id or stage_run_id)
        )
        self.recipe: str | None = None
        self.read: dict[UUID, Input] = {}
        self.pending: list[Pending] = []
        self.confirmed: set[UUID] = set()
        self._lender: UUID | None = None
        self.costs: list[Cost] = []
        self.transition_row: Any = None

    @property
    def pipeline_run_id(self) -> UUID:
        """The OpenLineage run of the DAG run, or the stage run itself when no Airflow is around."""
        return self.at.pipeline_run_id or self.stage_run_id

    # -- reading -------------------------------------------------------------------------------------------------

    def admit(
        self,
        source: str,
        path: Path,
        *,
        uri: str,
        media_type: str,
        part: str = "",
        dataset: tuple[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Input:
        """Capture an outside file into the store and return it as an input of kind ``source``.

        Its key is the source, with ``/<part>`` where it comes in several: a later capture replaces one of equal key,
        unless it is the same bytes from the same place, which stays what it is.
        `facts["first_seen_at"]` of the answer is the moment the ledger first saw these bytes (ISO 8601, UTC).
        """
        suffix = path.suffix.lower() if path.suffix else ".bin"
        blob = self.store.admit(path, suffix=suffix, media_type=media_type, stage=self.stage)
        key = f"{source}/{part}" if part else source
        with transaction() as session:  # bytes belong to no job: what was seen stays known if the stage fails
            session.execute(insert_blob(blob))
            first = session.execute(select(Blob.first_seen_at).where(Blob.sha256 == blob.sha256)).scalar_one()
            known = _artifacts(session, self.job_id, "source", key)
        namespace, name = dataset or (settings().namespace, check_name(f"sources/{source}"))
        found = {"uri": uri, "first_seen_at": first.isoformat(), **(facts or {})}
        for artifact, its_blob in known:
            if (artifact.sha256, artifact.dataset, artifact.facts) == (blob.sha256, name, found):
                self.confirmed.add(artifact.artifact_id)
                return self._open(artifact, its_blob)
        file = f"source-{key.replace('/', '-')}{suffix}"
        pending = Pending(uuid4(), blob, "source", key, namespace, name, file, found, (), ())
        self.pending.append(pending)
        return self._remember(_input_of(pending, self.store))

    def input(self, kind: str, key: str = "") -> Input:
        """Return this job's current artifact of a kind and key; NotReady names what is missing."""
        found = self.optional(kind, key)
        if found is None:
            where = f" with key {key!r}" if key else ""
            raise NotReady(
                f"job {self.job_id} has no {kind} artifact{where}: the stage that makes it has not finished"
            )
        return found

    def optional(self, kind: str, key: str = "") -> Input | None:
        """Return this job's current artifact of a kind and key, or None."""
        found = self._current(kind, key)
        return found[0] if found else None

    def inputs(self, kind: str) -> list[Input]:
        """Return this job's current artifacts of a kind, in order of key; the list may be empty."""
        return self._current(kind, None)

    def table(self, layer: str, table: str, partition: str | None = None) -> Input:
        """Return a lake table's file: the one this job made or reused, else the current version.

        Raises NotReady when no version exists.
        """
        found = [
            item
            for item in self._query(kind="table", key=None, job_only=True)
            if item[0].key.startswith(f"{layer}/{table}/")
            and (partition is None or item[0].key == f"{layer}/{table}/{partition}")
        ]
        if not found:
            with transaction() as session:
                query = (
                    select(Artifact, Blob)
                    .join(Blob)
                    .join(TableVersion, TableVersion.artifact_id == Artifact.artifact_id)
                    .where(
                        TableVersion.layer == layer,
                        TableVersion.table_name == table,
                        TableVersion.superseded_at.is_(None),
                    )
                    .order_by(TableVersion.created_at.desc(), TableVersion.partition.desc())
                )
                if partition is not None:
                    query = query.where(TableVersion.partition == partition)
                found = [(row[0], row[1]) for row in session.execute(query)]
        if not found:
            where = f" partition {partition}" if partition else ""
            raise NotReady(
                f"lake table {layer}/{table}{where} has no version yet: run the medallion DAG first"
            )
        return self._open(*found[0])

    def history(self) -> dict[str, Any]:
        """Return what the ledger knows of this job so far, as JSON: job, stage runs, artifacts, costs."""
        from include.ledger.history import job_history

        with transaction() as session:
            return job_history(session, self.job_id)

    # -- deciding ------------------------------------------------------------------------------------------------

    def settle(self, *, inputs: Sequence[Input] | None = None, **decides: Any) -> None:
        """Say what else decides the output, after all inputs are read and before any work.

        `inputs` are those whose bytes decide it, by default all that were read: a scene reads the whole script, but
        only its own part of it decides, and that part is among `decides`. If the same recipe (stage, key, code, these values, these inputs) has a finished and verified output, the
        unit of work records that output as this stage's and the body does not go on.
        """
        deciding = self.read.values() if inputs is None else inputs
        digests = sorted((item.kind, item.key, item.sha256) for item in deciding)
        outside = [str(self.at.run_id), self.at.clear_number] if self.declared.outside else None
        self.recipe = sha256_json([self.stage, self.key, self.code_digest, decides, digests, outside])
        faults.reach(self.stage, "claimed")
        if self.params.get("fresh"):
            return
        with transaction() as session:
            rows = session.execute(
                select(StageRun.stage_run_id, StageRun.job_id, Job.rehearsal)
                .join(Job, Job.job_id == StageRun.job_id)
                .where(StageRun.recipe == self.recipe, StageRun.status == "succeeded")
                .order_by((StageRun.job_id == self.job_id).desc(), StageRun.finished_at)
            ).all()
            for run_id, _job, rehearsal in rows:
                if rehearsal and not self.rehearsal:
                    continue
                if self._verified(session, run_id):
                    raise Reused(run_id)

    # -- making --------------------------------------------------------------------------------------------------

    def publish(
        self,
        kind: str,
        key: str,
        write: Callable[[Path], None],
        *,
        suffix: str,
        media_type: str,
        name: str,
        facts: Mapping[str, Any] | None = None,
        rows: Sequence[Base] = (),
        inputs: Sequence[Input] | None = None,
        dataset: str | None = None,
    ) -> Input:
        """Write, validate, digest and keep a file; its rows commit when the body returns.

        `inputs` are the exact inputs of this file; by default everything read so far.
        """
        blob = self.store.keep(write, suffix=suffix, media_type=media_type, stage=self.stage)
        sources = self.read.values() if inputs is None else inputs
        pending = Pending(
            uuid4(),
            blob,
            kind,
            key,
            settings().namespace,
            check_name(dataset or dataset_of_kind(kind)),
            name,
            dict(facts or {}),
            tuple(item.artifact_id for item in sources),
            tuple(rows),
        )
        if not pending.inputs:
            raise InvalidInput(f"stage {self.stage} publishes {kind} without having read any input")
        self.pending.append(pending)
        return _input_of(pending, self.store)

    def publish_table(
        self,
        layer: str,
        table: str,
        partition: str,
        write: Callable[[Path], None],
        *,
        transition: Any,
        facts: Mapping[str, Any] | None = None,
    ) -> Input:
        """Publish a new version of a lake table's partition; committed, it is the current one."""
        found = self.publish(
            "table",
            f"{layer}/{table}/{partition}",
            write,
            suffix=".parquet",
            media_type="application/vnd.apache.parquet",
            name=f"{layer}-{table}-{partition}.parquet",
            facts={"partition": partition, "layer": layer, **(facts or {})},
            dataset=f"lake/{layer}/{table}",
        )
        self.pending[-1].table = (layer, table, partition)
        self.pending[-1].transition_id = transition.transition_id
        self.transition(transition)
        return found

    def transition(self, transition: Any) -> None:
        """Note the layer transition this stage works on; a failed stage records what is known of it."""
        self.transition_row = transition

    def cost(self, provider: str, model: str, unit: str, quantity: Decimal, amount_usd: Decimal) -> None:
        """Note what a provider charged."""
        self.costs.append(
            Cost(
                job_id=self.job_id,
                stage_run_id=self.stage_run_id,
                provider=provider,
                model=model,
                unit=unit,
                quantity=quantity,
                amount_usd=amount_usd,
            )
        )

    def fault(self, point: str) -> None:
        """Pass a named fault point."""
        faults.reach(self.stage, point)

    def progress(self, message: str, **details: Any) -> None:
        """Say how far the work is."""
        self.log.info(message, **details)

    # -- inside --------------------------------------------------------------------------------------------------

    def _current(self, kind: str, key: str | None) -> list[Input]:
        return [self._open(artifact, blob) for artifact, blob in self._query(kind=kind, key=key)]

    def _query(self, *, kind: str, key: str | None, job_only: bool = False) -> list[tuple[Artifact, Blob]]:
        with transaction() as session:
            found = _artifacts(session, self.job_id, kind, key)
            if not found and self.rehearsal and not job_only:
                found = self._borrowed(session, kind, key)
            return found

    def _borrowed(self, session: Session, kind: str, key: str | None) -> list[tuple[Artifact, Blob]]:
        """Return a finished job's artifacts for a rehearsal: all kinds from one job, as far as it has them."""
        if self._lender is not None and (found := _artifacts(session, self._lender, kind, key)):
            return found
        other = _newest_job_with(session, kind)
        self._lender = self._lender or other
        return _artifacts(session, other, kind, key) if other else []

    def _open(self, artifact: Artifact, blob: Blob) -> Input:
        try:
            path = self.store.open(blob.path, blob.sha256)
        except ArtifactCorrupt as error:
            named = f"{artifact.kind} {artifact.key}".strip()
            raise ArtifactCorrupt(f"{named} (artifact {artifact.artifact_id}): {error}") from error
        return self._remember(
            Input(
                artifact.artifact_id,
                artifact.kind,
                artifact.key,
                artifact.sha256,
                path,
                artifact.namespace,
                artifact.dataset,
                blob.media_type,
                blob.size_bytes,
                dict(artifact.facts),
            )
        )

    def _remember(self, found: Input) -> Input:
        self.read[found.artifact_id] = found
        return found

    def _verified(self, session: Session, stage_run_id: UUID) -> bool:
        """Return whether every artifact of a finished stage run still has its bytes."""
        rows = session.execute(
            select(Blob.path, Blob.sha256)
            .join(Artifact, Artifact.sha256 == Blob.sha256)
            .where(Artifact.stage_run_id == stage_run_id)
        ).all()
        try:
            for path, sha256 in rows:
                self.store.open(path, sha256)
        except ArtifactCorrupt as error:
            self.log.warning("a finished output cannot be reused", reason=str(error))
            return False
        return bool(rows)


def insert_blob(blob: StoredBlob) -> Any:
    """Return the statement that names bytes, unless they are named already."""
    return (
        upsert(Blob)
        .values(sha256=blob.sha256, size_bytes=blob.size_bytes, media_type=blob.media_type, path=blob.path)
        .on_conflict_do_nothing()
    )


def _input_of(pending: Pending, store: Store) -> Input:
    return Input(
        pending.artifact_id,
        pending.kind,
        pending.key,
        pending.blob.sha256,
        store.root / pending.blob.path,
        pending.namespace,
        pending.dataset,
        pending.blob.media_type,
        pending.blob.size_bytes,
        pending.facts,
    )


def _artifacts(session: Session, job_id: UUID, kind: str, key: str | None) -> list[tuple[Artifact, Blob]]:
    query = (
        select(Artifact, Blob)
        .join(Blob)
        .where(Artifact.job_id == job_id, Artifact.kind == kind, Artifact.superseded_at.is_(None))
        .order_by(Artifact.key)
    )
    if key is not None:
        query = query.where(Artifact.key == key)
    return [(row[0], row[1]) for row in session.execute(query)]


def _newest_job_with(session: Session, kind: str) -> UUID | None:
    return session.execute(
        select(Artifact.job_id)
        .join(Job, Job.job_id == Artifact.job_id)
        .where(Artifact.kind == kind, Artifact.superseded_at.is_(None), Job.rehearsal.is_(False))
        .order_by(Artifact.created_at.desc())
        .limit(1)
    ).scalar_one_or_none()
