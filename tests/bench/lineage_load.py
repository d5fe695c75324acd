"""The load of the lineage server's benchmark: events as large as an Airflow task's, clients that post them, their floor.

Jobs form a graph: the first half is a chain (job k reads table k and writes table k + 1), the other half reads the
table in the middle of the chain, the hub, and each writes a table of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PRODUCER = "https://github.com/apache/airflow/tree/providers-openlineage/2.20.0"
SPEC = "https://openlineage.io/spec/facets/1-0-0/"
BEGUN = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = ("order_id", "customer_id", "ordered_at", "amount_cents", "currency", "_batch_id")


def facet(schema: str, **said: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}{schema}.json#/$defs/{schema}", **said}


def table(name: str) -> dict[str, Any]:
    """A dataset with the facets that a task of this project tells of one: about 4 kB."""
    fields = [{"name": column, "type": "VARCHAR", "description": f"the {column}"} for column in COLUMNS]
    rules = [{"assertion": f"{column}_is_known", "column": column, "success": True} for column in COLUMNS[:3]]
    tags = [{"key": key, "value": "production", "source": "DAG"} for key in ("environment", "team", "tier")]
    return {
        "namespace": "file",
        "name": name,
        "facets": {
            "dataSource": facet("DatasourceDatasetFacet", name="lake", uri="file:///lake"),
            "schema": facet("SchemaDatasetFacet", fields=fields),
            "documentation": facet("DocumentationDatasetFacet", description=f"Orders, cleaned: {name}"),
            "ownership": facet("OwnershipDatasetFacet", owners=[{"name": "data", "type": "MAINTAINER"}]),
            "storage": facet("StorageDatasetFacet", storageLayer="lake", fileFormat="parquet"),
            "datasetType": facet("DatasetTypeDatasetFacet", datasetType="TABLE", subType="SILVER"),
            "version": facet("DatasetVersionDatasetFacet", datasetVersion="0197f1c2b3"),
            "lifecycleStateChange": facet(
                "LifecycleStateChangeDatasetFacet", lifecycleStateChange="OVERWRITE"
            ),
            "dataQualityAssertions": facet("DataQualityAssertionsDatasetFacet", assertions=rules),
            "tags": facet("TagsDatasetFacet", tags=tags),
        },
    }


def task_event(namespace: str, job: str, run: str, kind: str, at: datetime, reads: str, writes: str) -> bytes:
    """An event of an Airflow task: one input, one output, twelve kilobytes of facets."""
    source, target = table(reads), table(writes)
    source["inputFacets"] = {"inputStatistics": facet("InputStatisticsInputDatasetFacet", rowCount=120_000)}
    target["outputFacets"] = {
        "outputStatistics": facet("OutputStatisticsOutputDatasetFacet", rowCount=119_000, size=4_000_000)
    }
    target["facets"]["columnLineage"] = facet(
        "ColumnLineageDatasetFacet",
        fields={
            column: {"inputFields": [{"namespace": "file", "name": reads, "field": column}]}
            for column in COLUMNS
        },
    )
    labels = [{"key": "throughline", "value": "benchmark", "source": "USER"}]
    event = {
        "eventType": kind,
        "eventTime": at.isoformat(timespec="microseconds"),
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": run,
            "facets": {
                "nominalTime": facet("NominalTimeRunFacet", nominalStartTime="2026-11-01T00:00:00Z"),
                "processing_engine": facet("ProcessingEngineRunFacet", name="Airflow", version="3.3.2"),
                "tags": facet("TagsRunFacet", tags=labels),
                "throughline_job": facet("ThroughlineJobRunFacet", job_id=run, attempt=1, queue="default"),
            },
        },
        "job": {
            "namespace": namespace,
            "name": job,
            "facets": {
                "jobType": facet(
                    "JobTypeJobFacet", processingType="BATCH", integration="AIRFLOW", jobType="TASK"
                ),
                "documentation": facet("DocumentationJobFacet", description=f"Cleans what {job} reads."),
                "ownership": facet("OwnershipJobFacet", owners=[{"name": "data", "type": "MAINTAINER"}]),
                "sql": facet("SQLJobFacet", query="SELECT * FROM orders WHERE amount_cents > 0 " * 12),
                "sourceCodeLocation": facet(
                    "SourceCodeLocationJobFacet", type="git", url="https://git.example/dags/medallion.py"
                ),
            },
        },
        "inputs": [source],
        "outputs": [target],
    }
    return json.dumps(event).encode()


@dataclass(frozen=True)
class Plan:
    """So many jobs, each with so many runs; `name` keeps worlds apart."""

    name: str
    jobs: int
    runs: int

    @property
    def hub(self) -> str:
        return self.table_name(self.jobs // 4)

    def table_name(self, k: int) -> str:
        return f"{self.name}/table_{k:05d}"

    def job_name(self, k: int) -> str:
        return f"{self.name}.task_{k:05d}"

    def edges(self, k: int) -> tuple[str, str]:
        if k < self.jobs // 2:
            return self.table_name(k), self.table_name(k + 1)
        return self.hub, f"{self.name}/leaf_{k:05d}"

    def run_id(self, k: int, r: int) -> str:
        return str(uuid5(NAMESPACE_URL, f"{self.name}/{k}/{r}"))

    def run_events(self, k: int, r: int) -> list[bytes]:
        """START and COMPLETE of run `r` of job `k`; runs follow each other."""
        at = BEGUN + timedelta(seconds=(r * self.jobs + k) * 2)
        reads, writes = self.edges(k)
        who = (self.name, self.job_name(k), self.run_id(k, r))
        return [
            task_event(*who, "START", at, reads, writes),
            task_event(*who, "COMPLETE", at + timedelta(seconds=1), reads, writes),
        ]

    def events(self) -> Iterator[list[bytes]]:
        """Every run's events, the jobs side by side."""
        for r in range(self.runs):
            for k in range(self.jobs):
                yield self.run_events(k, r)


@dataclass
class Pace:
    """What a pump did."""

    done: int
    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        return self.done / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=300)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"content-type": "application/json"} if body is not None else {}
        self._http.request(method, path, body, headers)
        response = self._http.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path[:200]} answered {response.status}: {answer[:300]!r}")
        return answer

    def close(self) -> None:
        self._http.close()


def pump(url: str, path: str, units: Iterable[list[bytes]], clients: int) -> Pace:
    """Post units of bodies; the bodies of one unit go in order over one connection. Raises on any refusal."""
    work, lock = iter(units), threading.Lock()
    latencies: list[float] = []
    failures: list[BaseException] = []

    def one() -> None:
        client = Client(url)
        try:
            while not failures:
                with lock:
                    unit = next(work, None)
                if unit is None:
                    break
                for body in unit:
                    begun = time.perf_counter()
                    client.ask("POST", path, body)
                    latencies.append(time.perf_counter() - begun)
        except BaseException as error:  # shown by the caller's thread
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=one) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if failures:
        raise SystemExit(f"the load failed: {failures[0]!r}")
    return Pace(len(latencies), seconds, latencies)


def batches(events: Iterable[list[bytes]], size: int) -> Iterator[list[bytes]]:
    """Bodies for the batch route: whole runs, `size` events each."""
    held: list[bytes] = []
    for unit in events:
        held += unit
        if len(held) >= size:
            yield [b"[" + b",".join(held) + b"]"]
            held = []
    if held:
        yield [b"[" + b",".join(held) + b"]"]


def floor(dsn: str, bodies: list[bytes], connections: int, rows: int = 1) -> float:
    """Events per second of a bare insert of the same JSON, `rows` to a transaction: what storing alone costs."""

    async def measure() -> float:
        pool = await asyncpg.create_pool(dsn, min_size=connections, max_size=connections)
        await pool.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, body text NOT NULL)")
        texts = iter([[b.decode() for b in bodies[i : i + rows]] for i in range(0, len(bodies), rows)])

        async def one() -> None:
            async with pool.acquire() as connection:
                for group in texts:
                    await connection.execute(
                        "INSERT INTO bare (body) SELECT * FROM unnest($1::text[])", group
                    )

        await asyncio.gather(*(one() for _ in range(connections)))  # prepares every connection's statement
        texts = iter([[b.decode() for b in bodies[i : i + rows]] for i in range(0, len(bodies), rows)])
        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        seconds = time.perf_counter() - begun
        await pool.execute("DROP TABLE bare")
        await pool.close()
        return len(bodies) / seconds

    return asyncio.run(measure())


def pss_mb(processes: Iterable[int]) -> float:
    """Proportional memory of processes, in MB (10^6 bytes); what they share is counted once."""
    total = 0
    for process in processes:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
