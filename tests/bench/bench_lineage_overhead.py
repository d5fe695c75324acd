"""What lineage costs per task: the same DAG of 20 tasks with lineage off and on, in turns, in warm processes.

On means this deployment's own path: provider, scrub, event table on a real PostgreSQL. Run with
`make bench ONLY=lineage-overhead`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from include.ledger.migrations import upgrade
from include.stack.parts import transport
from include.stack.postgres import temporary_cluster

ROOT = Path(__file__).resolve().parents[2]
TASKS = 20
ROUNDS = 4
ADDED_CPU_MS = 60.0  # the stock provider with HTTP in a thread was measured at +31 ms, in a fork at +122 ms

DAG = f"""
from airflow.sdk import dag, task

@dag(schedule=None)
def chain():
    @task
    def step(number, before=None):
        return number
    last = None
    for number in range({TASKS}):
        last = step.override(task_id=f"step_{{number:02d}}")(number, last)

chain()
"""
PROGRAM = """
import json, os, resource, sys, time
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags["chain"]
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
figures = []
for round in range(int(sys.argv[1])):
    wall, used = time.perf_counter(), cpu()
    run = dag.test()
    figures.append((time.perf_counter() - wall, cpu() - used))
    assert str(run.state) == "success", run.state
print("FIGURES " + json.dumps(figures[1:]))
"""


def measure(environment: dict[str, str]) -> list[tuple[float, float]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROUNDS + 1)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
    if not lines:
        raise SystemExit(f"the DAG did not run:\n{done.stderr[-3000:]}")
    found: list[tuple[float, float]] = [tuple(pair) for pair in json.loads(lines[0].removeprefix("FIGURES "))]
    return found


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as cluster,
        temporary_cluster(Path(cluster)) as dsn,
    ):
        folder = Path(name)
        (folder / "dags").mkdir()
        (folder / "lineage").mkdir()
        (folder / "dags" / "chain.py").write_text(DAG)
        base = dsn.rsplit("/", 1)[0]
        with psycopg.connect(dsn, autocommit=True) as connection:
            for database in ("bench_airflow", "bench_ledger"):
                connection.execute(f"CREATE DATABASE {database}")
        upgrade(f"{base}/bench_ledger")
        environment = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
            "THROUGHLINE_ROOT": str(ROOT),
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{base}/bench_airflow".replace(
                "postgresql://", "postgresql+psycopg://"
            ),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": transport(str(folder)),
            "THROUGHLINE_LEDGER_DSN": f"{base}/bench_ledger",
        }
        for words in (("db", "migrate"), ("dags", "reserialize")):
            airflow = [sys.executable, "-m", "airflow", *words]
            subprocess.run(airflow, env=os.environ | environment, check=True, capture_output=True, cwd=ROOT)
        off = measure({**environment, "AIRFLOW__OPENLINEAGE__DISABLED": "True"})
        on = measure({**environment, "AIRFLOW__OPENLINEAGE__DISABLED": "False"})
        with psycopg.connect(f"{base}/bench_ledger") as connection:
            stored = connection.execute(
                "SELECT count(*) FROM event WHERE job_name LIKE 'chain.step_%' AND event_type = 'COMPLETE'"
            ).fetchone()
    # The answer first: every task of every round left its COMPLETE in the table.
    if stored != (TASKS * (ROUNDS + 1),):
        print(f"wrong answer: {stored} COMPLETE events, expected {TASKS * (ROUNDS + 1)}")
        return 1
    print(f"{'':8}{'wall ms/task':>14}{'CPU ms/task':>14}   (median of {ROUNDS} runs of {TASKS} tasks)")
    medians = {}
    for name, figures in (("off", off), ("on", on)):
        medians[name] = [1000 * statistics.median(column) / TASKS for column in zip(*figures, strict=True)]
        print(f"{name:8}{medians[name][0]:14.1f}{medians[name][1]:14.1f}")
    wall, cpu = (on_ - off_ for on_, off_ in zip(medians["on"], medians["off"], strict=True))
    print(f"added   {wall:14.1f}{cpu:14.1f}   ratio {medians['on'][1] / medians['off'][1]:.2f}")
    verdict = "ok" if cpu <= ADDED_CPU_MS else "short"
    print(f"lineage-overhead added CPU per task: {cpu:.1f} ms (goal <= {ADDED_CPU_MS:.0f} ms) {verdict}")
    return 0 if verdict == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
