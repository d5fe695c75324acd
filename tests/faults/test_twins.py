"""Two workers on the same stage of the same job: one of them wins, whole; the other leaves nothing that a sweep does not find."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest

from attempts import PROCESSES, ready
from contested import ADMIT, race, race_in_process
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.stage import run_stage
from tests.faults.oracle import assert_sound, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

ROUNDS = 50
Jobs = list[tuple[UUID, bool]]


def in_threads(jobs: Jobs) -> list[list[str]]:
    place = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        return [told.result(300) for told in [pool.submit(race, jobs, place) for _ in range(2)]]


def in_processes(jobs: Jobs) -> list[list[str]]:
    ready()
    place = PROCESSES.Barrier(2)
    racers = []
    for _ in range(2):
        ours, theirs = PROCESSES.Pipe(duplex=False)
        racer = PROCESSES.Process(target=race_in_process, args=(dict(os.environ), jobs, place, theirs))
        racer.start()
        theirs.close()
        racers.append((racer, ours))
    told = []
    for racer, ours in racers:
        told.append(ours.recv())  # EOFError when it died
        racer.join(60)
        assert racer.exitcode == 0
    return told


@pytest.mark.slow
@pytest.mark.parametrize("meet_in", [in_threads, in_processes], ids=["threads", "processes"])
def test_of_two_workers_on_one_stage_one_wins(
    ledger: str,
    tmp_path: Path,
    meet_in: Callable[[Jobs], list[list[str]]],
    receiver: Receiver,
    server: MarquezClient,
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("true line")
    jobs: Jobs = []
    for number in range(ROUNDS):
        with transaction() as session:
            job = open_job(
                session, derived=uuid4(), given=None, dag_id="test", run_id=f"r{number}", params={}
            )
        run_stage(ADMIT, job_id=job, params={"file": str(words)})
        jobs.append((job, number % 2 == 0))

    ended = [Counter(pair) for pair in zip(*meet_in(jobs), strict=True)]
    assert all(pair["succeeded"] == 1 for pair in ended), ended
    met = [pair for pair, (_, meet) in zip(ended, jobs, strict=True) if meet]
    assert met == [Counter(succeeded=1, stale=1)] * len(met), "who came second wins, whoever is ready first"

    winners = """
        SELECT a.job_id, array_agg(a.kind ORDER BY a.kind), count(DISTINCT a.stage_run_id), min(r.status)
        FROM artifact a JOIN stage_run r USING (stage_run_id) WHERE r.stage = 'contested' GROUP BY a.job_id
    """
    with psycopg.connect(ledger) as connection:
        rows = connection.execute(winners).fetchall()
        scripts = connection.execute("SELECT job_id FROM script").fetchall()
    assert {job: rest for job, *rest in rows} == {
        job: [["script", "words"], 1, "succeeded"] for job, _ in jobs
    }
    assert sorted(scripts) == sorted((job,) for job, _ in jobs)

    losers = sum(pair["stale"] for pair in ended)
    settled = settle(ledger, server)
    assert len(settled.swept.orphans) == 2 * losers, "what losers wrote is found, whole or not at all"
    assert_sound(ledger, receiver.got)
