"""The invariants of the live system, each one check that names the ids which break it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from include.artifacts.digests import sha256_file
from include.artifacts.store import Store
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Finding:
    """One broken invariant: which, what it is about, what is wrong, what to do."""

    invariant: str
    subject: str
    problem: str
    remedy: str

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


def traced(session: Session, root: Path | None = None, job_id: UUID | None = None) -> Traced:
    """Walk the store on disk, digest each file, and ask the ledger whether those bytes lead back to a source.

    With a job, only the files of that job's artifacts are walked.
    """
    store = Store(root or settings().store)
    known = set(session.execute(text(REACHES_SOURCE)).scalars())
    files = list(store.blobs())
    if job_id is not None:
        own = set(
            session.execute(
                text("SELECT sha256 FROM artifact WHERE job_id = :job"), {"job": job_id}
            ).scalars()
        )
        files = [path for path in files if path.stem in own]
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(sha256_file, files))
    lost = [
        path.relative_to(store.root).as_posix()
        for path, digest in zip(files, digests, strict=True)
        if digest not in known
    ]
    return Traced(len(files), len(files) - len(lost), tuple(lost))


def files_hold(session: Session) -> Iterator[Finding]:
    """I3: every recorded blob that an artifact names is on disk with its digest."""
    store = Store(settings().store)
    rows = session.execute(
        text(
            "SELECT path, sha256 FROM blob WHERE EXISTS (SELECT 1 FROM artifact a WHERE a.sha256 = blob.sha256)"
        )
    ).all()

    def check(row: Any) -> Finding | None:
        path = store.root / row.path
        if not path.is_file():
            problem = "the file is missing"
        elif sha256_file(path) != row.sha256:
            problem = "the file was altered"
        else:
            return None
        return Finding(
            "I3 files hold their digests", row.path, problem, "restore it from the backup of the store"
        )

    with ThreadPoolExecutor() as pool:
        yield from (finding for finding in pool.map(check, rows) if finding is not None)


def _query(name: str, sql: str, problem: str, remedy: str) -> Callable[[Session], Iterator[Finding]]:
    def check(session: Session) -> Iterator[Finding]:
        for (subject,) in session.execute(text(sql)):
            yield Finding(name, str(subject), problem, remedy)

    return check


CHECKS: tuple[Callable[[Session], Iterator[Finding]], ...] = (
    _query(
        "I1 every artifact has its line",
        """
        SELECT artifact_id FROM artifact a JOIN stage_run r USING (stage_run_id)
        WHERE r.facts IS NULL OR r.status NOT IN ('succeeded', 'reused') OR (a.kind <> 'source' AND NOT EXISTS (
            SELECT 1 FROM artifact_input e WHERE e.artifact_id = a.artifact_id))
        """,
        "no facts or no exact input",
        "the guard of the database was off: restore the ledger",
    ),
    files_hold,
    _query(
        "I7 a finished stage run has a terminal event",
        """
        SELECT ol_run_id FROM stage_run r JOIN job USING (job_id)
        WHERE r.ol_run_id IS NOT NULL AND NOT rehearsal AND r.finished_at < now() - interval '1 minute'
          AND NOT EXISTS (SELECT 1 FROM event e WHERE e.run_id = r.ol_run_id
                          AND e.event_type IN ('COMPLETE', 'FAIL', 'ABORT'))
        """,
        "no COMPLETE, FAIL or ABORT event",
        "throughline reconcile",
    ),
    _query(
        "I7 a run starts once it is over at most once",
        """
        SELECT run_id FROM event WHERE event_type IN ('COMPLETE', 'FAIL', 'ABORT')
        GROUP BY run_id HAVING count(DISTINCT event_type) > 1
        """,
        "two different terminal events",
        "look at both events: throughline events --run",
    ),
    _query(
        "I8 no event is dead",
        "SELECT seq FROM event WHERE dead_at IS NOT NULL",
        "the lineage server refused it",
        "throughline status shows the reason; throughline replay --dead sends it again",
    ),
    _query(
        "I5 one current artifact per job, kind and key",
        """
        SELECT job_id || ' ' || kind || ' ' || key FROM artifact WHERE superseded_at IS NULL
        GROUP BY job_id, kind, key HAVING count(*) > 1
        """,
        "two current artifacts",
        "the unique index is gone: throughline db upgrade",
    ),
    _query(
        "I9 rows balance on every hop",
        """
        SELECT layer_transition_id FROM layer_transition
        WHERE status <> 'failed' AND row_count_in <> row_count_out + rejected + deduplicated + filtered
        """,
        "rows in differ from rows out, rejected, deduplicated and filtered",
        "run the layer again with fresh",
    ),
)


def verify(session: Session) -> list[Finding]:
    """Return every broken invariant; an empty list means that all hold."""
    return [finding for check in CHECKS for finding in check(session)]
