"""Processes of the running stack killed with -9 while a task works, and runs that are triggered twice."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from include.errors import ProviderRefused
from include.ledger.session import transaction
from include.marquez.client import connect
from include.proof.verify import oracle, traced

pytestmark = pytest.mark.stack

CONF = {"source": "file", "review": "unattended", "target_s": 15, "size": "720x1280", "fresh": True}


def until_composing(stack: Any, run_id: str) -> UUID:
    """Wait until the video's composition works; return the job."""
    deadline = time.monotonic() + 300
    while True:
        rows = stack.query(
            "SELECT s.job_id FROM stage_run s JOIN job_run r USING (job_id)"
            " WHERE r.run_id = %s AND s.stage = 'composition' AND s.status = 'running'",
            run_id,
        )
        if rows:
            return UUID(str(rows[0]["job_id"]))
        assert time.monotonic() < deadline, "composition did not begin"
        time.sleep(0.05)


def scheduler(stack: Any) -> psutil.Process:
    return psutil.Process(stack.supervisor.condition("scheduler").pid)


def worker_at(stack: Any, run_id: str, task_id: str) -> psutil.Process:
    """Return the worker that has a task of a run: workers name the task instance in their title.

    The worker of a task before it may still be busy with that one's end.
    """
    (task,) = [one for one in stack.api.task_instances("video", run_id) if one["task_id"] == task_id]
    (worker,) = [one for one in scheduler(stack).children() if str(task["id"]) in " ".join(one.cmdline())]
    return worker


def killed_with_its_task(process: psutil.Process) -> int:
    """Kill a process and everything below it, from the top; return how many there were."""
    family = [process, *process.children(recursive=True)]
    for one in family:
        one.kill()
    psutil.wait_procs(family, 30)
    return len(family)


def assert_healed(stack: Any, run_id: str, job_id: UUID) -> None:
    """The run ended well, was worked off twice from composition on, and left one of everything."""
    assert stack.wait("video", run_id, minutes=8) == "success"
    attempts = stack.query(
        "SELECT status FROM stage_run WHERE job_id = %s AND stage = 'composition' ORDER BY started_at", job_id
    )
    first, *later = [row["status"] for row in attempts]
    assert first in {"stale", "failed"}, "killed, or told to end by the next scheduler"
    assert later == ["succeeded"]
    scenes = stack.query(
        "SELECT count(*) AS done FROM stage_run WHERE job_id = %s AND stage = 'content_generation.render_scene' GROUP BY key",
        job_id,
    )
    assert {row["done"] for row in scenes} == {1}, "what was finished before the kill is not done again"
    assert len(stack.query("SELECT 1 FROM video WHERE job_id = %s", job_id)) == 1
    stack.delivered(job_id)  # the ends that are on their way, before those are made up that never come
    stack.throughline("reconcile", "--grace-s", "0", "--job", str(job_id))
    stack.delivered(job_id)
    with connect() as client, transaction() as session:
        assert [str(finding) for finding in oracle(session, client, job_id=job_id)] == []
        found = traced(session, job_id=job_id)
    assert found.untraced == ()
    assert found.files == found.traced > 10


def test_a_worker_killed_with_its_task_is_replaced_and_the_task_done_again(stack: Any) -> None:
    run_id = stack.trigger("video", CONF)
    job_id = until_composing(stack, run_id)
    boss = scheduler(stack)
    assert killed_with_its_task(worker_at(stack, run_id, "composition")) > 1
    assert_healed(stack, run_id, job_id)
    assert scheduler(stack) != boss, "a scheduler with all its workers"


def test_a_task_of_a_killed_scheduler_is_done_again(stack: Any) -> None:
    run_id = stack.trigger("video", CONF)
    job_id = until_composing(stack, run_id)
    boss = scheduler(stack)
    boss.kill()
    assert_healed(stack, run_id, job_id)


def test_an_idle_worker_that_is_killed_holds_nobody_up(stack: Any) -> None:
    boss = scheduler(stack)
    workers = [one for one in boss.children() if "worker" in " ".join(one.cmdline())]
    assert len(workers) > 1
    for worker in workers[:-1]:  # one of them holds the lock of their queue, or gets it from a killed one
        worker.kill()
    psutil.wait_procs([boss], 60)
    assert not boss.is_running()
    _, state = stack.run("medallion", {"tables": ["leads"]})
    assert state == "success"


def test_a_run_id_counts_once_and_two_runs_of_one_job_make_it_once(stack: Any) -> None:
    conf = {"tables": ["leads"]}
    run_id, state = stack.run("medallion", conf)
    assert state == "success"
    with pytest.raises(ProviderRefused, match="409"):
        stack.trigger("medallion", conf, run_id)
    job_id = stack.job_of("medallion", run_id)
    everything = "SELECT artifact_id, superseded_at FROM artifact WHERE job_id = %s ORDER BY artifact_id"
    before = stack.query(everything, job_id)
    again = [
        stack.trigger("medallion", {**conf, "job_id": str(job_id)}, f"twice__{uuid4()}") for _ in range(2)
    ]
    assert [stack.wait("medallion", one) for one in again] == ["success"] * 2
    assert stack.query(everything, job_id) == before
    runs = stack.query("SELECT status FROM job_run WHERE job_id = %s", job_id)
    assert [run["status"] for run in runs] == ["completed"] * 3
    stages = stack.query(
        "SELECT run_id, status FROM stage_run WHERE job_id = %s AND run_id = ANY(%s)", job_id, again
    )
    assert {(row["run_id"], "reused") for row in stages} == {(one, "reused") for one in again}
    assert {row["status"] for row in stages} <= {"reused", "skipped", "stale"}, "nothing is made by them"
    stack.delivered(job_id)
    with connect() as client, transaction() as session:
        assert [str(finding) for finding in oracle(session, client, job_id=job_id)] == []
