"""Every operation of the server's own OpenAPI description, with parameters and bodies that nobody should send."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.marquez.server.app import create_app

pytestmark = pytest.mark.slow

CALM = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking asks a server thousands of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KNOWN = [
    "default",
    "file",
    "openapi",
    "",
    ".",
    "..",
    "a/b",
    "x" * 3000,
    "\x00",
    "%",
    "' OR 1=1 --",
    "ünï",
    "\ufffe",
    "#",
    "?",
    str(uuid4()),
]
NODES = [
    "job:openapi:j",
    "dataset:file:openapi/t",
    "datasetField:file:openapi/t:a",
    "job::",
    "dataset:a",
    "run:x",
    ":::",
    "job:a:b#x",
]
NUMBERS = ["0", "1", "-1", "1.5", "2147483648", "99999999999999999999", "", "x", "NaN", "1e3", " 1"]
TIMES = [
    "2026-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999+18:00",
    "2026-01-01",
    "yesterday",
    "-5-1-1",
]

names = st.one_of(st.sampled_from(KNOWN), st.text(max_size=40))
values = st.one_of(
    names,
    st.sampled_from([*NODES, *NUMBERS, *TIMES, "JOB", "run", "DAY", "week", "Mars/X", "true", "FAILED"]),
)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


def description() -> dict[str, Any]:
    # The description needs no database: it is made from the routes.
    spec: dict[str, Any] = create_app("postgresql:///unused").app.openapi()  # type: ignore[attr-defined]  # the edge holds the application
    return spec


OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in description()["paths"].items()
    for method, operation in operations.items()
]


def event() -> dict[str, Any]:
    facet = {"_producer": "https://example.org/p", "_schemaURL": "https://example.org/f.json"}
    table = {
        "namespace": "file",
        "name": "openapi/t",
        "facets": {"schema": {**facet, "fields": [{"name": "a"}]}},
    }
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-03-01T00:00:00Z",
        "producer": "https://example.org/p",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": "30000000-0000-4000-8000-000000000000",
            "facets": {"requestedRun": {**facet, "args": 1}},
        },
        "job": {"namespace": "openapi", "name": "j", "facets": {}},
        "inputs": [],
        "outputs": [table],
    }


@st.composite
def spoiled(draw: Any) -> Any:
    """A good event in which up to three values, at any depth, are something else."""
    told: Any = event()
    for _ in range(draw(st.integers(0, 3))):
        place = told
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(documents)
            break
    return told


@pytest.fixture(scope="module")
def http(lineage_server: Any) -> Any:
    with httpx.Client(base_url=lineage_server.url, timeout=30) as client:
        client.post("/api/v1/lineage", json=event()).raise_for_status()
        yield client


def test_the_description_is_served_and_names_every_read_and_write(http: httpx.Client) -> None:
    served = http.get("/api/v1/openapi.json").json()
    assert served["paths"].keys() == description()["paths"].keys()
    assert len(OPERATIONS) > 40
    assert all(operation.get("tags") for _, _, operation in OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS]
)
def test_no_request_is_a_server_error(
    http: httpx.Client, method: str, path: str, operation: dict[str, Any]
) -> None:
    places = operation.get("parameters", [])
    takes_body = method in ("POST", "PUT")

    @CALM
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        address = path
        for place in places:
            if place["in"] == "path":
                address = address.replace(f"{{{place['name']}}}", quote(data.draw(names), safe=""))
        asked = [
            (place["name"], data.draw(values))
            for place in places
            if place["in"] == "query" and data.draw(st.booleans())
        ]
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in asked)
        content, headers = None, {}
        if takes_body:
            body = data.draw(st.one_of(spoiled(), documents, st.lists(spoiled(), max_size=2)))
            content = data.draw(
                st.sampled_from([json.dumps(body).encode("utf-8", "surrogatepass"), b"", b"{", b"\xff"])
            )
            headers = {"content-type": data.draw(st.sampled_from(["application/json", "text/plain"]))}
        url = httpx.URL(http.base_url).copy_with(raw_path=f"{address}{'?' if query else ''}{query}".encode())
        response = http.request(method, url, content=content, headers=headers)
        assert response.status_code < 500, (response.status_code, response.text[:300])
        if response.status_code >= 400:
            told = response.json()
            assert told.get("errors") or (told["code"] == response.status_code and told["message"]), told

    ask()
    assert http.get("/api/v1/namespaces/openapi/jobs/j").status_code in (200, 404)
    for read in (
        "/api/v1/jobs",
        "/api/v1/namespaces",
        "/api/v1/sources",
        "/api/v1/namespaces/file/datasets",
        "/api/v1/events/lineage",
    ):
        assert http.get(read).status_code == 200, read
