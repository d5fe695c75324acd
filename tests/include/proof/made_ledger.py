"""Ledgers of any shape, written as rows; and a stage whose second output comes and goes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from include.stage import Work

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Plan:
    """One artifact that is to be: `inputs` and `reused_from` are numbers of earlier ones; times are minutes."""

    inputs: tuple[int, ...] = ()
    reused_from: int | None = None
    superseded_after: int | None = None
    dataset: str = "media/things"
    job: int = 0
    content: str | None = None
    name: str = ""
    theme: str = "A theme"
    artifact_id: UUID = field(default_factory=uuid4)


def moment(number: int) -> datetime:
    """When the artifact of this number was made."""
    return BEGIN + timedelta(minutes=number)


def write(dsn: str, plans: list[Plan], *, guarded: bool = True, unit: str = "minutes") -> list[UUID]:
    """Write the rows of a plan in one transaction, and return the ids of its jobs.

    `guarded` leaves the database's own checks on; without them a hundred thousand artifacts take seconds.
    """
    jobs = {number: uuid4() for number in sorted({plan.job for plan in plans})}
    runs = {plan.artifact_id: uuid4() for plan in plans}
    themes = {plan.job: plan.theme for plan in plans}

    def at(number: int) -> datetime:
        return BEGIN + timedelta(**{unit: number})

    def digest(number: int) -> str:
        plan = plans[number]
        if plan.reused_from is not None:
            return digest(plan.reused_from)
        return hashlib.sha256((plan.content or str(plan.artifact_id)).encode()).hexdigest()

    def mention(plan: Plan, number: int) -> dict[str, Any]:
        return {"artifact_id": str(plan.artifact_id), "sha256": digest(number)}

    def is_source(plan: Plan) -> bool:
        return not plan.inputs and plan.reused_from is None

    with psycopg.connect(dsn) as connection:
        if not guarded:
            connection.execute("SET session_replication_role = replica")
        cursor = connection.cursor()
        with cursor.copy("COPY job (job_id, family, status, theme, created_at) FROM STDIN") as copy:
            for number, job_id in jobs.items():
                copy.write_row(
                    (job_id, "test", "completed", themes[number], BEGIN + timedelta(microseconds=number))
                )
        columns = (
            "stage_run_id, job_id, scope, family, stage, key, attempt, claim_token, status, code_digest,"
            " ol_job_name, dag_id, run_id, task_id, map_index, try_number, started_at, finished_at, facts"
        )
        with cursor.copy(f"COPY stage_run ({columns}) FROM STDIN") as copy:
            for number, plan in enumerate(plans):
                facts: dict[str, Any] = {"inputs": [], "outputs": []}
                facts["inputs" if is_source(plan) else "outputs"].append(mention(plan, number))
                copy.write_row(
                    (
                        runs[plan.artifact_id],
                        jobs[plan.job],
                        str(jobs[plan.job]),
                        "test",
                        "make",
                        str(number),
                        1,
                        1,
                        "reused" if plan.reused_from is not None else "succeeded",
                        "c" * 64,
                        "test.make",
                        "test",
                        "manual__1",
                        "make",
                        -1,
                        1,
                        at(number),
                        at(number) + timedelta(seconds=1),
                        Jsonb(facts),
                    )
                )
        connection.execute("CREATE TEMPORARY TABLE bytes (LIKE blob INCLUDING DEFAULTS) ON COMMIT DROP")
        with cursor.copy("COPY bytes (sha256, size_bytes, media_type, path) FROM STDIN") as copy:
            for number in range(len(plans)):
                sha256 = digest(number)
                copy.write_row((sha256, 10, "text/plain", f"blobs/{sha256[:2]}/{sha256}.txt"))
        connection.execute(
            "INSERT INTO blob SELECT DISTINCT ON (sha256) * FROM bytes ON CONFLICT (sha256) DO NOTHING"
        )
        columns = (
            "artifact_id, job_id, sha256, stage_run_id, kind, key, namespace, dataset, name, reused_from,"
            " created_at, superseded_at"
        )
        with cursor.copy(f"COPY artifact ({columns}) FROM STDIN") as copy:
            for number, plan in enumerate(plans):
                origin = None if plan.reused_from is None else plans[plan.reused_from].artifact_id
                end = None if plan.superseded_after is None else at(number + plan.superseded_after)
                row = (
                    plan.artifact_id,
                    jobs[plan.job],
                    digest(number),
                    runs[plan.artifact_id],
                    "source" if is_source(plan) else "thing",
                    str(number),
                    "throughline",
                    plan.dataset,
                    plan.name or f"thing-{number}.txt",
                    origin,
                    at(number),
                    end,
                )
                copy.write_row(row)
        with cursor.copy(
            "COPY artifact_input (artifact_id, input_id, job_id, created_at) FROM STDIN"
        ) as copy:
            for number, plan in enumerate(plans):
                for used in plan.inputs:
                    copy.write_row((plan.artifact_id, plans[used].artifact_id, jobs[plan.job], at(number)))
    return list(jobs.values())


def below(plans: list[Plan], roots: set[int], until: int | None = None) -> set[int]:
    """What a plain walk finds downstream of some artifacts, among those made by a moment; without the roots."""
    reached = {number for number in roots if until is None or number <= until}
    for number, plan in enumerate(plans):  # inputs are earlier: one pass is enough
        links = {*plan.inputs, *(() if plan.reused_from is None else (plan.reused_from,))}
        if (until is None or number <= until) and links & reached:
            reached.add(number)
    return reached - roots


def sift(work: Work) -> dict[str, Any]:
    """Publish the good words of the source, and the bad ones where there are any."""
    from pathlib import Path

    path = Path(work.params["file"])
    source = work.admit(f"words{work.key}", path, uri=path.name, media_type="text/plain")
    work.settle()
    words = path.read_text().split()
    for kind, kept in (
        ("table", [word for word in words if word != "bad"]),
        ("quarantine", [word for word in words if word == "bad"]),
    ):
        if kept:
            _publish(work, kind, kept, source)
    return {}


def _publish(work: Work, kind: str, words: list[str], source: Any) -> None:
    work.publish(
        kind,
        f"staged/words/{work.key or 'latest'}" if kind == "table" else work.key,
        lambda target: target.write_text(json.dumps(words)) and None,
        suffix=".json",
        media_type="application/json",
        name=f"{kind}{work.key}.json",
        inputs=[source],
        dataset=f"lake/{kind}/words",
    )
