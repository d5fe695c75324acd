"""A killed server loses no event that it acknowledged, and events that wait for each other all arrive."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from include.errors import ProviderUnavailable
from include.marquez.client import MarquezClient

pytestmark = pytest.mark.slow


def test_kill_nine_under_load_loses_no_acknowledged_event(
    lineage_server: Any, scene: Any, make_dataset: Any
) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()

    def load(server: Any, lane: int) -> None:
        table = make_dataset(f"killed/{lane}", "a")
        with MarquezClient(server.url) as client:
            minute = 0
            while True:
                run = str(uuid4())
                minute += 1
                event = scene.event(
                    "COMPLETE", f"lane{lane % 2}", run, minute, inputs=[table], outputs=[table]
                )
                try:
                    client.deliver(event)
                except ProviderUnavailable:
                    return
                acknowledged.append(run)
                if len(acknowledged) >= 120:
                    enough.set()

    with lineage_server.another() as server:
        threads = [threading.Thread(target=load, args=(server, lane)) for lane in range(4)]
        for thread in threads:
            thread.start()
        assert enough.wait(120)
        server.process.kill()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        with server.another(server.dsn) as second, MarquezClient(second.url) as client:
            lost = [run for run in acknowledged if client.run(run) is None]
            assert lost == []
            with psycopg.connect(server.dsn) as connection:
                halves = connection.execute(
                    "SELECT count(*) FROM event e WHERE NOT EXISTS"
                    " (SELECT FROM run r JOIN run_io io ON io.run_id = r.id WHERE r.id = e.run_id)"
                ).fetchone()
            assert halves == (0,)
            # What was not acknowledged can be sent again, and the server goes on.
            again = scene.event("COMPLETE", "lane0", acknowledged[0], 1)
            client.deliver(again)
            assert client.events(limit=1)["totalCount"] >= len(acknowledged)


def test_events_of_one_run_one_job_and_linked_datasets_all_arrive_from_eight_threads(
    scene: Any, make_dataset: Any
) -> None:
    run = str(uuid4())
    path, alias = scene.named("path"), scene.named("alias")
    link = {
        "_producer": "https://p",
        "_schemaURL": "https://s",
        "identifiers": [{"namespace": "file", "name": alias, "type": "TABLE"}],
    }
    tables = [make_dataset(scene.named(f"t{i}"), "a") for i in range(6)]
    events = []
    for i in range(64):
        # Half of the events belong to one run, the others to runs of one job; datasets are named in opposite orders.
        turn = tables if i % 2 else tables[::-1]
        linked = make_dataset(path, "a", symlinks=link) if i % 3 else make_dataset(alias, "a")
        kind = ("START", "RUNNING", "COMPLETE", "OTHER")[i % 4]
        mine = run if i % 2 else str(uuid4())
        events.append(scene.event(kind, "shared", mine, i, inputs=[*turn[:3], linked], outputs=turn[3:]))
    scene.post(
        scene.event("COMPLETE", "links", str(uuid4()), 0, outputs=[make_dataset(path, "a", symlinks=link)])
    )
    with ThreadPoolExecutor(8) as pool:
        statuses = [delivery.status for delivery in pool.map(scene.client.post_event, events)]
    assert statuses == [201] * len(events)
    parallel = scene.client.run(run)
    assert scene.client.events(namespace=scene.namespace, limit=1)["totalCount"] == 65
    assert scene.client.job_runs(scene.namespace, "shared")["totalCount"] == 33
    assert parallel["state"] == "RUNNING"  # the odd ones are RUNNING and OTHER
    names = {item["datasetVersionId"]["name"] for item in parallel["inputDatasetVersions"]}
    assert names == {scene.named("t0"), scene.named("t1"), scene.named("t2"), path}
    metrics = httpx.get(f"{scene.client.admin_url}/metrics").text
    assert 'lineage_requests_total{status="500"}' not in metrics


def test_readers_of_one_dataset_by_two_names_do_not_overwrite_each_other(
    scene: Any, make_dataset: Any
) -> None:
    path, alias = scene.named("path"), scene.named("alias")
    facet = {"_producer": "https://p", "_schemaURL": "https://s"}
    link = {**facet, "identifiers": [{"namespace": "file", "name": alias, "type": "TABLE"}]}
    scene.ran("write", 0, [], [make_dataset(path, "a", symlinks=link)])
    # Nothing but the dataset is shared, and it goes by two names: only a lock on what both lead to keeps them in turn.
    events = [
        scene.event(
            "COMPLETE",
            f"read{i}",
            str(uuid4()),
            5 + i,
            inputs=[
                make_dataset((path, alias)[i % 2], "a") | {"inputFacets": {f"seen{i}": {**facet, "by": i}}}
            ],
        )
        for i in range(48)
    ]
    with ThreadPoolExecutor(8) as pool:
        assert {delivery.status for delivery in pool.map(scene.client.post_event, events)} == {201}
    seen = scene.client.dataset("file", path)["facets"]
    assert {name for name in seen if name.startswith("seen")} == {f"seen{i}" for i in range(48)}
