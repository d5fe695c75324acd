"""What is downstream in a ledger of 100 000 artifacts: the recursive statement against a plain walk in Python.

The peer reads every edge and reuse of the ledger, walks them breadth first, and reads the rows of what it reached: the
same answer. Run with `make bench ONLY=impact`; BENCH_ARTIFACTS says how many.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from include.ledger.migrations import upgrade
from include.ledger.session import sqlalchemy_url
from include.proof.impact import impact
from include.proof.target import Target
from include.stack.postgres import temporary_cluster

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "include" / "proof"))
from typing import TYPE_CHECKING

from made_ledger import Plan, moment, write

if TYPE_CHECKING:
    from uuid import UUID

ARTIFACTS = int(os.environ.get("BENCH_ARTIFACTS", "100000"))
ROUNDS = 3
CHAIN = ARTIFACTS // 20
WHOLE, SMALL = 2.0, 0.05  # of the time of a plain walk over the whole ledger


def ledger() -> list[Plan]:
    """A chain as deep as a twentieth of the ledger, one source with a tenth of it below, and jobs of 20 artifacts.

    A job reads two sources and what earlier jobs left; one in twenty artifacts takes over bytes of an earlier one.
    """
    draw = random.Random(7)
    plans = [Plan(dataset="sources/chain")]
    plans += [Plan((number - 1,), dataset="media/chain") for number in range(1, CHAIN)]
    hub = len(plans)
    plans.append(Plan(dataset="sources/hub"))
    plans += [Plan((hub,), dataset="media/leaf") for _ in range(ARTIFACTS // 10)]
    first = len(plans)
    job = 1
    while len(plans) < ARTIFACTS:
        start = len(plans)
        plans += [Plan(dataset="sources/words", job=job), Plan(dataset="sources/words", job=job)]
        for number in range(start + 2, start + 20):
            pool = range(start, number) if draw.random() < 0.97 or start == first else range(first, start)
            inputs = tuple(sorted({draw.choice(pool) for _ in range(3)} | {start}))
            reused = draw.choice(range(first, start)) if start > first and draw.random() < 0.05 else None
            plans.append(Plan(inputs, reused_from=reused, dataset=f"media/{number - start}", job=job))
        job += 1
    return plans


ROWS = """
SELECT artifact.artifact_id, artifact.job_id, job.family, job.theme, job.rehearsal, kind, artifact.key, namespace,
    dataset, name, path, artifact.sha256, size_bytes, stage_run.stage, dag_id, task_id, reused_from,
    artifact.created_at, superseded_at
FROM artifact JOIN blob USING (sha256) JOIN stage_run USING (stage_run_id) JOIN job ON job.job_id = artifact.job_id
WHERE artifact_id = ANY(%s)
"""


def walk(dsn: str, roots: set[UUID]) -> set[UUID]:
    """Read all links, walk them breadth first, read the rows of what was reached; return it without the roots."""
    following: dict[UUID, list[UUID]] = {}
    with psycopg.connect(dsn) as connection:
        for made, used in connection.execute("SELECT artifact_id, input_id FROM artifact_input"):
            following.setdefault(used, []).append(made)
        for made, used in connection.execute(
            "SELECT artifact_id, reused_from FROM artifact WHERE reused_from IS NOT NULL"
        ):
            following.setdefault(used, []).append(made)
    reached, waiting = set(roots), deque(roots)
    while waiting:
        for there in following.get(waiting.popleft(), ()):
            if there not in reached:
                reached.add(there)
                waiting.append(there)
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute(ROWS, (list(reached),))} - roots


def main() -> int:
    with tempfile.TemporaryDirectory() as cluster, temporary_cluster(Path(cluster)) as superuser:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench_impact")
        dsn = superuser.rsplit("/", 1)[0] + "/bench_impact"
        upgrade(dsn)
        plans = ledger()
        begun = time.perf_counter()
        write(dsn, plans, guarded=False, unit="milliseconds")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ANALYZE")
        print(f"{len(plans)} artifacts written in {time.perf_counter() - begun:.0f} s")
        engine = create_engine(sqlalchemy_url(dsn))
        cases = {
            "deep chain": Target("artifact", str(plans[0].artifact_id)),
            "hub": Target("dataset", "sources/hub"),
            "all words": Target("dataset", "sources/words"),
            "one source of a job": Target("artifact", str(plans[-20].artifact_id)),
            "one source, as of": Target("artifact", str(plans[-20].artifact_id)),
        }
        print(f"{'':22}{'artifacts':>10}{'impact ms':>11}{'walk ms':>10}{'ratio':>8}   (median of {ROUNDS})")
        ratios: dict[str, float] = {}
        for name, target in cases.items():
            as_of = moment(10**7) if name.endswith("as of") else None
            ours, peer = [], []
            for _ in range(ROUNDS):
                with Session(engine) as session:
                    begun = time.perf_counter()
                    found = impact(session, target, as_of=as_of)
                    ours.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                expected = walk(dsn, {item.artifact_id for item in found.roots})
                peer.append(time.perf_counter() - begun)
                if {item.artifact_id for item in found.affected} != expected:
                    print(f"wrong answer: {name}: {len(found.affected)} artifacts, expected {len(expected)}")
                    return 1
            mine, other = (1000 * statistics.median(figures) for figures in (ours, peer))
            ratios[name] = mine / other
            print(f"{name:22}{len(found.affected):10}{mine:11.1f}{other:10.1f}{mine / other:8.2f}")
        with engine.connect() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
        engine.dispose()
    print(f"postgres={version}")
    worst, small = max(ratios.values()), max(ratio for name, ratio in ratios.items() if "one source" in name)
    verdicts = [worst <= WHOLE, small <= SMALL]
    said = ["ok" if good else "short" for good in verdicts]
    print(f"impact of most of a ledger, to a plain walk: {worst:.2f} (goal <= {WHOLE:.2f}) {said[0]}")
    print(f"impact of one source, to a plain walk: {small:.3f} (goal <= {SMALL:.2f}) {said[1]}")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
