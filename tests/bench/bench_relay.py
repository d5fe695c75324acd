"""How fast the relay delivers: from the event table into an embedded lineage server, beside plain POSTs of the same events.

Every contender has a server of its own, empty at first, on the same PostgreSQL (with fsync). They take turns, in
changing order, and the median of their rounds counts: what else the machine does meets all of them. The relay's time
includes reading the event table and noting each delivery in it. Run with `make bench ONLY=relay`.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
import psycopg

from include.ledger.migrations import upgrade
from include.lineage.events import store_event
from include.lineage.relay import drain_once
from include.marquez.client import MarquezClient
from include.stack.postgres import temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
JOBS = 40
RUNS = 6
ROUNDS = 4
LANES = 4
ONE_BY_ONE = 1.0  # times the plain POSTs, one after the other
BATCHES = 2.0
PRODUCER = "https://throughline.example/bench"
FACET = {
    "_producer": PRODUCER,
    "_schemaURL": "https://openlineage.io/spec/facets/1-0-0/Facet.json#/$defs/Facet",
}


def dataset(name: str) -> Json:
    fields = [{"name": f"column_{n}", "type": "VARCHAR", "description": "what it holds"} for n in range(12)]
    return {
        "namespace": "throughline",
        "name": name,
        "facets": {
            "dataSource": {**FACET, "name": "lake", "uri": "file:///lake"},
            "schema": {**FACET, "fields": fields},
            "documentation": {**FACET, "description": f"Rows of {name}"},
        },
    }


def made_events(day: int) -> list[Json]:
    """START and COMPLETE of every run, in turns over the jobs; each job reads the table of the one before it."""
    events = []
    for number in range(RUNS):
        for minute, kind in enumerate(["START", "COMPLETE"]):
            for job in range(JOBS):
                run = uuid5(NAMESPACE_URL, f"{day}/{job}/{number}")
                facet = {
                    **FACET,
                    "job_id": str(uuid5(NAMESPACE_URL, "job")),
                    "dag_id": "bench",
                    "run_id": f"r{number}",
                }
                events.append(
                    {
                        "eventType": kind,
                        "eventTime": f"2026-11-{day:02d}T{number:02d}:{minute:02d}:00Z",
                        "producer": PRODUCER,
                        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                        "run": {"runId": str(run), "facets": {"throughline_job": facet}},
                        "job": {"namespace": "throughline", "name": f"bench.job_{job:02d}"},
                        "inputs": [dataset(f"lake/table_{job}")],
                        "outputs": [dataset(f"lake/table_{job + 1}")],
                    }
                )
    return events


@contextmanager
def server(base: str) -> Iterator[str]:
    """Run an embedded lineage server on an empty database; yield its address."""
    database = f"lineage_{uuid4().hex[:8]}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    url, admin = (f"http://127.0.0.1:{port}" for port in ports)
    names = {"THROUGHLINE_LINEAGE_DSN": f"{base}/{database}", "MARQUEZ_URL": url, "MARQUEZ_ADMIN_URL": admin}
    process = subprocess.Popen(
        [sys.executable, "-m", "include.marquez.server"],
        env=os.environ | names | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{admin}/ping", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("the lineage server did not start") from None
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def holds_everything(url: str, count: int) -> bool:
    """Whether the server knows every event, and every run as completed."""
    with MarquezClient(url) as client:
        if client.events(limit=1)["totalCount"] != count:
            return False
        listed = [
            client.job_runs("throughline", f"bench.job_{job:02d}", limit=RUNS * ROUNDS + 1)
            for job in range(JOBS)
        ]
    return all(
        one is not None and [run["state"] for run in one["runs"]] == ["COMPLETED"] * RUNS * ROUNDS
        for one in listed
    )


def plain(url: str, lanes: list[list[Json]]) -> None:
    """Each lane's events one after the other over one connection, as an OpenLineage client's HTTP transport sends them."""

    def send(lane: list[Json]) -> None:
        with httpx.Client(timeout=60) as client:
            for event in lane:
                client.post(f"{url}/api/v1/lineage", json=event).raise_for_status()

    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(send, lanes))


class OneByOne(MarquezClient):
    """Speaks as to a real Marquez, which takes no batches."""

    def takes_batches(self) -> bool:
        return False


def parted(events: list[Json]) -> list[list[Json]]:
    """The events for several clients, each job's for one of them."""
    return [[event for event in events if int(event["job"]["name"][-2:]) % LANES == n] for n in range(LANES)]


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def relayed(ledger: str, url: str, day: int, kind: type[MarquezClient]) -> float:
    """Let the relay deliver the events of a day; return the seconds."""
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute(
            "UPDATE event SET attempts = 0, delivered_at ="
            " CASE WHEN extract(day FROM event_time AT TIME ZONE 'UTC') <> %s THEN now() END",
            (day,),
        )
        connection.execute("VACUUM ANALYZE event")
    with kind(url) as client:
        return timed(lambda: drain_once(ledger, client))


def main() -> int:
    days = {day: made_events(day) for day in range(1, ROUNDS + 1)}
    count = len(days[1])
    size = sum(len(json.dumps(event)) for event in days[1]) / count
    contenders: dict[str, Callable[[str, str, int], float]] = {
        "plain POSTs, 1 client": lambda ledger, url, day: timed(lambda: plain(url, [days[day]])),
        f"plain POSTs, {LANES} clients": lambda ledger, url, day: timed(
            lambda: plain(url, parted(days[day]))
        ),
        "relay, one by one": lambda ledger, url, day: relayed(ledger, url, day, OneByOne),
        "relay, batches": lambda ledger, url, day: relayed(ledger, url, day, MarquezClient),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    with (
        tempfile.TemporaryDirectory() as folder,
        temporary_cluster(Path(folder), fsync=True) as dsn,
        ExitStack() as servers,
    ):
        base = dsn.rsplit("/", 1)[0]
        ledger = f"{base}/bench_ledger"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench_ledger")
        upgrade(ledger)
        with psycopg.connect(ledger, autocommit=True) as connection, connection.transaction():
            for event in (event for events in days.values() for event in events):
                store_event(connection, event)
        urls = {name: servers.enter_context(server(base)) for name in contenders}
        names = list(contenders)
        for day in days:
            for name in names[day % len(names) :] + names[: day % len(names)]:
                rates[name].append(count / contenders[name](ledger, urls[name], day))
        for name, url in urls.items():
            if not holds_everything(url, ROUNDS * count):
                print(f"wrong answer: after '{name}' the server does not hold every event")
                return 1
    middle = {name: statistics.median(found) for name, found in rates.items()}
    peer = middle["plain POSTs, 1 client"]
    print(f"{count} events of {size / 1024:.1f} KiB of {JOBS} jobs, median of {ROUNDS} rounds")
    for name, rate in middle.items():
        spread = f"{min(rates[name]):.0f} to {max(rates[name]):.0f}"
        print(f"{name:24}{rate:8.0f} events/s   x{rate / peer:.2f}   ({spread})")
    status = 0
    for name, goal in (("one by one", ONE_BY_ONE), ("batches", BATCHES)):
        ratio = middle[f"relay, {name}"] / peer
        verdict = "ok" if ratio >= goal else "short"
        status |= verdict == "short"
        print(f"relay {name} against plain POSTs: {ratio:.2f} (goal >= {goal:.1f}) {verdict}")
    return status


if __name__ == "__main__":
    sys.exit(main())
