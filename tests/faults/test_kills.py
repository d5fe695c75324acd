"""kill -9 of the process of a stage, at every point of its publish protocol: the next attempt ends as if nothing had been."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from attempts import Ended, Task, attempt
from include.artifacts.faults import POINTS
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import COMPOSITION, SILVER, VIDEO, Prepared, digests

if TYPE_CHECKING:
    from pathlib import Path

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow


def kill_and_resume(
    prepared: Prepared,
    task: Task,
    point: str,
    folder: Path,
    receiver: Receiver,
    server: MarquezClient,
) -> None:
    with prepared.before_task(task, folder) as dsn:
        before = digests(dsn)
        killed = kill(prepared, task, point, folder)
        made = {name: sha256 for name, sha256 in prepared.made.items() if name not in before}
        assert digests(dsn) == (before if point != "committed" else before | digests(dsn, task))

        again = attempt(prepared.job, task)
        assert again.status == ("reused" if point == "committed" else "succeeded"), again
        assert digests(dsn, task).items() <= made.items(), "the same bytes as undisturbed"
        assert set(digests(dsn)) == {*before, *digests(dsn, task)}
        assert attempts_of(dsn, task) == 2

        settled = settle(dsn, server)
        made_up = [(one.run_id, one.event_type) for one in settled.reconciled.synthesised]
        assert made_up == [(killed.run, "COMPLETE" if point == "committed" else "ABORT")]
        assert bool(settled.swept.temporaries) == (point == "written")
        assert_sound(dsn, receiver.got)


def attempts_of(dsn: str, task: Task) -> int:
    with psycopg.connect(dsn) as connection:
        query = "SELECT attempts FROM stage_claim WHERE stage = %s AND key = %s"
        ((attempts,),) = connection.execute(query, (task.stage.name, task.key)).fetchall()
    return int(attempts)


def kill(prepared: Prepared, task: Task, point: str, folder: Path) -> Ended:
    marker = folder / "fired"
    killed = attempt(prepared.job, task, fault=point, marker=marker)
    assert marker.exists(), "the fault did not fire"
    assert killed.exit_code == -signal.SIGKILL
    return killed


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("task", [*VIDEO, SILVER], ids=str)
def test_a_killed_stage_ends_as_if_nothing_had_been(
    prepared: Prepared, task: Task, point: str, tmp_path: Path, receiver: Receiver, server: MarquezClient
) -> None:
    kill_and_resume(prepared, task, point, tmp_path, receiver, server)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_report_ends_as_if_nothing_had_been(
    prepared: Prepared, point: str, tmp_path: Path, receiver: Receiver, server: MarquezClient
) -> None:
    kill_and_resume(prepared, prepared.render(), point, tmp_path, receiver, server)


def test_a_job_that_begins_again_reuses_what_was_finished(
    prepared: Prepared, tmp_path: Path, receiver: Receiver, server: MarquezClient
) -> None:
    """A run that is cleared after a kill goes through all its tasks: the finished ones make nothing anew."""
    with prepared.before_task(COMPOSITION, tmp_path) as dsn:
        kill(prepared, COMPOSITION, "renamed", tmp_path)
        done = prepared.tasks.index(COMPOSITION)
        ended = [attempt(prepared.job, task).status for task in prepared.tasks[: done + 1]]
        assert ended == ["reused"] * done + ["succeeded"]
        assert digests(dsn).items() <= prepared.made.items()
        assert "video" in digests(dsn)
        with psycopg.connect(dsn) as connection:
            again = connection.execute(
                "SELECT count(*) FROM artifact WHERE reused_from IS NOT NULL"
            ).fetchone()
        assert again == (0,), "a job's own outputs are not made a second time"
        settle(dsn, server)
        assert_sound(dsn, receiver.got)
