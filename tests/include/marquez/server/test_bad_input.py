"""What no careful client sends: every case has the status that docs/lineage-server.md tells, and stores all or nothing."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from include.marquez.server.openlineage import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "lineage-server.md"
JSON = {"content-type": "application/json"}
FACET = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
TABLES = (
    "event",
    "namespace",
    "job",
    "job_version",
    "run",
    "run_io",
    "dataset",
    "dataset_name",
    "dataset_version",
)
WIDE = "\U0001f600"


def event(**changes: Any) -> dict[str, Any]:
    """A whole event of a run of its own, with some parts changed."""
    told: dict[str, Any] = {
        "eventType": "COMPLETE",
        "eventTime": "2026-03-01T00:00:00Z",
        "producer": "https://example.org/p",
        "run": {"runId": str(uuid4())},
        "job": {"namespace": "odd", "name": f"job {uuid4()}"},
    }
    return told | changes


def packed(**changes: Any) -> bytes:
    return json.dumps(event(**changes)).encode()


def dataset(name: str, namespace: str = "file", **facets: Any) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "facets": facets}


def links(namespace: str) -> dict[str, Any]:
    return {**FACET, "identifiers": [{"namespace": namespace, "name": "n", "type": "TABLE"}]}


def run_facet(**said: Any) -> dict[str, Any]:
    return {"runId": str(uuid4()), "facets": {"odd": {**FACET, **said}}}


def distinct(length: int) -> str:
    """Text that compression does not shorten."""
    return "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(length))


# name of the case in the page -> the body, and what the request says of it
CASES: dict[str, Callable[[], tuple[bytes, dict[str, str]]]] = {
    "no body": lambda: (b"", {}),
    "no JSON": lambda: (b'{"eventTime": ', {}),
    "no object": lambda: (b"[1]", {}),
    "no UTF-8": lambda: (b'{"a": "\xff"}', {}),
    "another content type": lambda: (packed(), {"content-type": "text/plain"}),
    "a missing field": lambda: (
        json.dumps({k: v for k, v in event().items() if k != "producer"}).encode(),
        {},
    ),
    "a number that JSON does not have": lambda: (b'{"eventTime": NaN}', {}),
    "an integer beyond 64 bits": lambda: (packed(run=run_facet(n=10**40)), {}),
    "more than 200 levels": lambda: (packed(run=run_facet(deep=json.loads("[" * 220 + "]" * 220))), {}),
    "a hundred thousand levels": lambda: (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "NUL": lambda: (packed(job={"namespace": "odd", "name": "a\x00b"}), {}),
    "a lone surrogate": lambda: (packed(job={"namespace": "odd", "name": "a\ud800b"}), {}),
    "gzip": lambda: (gzip.compress(packed()), {"content-encoding": "gzip"}),
    "truncated gzip": lambda: (gzip.compress(packed())[:-9], {"content-encoding": "gzip"}),
    "no gzip": lambda: (packed(), {"content-encoding": "gzip"}),
    "a gzip bomb": lambda: (gzip.compress(b" " * 100_000_000), {"content-encoding": "gzip"}),
    "more than 32 MB": lambda: (b" " * (32 * 1024 * 1024 + 1), {}),
    "ten thousand datasets": lambda: (
        packed(outputs=[dataset(f"{uuid4()}") for _ in range(10_000)]),
        {},
    ),
    "a name of 1 MB": lambda: (
        packed(job={"namespace": "odd", "name": distinct(350_000)}, outputs=[dataset(distinct(350_001))]),
        {},
    ),
    "a source of 1 MB": lambda: (
        packed(outputs=[dataset("s", dataSource={**FACET, "name": distinct(350_000), "uri": "file://x"})]),
        {},
    ),
    "a namespace of more than 1024 bytes": lambda: (packed(outputs=[dataset("n", WIDE * 257)]), {}),
    "a namespace of 1024 bytes": lambda: (packed(outputs=[dataset(distinct(400), distinct(341) + "x")]), {}),
    "a symlink's namespace of 1 MB": lambda: (
        packed(outputs=[dataset("l", symlinks=links("n" * 1_000_000))]),
        {},
    ),
    "a number for a name": lambda: (
        packed(outputs=[dataset("m", symlinks={**FACET, "identifiers": [{"namespace": 1, "name": 2}]})]),
        {},
    ),
    "year 0001": lambda: (packed(eventTime="0001-01-01T00:00:00Z"), {}),
    "year 9999": lambda: (packed(eventTime="9999-12-31T23:59:59.999999Z"), {}),
    "a time before year 1": lambda: (packed(eventTime="0001-01-01T00:00:00+14:00"), {}),
    "a time after year 9999": lambda: (packed(eventTime="9999-12-31T23:59:59.9999999Z"), {}),
    "a job that reads what it writes": lambda: (
        packed(inputs=[dataset("loop")], outputs=[dataset("loop")]),
        {},
    ),
}


def told() -> dict[str, int]:
    """The page's table: case -> status."""
    rows = re.findall(r"^\| (.+?) \| (\d{3}) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(status) for name, status in rows}


def test_the_page_tells_every_case() -> None:
    assert told().keys() == CASES.keys()


def counted(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # type: ignore[index]  # count(*) has a row


@pytest.fixture(scope="module")
def server(lineage_server: Any) -> Any:
    """A server of this module alone: what it holds is counted, and its lists are read whole."""
    with lineage_server.another() as server:
        yield server


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_status_and_nothing_half_stored(server: Any, case: str) -> None:
    body, headers = CASES[case]()
    before = counted(server.dsn)
    response = httpx.post(f"{server.url}/api/v1/lineage", content=body, headers=JSON | headers, timeout=120)
    assert response.status_code == told()[case]
    stored = [now - then for now, then in zip(counted(server.dsn), before, strict=True)]
    if response.status_code == 201:
        assert response.content == b""
        assert (stored[0], stored[4]) == (1, 1)
    else:
        assert stored == [0] * len(TABLES)
        assert response.json().keys() <= {"code", "message", "errors"}


def test_after_all_of_them_every_list_can_be_read(server: Any) -> None:
    for case in CASES.values():
        body, headers = case()
        httpx.post(f"{server.url}/api/v1/lineage", content=body, headers=JSON | headers, timeout=120)
    for path in (
        "/jobs?limit=1000",
        "/namespaces/odd/jobs",
        "/namespaces/file/datasets?limit=20000",
        "/namespaces?limit=1000",
        "/sources",
        "/search?q=a&limit=100",
        "/events/lineage?after=0001-01-01T00:00:00Z&before=9999-12-31T23:59:59Z",
        "/stats/jobs?period=DAY",
        "/stats/lineage-events?period=WEEK&timezone=UTC",
    ):
        assert httpx.get(f"{server.url}/api/v1{path}", timeout=120).status_code == 200, path


def test_the_edges_of_time_are_shown_to_the_microsecond_beside_them(scene: Any) -> None:
    early, late = str(uuid4()), str(uuid4())
    for run, told, shown in (
        (early, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000001Z"),
        (late, "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999998Z"),
    ):
        for kind in ("START", "COMPLETE"):
            scene.post(scene.event(kind, "old", run, 1) | {"eventTime": told})
        assert scene.client.run(run)["endedAt"] == shown
    assert scene.client.job(scene.namespace, "old")["latestRun"]["id"] == late


@pytest.mark.parametrize("late_first", [False, True])
def test_a_run_that_changes_its_job_belongs_to_the_job_of_its_first_event(
    scene: Any, late_first: bool
) -> None:
    run = str(uuid4())
    events = [scene.event("START", "was", run, 1), scene.event("COMPLETE", "became", run, 2)]
    scene.post(*(reversed(events) if late_first else events))
    assert scene.client.run(run)["state"] == "COMPLETED"
    assert [found["id"] for found in scene.client.job_runs(scene.namespace, "was")["runs"]] == [run]
    assert scene.client.job_runs(scene.namespace, "became")["runs"] == []
    assert scene.client.job(scene.namespace, "was")["latestRun"]["id"] == run
    assert scene.client.job(scene.namespace, "became")["latestRun"] is None


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_events_of_one_time_their_content_says_which_is_later(scene: Any, swapped: bool) -> None:
    run = str(uuid4())
    events = [
        scene.event("COMPLETE", "twice", run, 1, run_facets={"says": {**FACET, "word": word}})
        for word in ("one", "two")
    ]
    later = max(events, key=lambda told: digest_of(told)[0])
    if (events[0] is later) == swapped:
        events.reverse()
    scene.post(*events)
    assert scene.client.run_facets(run) == later["run"]["facets"]
    assert scene.client.events(run=run)["totalCount"] == 2
