"""The embedded lineage server: events taken per second, reads on a long history, memory.

    make bench ONLY=lineage-server
    .venv/bin/python tests/bench/bench_lineage_server.py --only large     # 10 000 jobs x 20 runs: a quarter of an hour

Each figure stands beside a floor of the same run, the bare insert of the same JSON over as many connections, and beside
what a real Marquez 0.51.1 did on a machine of two cores that it shared with its database and its client. With
MARQUEZ_URL set, the Marquez there takes the same events in the same run, and the goals are multiples of its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
from lineage_load import Client, Pace, Plan, batches, cpu_seconds, floor, pss_mb, pump

from include.stack.postgres import temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
API = "/api/v1"
MARQUEZ_PER_SECOND = {1: 26.9, 4: 52.7, 8: 50.9}
"""Events per second of Marquez 0.51.1 by clients (events of 11.6 kB; JVM, PostgreSQL and client on two cores)."""
MARQUEZ_MEMORY_MB = 839
PEER_WARM_EVENTS = 1200
"""Events before a peer is measured: a JVM compiles what it runs often."""
INGEST_FACTOR, BATCH_FACTOR = 4, 15
BATCH = 200
MEMORY_GOAL_MB = 200
GROWTH_GOAL = 1.3
MS_PER_MB = 25
HUB = "lineage depth 2, hub"
REPEAT = 60
REPEAT_LARGE, LARGE = 20, 5e6
"""So often a question is asked whose answer is larger than so many bytes."""


@dataclass(frozen=True)
class Server:
    url: str
    dsn: str
    process: int


class Verdicts:
    """The goals, each printed as it is judged."""

    def __init__(self) -> None:
        self.short = False

    def judge(self, what: str, figure: float, relation: str, bound: float, unit: str, note: str = "") -> None:
        met = figure >= bound if relation == ">=" else figure <= bound
        self.short |= not met
        note = f", {note}" if note else ""
        print(
            f"lineage-server {what}: {figure:.4g} {unit} (goal {relation} {bound:.4g} {unit}{note}) {'ok' if met else 'short'}"
        )


@contextmanager
def running(dsn: str) -> Iterator[Server]:
    """The server in a process of its own, on an empty database of this cluster."""
    name = f"bench_{time.monotonic_ns()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    url, admin = (f"http://127.0.0.1:{port}" for port in ports)
    environment = os.environ | {
        "THROUGHLINE_LINEAGE_DSN": f"{dsn.rsplit('/', 1)[0]}/{name}",
        "MARQUEZ_URL": url,
        "MARQUEZ_ADMIN_URL": admin,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "include.marquez.server"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    if httpx.get(f"{admin}/ping", timeout=2).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.05)
            yield Server(url, environment["THROUGHLINE_LINEAGE_DSN"], process.pid)
        finally:
            process.terminate()


def get(client: Client, path: str) -> Any:
    return json.loads(client.ask("GET", API + path))


def check(client: Client, plan: Plan) -> None:
    """The answer before the time: every run of a plan is there and completed, and the graph has its shape."""
    last = plan.jobs - 1
    for k in (0, plan.jobs // 2, last):
        runs = get(client, f"/namespaces/{plan.name}/jobs/{plan.job_name(k)}/runs?limit=3")
        newest = plan.run_id(k, plan.runs - 1)
        if (runs["totalCount"], runs["runs"][0]["id"], runs["runs"][0]["state"]) != (
            plan.runs,
            newest,
            "COMPLETED",
        ):
            raise SystemExit(f"wrong answer: job {k} of {plan} has {runs['totalCount']} runs")
    jobs = get(client, f"/namespaces/{plan.name}/jobs?limit=1")
    if jobs["totalCount"] != plan.jobs:
        raise SystemExit(f"wrong answer: {jobs['totalCount']} jobs, expected {plan.jobs}")
    graph = get(client, f"/lineage?nodeId={quote(f'dataset:file:{plan.hub}', safe='')}&depth=1")["graph"]
    jobs_of_hub = plan.jobs - plan.jobs // 2 + 1 + 2
    found = sum(node["type"] == "JOB" for node in graph)
    if found != jobs_of_hub:
        raise SystemExit(f"wrong answer: {found} jobs one hop from the hub, expected {jobs_of_hub}")


def ingest(verdicts: Verdicts, dsn: str, events: int) -> None:
    peer = os.environ.get("MARQUEZ_URL")
    stamp = f"{time.time_ns():x}"  # a peer remembers the runs of the last time
    theirs = dict(MARQUEZ_PER_SECOND)
    print(
        f"{'events taken':28}{'events/s':>10}{'p50 ms':>8}{'p95 ms':>8}{'CPU ms':>8}{'floor/s':>9}{'ratio':>7}"
    )
    with running(dsn) as server:
        client = Client(server.url)
        pump(server.url, f"{API}/lineage", Plan(f"warm{stamp}", 8, 6).events(), 4)
        if peer:
            pump(peer, f"{API}/lineage", Plan(f"warm{stamp}", 20, PEER_WARM_EVENTS // 40).events(), 4)
        for clients in MARQUEZ_PER_SECOND:
            plan = Plan(f"ingest{clients}.{stamp}", 20, events // 40)
            bodies = list(plan.events())
            used = cpu_seconds(server.process)
            pace = pump(server.url, f"{API}/lineage", bodies, clients)
            used = cpu_seconds(server.process) - used
            check(client, plan)
            bare = floor(dsn, [body for unit in bodies for body in unit], clients)
            show(f"{clients} clients", pace, used, bare)
            if peer:
                beside = pump(peer, f"{API}/lineage", bodies, clients)
                theirs[clients] = beside.per_second
                print(
                    f"{f'  Marquez, {clients} clients':28}{beside.per_second:10.1f}"
                    f"{beside.percentile(0.5):8.1f}{beside.percentile(0.95):8.1f}"
                )
            verdicts.judge(
                f"ingest, {clients} clients",
                pace.per_second,
                ">=",
                INGEST_FACTOR * theirs[clients],
                "events/s",
                f"{INGEST_FACTOR} x Marquez's {theirs[clients]:.1f}",
            )
        best = max(theirs.values())
        for clients in (1, 2):
            plan = Plan(f"batch{clients}.{stamp}", 20, events // 10)
            bodies = list(batches(plan.events(), BATCH))
            used = cpu_seconds(server.process)
            pace = pump(server.url, f"{API}/lineage/batch", bodies, clients)
            used = cpu_seconds(server.process) - used
            check(client, plan)
            pace.done = 2 * plan.jobs * plan.runs
            bare = floor(dsn, [body for unit in plan.events() for body in unit], clients, BATCH)
            show(f"batches of {BATCH}, {clients} clients", pace, used, bare)
            if clients == 1:
                verdicts.judge(
                    "batch ingest",
                    pace.per_second,
                    ">=",
                    BATCH_FACTOR * best,
                    "events/s",
                    f"{BATCH_FACTOR} x {best:.1f}",
                )
        client.close()
        verdicts.judge("memory after ingest", pss_mb([server.process]), "<=", MEMORY_GOAL_MB, "MB (PSS)")


def show(what: str, pace: Pace, used: float, bare: float) -> None:
    print(
        f"{what:28}{pace.per_second:10.1f}{pace.percentile(0.5):8.1f}{pace.percentile(0.95):8.1f}"
        f"{1000 * used / pace.done:8.2f}{bare:9.0f}{pace.per_second / bare:7.2f}"
    )


def reads(plan: Plan) -> dict[str, tuple[str, float, float]]:
    """What is asked: name -> (path, bound in ms, ms per MB of answer)."""
    chain, last = plan.jobs // 4, plan.jobs - 1
    job = f"/namespaces/{plan.name}/jobs/{plan.job_name(chain)}"

    def lineage(node: str, depth: int) -> str:
        return f"/lineage?nodeId={quote(node, safe='')}&depth={depth}"

    middle, leaf = (f"job:{plan.name}:{plan.job_name(k)}" for k in (plan.jobs // 8, last))
    hub = f"dataset:file:{plan.hub}"
    return {
        "lineage depth 2, chain": (lineage(middle, 2), 20, MS_PER_MB),
        HUB: (lineage(hub, 2), 20, MS_PER_MB),
        "lineage depth 20, chain": (lineage(middle, 20), 100, MS_PER_MB),
        "lineage depth 20, hub": (lineage(hub, 20), 100, MS_PER_MB),
        "lineage depth 20, leaf": (lineage(leaf, 20), 100, MS_PER_MB),
        "jobs": (f"/namespaces/{plan.name}/jobs?limit=20", 50, 0),
        "jobs, half way": (f"/namespaces/{plan.name}/jobs?limit=20&offset={plan.jobs // 2}", 50, 0),
        "jobs by state": ("/jobs?limit=20&lastRunStates=FAILED", 50, 0),
        "job": (job, 50, 0),
        "runs": (f"{job}/runs?limit=20", 50, 0),
        "run": (f"/jobs/runs/{plan.run_id(chain, plan.runs // 2)}", 50, 0),
        "datasets": ("/namespaces/file/datasets?limit=20", 50, 0),
        "dataset": (f"/namespaces/file/datasets/{quote(plan.hub, safe='')}", 50, 0),
        "versions": (f"/namespaces/file/datasets/{quote(plan.hub, safe='')}/versions?limit=20", 50, 0),
        "search, all": ("/search?q=task&limit=10", 50, 0),
        "search, one": (f"/search?q=task_{chain:05d}&limit=10", 50, 0),
        "events": ("/events/lineage?limit=20", 50, 0),
        "events of a job": (
            f"/events/lineage?limit=20&namespace={plan.name}&job={plan.job_name(chain)}",
            50,
            0,
        ),
        "column lineage": (f"/column-lineage?nodeId={quote(hub, safe='')}&depth=5", 50, MS_PER_MB),
    }


def measured(worlds: list[tuple[Client, Plan]]) -> list[dict[str, tuple[float, float, int]]]:
    """p50 and p95 in ms, and the bytes of the answer, by name, for each world; they are asked in turns."""
    figures: list[dict[str, tuple[float, float, int]]] = [{} for _ in worlds]
    asked = [reads(plan) for _, plan in worlds]
    for name in asked[0]:
        latencies: list[list[float]] = [[] for _ in worlds]
        sizes = [0 for _ in worlds]
        for turn in range(REPEAT + 3):
            if turn >= REPEAT_LARGE + 3 and max(sizes) > LARGE:
                break
            for i, (client, _) in enumerate(worlds):
                begun = time.perf_counter()
                sizes[i] = len(client.ask("GET", API + asked[i][name][0]))
                if turn >= 3:
                    latencies[i].append(time.perf_counter() - begun)
        for i, taken in enumerate(latencies):
            pace = Pace(len(taken), sum(taken), taken)
            figures[i][name] = (pace.percentile(0.5), pace.percentile(0.95), sizes[i])
    return figures


def while_told(client: Client, plan: Plan) -> tuple[Pace, int]:
    """How long the graph around the hub took, each time after a run of one of its readers; bytes of the answer."""
    path, _, _ = reads(plan)[HUB]
    latencies: list[float] = []
    size = 0
    for turn in range(REPEAT):
        if turn >= REPEAT_LARGE and size > LARGE:
            break
        k, r = plan.jobs - 1 - turn % (plan.jobs // 2), plan.runs + turn
        for event in plan.run_events(k, r):
            client.ask("POST", f"{API}/lineage", event)
        begun = time.perf_counter()
        answer = client.ask("GET", API + path)
        latencies.append(time.perf_counter() - begun)
        size = len(answer)
        if plan.run_id(k, r).encode() not in answer:
            raise SystemExit(f"wrong answer: the graph does not show run {r} of job {k}")
    return Pace(len(latencies), sum(latencies), latencies), size


def filled(server: Server, plan: Plan) -> None:
    begun = time.perf_counter()
    pump(server.url, f"{API}/lineage/batch", batches(plan.events(), BATCH), 2)
    seconds = time.perf_counter() - begun
    events = 2 * plan.jobs * plan.runs
    print(
        f"\n{plan.jobs} jobs x {plan.runs} runs: {events} events in {seconds:.0f} s, {events / seconds:.0f}/s"
    )
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("ANALYZE")


def histories(verdicts: Verdicts, dsn: str, plans: list[Plan]) -> None:
    for plan in plans:
        tenth = Plan(plan.name, plan.jobs, max(1, plan.runs // 10))
        with running(dsn) as small, running(dsn) as server:
            filled(small, tenth)
            filled(server, plan)
            # Only now: a connection that is idle for as long as the other is filled would be closed.
            worlds = [(Client(small.url), tenth), (Client(server.url), plan)]
            begun = time.perf_counter()
            worlds[1][0].ask("GET", API + reads(plan)[HUB][0])
            first = time.perf_counter() - begun
            for client, told in worlds:
                check(client, told)
            young, old = measured(worlds)
            print(f"{'':28}{'p50 ms':>8}{'p95 ms':>8}{'kB':>8}{'growth':>8}")
            size_of = f"{plan.jobs} x {plan.runs}"
            for name, (_, bound, per_mb) in reads(plan).items():
                p50, p95, size = old[name]
                print(f"{name:28}{p50:8.1f}{p95:8.1f}{size / 1000:8.0f}{p50 / young[name][0]:8.2f}")
                verdicts.judge(f"{size_of}, {name}, p95", p95, "<=", bound + per_mb * size / 1e6, "ms")
            print(f"{HUB + ', first':28}{1000 * first:8.1f}  (every node rendered)")
            pace, size = while_told(worlds[1][0], plan)
            _, bound, per_mb = reads(plan)[HUB]
            bound += per_mb * size / 1e6
            p95 = pace.percentile(0.95)
            verdicts.judge(f"{size_of}, {HUB}, each time after a run of it, p95", p95, "<=", bound, "ms")
            # The same answer: a page that the tenth of the history does not fill yet is another question.
            same = [name for name in old if abs(old[name][2] - young[name][2]) <= 0.02 * young[name][2]]
            grown = sorted((old[name][0] / young[name][0], name) for name in same)
            print(f"most grown of {len(same)} equal answers: {grown[-1][1]}, {grown[-1][0]:.2f} x")
            verdicts.judge(
                f"{size_of}, growth over a tenth of it, median of {len(grown)} equal answers",
                grown[len(grown) // 2][0],
                "<=",
                GROWTH_GOAL,
                "x",
            )
            verdicts.judge(f"{size_of}, memory", pss_mb([server.process]), "<=", MEMORY_GOAL_MB, "MB (PSS)")
            for client, _ in worlds:
                client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=800, help="events per count of clients")
    parser.add_argument("--only", choices=["ingest", "reads", "large"], help="large: 10 000 jobs x 20 runs")
    chosen = parser.parse_args()
    # An end from outside is an end by exception: servers and databases are put away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as folder, temporary_cluster(Path(folder), fsync=True) as dsn:
        if chosen.only in (None, "ingest"):
            ingest(verdicts, dsn, chosen.events)
        if chosen.only in (None, "reads"):
            histories(verdicts, dsn, [Plan("g50", 50, 200), Plan("g1000", 1000, 20)])
        if chosen.only == "large":
            histories(verdicts, dsn, [Plan("g10000", 10_000, 20)])
    print(
        f"for reference, a Marquez measured before: {MARQUEZ_PER_SECOND} events/s by clients, {MARQUEZ_MEMORY_MB} MB and more"
    )
    return 1 if verdicts.short else 0


if __name__ == "__main__":
    sys.exit(main())
