"""Run the invariants on the live system, and say which file of the store leads back to a source."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from include.artifacts.store import Store
from include.errors import InvalidInput
from include.proof.differences import compare
from include.proof.files import Digests, stored
from include.proof.invariants import CHECKS, Check, Scope
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.marquez.client import MarquezClient


@dataclass(frozen=True)
class Finding:
    """One broken invariant: its id and sentence, what it is about, what is wrong, what to do."""

    invariant: str
    sentence: str
    subject: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.invariant} {self.sentence}: {self.subject}: {self.problem}. {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Traced:
    """How many files of the store lead back to a source: `untraced` names those that do not."""

    files: int
    traced: int
    untraced: tuple[str, ...]


# Every artifact from which no walk along exact inputs ends only in sources, and every source itself counts as ended.
REACHES_SOURCE = """
WITH RECURSIVE rooted AS (
    SELECT artifact_id FROM artifact WHERE kind = 'source'
    UNION
    SELECT edge.artifact_id FROM artifact_input edge JOIN rooted ON rooted.artifact_id = edge.input_id
)
SELECT DISTINCT artifact.sha256 FROM artifact JOIN rooted USING (artifact_id)
"""


def traced(
    session: Session, root: Path | None = None, job_id: UUID | None = None, digests: Digests | None = None
) -> Traced:
    """Walk the store on disk, digest each file, and ask the ledger whether those bytes lead back to a source.

    With a job, only the files of that job's artifacts are walked. `digests` may hold files that were read already.
    """
    store = Store(root or settings().store)
    known = set(session.execute(text(REACHES_SOURCE)).scalars())
    files = stored(store.root)
    if job_id is not None:
        own = set(
            session.execute(
                text("SELECT sha256 FROM artifact WHERE job_id = :job"), {"job": job_id}
            ).scalars()
        )
        files = [name for name in files if PurePosixPath(name).stem in own]
    held = (digests or Digests(store.root)).read(files)
    lost = [name for name, content in held.items() if content is None or content.sha256 not in known]
    return Traced(len(files), len(files) - len(lost), tuple(lost))


def verify(
    session: Session,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    job_id: UUID | None = None,
    since: datetime | None = None,
    digests: Digests | None = None,
) -> list[Finding]:
    """Return everything that breaks an invariant; an empty list means that all hold.

    `only` and `skip` choose by id (I1 to I11); `job_id` looks at one job; `since` lets the search for secrets read
    only what was written from then on.

    Raises InvalidInput for an id that no check has.
    """
    unknown = sorted({*only, *skip} - {check.id for check in CHECKS})
    if unknown:
        raise InvalidInput(f"invariant {unknown[0]!r}: there are {CHECKS[0].id} to {CHECKS[-1].id}")
    scope = Scope(digests or Digests(Store(settings().store).root), job_id, since)
    return [
        _finding(check, subject, problem)
        for check in CHECKS
        if (not only or check.id in only) and check.id not in skip
        for subject, problem in check.find(session, scope)
    ]


def oracle(
    session: Session, client: MarquezClient | None = None, *, job_id: UUID | None = None
) -> list[Finding]:
    """Return what is wrong after a fault: every broken invariant and, with a client, what its server shows otherwise.

    An empty list says: capture is complete, files hold their digests, every event is accounted for, every run starts
    before it ends and ends once, and the lineage server shows what the ledger holds.
    """
    found = verify(session, job_id=job_id)
    if client is not None:
        found += [
            Finding(
                "L5",
                "the lineage server shows what the ledger holds",
                f"{difference.what} {difference.where}",
                f"the ledger says {difference.expected}, the server {difference.found}",
                "throughline reconcile",
            )
            for difference in compare(session, client, job_id=job_id).differences
        ]
    return found


def _finding(check: Check, subject: str, problem: str) -> Finding:
    return Finding(check.id, check.sentence, subject, problem, check.remedy)
