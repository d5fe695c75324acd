"""The event table and its relay against a real HTTP server: order per job, once per event, dead letters, waking."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg

from include.errors import ProviderRefused, ProviderUnavailable
from include.lineage.events import store_event
from include.lineage.relay import LOCK, Relay, drain_once
from tests.include.lineage.made_events import make_event


def fill(dsn: str, job: UUID, names: list[str], runs: int) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(runs):
            for name in names:
                run = uuid4()
                store_event(connection, make_event(job, name, "START", 2 * number, run))
                store_event(connection, make_event(job, name, "COMPLETE", 2 * number + 1, run))
    return 2 * runs * len(names)


class Receiver:
    """Remembers what it was sent; refuses or fails as told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.down = False
        self.refuses: set[str] = set()
        self.lock = threading.Lock()

    def __call__(self, event: dict[str, Any]) -> None:
        if self.down:
            raise ProviderUnavailable("connection refused")
        if event["run"]["runId"] in self.refuses:
            raise ProviderRefused("422: run.runId")
        with self.lock:
            self.got.append(event)


def test_events_arrive_in_order_within_a_job_name(ledger: str, job: UUID) -> None:
    total = fill(ledger, job, ["video.a", "video.b", "video.c"], 25)
    receiver = Receiver()
    assert drain_once(ledger, receiver) == total
    for name in ("video.a", "video.b", "video.c"):
        times = [event["eventTime"] for event in receiver.got if event["job"]["name"] == name]
        assert times == sorted(times)
        assert len(times) == 50
    assert drain_once(ledger, receiver) == 0


def test_after_an_outage_everything_arrives(ledger: str, job: UUID) -> None:
    total = fill(ledger, job, ["video.a", "video.b"], 5)
    receiver = Receiver()
    receiver.down = True
    assert drain_once(ledger, receiver) == 0
    receiver.down = False
    with psycopg.connect(ledger, autocommit=True) as connection:
        waiting = connection.execute("SELECT count(*) FROM event WHERE next_at > now()").fetchone()
        assert waiting == (2,), "each lane waits behind its head"
        assert drain_once(ledger, receiver) == 0, "a lane waits for its time"
        connection.execute("UPDATE event SET next_at = now()")
    assert drain_once(ledger, receiver) == total


def test_a_refused_event_parks_only_its_own_run(ledger: str, job: UUID) -> None:
    total = fill(ledger, job, ["video.a"], 3)
    receiver = Receiver()
    with psycopg.connect(ledger, autocommit=True) as connection:
        first = connection.execute("SELECT run_id FROM event ORDER BY seq LIMIT 1").fetchone()
        assert first is not None
        receiver.refuses.add(str(first[0]))
        assert drain_once(ledger, receiver) == total - 2
        dead = connection.execute("SELECT last_error FROM event WHERE dead_at IS NOT NULL").fetchall()
    assert dead == [("422: run.runId",)]


def test_only_one_relay_works(ledger: str, job: UUID) -> None:
    fill(ledger, job, ["video.a"], 1)
    with psycopg.connect(ledger, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        assert drain_once(ledger, Receiver()) is None


def test_a_running_relay_is_woken_by_a_new_event(ledger: str, job: UUID) -> None:
    arrived = threading.Event()
    relay = Relay(ledger, lambda event: arrived.set())

    def lead() -> None:
        with relay.connect() as connection:
            relay._lead(connection)

    thread = threading.Thread(target=lead)
    thread.start()
    try:
        fill(ledger, job, ["video.a"], 1)
        assert arrived.wait(10)
    finally:
        relay.stopping.set()
        thread.join(10)
    assert not thread.is_alive()
