"""What lineage costs per task: the same DAG of 20 tasks, in turns, in warm processes.

With lineage off; with this deployment's own path (provider, scrub, event table on a real PostgreSQL, a relay beside it)
and an embedded lineage server; and the same with a lineage server that takes connections and never answers. Run with
`make bench ONLY=lineage-overhead`.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from bench_relay import server

from include.ledger.migrations import upgrade
from include.marquez.client import MarquezClient
from include.stack.parts import transport
from include.stack.postgres import temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
TASKS = 20
ROUNDS = 6
BLACK_HOLE = 1.1  # times the wall time with a healthy server
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
for line in sys.stdin:
    wall, used = time.perf_counter(), cpu()
    run = dag.test()
    figures = time.perf_counter() - wall, cpu() - used
    assert str(run.state) == "success", run.state
    print("FIGURES " + json.dumps(figures), flush=True)
"""


class Chain:
    """A process that runs the DAG once for each line it is given."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )

    def run(self) -> tuple[float, float]:
        """Return the seconds and the CPU seconds of one run."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("FIGURES "):
                wall, cpu = json.loads(line.removeprefix("FIGURES "))
                return wall, cpu
        raise SystemExit(f"the DAG did not run:\n{self.log.read_text()[-3000:]}")


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def relay(ledger: str, url: str, state: Path) -> Iterator[None]:
    """Run a relay beside the work, as a deployment does."""
    environment = {"THROUGHLINE_LEDGER_DSN": ledger, "THROUGHLINE_STATE_DIR": str(state), "MARQUEZ_URL": url}
    command = [str(Path(sys.executable).parent / "throughline"), "relay"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ended(subprocess.Popen(command, env=os.environ | environment, text=True, **quiet)):
        yield


def counts(ledger: str) -> tuple[int, int, int]:
    """Return how many tasks completed, how many events there are, how many of them are delivered."""
    with psycopg.connect(ledger) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE job_name LIKE 'chain.step_%' AND event_type = 'COMPLETE'), count(*),"
            " count(delivered_at) FROM event"
        ).fetchone()
    assert row is not None
    return row


def wrong(ledgers: Mapping[str, str], url: str, hole: socket.socket) -> str:
    """Return what is wrong with what the runs left behind; nothing when all is as it must be."""
    done = TASKS * (ROUNDS + 1)
    deadline = time.monotonic() + 60
    while counts(ledgers["on"])[1:] != (counts(ledgers["on"])[2],) * 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    with MarquezClient(url) as client:
        shown = client.events(limit=1)["totalCount"]
    found = {name: counts(ledger) for name, ledger in ledgers.items()}
    if found["off"] != (0, 0, 0):
        return f"lineage was not off: {found['off']}"
    if found["on"][0] != done or not found["on"][1] == found["on"][2] == shown:
        return f"not every event of {done} tasks is with the server: {found['on']}, which shows {shown}"
    if found["black hole"][0] != done or found["black hole"][2]:
        return f"not every event of {done} tasks waits: {found['black hole']}"
    hole.setblocking(False)
    try:
        hole.accept()[0].close()
    except BlockingIOError:
        return "nobody ever turned to the black hole"
    return ""


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as cluster,
        temporary_cluster(Path(cluster)) as dsn,
        socket.create_server(("127.0.0.1", 0), backlog=64) as hole,
        ExitStack() as running,
    ):
        folder = Path(name)
        (folder / "dags").mkdir()
        (folder / "dags" / "chain.py").write_text(DAG)
        base = dsn.rsplit("/", 1)[0]
        ledgers = {one: f"{base}/ledger_{one.replace(' ', '_')}" for one in ("off", "on", "black hole")}
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench_airflow")
            for ledger in ledgers.values():
                connection.execute(f"CREATE DATABASE {ledger.rsplit('/', 1)[1]}")
                upgrade(ledger)
        environment = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
            "THROUGHLINE_ROOT": str(ROOT),
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{base}/bench_airflow".replace(
                "postgresql://", "postgresql+psycopg://"
            ),
        }
        for words in (("db", "migrate"), ("dags", "reserialize")):
            airflow = [sys.executable, "-m", "airflow", *words]
            subprocess.run(airflow, env=os.environ | environment, check=True, capture_output=True, cwd=ROOT)
        url = running.enter_context(server(base))
        chains = {}
        for one, ledger in ledgers.items():
            state = folder / one
            (state / "lineage").mkdir(parents=True)
            if one != "off":
                address = url if one == "on" else f"http://127.0.0.1:{hole.getsockname()[1]}"
                running.enter_context(relay(ledger, address, state))
            own = {
                "AIRFLOW__OPENLINEAGE__DISABLED": str(one == "off"),
                "AIRFLOW__OPENLINEAGE__TRANSPORT": transport(str(state)),
                "THROUGHLINE_LEDGER_DSN": ledger,
            }
            chains[one] = Chain(environment | own, state)
            running.enter_context(ended(chains[one].process))
        figures: dict[str, list[tuple[float, float]]] = {one: [] for one in chains}
        names = list(chains)
        for round in range(ROUNDS + 1):  # the first one warms up
            for one in names[round % 3 :] + names[: round % 3]:
                figures[one].append(chains[one].run())
        problem = wrong(ledgers, url, hole)
    if problem:
        print(f"wrong answer: {problem}")
        return 1
    print(f"{'':12}{'wall ms/task':>14}{'CPU ms/task':>14}   (median of {ROUNDS} runs of {TASKS} tasks)")
    wall, cpu = {}, {}
    for one, found in figures.items():
        wall[one], cpu[one] = (
            1000 * statistics.median(column) / TASKS for column in zip(*found[1:], strict=True)
        )
        print(f"{one:12}{wall[one]:14.1f}{cpu[one]:14.1f}")
    print(
        f"{'added by on':12}{wall['on'] - wall['off']:14.1f}{cpu['on'] - cpu['off']:14.1f}"
        f"   ratio wall {wall['on'] / wall['off']:.2f} CPU {cpu['on'] / cpu['off']:.2f}"
    )
    added, ratio = cpu["on"] - cpu["off"], wall["black hole"] / wall["on"]
    goals = (
        ("added CPU per task in ms", added, ADDED_CPU_MS, 1),
        ("wall per task, black-holed against healthy", ratio, BLACK_HOLE, 2),
    )
    for what, figure, goal, digits in goals:
        verdict = "ok" if figure <= goal else "short"
        print(f"lineage-overhead {what}: {figure:.{digits}f} (goal <= {goal:g}) {verdict}")
    return int(added > ADDED_CPU_MS or ratio > BLACK_HOLE)


if __name__ == "__main__":
    sys.exit(main())
