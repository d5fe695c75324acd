"""Events to post, and a client of the running embedded server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from include.marquez.client import MarquezClient

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCER = "https://example.org/producer"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACET = {"_producer": PRODUCER, "_schemaURL": "https://example.org/facet.json"}


def dataset(
    name: str, *columns: str, made_from: dict[str, list[tuple[str, str]]] | None = None, **facets: Any
) -> dict[str, Any]:
    """A dataset of the namespace ``file``; `made_from`: column -> [(input dataset, input column)]."""
    told: dict[str, Any] = {"dataSource": {**FACET, "name": "file", "uri": "file://here"}, **facets}
    if columns:
        told["schema"] = {**FACET, "fields": [{"name": column, "type": "TEXT"} for column in columns]}
    if made_from:
        told["columnLineage"] = {
            **FACET,
            "fields": {
                column: {"inputFields": [{"namespace": "file", "name": n, "field": f} for n, f in sources]}
                for column, sources in made_from.items()
            },
        }
    return {"namespace": "file", "name": name, "facets": told}


@dataclass
class Scene:
    """A namespace of its own on the server, and the events that are told in it."""

    client: MarquezClient
    namespace: str = field(default_factory=lambda: f"ns-{uuid4().hex[:10]}")

    def named(self, name: str) -> str:
        """A dataset name that no other scene has."""
        return f"{self.namespace}/{name}"

    def event(
        self,
        kind: str | None,
        job: str,
        run: str,
        minute: float,
        *,
        inputs: list[dict[str, Any]] | None = None,
        outputs: list[dict[str, Any]] | None = None,
        run_facets: dict[str, Any] | None = None,
        job_facets: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "eventType": kind,
            "eventTime": f"2026-03-01T{int(minute) // 60:02d}:{int(minute) % 60:02d}:{int(minute * 60) % 60:02d}Z",
            "producer": PRODUCER,
            "schemaURL": SPEC + "RunEvent",
            "run": {"runId": run, "facets": run_facets or {}},
            "job": {"namespace": self.namespace, "name": job, "facets": job_facets or {}},
            "inputs": inputs or [],
            "outputs": outputs or [],
        }

    def post(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.client.deliver(event)

    def ran(
        self,
        job: str,
        minute: float,
        inputs: list[dict[str, Any]],
        outputs: list[dict[str, Any]],
        kind: str = "COMPLETE",
    ) -> str:
        """Tell a whole run, from START to its end half a minute later; return its id."""
        run = str(uuid4())
        self.post(
            self.event("START", job, run, minute, inputs=inputs, outputs=outputs),
            self.event(kind, job, run, minute + 0.5, inputs=inputs, outputs=outputs),
        )
        return run

    def node(self, job: str) -> str:
        return f"job:{self.namespace}:{job}"

    def nodes(self, node: str, depth: int = 20) -> set[str]:
        """Names of the nodes around a node, without namespaces."""
        graph = self.client.graph(node, depth)
        assert graph is not None, node
        return {item["data"]["name"].removeprefix(f"{self.namespace}/") for item in graph["graph"]}


@pytest.fixture
def client(lineage_server: Any) -> Iterator[MarquezClient]:
    with MarquezClient(lineage_server.url, lineage_server.admin_url) as client:
        yield client


@pytest.fixture
def scene(client: MarquezClient) -> Scene:
    return Scene(client)


@pytest.fixture
def make_dataset() -> Any:
    """The function `dataset`, for tests in other modules."""
    return dataset
