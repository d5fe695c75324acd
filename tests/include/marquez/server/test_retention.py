"""Retention: old runs go, and nothing that is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from include.marquez.client import MarquezClient

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def server(lineage_server: Any) -> Any:
    """A server that takes events of any age; nothing else is in its database."""
    with lineage_server.another() as server:
        yield server


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


@pytest.fixture
def tell(server: Any, scene: Any, make_dataset: Any) -> Any:
    """Tell a run of a job so many days ago, with what it reads and writes; return its id."""
    with MarquezClient(server.url, server.admin_url) as client:
        scene.client = client

        def ran(job: str, days: float, reads: list[str], writes: list[str], kind: str = "COMPLETE") -> str:
            run = str(uuid4())
            inputs, outputs = ([make_dataset(name, "a") for name in names] for names in (reads, writes))
            for word, age in (("START", days), (kind, days - 0.01)):
                scene.post(
                    scene.event(word, job, run, 1, inputs=inputs, outputs=outputs)
                    | {"eventTime": days_ago(age)}
                )
            return run

        yield ran


def removal(server: Any, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"THROUGHLINE_LINEAGE_DSN": server.dsn, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "include.cli", "lineage-retention", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def kept(server: Any) -> set[str]:
    with psycopg.connect(server.dsn) as connection:
        return {str(row[0]) for row in connection.execute("SELECT id FROM run")}


def test_what_is_in_use_stays_whatever_its_age(server: Any, scene: Any, tell: Any) -> None:
    gone = tell("load", 100, [], ["raw"])
    read_by_kept = tell("load", 60, [], ["raw"])
    upstream_of_it = tell("tidy", 59, ["raw"], ["clean"])
    tell("load", 50, [], ["raw"], "FAIL")  # wrote nothing that became current
    reader = tell(
        "report", 40, ["clean"], ["pdf"]
    )  # the latest run of its job: it stays, and holds on to `clean`
    tell("tidy", 20, ["raw"], ["clean"])
    latest = tell("load", 10, [], ["raw"])
    recent = tell("tidy", 5, ["raw"], ["clean"])
    before = scene.client.graph(scene.node("report"))
    counted = removal(server, "--days", "30", "--dry-run")
    assert "2 of 5 old runs would go" in counted.stdout
    assert gone in kept(server)
    assert (
        "2 of 5 old runs removed, with 4 events and 2 dataset versions"
        in removal(server, "--days", "30").stdout
    )
    found = kept(server)
    assert gone not in found
    assert {read_by_kept, upstream_of_it, reader, latest, recent} <= found
    assert len(found) == 6
    assert scene.client.run(gone) is None
    assert scene.client.events(run=gone)["totalCount"] == 0
    assert scene.client.events(run=reader)["totalCount"] == 2
    assert scene.client.events(limit=1)["totalCount"] == 12
    assert scene.client.job_runs(scene.namespace, "load")["totalCount"] == 2
    assert scene.client.graph(scene.node("report")) == before
    # A second sweep finds nothing more, and a removed event may come again.
    assert "0 of 3 old runs removed" in removal(server, "--days", "30").stdout
    again = tell("load", 100, [], ["raw"])
    assert scene.client.run(again)["state"] == "COMPLETED"


def test_what_a_run_read_stays_though_it_wrote_the_next_version_at_that_moment(
    server: Any, scene: Any, tell: Any, make_dataset: Any
) -> None:
    first = tell("load", 60, [], ["table"])
    tell("load", 10, [], ["other"])
    own = make_dataset("table", "a")
    scene.post(
        scene.event("COMPLETE", "update", str(uuid4()), 1, inputs=[own], outputs=[own])
        | {"eventTime": days_ago(50)}
    )
    before = scene.client.graph(scene.node("update"))
    assert "0 of 2 old runs removed" in removal(server, "--days", "30").stdout
    assert first in kept(server)
    assert scene.client.graph(scene.node("update")) == before


def test_a_long_history_goes_in_batches(server: Any, scene: Any, tell: Any) -> None:
    events = []
    for i in range(450):
        run = str(uuid4())
        events.append(scene.event("COMPLETE", f"job{i % 3}", run, 1) | {"eventTime": days_ago(400 - i / 10)})
    scene.client.post_batch(events)
    assert "447 of 450 old runs removed, with 447 events" in removal(server, "--days", "30").stdout
    assert len(kept(server)) == 3


def test_the_server_removes_by_itself_when_it_is_told_to(server: Any, scene: Any, tell: Any) -> None:
    old = [tell("load", days, [], ["raw"]) for days in (90, 80, 70)]
    with server.another(server.dsn, THROUGHLINE_LINEAGE_RETENTION_DAYS="30") as second:
        metrics = ""
        while "lineage_retention_runs_total 2" not in metrics:
            metrics = httpx.get(f"{second.admin_url}/metrics").text
            assert second.process.poll() is None
    assert kept(server) == {old[-1]}
