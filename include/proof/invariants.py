"""What must hold at any time, as a list of checks: each has an id, a sentence, a question and a remedy.

A check yields (subject, problem) for everything that breaks it; a subject is the id that an operator looks up. Most
are one SQL statement with the parameter `job` (NULL: all jobs); three walk files. `include.proof.verify` runs them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from include.proof.sweep import sweep
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.proof.files import Content, Digests

Broken = tuple[str, str]


@dataclass(frozen=True)
class Scope:
    """What is looked at: files as they were read, all jobs or one; for secrets, all or what was written since a moment."""

    digests: Digests
    job_id: UUID | None = None
    since: datetime | None = None


class Find(Protocol):
    """The question of a check."""

    def __call__(self, session: Session, scope: Scope) -> Iterator[Broken]:
        """Yield (subject, problem) for everything that breaks the invariant."""


@dataclass(frozen=True)
class Check:
    """One invariant: what holds, how it is asked, what to do where it does not."""

    id: str
    sentence: str
    find: Find
    remedy: str


def _ask(sql: str) -> Find:
    statement = text(sql)

    def find(session: Session, scope: Scope) -> Iterator[Broken]:
        for subject, problem in session.execute(statement, {"job": scope.job_id}):
            yield str(subject), problem

    return find


# A minute: what a task says of its own end arrives within seconds. A quarter of an hour: how long an event may wait
# before somebody should know. Ten minutes: how long the last words of a DAG run may take.

I1_LINE = """
WITH told AS (
    SELECT r.stage_run_id, item ->> 'artifact_id' AS artifact_id, item ->> 'sha256' AS sha256, side.name
    FROM stage_run r, (VALUES ('inputs'), ('outputs')) side (name),
         jsonb_array_elements(COALESCE(r.facts -> side.name, '[]')) item
    WHERE r.status IN ('succeeded', 'reused') AND (CAST(:job AS uuid) IS NULL OR r.job_id = :job)
)
SELECT a.artifact_id,
       CASE WHEN t.artifact_id IS NULL THEN 'the facts of its stage run do not name it'
            ELSE 'it has no exact input' END
FROM artifact a LEFT JOIN told t ON t.stage_run_id = a.stage_run_id AND t.sha256 = a.sha256
    AND t.artifact_id = CAST(a.artifact_id AS text)
    AND t.name = CASE WHEN a.kind = 'source' THEN 'inputs' ELSE 'outputs' END
WHERE (CAST(:job AS uuid) IS NULL OR a.job_id = :job) AND (t.artifact_id IS NULL OR (a.kind <> 'source'
    AND NOT EXISTS (SELECT 1 FROM artifact_input e WHERE e.artifact_id = a.artifact_id)))
"""

I2_END = """
SELECT r.ol_run_id, format('%s of job %s %s without COMPLETE, FAIL or ABORT', r.ol_job_name, r.job_id, r.status)
FROM stage_run r JOIN job USING (job_id)
WHERE r.ol_run_id IS NOT NULL AND r.run_id IS NOT NULL AND NOT job.rehearsal
  AND r.finished_at < now() - interval '1 minute' AND (CAST(:job AS uuid) IS NULL OR r.job_id = :job)
  AND NOT EXISTS (SELECT 1 FROM event e WHERE e.run_id = r.ol_run_id AND e.withdrawn_at IS NULL
                  AND e.event_type IN ('COMPLETE', 'FAIL', 'ABORT'))
"""

# The second part, per job that calls itself completed: the last time each stage ran it read what is current now. What a
# stage both reads and replaces is left out, and so is a stage whose outputs all gave way to others.
I5_CURRENT = """
WITH latest AS MATERIALIZED (
    SELECT DISTINCT ON (r.job_id, r.scope, r.stage, r.key) r.job_id, r.stage_run_id, r.family, r.stage, r.facts
    FROM stage_run r JOIN job USING (job_id)
    WHERE r.status IN ('succeeded', 'reused') AND job.status = 'completed'
      AND (CAST(:job AS uuid) IS NULL OR r.job_id = :job)
    ORDER BY r.job_id, r.scope, r.stage, r.key, r.finished_at DESC, r.attempt DESC
), read AS MATERIALIZED (
    SELECT latest.*, item ->> 'kind' AS kind, item ->> 'key' AS key, item ->> 'sha256' AS sha256
    FROM latest, jsonb_array_elements(COALESCE(facts -> 'inputs', '[]')) item WHERE item ->> 'kind' <> 'source'
), stale AS MATERIALIZED (
    SELECT read.*, now.sha256 AS current FROM read
    JOIN artifact now ON now.job_id = read.job_id AND now.kind = read.kind AND now.key = read.key
        AND now.superseded_at IS NULL AND now.sha256 <> read.sha256
    WHERE EXISTS (SELECT 1 FROM stage_run maker WHERE maker.stage_run_id = now.stage_run_id
                  AND maker.family = read.family)
)
SELECT format('%s %s %s', job_id, kind, key), format('%s current artifacts', count(*))
FROM artifact WHERE superseded_at IS NULL AND (CAST(:job AS uuid) IS NULL OR job_id = :job)
GROUP BY job_id, kind, key HAVING count(*) > 1
UNION ALL
SELECT CAST(stage_run_id AS text), format('%s read %s %s %s, current is %s', stage, kind, key, left(sha256, 12),
    left(current, 12))
FROM stale
WHERE NOT COALESCE(facts -> 'outputs', '[]') @> jsonb_build_array(jsonb_build_object('kind', kind, 'key', key))
  AND EXISTS (SELECT 1 FROM jsonb_array_elements(COALESCE(facts -> 'outputs', '[]')) made
              JOIN artifact own ON own.artifact_id = CAST(made ->> 'artifact_id' AS uuid)
              WHERE own.superseded_at IS NULL)
"""

I6_TRIPLET = """
SELECT l.report_lineage_id, problem FROM report_lineage l
LEFT JOIN template_version v USING (template_version_id)
LEFT JOIN report_generation g ON g.artifact_id = l.artifact_id
LEFT JOIN artifact inputs ON inputs.artifact_id = l.inputs_artifact_id,
LATERAL (VALUES
    (l.lead_id IS NULL OR l.lead_id = '', 'no subject'),
    (v.template_version_id IS NULL OR v.sha256 !~ '^[0-9a-f]{64}$' OR v.template <> g.template,
     'its template version is no version of its template'),
    (g.report_id IS NULL, 'no report was generated for it'),
    (inputs.sha256 IS DISTINCT FROM l.inputs_sha256, 'its captured inputs are not those it names'),
    (l.created_at < now() - interval '1 minute' AND NOT EXISTS (
        SELECT 1 FROM event e WHERE e.run_id = l.pipeline_run_id) AND NOT EXISTS (
        SELECT 1 FROM stage_run r WHERE r.stage_run_id = l.pipeline_run_id) AND NOT EXISTS (
        SELECT 1 FROM event e WHERE e.job_id = l.job_id
        AND e.body #>> '{run,facets,parent,run,runId}' = CAST(l.pipeline_run_id AS text)),
     'no DAG run is known under its pipeline run id')
) told (broken, problem)
WHERE broken AND (CAST(:job AS uuid) IS NULL OR l.job_id = :job)
"""

I7_ONE_END = """
WITH run AS (
    SELECT run_id, min(job_name) AS job_name, min(event_time) FILTER (WHERE event_type = 'START') AS started,
           min(created_at) AS first_seen,
           max(event_time) FILTER (WHERE event_type IN ('COMPLETE', 'FAIL', 'ABORT')) AS ended,
           count(*) FILTER (WHERE event_type IN ('COMPLETE', 'FAIL', 'ABORT')) AS ends,
           string_agg(event_type, ', ' ORDER BY seq) FILTER (
               WHERE event_type IN ('COMPLETE', 'FAIL', 'ABORT')) AS types,
           min(body #>> '{run,facets,throughline_job,dag_id}') AS dag_id,
           min(body #>> '{run,facets,throughline_job,run_id}') AS dag_run_id
    FROM event WHERE withdrawn_at IS NULL AND (CAST(:job AS uuid) IS NULL OR job_id = :job) GROUP BY run_id
)
SELECT run.run_id, format('%s %s', job_name, problem) FROM run,
LATERAL (VALUES
    (ends > 1, format('has %s ends: %s', ends, types)),
    (started > ended, 'starts after its end'),
    (ends = 1 AND started IS NULL AND EXISTS (SELECT 1 FROM stage_run r WHERE r.ol_run_id = run.run_id),
     'ends without a START'),
    (ends = 0 AND EXISTS (SELECT 1 FROM job_run d WHERE d.dag_id = run.dag_id AND d.run_id = run.dag_run_id
                          AND d.finished_at < now() - interval '10 minutes' AND run.first_seen < d.finished_at),
     'has no end, its DAG run is over')
) told (broken, problem)
WHERE broken
"""

I8_ACCOUNTED = """
SELECT format('event %s', seq), problem FROM event,
LATERAL (VALUES
    (dead_at IS NOT NULL AND delivered_at IS NULL,
     'the lineage server refused it: ' || left(COALESCE(last_error, 'no reason kept'), 200)),
    (dead_at IS NOT NULL AND delivered_at IS NOT NULL, 'is both delivered and dead'),
    (delivered_at IS NULL AND dead_at IS NULL AND created_at < now() - interval '15 minutes',
     format('waits since %s: %s', date_trunc('second', created_at), left(COALESCE(last_error, 'never tried'), 200)))
) told (broken, problem)
WHERE broken AND (CAST(:job AS uuid) IS NULL OR job_id = :job)
"""

I9_BALANCE = """
SELECT layer_transition_id, format('%s %s: %s rows in, %s out, %s rejected, %s deduplicated, %s filtered',
    table_name, partition, row_count_in, row_count_out, rejected, deduplicated, filtered)
FROM layer_transition
WHERE status <> 'failed' AND row_count_in <> row_count_out + rejected + deduplicated + filtered
  AND (CAST(:job AS uuid) IS NULL OR job_id = :job)
"""

I10_APPEND_ONLY = """
SELECT format('%s on %s', guard.name, guard.place), 'the trigger is missing or off' FROM (VALUES
    ('artifact_has_its_line', 'artifact'), ('row_is_final', 'artifact_input')) guard (name, place)
WHERE CAST(:job AS uuid) IS NULL AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgname = guard.name
    AND t.tgrelid = to_regclass(guard.place) AND t.tgenabled IN ('O', 'A'))
UNION ALL
SELECT format('%s on %s', role.rolname, held.place), format('may %s', lower(held.privilege))
FROM pg_roles role, (
    SELECT place, privilege FROM unnest(ARRAY['event', 'artifact', 'artifact_input', 'blob', 'stage_run', 'cost',
        'report_lineage', 'layer_transition']) place, unnest(ARRAY['DELETE', 'TRUNCATE']) privilege
    UNION ALL SELECT place, 'UPDATE' FROM unnest(ARRAY['event', 'artifact_input', 'blob', 'cost']) place
) held (place, privilege)
WHERE CAST(:job AS uuid) IS NULL AND NOT role.rolsuper
  AND role.rolname IN ('throughline_writer', 'throughline_reader', 'throughline_relay', 'throughline_retention')
  AND has_table_privilege(role.rolname, to_regclass(held.place), held.privilege)
"""

# Shapes of secrets that are never a word of ours: private keys, keys of cloud and model providers, logins in URLs.
SECRET_SHAPE = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|sk-ant-[A-Za-z0-9_\-]{8,}|AKIA[0-9A-Z]{16}|"
    r"[a-z]://[^/[:space:]:@\"]+:[^/[:space:]@\"]+@"
)
ADDRESS_SHAPE = r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)+"
I11_SECRETS = text(
    """
SELECT place, CASE WHEN addresses AND content ~ :address AND NOT content ~ :shape THEN 'holds a mail address'
       ELSE 'holds a secret' END AS problem
FROM (
    SELECT format('event %s', seq) AS place, CAST(body AS text) AS content, true AS addresses, job_id, created_at
    FROM event
    UNION ALL
    SELECT format('facts of stage run %s', stage_run_id), CAST(facts AS text), false, job_id, started_at FROM stage_run
    UNION ALL
    SELECT format('facts of artifact %s', artifact_id), CAST(facts AS text), false, job_id, created_at FROM artifact
    UNION ALL
    SELECT format('logs of report %s', report_lineage_id), CAST(logs AS text), false, job_id, created_at
    FROM report_lineage
) told
WHERE (CAST(:job AS uuid) IS NULL OR job_id = :job) AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
  AND (content ~ :shape OR (addresses AND content ~ :address)
       OR EXISTS (SELECT 1 FROM unnest(:secrets) secret WHERE position(secret IN content) > 0))
"""
).bindparams(bindparam("secrets", type_=ARRAY(Text())))
SECRET_IN_FILE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|sk-ant-[A-Za-z0-9_\-]{8,}|AKIA[0-9A-Z]{16}")
LEAST_SECRET = 12  # characters; a shorter password is a word that anybody may write
CHUNK = 1 << 20


def files_hold(session: Session, scope: Scope) -> Iterator[Broken]:
    """Yield every blob that an artifact names and that is not on disk with its digest and size."""
    rows = session.execute(
        text(
            "SELECT path, sha256, size_bytes FROM blob WHERE EXISTS (SELECT 1 FROM artifact a"
            " WHERE a.sha256 = blob.sha256 AND (CAST(:job AS uuid) IS NULL OR a.job_id = :job)) ORDER BY path"
        ),
        {"job": scope.job_id},
    ).all()
    held = scope.digests.read(row.path for row in rows)
    for row in rows:
        problem = content_problem(held[row.path], row.sha256, row.size_bytes)
        if problem:
            yield row.path, problem


def content_problem(content: Content | None, sha256: str, size_bytes: int) -> str | None:
    """Return what is wrong with a file, by what was read of it and what the ledger says; None: nothing."""
    if content is None:
        return "the file is missing"
    if content.sha256 != sha256:
        return "the file was altered"
    return None if content.size == size_bytes else "the recorded size is not the file's"


def files_have_rows(session: Session, scope: Scope) -> Iterator[Broken]:
    """Yield stale temporaries and files older than a day that no artifact names; they belong to no job."""
    if scope.job_id is not None:
        return
    found = sweep(session)
    for path in (*found.temporaries, *found.scratch):
        yield path, "a temporary file that a death left"
    for path in found.orphans:
        yield path, "no artifact names it"


def secrets_hidden(session: Session, scope: Scope) -> Iterator[Broken]:
    """Yield every row and log file that holds a secret of this deployment, or the shape of one; never the secret."""
    secrets = known_secrets()
    asked = {
        "job": scope.job_id,
        "since": scope.since,
        "shape": SECRET_SHAPE,
        "address": ADDRESS_SHAPE,
        "secrets": secrets,
    }
    for row in session.execute(I11_SECRETS, asked):
        yield row.place, row.problem
    if scope.job_id is not None:
        return
    marks = [secret.encode() for secret in secrets]
    state = settings().state_dir
    for path in (
        found for name in ("logs", "lineage", "airflow/logs") for found in (state / name).rglob("*")
    ):
        if (
            path.is_file()
            and not path.is_symlink()
            and _written_since(path, scope.since)
            and _holds(path, marks)
        ):
            yield path.relative_to(state).as_posix(), "holds a secret"


def known_secrets() -> list[str]:
    """Return the secrets of this deployment's settings: tokens, keys, and the passwords within DSNs."""
    found = set()
    for value in settings().model_dump().values():
        if isinstance(value, SecretStr):
            whole = value.get_secret_value()
            login = re.search(r"://[^/:@]*:([^/@]+)@", whole)
            found.add(login[1] if login else whole)
    return sorted(secret for secret in found if len(secret) >= LEAST_SECRET)


def _written_since(path: Path, since: datetime | None) -> bool:
    return since is None or path.stat().st_mtime >= since.timestamp()


def _holds(path: Path, marks: list[bytes]) -> bool:
    longest = max((len(mark) for mark in marks), default=0) + 64
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            content = kept + chunk
            if SECRET_IN_FILE.search(content) or any(mark in content for mark in marks):
                return True
            kept = content[-longest:]
    return False


CHECKS: tuple[Check, ...] = (
    Check(
        "I1",
        "every artifact is named by the facts of its stage run and has an exact input",
        _ask(I1_LINE),
        "the guard of the database was off: restore the ledger from its backup",
    ),
    Check("I2", "every ended stage run has a terminal event", _ask(I2_END), "throughline reconcile"),
    Check(
        "I3",
        "every file is there with its size and digest",
        files_hold,
        "restore it from the backup of the store",
    ),
    Check("I4", "no file older than a day is without a row", files_have_rows, "throughline sweep --delete"),
    Check(
        "I5",
        "one artifact per job, kind and key is current, and what follows from it was made from it",
        _ask(I5_CURRENT),
        "clear the run: stages whose inputs are no longer current run again",
    ),
    Check(
        "I6",
        "every report names a subject, a known pipeline run and a version of its template",
        _ask(I6_TRIPLET),
        "the guard of the database was off: restore the ledger from its backup",
    ),
    Check("I7", "every run starts before it ends, and ends once", _ask(I7_ONE_END), "throughline reconcile"),
    Check(
        "I8",
        "every event is delivered, dead or pending, and none is dead or waits long",
        _ask(I8_ACCOUNTED),
        "throughline status shows the server; throughline replay --dead sends refused events again",
    ),
    Check(
        "I9",
        "rows balance on every hop between layers",
        _ask(I9_BALANCE),
        "run the layer again with fresh",
    ),
    Check(
        "I10",
        "what is append-only cannot be rewritten: guards are on, no role may more than its own",
        _ask(I10_APPEND_ONLY),
        "throughline db upgrade as the owner; revoke what was granted by hand",
    ),
    Check(
        "I11",
        "no secret is in events, facts or logs",
        secrets_hidden,
        "change the secret, then find what wrote it: include/lineage/scrub.py is the gate",
    ),
)
