"""Whatever the order in which the events of several runs arrive, every read of the API answers the same."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.kept_nodes import KeptNodes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

V1 = "/api/v1"
FACET = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
DAY = "2026-03-01"
JOBS = ["dag", "dag.load", "dag.tidy", "dag.sum"]
TABLES = ["raw", "clean", "out"]
RUNS = [f"{n}0000000-0000-4000-8000-000000000000" for n in range(1, 5)]


def table(name: str, columns: list[str], made_from: list[str]) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "dataSource": {**FACET, "name": "file", "uri": "file://here"},
        "schema": {**FACET, "fields": [{"name": column, "type": "text"} for column in columns]},
    }
    if made_from:
        sources = [{"namespace": "file", "name": source, "field": "a"} for source in made_from]
        facets["columnLineage"] = {**FACET, "fields": {columns[0]: {"inputFields": sources}}}
    return {"namespace": "file", "name": name, "facets": facets}


@st.composite
def run_events(draw: Any, number: int) -> list[dict[str, Any]]:
    """The events of one run: some of START, RUNNING and OTHER, perhaps an end, at minutes that other runs share."""
    job = draw(st.sampled_from(JOBS))
    begun = draw(st.integers(0, 20))
    reads = draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=2))
    writes = draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=2))
    columns = draw(st.sampled_from([["a"], ["a", "b"], ["b", "a"]]))
    kinds = draw(st.lists(st.sampled_from(["START", "RUNNING", "OTHER"]), unique=True, max_size=2))
    end = draw(st.sampled_from(["COMPLETE", "COMPLETE", "FAIL", "ABORT", None]))
    facets: dict[str, Any] = {"nominalTime": {**FACET, "nominalStartTime": f"{DAY}T00:00:00Z"}}
    if job != "dag" and draw(st.booleans()):
        facets["parent"] = {**FACET, "run": {"runId": RUNS[0]}, "job": {"namespace": "orders", "name": "dag"}}
    events = []
    for place, kind in enumerate([*kinds, *([end] if end else [])]):
        tells = draw(st.booleans()) or kind == end
        events.append(
            {
                "eventType": kind,
                "eventTime": f"{DAY}T00:{begun + place * draw(st.integers(0, 3)):02d}:00Z",
                "producer": "https://example.org/p",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                "run": {
                    "runId": RUNS[number],
                    "facets": facets | {"says": {**FACET, "kind": kind, "run": number}},
                },
                "job": {
                    "namespace": "orders",
                    "name": job,
                    "facets": {"documentation": {**FACET, "description": f"{number} {kind}"}},
                },
                "inputs": [table(name, columns, []) for name in reads] if tells else [],
                "outputs": [table(name, columns, reads) for name in writes] if tells else [],
            }
        )
    return events


@st.composite
def stories(draw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events of up to four runs, in the order of what happened, and in another."""
    events = [event for number in range(draw(st.integers(2, 4))) for event in draw(run_events(number))]
    events.sort(key=lambda event: event["eventTime"])
    return events, draw(st.permutations(events))


# Every read route, with the names that it is asked about.
PLACES = {
    "namespace": ["orders", "file"],
    "job": JOBS,
    "dataset": TABLES,
    "run": RUNS,
    "source": ["file"],
    "what": ["jobs", "datasets", "sources"],
}
QUERIES = {
    f"{V1}/lineage": [f"nodeId={quote(node, safe='')}&depth={depth}{own}" for node in (*(f"job:orders:{job}" for job in JOBS), *(f"dataset:file:{name}" for name in TABLES)) for depth in (0, 1, 9) for own in ("", "&latestRun=own")],
    f"{V1}/column-lineage": [f"nodeId={quote(node, safe='')}{more}" for node in (*(f"job:orders:{job}" for job in JOBS), *(f"dataset:file:{name}" for name in TABLES), "datasetField:file:clean:a") for more in ("", "&withDownstream=true", "&withDownstream=true&sources=true")],
    f"{V1}/runlineage/upstream": [f"runId={run}" for run in RUNS],
    f"{V1}/runlineage/downstream": [f"runId={run}" for run in RUNS],
    f"{V1}/events/lineage": ["", "sortDirection=asc&limit=3", "namespace=orders&job=dag", f"run={RUNS[1]}"],
    f"{V1}/search": ["q=a", "q=dag&filter=JOB&limit=2", "q=%25"],
    f"{V1}/stats/{{what}}": ["period=DAY"],
    f"{V1}/jobs": ["", "limit=2&offset=1", "lastRunStates=COMPLETED"],
    f"{V1}/namespaces/{{namespace}}/jobs": ["", "limit=1"],
    f"{V1}/jobs/runs/{{run}}/facets": ["type=run", "type=job"],
}  # fmt: skip


def addresses(route: str) -> Iterator[str]:
    """Yield what is asked of a read route; a version in it is the first that its list shows."""
    paths = [route]
    for name, values in PLACES.items():
        if f"{{{name}}}" in route:
            paths = [path.replace(f"{{{name}}}", quote(value, safe="")) for path in paths for value in values]
    for path in paths:
        yield from (f"{path}?{query}" if query else path for query in QUERIES.get(route, [""]))


def answers(http: httpx.Client) -> dict[str, Any]:
    """Return what every read route answers, times of the server's clock masked."""
    description = http.get(f"{V1}/openapi.json").json()["paths"]
    told: dict[str, Any] = {}
    for route in sorted(route for route, operations in description.items() if "get" in operations):
        if "{version}" in route:
            lists = {address: told[address] for address in addresses(route.removesuffix("/{version}"))}
            asked = [
                f"{address}/{item['version']}"
                for address, listed in lists.items()
                if listed[0] == 200
                for item in json.loads(listed[1])["versions"]
            ]
        else:
            asked = list(addresses(route))
        assert not any("{" in address for address in asked), route
        for address in asked:
            response = http.get(address)
            assert response.status_code < 500, (address, response.text)
            text = json.dumps(response.json() if response.content else None, sort_keys=True)
            text = re.sub(rf'"(?!{DAY})\d{{4}}-\d\d-\d\dT[^"]*"', '"CLOCK"', text)
            told[address] = response.status_code, text
    return told


def empty(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT IN ('schema_version', 'namespace', 'tag')"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)
        connection.execute(sql.SQL("TRUNCATE {}").format(names))
        connection.execute("DELETE FROM namespace WHERE name <> 'default'")


@pytest.fixture(scope="module")
def alone(lineage_server: Any) -> Any:
    """A server whose database is this module's to empty."""
    with lineage_server.another() as server, httpx.Client(base_url=server.url, timeout=60) as http:
        yield server, http


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=stories())
def test_a_node_that_is_kept_is_never_older_than_the_last_event(alone: Any, story: Any) -> None:
    server, http = alone
    _, events = story
    empty(server.dsn)
    with KeptNodes.of(server.dsn) as kept:
        for event in events:
            assert http.post(f"{V1}/lineage", json=event).status_code == 201
            assert kept.stale() == []


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking asks a server thousands of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=stories())
def test_interleavings_of_several_runs_are_read_alike(alone: Any, story: Any) -> None:
    server, http = alone
    read = []
    for events in story:
        empty(server.dsn)
        for event in events:
            assert http.post(f"{V1}/lineage", json=event).status_code == 201
        read.append(answers(http))
    different = {
        address: (told, read[1].get(address))
        for address, told in read[0].items()
        if told != read[1].get(address)
    }
    assert different == {}
    assert read[0].keys() == read[1].keys()
