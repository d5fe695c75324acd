"""Requests that share a transaction: how many there are, and what one refused event does to the others."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from include.marquez.server.database import open_intake, open_pool
from include.marquez.server.group_commit import AWAY, SHARED_CHARS, SHARED_EVENTS, Ingest
from include.marquez.server.metrics import Metrics
from include.marquez.server.openlineage import Event, read_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import Postgres

pytestmark = pytest.mark.slow


def told(job: str = "one", **facets: Any) -> Event:
    return read_event(
        {
            "eventType": "START",
            "eventTime": "2026-01-01T00:00:00Z",
            "producer": "https://example.com",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/definitions/RunEvent",
            "run": {"runId": str(uuid4()), "facets": facets},
            "job": {"namespace": "shared", "name": job},
        }
    )


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.create_database("lineage")


def taken(dsn: str, calls: Sequence[Sequence[Event]]) -> tuple[list[Any], Metrics, int]:
    """Take all at once; return what each call gave or raised, the counters, and how many events are stored."""

    async def at_once() -> tuple[list[Any], Metrics, int]:
        await (await open_pool(dsn)).close()  # it migrates
        pool = await open_intake(dsn)
        ingest = Ingest(pool, metrics := Metrics())
        answers = await asyncio.gather(*(ingest.take(events) for events in calls), return_exceptions=True)
        stored = await pool.fetchval("SELECT count(*) FROM event")
        await pool.close()
        return answers, metrics, stored

    return asyncio.run(at_once())


def test_all_that_wait_share_a_transaction(dsn: str) -> None:
    answers, metrics, stored = taken(dsn, [[told(f"job{n % 3}")] for n in range(SHARED_EVENTS + 1)])
    assert answers == [1] * (SHARED_EVENTS + 1)
    assert stored == SHARED_EVENTS + 1
    assert metrics.transactions == 2


def test_the_same_event_twice_in_one_transaction_is_new_once(dsn: str) -> None:
    event = told()
    answers, metrics, stored = taken(dsn, [[event], [event], [told()]])
    assert answers == [1, 0, 1]
    assert (metrics.transactions, stored) == (1, 2)
    assert metrics.events == {"stored": 2, "repeated": 1}


def test_a_refused_event_takes_no_other_with_it(dsn: str) -> None:
    poison = replace(told(), body="\x00")
    answers, _, stored = taken(dsn, [[told()], [poison], [told()]])
    assert [answers[0], answers[2]] == [1, 1]
    assert isinstance(answers[1], asyncpg.DataError)
    assert stored == 2


def test_a_database_that_is_away_is_asked_once_for_all(postgres: Postgres, dsn: str) -> None:
    async def at_once() -> tuple[list[Any], Metrics]:
        await (await open_pool(dsn)).close()  # it migrates
        pool = await open_intake(dsn)
        ingest = Ingest(pool, metrics := Metrics())
        postgres.drop_database(dsn)
        answers = await asyncio.gather(*(ingest.take([told()]) for _ in range(20)), return_exceptions=True)
        pool.terminate()
        return answers, metrics

    answers, metrics = asyncio.run(at_once())
    assert len(answers) == 20
    assert all(isinstance(answer, AWAY) for answer in answers)
    assert metrics.transactions == 1
    assert metrics.events["stored"] == 0


def test_large_events_and_batches_have_a_transaction_of_their_own(dsn: str) -> None:
    large = told(big={"_producer": "p", "_schemaURL": "s", "text": "x" * SHARED_CHARS})
    assert len(json.loads(large.body)["run"]["facets"]["big"]["text"]) == SHARED_CHARS
    answers, metrics, stored = taken(dsn, [[told()], [large], [told(), told()], [told()]])
    assert answers == [1, 1, 2, 1]
    assert stored == 5
    assert metrics.transactions == 3
