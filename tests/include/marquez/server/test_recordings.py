"""Answers of a real Marquez 0.51.1, asked again of this server after the same events.

Recordings lie beside the repository (``shared/marquez-recordings``); without them these tests are skipped. Two answers are
equal when they are the same JSON, but for: identifiers that the server made (which must map one to one within the
answer), times of the server's clock, bounds of statistics, and the order of what has no order. Every difference that is
left is excused by one line of `EXCUSED`, which names the section of the compatibility page that gives its reason.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[4]
RECORDINGS = ROOT.parent / "shared" / "marquez-recordings"
UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
UNORDERED = {
    "graph", "inEdges", "outEdges", "inputs", "outputs", "tags", "inputDatasetVersions", "outputDatasetVersions",
    "columnLineage", "inputFields", "results", "errors", "namespaces", "runs",
}  # fmt: skip
SAME_CLOCK = {"jobs": "updatedAt"}
"""Lists in which elements of equal value may stand in any order."""

# (section of docs/marquez-compatibility.md, requests it touches, JSON paths it touches)
EXCUSED = (
    ("Nominal times", r".", r"\.nominal(Start|End)Time$"),
    ("Latest run in the graph", r"GET /api/v1/lineage\?", r"\.data\.(latestRun|currentRunUuid)\b"),
    ("Search", r"GET /api/v1/search\?q=(%25|_)(&|$)", r"\.(results|totalCount)"),
    ("Downstream of a source column", r"GET /api/v1/column-lineage\?.*withDownstream=true", r"\.(graph\.length|graph\[\]\.)"),
    ("Order of fields", r"GET /api/v1/namespaces/file/datasets", r"\.fields\[\]\.(name|type|description)$"),
    ("Tags", r"GET /api/v1/lineage\?", r"\.data\.tags\.length$"),
    ("Tags", r"POST .*/jobs/.*/tags/", r"^\$status 500 200$"),
    ("Tags", r"(GET|DELETE) .*/jobs", r"\.tags\.length$|^\$\.outputs\.length$"),
    ("Run lineage", r"GET /api/v1/runlineage/upstream", r"^\$status 500 200$"),
    ("Version of a failed run", r"GET /api/v1/column-lineage\?.*", r"\.datasetVersion$"),
    ("Latest run in the graph", r"GET .*/jobs\?.*lastRunStates=", r"\.jobs"),
    ("Older write routes", r"(PUT|GET|POST) /api/v1/(namespaces/legacy|jobs/runs/11111111|jobs\?limit=3)", r"."),
    ("Deletion and return", r"revive \d+ GET", r"."),
    ("Deletion and return", r"GET /api/v1/namespaces/file/datasets\?limit=3", r"\.columnLineage$"),
)  # fmt: skip

FLOOR = {"airflow_medallion": 0.90, "airflow_video": 0.87}
"""Least share of equal answers without `EXCUSED`, nominal times and the graph's latest run aside: they are in most answers."""


def recording(scenario: str) -> Any:
    if not RECORDINGS.is_dir():
        pytest.skip("shared/marquez-recordings is not beside the repository")
    with gzip.open(RECORDINGS / "answers" / f"{scenario}.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


class Side:
    """One side of a comparison: what its server made is known by not being in the events."""

    def __init__(self, told: str, begun: float, ended: float) -> None:
        self.told = {text.lower() for text in UUID.findall(told)}
        self.begun, self.ended = begun, ended

    def plain(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {
                k: self.plain(v, k)
                for k, v in sorted(value.items())
                if k not in ("startInterval", "endInterval")
            }
        if isinstance(value, list):
            items = [self.plain(item) for item in value]
            if key in UNORDERED:
                return sorted(items, key=self.masked)
            if key in SAME_CLOCK:
                return [
                    item
                    for _, item in sorted(
                        enumerate(items), key=lambda pair: self.rank(items, pair[0], SAME_CLOCK[key])
                    )
                ]
            return items
        if key == "duration":
            return 0
        if isinstance(value, str) and TIME.fullmatch(value):
            at = datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
            return "CLOCK" if self.begun - 5 <= at <= self.ended + 5 else value
        return value

    def rank(self, items: list[Any], place: int, key: str) -> tuple[int, str]:
        first = place
        while first and items[first - 1].get(key) == items[place].get(key):
            first -= 1
        return first, self.masked(items[place])

    def masked(self, value: Any) -> str:
        return UUID.sub(
            lambda m: m[0] if m[0].lower() in self.told else "UUID", json.dumps(value, sort_keys=True)
        )

    def nameless(self, value: Any) -> tuple[Any, list[str]]:
        """Return the answer with the server's own identifiers masked, and those identifiers in order."""
        text = json.dumps(self.plain(value))
        own = [found.lower() for found in UUID.findall(text) if found.lower() not in self.told]
        return json.loads(UUID.sub(lambda m: m[0] if m[0].lower() in self.told else "UUID", text)), own


def differences(one: Any, two: Any, path: str = "$") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            if key in one and key in two:
                yield from differences(one[key], two[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(one, list) and isinstance(two, list):
        if len(one) != len(two):
            yield f"{path}.length"
        else:
            for a, b in zip(one, two, strict=True):
                yield from differences(a, b, f"{path}[]")
    elif type(one) is not type(two) or one != two:
        yield path


class Replay:
    """Asks a server what the recorder asked, in its order."""

    def __init__(self, url: str, admin_url: str) -> None:
        self.http = httpx.Client(timeout=60)
        self.url, self.admin_url = httpx.URL(url), httpx.URL(admin_url)
        self.versions: dict[str, list[str]] = {}

    def ask(self, asked: Any) -> httpx.Response:
        path = asked["path"]
        if "{v" in asked["key"]:
            path = self.with_version(asked["key"].partition(" ")[2])
        address = self.admin_url if asked["key"].startswith("GET admin") else self.url
        body = self.body_of(asked)
        headers = {"content-type": "application/json"} if body is not None else {}
        response = self.http.request(
            asked["method"], address.copy_with(raw_path=path.encode()), content=body, headers=headers
        )
        if path.endswith("/versions") and response.status_code == 200:
            self.versions[path] = [item["version"] for item in response.json()["versions"]]
        return response

    def with_version(self, key: str) -> str:
        match = re.search(r"\{v(\d)\}", key)
        assert match
        if "column-lineage" in key:
            namespace, _, name = unquote(key).partition("dataset:")[2].partition("#")[0].partition(":")
            listed = next(
                p
                for p in self.versions
                if unquote(p) == f"/api/v1/namespaces/{namespace}/datasets/{name}/versions"
            )
        else:
            listed = key.rpartition("/")[0]
        return key.replace(match[0], self.versions[listed][int(match[1])])

    def body_of(self, asked: Any) -> bytes | None:
        return BODIES.get(re.sub(r"^\d+ ", "", asked["key"]))


def _json(**body: Any) -> bytes:
    return json.dumps(body).encode()


RUN = "11111111-1111-4111-8111-111111111111"
BODIES = {
    "PUT /api/v1/tags/nodesc": _json(),
    "PUT /api/v1/tags/sp%20ace": _json(description="x"),
    "PUT /api/v1/sources/legacysrc": _json(
        type="POSTGRESQL", connectionUrl="jdbc:postgresql://localhost:5432/x", description="s"
    ),
    "PUT /api/v1/namespaces/legacy/datasets/t1": _json(
        type="DB_TABLE", physicalName="public.t1", sourceName="legacysrc"
    ),
    "PUT /api/v1/namespaces/legacy/datasets/t2": _json(
        type="DB_TABLE", physicalName="t2", sourceName="nosuchsource"
    ),
    "PUT /api/v1/namespaces/legacy/jobs/j1": _json(
        type="BATCH", inputs=[{"namespace": "legacy", "name": "t1"}], outputs=[]
    ),
    "POST /api/v1/namespaces/legacy/jobs/j1/runs": _json(id=RUN, nominalStartTime="2026-11-20T00:00:00Z"),
}
TWICE = {
    "PUT /api/v1/tags/gold-tier": [_json(description="a gold tier tag"), _json(description="changed")],
    "PUT /api/v1/namespaces/legacy": [
        _json(ownerName="me", description="legacy namespace"),
        _json(ownerName="you"),
    ],
}


@pytest.mark.parametrize("scenario", sorted(FLOOR))
def test_answers_are_those_of_marquez_but_for_what_is_listed(
    lineage_server: Any, scenario: str, capsys: Any
) -> None:
    recorded = recording(scenario)
    told = (RECORDINGS / "corpus" / f"{scenario}.ndjson").read_text(encoding="utf-8")
    begun = datetime.now(UTC).timestamp()
    with lineage_server.another() as server:
        replay = Replay(server.url, server.admin_url)
        events = [line for line in told.splitlines() if line.strip()]
        for line in events:
            response = replay.http.post(
                f"{server.url}/api/v1/lineage",
                content=line.encode(),
                headers={"content-type": "application/json"},
            )
            assert (response.status_code, response.content) == (201, b"")
        again = next(e for e in map(json.loads, events) if e.get("outputs") and e["eventType"] == "COMPLETE")
        twice = {key: list(bodies) for key, bodies in TWICE.items()}
        pairs = []
        for asked in recorded["gets"] + recorded["mutations"]:
            key = re.sub(r"^\d+ ", "", asked["key"])
            if twice.get(key):
                BODIES[key] = twice[key].pop(0)
            if asked["key"].startswith("revive") and asked["method"] == "POST":
                BODIES[key] = json.dumps(again).encode()
            pairs.append((asked, replay.ask(asked)))
    ended = datetime.now(UTC).timestamp()
    theirs, ours = Side(told, recorded["started_at"], recorded["finished_at"]), Side(told, begun, ended)
    equal, unexcused, by_reason = 0, [], Counter[str]()
    for asked, response in pairs:
        found = set(compared(asked, response, theirs, ours))
        reasons = {path: excuse(asked, path) for path in found}
        unexcused += [f"{asked['key']} {path}" for path, reason in reasons.items() if reason is None]
        by_reason.update({reason for reason in reasons.values() if reason})
        equal += not {
            reason
            for reason in reasons.values()
            if reason not in ("Nominal times", "Latest run in the graph")
        }
    with capsys.disabled():
        print(
            f"\n{scenario}: {equal} of {len(pairs)} answers equal ({equal / len(pairs):.1%}) beside nominal times and the"
        )
        print(
            f"  graph's latest run; excused: {', '.join(f'{name} {n}' for name, n in by_reason.most_common())}"
        )
    assert unexcused == [], "\n".join(unexcused[:40])
    assert equal / len(pairs) >= FLOOR[scenario]


def compared(asked: Any, response: httpx.Response, theirs: Side, ours: Side) -> Iterator[str]:
    if asked["status"] != response.status_code:
        yield f"$status {asked['status']} {response.status_code}"
        return
    try:
        body = response.json() if response.content else None
    except ValueError:
        body = response.text
    (one, their_ids), (two, our_ids) = theirs.nameless(asked["body"]), ours.nameless(body)
    found = list(differences(one, two))
    yield from found
    # The same identifier must stand wherever the same one stood.
    if not found and len(set(zip(their_ids, our_ids, strict=True))) != max(
        len(set(their_ids)), len(set(our_ids))
    ):
        yield "$identifiers"


def excuse(asked: Any, path: str) -> str | None:
    request = re.sub(r"^\d+ ", "", asked["key"])
    return next((name for name, on, at in EXCUSED if re.search(on, request) and re.search(at, path)), None)


def test_every_excuse_has_its_section_in_the_compatibility_page() -> None:
    page = (ROOT / "docs" / "marquez-compatibility.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^\| \*\*(.+?)\*\* \|", page, re.MULTILINE))
    assert {name for name, _, _ in EXCUSED} <= sections


def test_what_marquez_refuses_is_refused_and_nothing_is_a_server_error(lineage_server: Any) -> None:
    recorded = {asked["key"]: asked for asked in recording("rejections")["posts"]}
    requests = [
        json.loads(line)
        for line in (RECORDINGS / "corpus" / "rejections.ndjson").read_text("utf-8").splitlines()
    ]
    wrong, equal = [], 0
    with lineage_server.another() as server, httpx.Client(timeout=60) as http:
        for request in requests:
            body = request["body"]
            for key, (letter, times) in (request.get("expand") or {}).items():
                body = body.replace(key, letter * times)
            content = None if body is None else body.encode("utf-8", "surrogatepass")
            headers = {"content-type": request["content_type"]} if request["content_type"] else {}
            address = httpx.URL(server.url).copy_with(raw_path=request["path"].encode())
            response = http.request(request["method"], address, content=content, headers=headers)
            theirs = recorded[request["name"]]["status"]
            equal += theirs == response.status_code
            refused = 400 <= theirs < 500 and 400 <= response.status_code < 500
            if response.status_code >= 500 or (
                theirs < 500 and theirs != response.status_code and not refused
            ):
                wrong.append((request["name"], theirs, response.status_code))
    assert wrong == []
    assert equal / len(requests) >= 0.85
