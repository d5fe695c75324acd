"""The recordings: what a real Marquez was told and asked and what it answered, and the same asked of another server."""

from __future__ import annotations

import gzip
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
from comparing import Comparison, Side, told_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from comparing import Difference

RECORDINGS = Path(__file__).resolve().parent / "recordings"
SCENARIOS = sorted(path.name.partition(".")[0] for path in (RECORDINGS / "answers").glob("*.json.gz"))
JSON = {"content-type": "application/json"}
NUMBERED = re.compile(r"^(?:revive )?\d+ ")


@dataclass(frozen=True)
class Answer:
    """One recorded answer and what another server answered."""

    request: str
    their_status: int
    status: int
    differences: tuple[Difference, ...]


@dataclass
class Scenario:
    """A recording by name; `told` are the lines that were posted."""

    name: str
    told: list[str] = field(init=False)
    recorded: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        with gzip.open(RECORDINGS / "corpus" / f"{self.name}.ndjson.gz", "rt", encoding="utf-8") as lines:
            self.told = [line for line in lines.read().split("\n") if line.strip()]
        with gzip.open(RECORDINGS / "answers" / f"{self.name}.json.gz", "rt", encoding="utf-8") as file:
            self.recorded = json.load(file)

    @property
    def made_of_requests(self) -> bool:
        """Whether its lines are whole requests with raw bodies, not events."""
        return "method" in json.loads(self.told[0])

    def told_in_turn(self, url: str, admin_url: str) -> Iterator[str]:
        """Tell a server, whose database must be empty, everything that changes something; yield each after it."""
        with httpx.Client(timeout=120, headers={"accept": "*/*"}) as http:
            asking = _Asking(self, http, url, admin_url)
            for recorded in (*asking.posts(), *self.recorded["mutations"]):
                asking.ask(recorded)
                yield recorded["key"]

    def replayed(self, url: str, admin_url: str) -> list[Answer]:
        """Tell and ask a server, whose database must be empty, everything that was recorded; return how it answered."""
        begun = time.time()
        asked: list[tuple[dict[str, Any], int, Any]] = []
        with httpx.Client(timeout=120, headers={"accept": "*/*"}) as http:
            asking = _Asking(self, http, url, admin_url)
            for recorded in (*asking.posts(), *self.recorded["gets"], *self.recorded["mutations"]):
                response = asking.ask(recorded)
                asked.append((recorded, response.status_code, _kept(recorded["body"], _body(response))))
        told = told_in("\n".join(self.told)) | told_in("\n".join(item["key"] for item, _, _ in asked))
        seen = [
            told_in(json.dumps(bodies))
            for bodies in zip(*((item["body"], body) for item, _, body in asked), strict=True)
        ]
        told |= seen[0] & seen[1]
        # The server may have made its first rows a while before it was asked anything.
        theirs = Side(told, self.recorded["started_at"], self.recorded["finished_at"])
        comparison = Comparison(theirs, Side(told, begun - 600, time.time() + 2))
        return [
            Answer(
                NUMBERED.sub(
                    lambda found: "revive " if found[0].startswith("revive") else "", recorded["key"]
                ),
                recorded["status"],
                status,
                tuple(
                    [("$status", recorded["status"], status)]
                    if recorded["status"] != status
                    else comparison.differences(recorded["body"], body)
                ),
            )
            for recorded, status, body in asked
        ]


def _body(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        return response.text


def _kept(recorded: Any, body: Any) -> Any:
    """Of an answer that was too big to record only the keys are compared."""
    if isinstance(recorded, dict) and "too big to keep" in recorded and isinstance(body, dict):
        return {"too big to keep": True, "keys": sorted(body)}
    return body


class _Asking:
    """Asks what the recorder asked, in its order; a version that stood in a path is the server's own."""

    def __init__(self, scenario: Scenario, http: httpx.Client, url: str, admin_url: str) -> None:
        self.scenario = scenario
        self.http, self.url, self.admin_url = http, httpx.URL(url), httpx.URL(admin_url)
        self.versions: dict[str, list[str]] = {}
        self.bodies = _bodies(scenario)

    def posts(self) -> Iterator[dict[str, Any]]:
        yield from self.scenario.recorded["posts"]

    def ask(self, recorded: dict[str, Any]) -> httpx.Response:
        key, method, path = recorded["key"], recorded["method"], recorded["path"]
        body, headers = next(self.bodies.get(key, iter(())), (None, {}))
        if "{v" in key:
            path = self._with_version(key.partition(" ")[2])
        base = self.admin_url if key.startswith("GET admin ") else self.url
        address = base.copy_with(raw_path=path.encode())
        response = self.http.request(method, address, content=body, headers=headers)
        if path.endswith("/versions") and response.status_code == 200:
            self.versions[path] = [item["version"] for item in response.json()["versions"]]
        return response

    def _with_version(self, key: str) -> str:
        found = re.search(r"\{v(\d)\}", key)
        assert found
        listed = key.rpartition("/")[0]
        if "column-lineage" in key:
            node = unquote(key).partition("nodeId=dataset:")[2].partition("#{")[0]
            listed = next(
                path
                for path in self.versions
                if "/datasets/" in path and ":".join(unquote(part) for part in path.split("/")[4:7:2]) == node
            )
        # Fewer versions than there: the one asked for is not there.
        known = [*self.versions.get(listed, []), *["00000000-0000-0000-0000-000000000000"] * 10]
        return key.replace(found[0], known[int(found[1])])


Body = tuple[bytes | None, dict[str, str]]


def _bodies(scenario: Scenario) -> dict[str, Iterator[Body]]:
    """Return the bodies of recorded requests by key, each with its headers, in the order in which they are sent."""
    bodies: dict[str, list[Body]] = {}
    posts = scenario.recorded["posts"]
    for recorded, line in zip(posts, scenario.told, strict=True):
        bodies.setdefault(recorded["key"], []).append(
            _raw(line) if scenario.made_of_requests else (line.encode(), JSON)
        )
    changes = {key: iter(values) for key, values in CHANGES.items()}
    for recorded in scenario.recorded["mutations"]:
        request = NUMBERED.sub("", recorded["key"])
        if recorded["key"].startswith("revive") and recorded["method"] == "POST":
            bodies[recorded["key"]] = [(_first_completion(scenario.told).encode(), JSON)]
        elif request in changes:
            bodies[recorded["key"]] = [(json.dumps(next(changes[request])).encode(), JSON)]
        elif recorded["method"] == "POST" and "/jobs/" not in request:
            bodies[recorded["key"]] = [(None, JSON if not _without_type(scenario, recorded) else {})]
    return {key: iter(values) for key, values in bodies.items()}


def _without_type(scenario: Scenario, recorded: dict[str, Any]) -> bool:
    """Every dataset was tagged a last time without body and content type."""
    same = [
        item
        for item in scenario.recorded["mutations"]
        if item["path"] == recorded["path"] and item["method"] == "POST"
    ]
    return len(same) == 3 and same[-1] is recorded


def _raw(line: str) -> Body:
    request = json.loads(line)
    body = request["body"]
    for mark, (letter, times) in (request.get("expand") or {}).items():
        body = body.replace(mark, letter * times)
    headers = {"content-type": request["content_type"]} if request["content_type"] else {}
    return None if body is None else body.encode("utf-8", "surrogatepass"), headers


def _first_completion(told: list[str]) -> str:
    events = (json.loads(line) for line in told)
    return json.dumps(
        next(e for e in events if e.get("run") and e.get("outputs") and e.get("eventType") == "COMPLETE")
    )


RUN = "11111111-1111-4111-8111-111111111111"
# What the recorder sent with the requests that change something, in order.
CHANGES: dict[str, list[dict[str, Any]]] = {
    "PUT /api/v1/tags/gold-tier": [{"description": "a gold tier tag"}, {"description": "changed"}],
    "PUT /api/v1/tags/nodesc": [{}],
    "PUT /api/v1/tags/sp%20ace": [{"description": "x"}],
    "PUT /api/v1/namespaces/legacy": [{"ownerName": "me", "description": "legacy namespace"}, {"ownerName": "you"}],
    "PUT /api/v1/sources/legacysrc": [
        {"type": "POSTGRESQL", "connectionUrl": "jdbc:postgresql://localhost:5432/x", "description": "s"}
    ],
    "PUT /api/v1/namespaces/legacy/datasets/t1": [
        {
            "type": "DB_TABLE",
            "physicalName": "public.t1",
            "sourceName": "legacysrc",
            "fields": [{"name": "a", "type": "INTEGER", "tags": ["PII"], "description": "d"}],
            "tags": ["SENSITIVE"],
            "description": "legacy dataset",
        }
    ],
    "PUT /api/v1/namespaces/legacy/datasets/t2": [
        {"type": "DB_TABLE", "physicalName": "public.t2", "sourceName": "nosuchsource"}
    ],
    "PUT /api/v1/namespaces/legacy/jobs/j1": [
        {
            "type": "BATCH",
            "inputs": [{"namespace": "legacy", "name": "t1"}],
            "outputs": [],
            "location": "https://x.example/j1",
            "description": "legacy job",
        }
    ],
    "POST /api/v1/namespaces/legacy/jobs/j1/runs": [
        {"id": RUN, "nominalStartTime": "2026-11-20T00:00:00Z", "args": {"a": "b"}}
    ],
}  # fmt: skip
