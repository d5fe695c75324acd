"""What a person may name on a command line: a job, an artifact, bytes, or a dataset, and which artifacts it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from sqlalchemy import Select, select

from include.artifacts.digests import sha256_file
from include.errors import InvalidInput
from include.ledger.models import Artifact, Job
from include.ledger.validity import current, existed

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

DIGEST = re.compile(r"^(sha256:)?(?P<hex>[0-9a-fA-F]{64})$")

Kind = Literal["job", "artifact", "bytes", "dataset"]


@dataclass(frozen=True)
class Target:
    """What was named: `value` is the job's or artifact's id, the sha256, or the dataset's name."""

    kind: Kind
    value: str

    def artifacts(self, as_of: datetime | None = None, *, only_current: bool = False) -> Select[Any]:
        """Return the query of the artifacts that are meant; one column, `artifact_id`."""
        column = {
            "job": Artifact.job_id,
            "artifact": Artifact.artifact_id,
            "bytes": Artifact.sha256,
            "dataset": Artifact.dataset,
        }[self.kind]
        value = UUID(self.value) if self.kind in ("job", "artifact") else self.value
        valid = current(as_of) if only_current else existed(as_of)
        return select(Artifact.artifact_id).where(column == value, valid)

    def __str__(self) -> str:
        """Return the name a person reads."""
        return f"sha256 {self.value}" if self.kind == "bytes" else f"{self.kind} {self.value}"


def digest_of(what: str) -> str | None:
    """Return the sha256 of a file, or the one that was written out; None for anything else."""
    path = Path(what)
    if path.is_file():
        return sha256_file(path)
    match = DIGEST.match(what)
    return match["hex"].lower() if match else None


def find(session: Session, what: str) -> Target:
    """Return what a word means: a file or a sha256, the id of a job or an artifact, the name of a dataset.

    Raises InvalidInput, with the nearest names, for a word that is nothing of these. Bytes may be unknown.
    """
    sha256 = digest_of(what)
    if sha256 is not None:
        return Target("bytes", sha256)
    identity = _uuid(what)
    if identity is not None:
        if session.get(Job, identity) is not None:
            return Target("job", str(identity))
        if session.get(Artifact, identity) is not None:
            return Target("artifact", str(identity))
        raise InvalidInput(f"{what}: the ledger has neither a job nor an artifact of this id")
    if session.scalar(select(Artifact.artifact_id).where(Artifact.dataset == what).limit(1)):
        return Target("dataset", what)
    names = session.scalars(select(Artifact.dataset).distinct()).all()
    near = get_close_matches(what, names, n=3)
    hint = f"; datasets of this ledger like it: {', '.join(near)}" if near else ""
    raise InvalidInput(f"{what}: no file, sha256, job, artifact or dataset of this ledger{hint}")


def _uuid(what: str) -> UUID | None:
    try:
        return UUID(what)
    except ValueError:
        return None
