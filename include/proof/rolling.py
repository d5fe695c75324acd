"""A rolling check of the store: the files whose last check lies furthest back, as many as a bound allows.

`throughline verify` reads every file; hourly, this reads a share of them, so that each is read again in time. What
was found wrong is looked at first every time, until it is right again. Nothing is ever deleted or replaced.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert as upsert

from include.artifacts.store import Store
from include.ledger.models import BlobCheck
from include.proof.files import Digests
from include.proof.invariants import content_problem
from include.settings import settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

BUDGET_S = 60.0
BUDGET_BYTES = 10 << 30
PART = 1024  # files between two looks at the clock

# Blobs that an artifact names: wrong ones first, then those never read, then the longest not read.
DUE = text(
    """
    SELECT b.path, b.sha256, b.size_bytes FROM blob b LEFT JOIN blob_check c USING (sha256)
    WHERE EXISTS (SELECT 1 FROM artifact a WHERE a.sha256 = b.sha256)
      AND (c.checked_at IS NULL OR c.checked_at < :began)
    ORDER BY c.problem IS NULL, c.checked_at NULLS FIRST, b.path LIMIT :part
    """
)


@dataclass(frozen=True)
class Bad:
    """A file of the store that is not what the ledger says."""

    path: str
    sha256: str
    problem: str


@dataclass(frozen=True)
class Sample:
    """How much was read, and what is wrong."""

    files: int
    size_bytes: int
    bad: tuple[Bad, ...]


def sample(
    session: Session, *, seconds: float = BUDGET_S, size_bytes: int = BUDGET_BYTES, part: int = PART
) -> Sample:
    """Read back the files that are due, until the time or the bytes are spent; remember when each was read.

    At least one part is read. The session's transaction commits what was remembered.
    """
    root = Store(settings().store).root
    ends = time.monotonic() + seconds
    began = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    files, read, bad = 0, 0, []
    while rows := session.execute(DUE, {"began": began, "part": part}).all():
        held = Digests(root).read(row.path for row in rows)
        outcomes = []
        for row in rows:
            problem = content_problem(held[row.path], row.sha256, row.size_bytes)
            outcomes.append({"sha256": row.sha256, "problem": problem, "checked_at": func.clock_timestamp()})
            if problem:
                bad.append(Bad(row.path, row.sha256, problem))
        note = upsert(BlobCheck).values(outcomes)
        session.execute(
            note.on_conflict_do_update(
                index_elements=["sha256"],
                set_={"problem": note.excluded.problem, "checked_at": note.excluded.checked_at},
            )
        )
        files += len(rows)
        read += sum(row.size_bytes for row in rows)
        if time.monotonic() >= ends or read >= size_bytes:
            break
    return Sample(files, read, tuple(bad))
