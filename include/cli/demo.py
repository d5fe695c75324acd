"""``throughline demo``: one job through all three families on the real stack, and the proof of its line."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy import text

from include.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from include.stack.airflow_api import Api
    from include.stack.state import Stack

DAG = "campaign"
POLL_S = 1.0
ENDED = {"success", "failed"}

console = Console(highlight=False, soft_wrap=True)


def demo(
    minutes: Annotated[float, typer.Option(help="Give up waiting for the job after this long.")] = 20.0,
    theme: Annotated[str, typer.Option(help="What the video is about.")] = "What everyone is watching",
) -> None:
    """Start the stack, run one campaign, answer its review, and show every artifact with its line.

    A demo that was interrupted is taken up again: its job goes on, no second one is opened.
    """
    from include.settings import settings
    from include.stack import airflow_api, credentials, lifecycle
    from include.stack.adopt import adopt

    begun = time.monotonic()
    state_dir = settings().state_dir
    started = lifecycle.up(state_dir, os.environ, lambda line: console.print(f"  [dim]{line}[/dim]"))
    for name, reason in started.broken:
        console.print(f"[red]{name}: {reason}[/red]")
    ready = time.monotonic()
    console.print(f"the stack is up ({ready - begun:.0f} s)")
    secrets = credentials.read(state_dir)
    adopt()
    with airflow_api.Api(started.stack, secrets) as api:
        run_id = _campaign(api, theme)
        job_id = _job_of(run_id)
        state = _follow(api, run_id, job_id, deadline=time.monotonic() + 60 * minutes)
    _delivered(job_id)
    worked = time.monotonic() - ready
    healthy = _show(job_id)
    _addresses(started.stack, secrets.airflow_admin_password, job_id)
    console.print(f"campaign {run_id}: {state}; {worked:.0f} s after the stack was up")
    raise typer.Exit(0 if state == "success" and healthy else 1)


def _campaign(api: Api, theme: str) -> str:
    """Return the run id of an unfinished demo, or of a new one."""
    for run in api.dag_runs(DAG, ("queued", "running")):
        if run["dag_run_id"].startswith("demo__"):
            console.print(f"taking up the unfinished {run['dag_run_id']}")
            return str(run["dag_run_id"])
    run_id = f"demo__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    api.trigger(DAG, run_id, {"theme": theme})
    return run_id


def _job_of(run_id: str) -> UUID:
    from include.lineage.naming import derived_job_id

    job_id = derived_job_id(DAG, run_id)
    console.print(f"job [bold]{job_id}[/bold]")
    return job_id


def _follow(api: Api, run_id: str, job_id: UUID, deadline: float) -> str:
    """Print each stage as it ends, answer the review, return the campaign's final state."""
    from include.errors import NotReady, ProviderUnavailable

    told: set[UUID] = set()
    state, silent = "queued", False
    while state not in ENDED:
        if time.monotonic() > deadline:
            raise NotReady(
                f"campaign {run_id} is still {state}; look at it in Airflow, or run the demo again to go on waiting"
            )
        for line in _ended_stages(job_id, told):
            console.print(line)
        try:
            for review in api.open_reviews():
                if str(job_id) in review["task_instance"]["dag_run_id"]:
                    _answer(api, review)
            state, silent = str(api.dag_run(DAG, run_id)["state"]), False
        except ProviderUnavailable as error:  # a busy machine; the job goes on meanwhile
            if not silent:
                console.print(f"  [yellow]{error}; asking again[/yellow]")
            silent = True
        if state not in ENDED:
            time.sleep(POLL_S)
    for line in _ended_stages(job_id, told):
        console.print(line)
    return state


STAGES = """
SELECT stage_run_id, family, stage, key, status, error, extract(epoch FROM finished_at - started_at) AS seconds
FROM stage_run WHERE job_id = :job AND status <> 'running' ORDER BY finished_at
"""
COLOURS = {"succeeded": "green", "reused": "cyan", "skipped": "yellow", "failed": "red", "stale": "yellow"}


def _ended_stages(job_id: UUID, told: set[UUID]) -> Iterator[str]:
    with _ledger() as session:
        rows = session.execute(text(STAGES), {"job": job_id}).all()
    for row in rows:
        if row.stage_run_id not in told:
            told.add(row.stage_run_id)
            name = f"{row.family}: {row.stage}{f' [{row.key}]' if row.key else ''}".replace("[", r"\[")
            colour = COLOURS[row.status]
            reason = f"  {row.error}" if row.status == "failed" else ""
            yield f"  [{colour}]{row.status:9}[/{colour}] {name} [dim]{row.seconds:.1f} s[/dim]{reason}"


def _answer(api: Api, review: dict[str, Any]) -> None:
    task = review["task_instance"]
    console.print(
        f"  [bold]review[/bold] {review['subject']} - a person answers it in Airflow under Required actions "
        f"(DAG {task['dag_id']}, run {task['dag_run_id']}); this demo answers over the REST API: Approve"
    )
    api.answer_review(review, "Approve", "approved by the demo over the REST API")


def _delivered(job_id: UUID, within_s: float = 60.0) -> None:
    """Wait until the relay has delivered every event of the job, and its campaign's end is among them."""
    query = (
        "SELECT count(*) FILTER (WHERE delivered_at IS NULL AND dead_at IS NULL), "
        "count(*) FILTER (WHERE job_name = :dag AND event_type IN ('COMPLETE', 'FAIL')) "
        "FROM event WHERE job_id = :job"
    )
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with _ledger() as session:
            pending, ended = session.execute(text(query), {"job": job_id, "dag": DAG}).one()
        if not pending and ended:
            return
        time.sleep(POLL_S)
    console.print("[yellow]not every event is delivered yet: throughline status[/yellow]")


def _show(job_id: UUID) -> bool:
    """Print the artifacts, what is traced and what differs; return whether all is as it should be."""
    from include.ledger.history import artifacts_of
    from include.marquez.client import connect
    from include.proof.differences import compare
    from include.proof.verify import traced
    from include.settings import settings

    with _ledger() as session:
        artifacts = artifacts_of(session, job_id)
        found = traced(session, job_id=job_id)
    rows = []
    for artifact in artifacts:
        made = artifact["stage"].rpartition("content_generation.")[2]
        rows.append(
            (
                artifact["kind"],
                artifact["name"],
                artifact["sha256"][:12],
                Text.assemble(made, (" (reused)" if artifact["reused_from"] else "", "cyan")),
                artifact["ol_run_id"] or "",
            )
        )
    reused = sum(artifact["reused_from"] is not None for artifact in artifacts)
    console.print(f"\n[bold]{len(artifacts)} artifacts[/bold], {reused} of them reused from earlier jobs")
    print_table(("kind", "file", "sha256", "made by", "run"), rows)
    console.print(f"files below {settings().store}/out/{job_id}/")
    console.print(f"{found.traced} of {found.files} traced")
    for path in found.untraced:
        console.print(f"[red]not traced: {path}[/red]")
    with connect() as client, _ledger() as session:
        compared = compare(session, client, job_id=job_id)
    console.print(
        f"lineage: {compared.jobs} jobs, {compared.datasets} datasets, {compared.runs} runs, "
        f"{len(compared.differences)} differences"
    )
    for difference in compared.differences:
        console.print(f"[red]{difference}[/red]")
    return not found.untraced and not compared.differences and found.files > 0


def _addresses(stack: Stack, password: str, job_id: UUID) -> None:
    from include.cli.stack import tunnel

    graph = f"{stack.airflow_url}/lineage/graph?node=dataset:throughline:media/videos"
    for name, address in (
        ("Airflow", f"{stack.airflow_url}    login: admin / {password}"),
        ("this job", f"{stack.airflow_url}/lineage/jobs/{job_id}"),
        ("graph", graph),
        ("lineage", f"{stack.lineage_url}/api/v1/namespaces"),
        ("remote", tunnel(stack)),
        ("stop", "make down"),
    ):
        console.print(f"  {name:9} {address}")


@contextmanager
def _ledger() -> Iterator[Any]:
    from include.ledger.session import transaction

    with transaction() as session:
        yield session
