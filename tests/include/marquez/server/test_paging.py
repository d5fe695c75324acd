"""Pages by key: every element once, whatever arrives meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest


def followed(url: str, key: str, between: Any = None) -> list[list[Any]]:
    """Follow the Link headers from a URL on; return the pages. `between` is called after each."""
    host, pages, path = url.split("/api/")[0], [], url
    while True:
        response = httpx.get(path).raise_for_status()
        pages.append(response.json()[key])
        if "next" not in response.links:
            return pages
        path = host + response.links["next"]["url"]
        if between:
            between()


@pytest.mark.parametrize("job", ["a job/with ü", "plain"])
def test_runs_are_paged_by_key(scene: Any, job: str) -> None:
    # Two runs begin in each minute: the id parts them.
    runs = [scene.ran(job, i // 2, [], []) for i in range(9)]
    url = f"{scene.client.url}/api/v1/namespaces/{scene.namespace}/jobs/{quote(job, safe='')}/runs"
    whole = [run["id"] for run in httpx.get(url).json()["runs"]]
    assert sorted(whole) == sorted(runs)
    pages = followed(f"{url}?limit=2", "runs", lambda: scene.ran(job, 100, [], []))
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert [run["id"] for page in pages for run in page] == whole


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_events_are_paged_by_key_and_narrowed(scene: Any, direction: str) -> None:
    for i in range(5):
        scene.ran("j", i // 2, [], [])
    other = str(uuid4())
    scene.post(scene.event("START", "other", other, 3))
    asked = f"{scene.client.url}/api/v1/events/lineage?namespace={scene.namespace}&job=j&sortDirection={direction}"
    whole = httpx.get(asked).json()
    assert whole["totalCount"] == 10
    pages = followed(f"{asked}&limit=3", "events")
    assert [event for page in pages for event in page] == whole["events"]
    times = [event["eventTime"] for event in whole["events"]]
    assert times == sorted(times, reverse=direction == "desc")
    narrow = f"{asked}&eventType=complete"
    assert {event["eventType"] for event in httpx.get(narrow).json()["events"]} == {"COMPLETE"}
    of_run = httpx.get(f"{scene.client.url}/api/v1/events/lineage?run={other}").json()
    assert [event["job"]["name"] for event in of_run["events"]] == ["other"]


@pytest.mark.slow
def test_the_total_of_events_is_that_of_the_window_whatever_its_bounds(lineage_server: Any) -> None:
    random = Random(20260301)
    begun = datetime(2026, 2, 27, tzinfo=UTC)
    events, kinds = [], {"R": "RunEvent", "J": "JobEvent"}
    for i in range(300):
        # Many fall on midnight, where days part; one in ten is no run event, which no total counts.
        moment = begun + timedelta(hours=random.choice([0, 24, 48, 72, random.random() * 96]))
        event = {
            "eventTime": moment.isoformat(),
            "producer": "https://p",
            "schemaURL": f"https://s/{kinds['J' if i % 10 == 0 else 'R']}",
            "job": {"namespace": "n", "name": f"j{i}"},
        }
        events.append(
            event if i % 10 == 0 else event | {"run": {"runId": str(uuid4())}, "eventType": "START"}
        )
    with lineage_server.another() as server:
        half = len(events) // 2
        httpx.post(f"{server.url}/api/v1/lineage/batch", json=events[:half]).raise_for_status()
        for event in events[half : half + 20] + events[:20]:
            httpx.post(f"{server.url}/api/v1/lineage", json=event).raise_for_status()
        httpx.post(
            f"{server.url}/api/v1/lineage/batch", json=events[half:] + events[:half]
        ).raise_for_status()
        windows = [(begun - timedelta(days=1), begun + timedelta(days=9))]
        for _ in range(40):
            bounds = [
                begun + timedelta(hours=random.choice([0, 24, 36, 48, 49, random.random() * 96]))
                for _ in "ab"
            ]
            windows.append((bounds[0], bounds[1]))
        for after, before in windows:
            asked = {"after": after.isoformat(), "before": before.isoformat(), "limit": "1000"}
            told = httpx.get(f"{server.url}/api/v1/events/lineage", params=asked).json()
            assert told["totalCount"] == len(told["events"]), (after, before)
        assert httpx.get(f"{server.url}/api/v1/events/lineage?limit=0").json()["totalCount"] == 270


@pytest.mark.parametrize("cursor", ["x", "1_", "1_zz", "9" * 18 + "_" + "0" * 64, "1_" + "0" * 30])
def test_a_cursor_of_nobody_is_refused(scene: Any, cursor: str) -> None:
    response = httpx.get(f"{scene.client.url}/api/v1/events/lineage?cursor={cursor}")
    assert response.status_code == 400
    assert "cursor" in response.json()["errors"][0]
