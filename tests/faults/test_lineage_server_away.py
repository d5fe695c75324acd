"""F5, F6: the lineage server is away, or answers as no server should; the work does not notice, and nothing is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.lineage.relay import Relay
from include.marquez.client import MarquezClient
from include.proof.replay import reset
from include.stack.postgres import free_port
from tests.faults.arrivals import assert_acceptable, assert_arrived
from tests.faults.nursery import key_of, told, until
from tests.include.lineage.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tests.faults.nursery import Child, Nursery
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

Events = psycopg.Connection[tuple[Any, ...]]
RUNS = 8
"""Of each of two writers."""
TRIED = "SELECT count(*), max(attempts) FROM event WHERE last_error IS NOT NULL AND delivered_at IS NULL"
PENDING = "SELECT count(*) FROM event WHERE delivered_at IS NULL AND dead_at IS NULL"
STOP_S = 10


def work(nursery: Nursery, job: UUID, runs: int = RUNS) -> None:
    """Let two writers tell of so many runs each, to their end."""
    writers = [nursery.writer(job, who, most=2 * runs) for who in range(2)]
    assert [writer.wait() for writer in writers] == ["0", "0"], [writer.log() for writer in writers]


def all_at_once(events: Events) -> None:
    """Let every wait be over."""
    events.execute("UPDATE event SET next_at = now() WHERE next_at IS NOT NULL AND delivered_at IS NULL")


@pytest.mark.slow
def test_a_server_that_is_away_for_all_of_the_work_gets_everything_once_it_is_back(
    ledger: str,
    events: Events,
    job: UUID,
    nursery: Nursery,
    check_openlineage: Callable[[list[dict[str, Any]], str], int],
) -> None:
    port = free_port()
    relay = nursery.relay(f"http://127.0.0.1:{port}")
    work(nursery, job)
    until(lambda: (events.execute(TRIED).fetchone() or (0,))[0] >= 4, "every lane was tried in vain")
    assert events.execute("SELECT count(*) FROM event WHERE delivered_at IS NOT NULL").fetchone() == (0,)
    # Only the relay ever looked for the server; writers talk to the ledger, over the database's own library.
    assert {f"('127.0.0.1', {port})"} == set(relay.journal.said("connects"))
    assert not nursery.told("connects")
    with receiving(port) as back:
        assert back.wait_for(4 * RUNS, 60), "all of it within a minute of its return"
        until(lambda: events.execute(PENDING).fetchone() == (0,), "all noted")
    assert len(back.got) == 4 * RUNS, "each once"
    assert_arrived(ledger, back.got, acknowledged=nursery.told("acknowledged"), told=nursery.told("tells"))
    assert_acceptable(back.got)
    check_openlineage(back.got, "RunEvent")


def holds(receiver: Receiver) -> None:
    """A black hole: it takes the request and never answers."""
    receiver.silent_for = {"all"}


def fails(receiver: Receiver) -> None:
    receiver.status = 500


def refuses_nothing_but_is_slow(receiver: Receiver) -> None:
    receiver.slow_s = 0.7


def stores_without_a_word(receiver: Receiver) -> None:
    """It took the event, and its answer is lost."""
    receiver.mute = True


def heal(receiver: Receiver) -> None:
    receiver.silent_for, receiver.status, receiver.slow_s, receiver.mute = set(), 201, 0.0, False
    receiver.released.set()


@pytest.mark.parametrize("batches", [False, True], ids=["one by one", "batches"])
@pytest.mark.parametrize(
    "mode",
    [pytest.param(holds, marks=pytest.mark.slow), fails, refuses_nothing_but_is_slow, stores_without_a_word],
)
def test_whatever_the_server_does_the_work_goes_on_the_relay_ends_on_request_and_all_arrives(
    ledger: str,
    events: Events,
    job: UUID,
    nursery: Nursery,
    receiver: Receiver,
    mode: Callable[[Receiver], None],
    batches: bool,
) -> None:
    receiver.batches = batches
    mode(receiver)
    work(nursery, job, 2)
    relay = nursery.relay(receiver.url)
    until(lambda: mode is fails or any(size for _, size in receiver.asked), "an event is on its way")
    if mode is stores_without_a_word:
        until(lambda: receiver.unanswered >= 1, "an answer was withheld")
    elif mode is fails:
        until(lambda: (events.execute(TRIED).fetchone() or (0,))[0] >= 1, "a failure was noted")
    work(nursery, job)
    ends_in_time(relay)
    assert events.execute(PENDING).fetchone() != (0,), "the fault held something up"

    heal(receiver)
    all_at_once(events)
    healthy = nursery.relay(receiver.url)
    until(lambda: events.execute(PENDING).fetchone() == (0,), "everything is delivered")
    ends_in_time(healthy)
    if mode is stores_without_a_word:
        assert len(receiver.got) > 4 * RUNS, "something was taken twice"
    assert_arrived(
        ledger, receiver.got, acknowledged=nursery.told("acknowledged"), told=nursery.told("tells")
    )


def ends_in_time(relay: Child) -> None:
    begun = time.monotonic()
    relay.terminate()
    assert relay.wait(STOP_S) == "0", relay.log()
    assert time.monotonic() - begun < STOP_S


@pytest.mark.parametrize("batches", [False, True], ids=["one by one", "batches"])
def test_a_refused_event_parks_its_run_and_no_other(
    ledger: str, events: Events, job: UUID, nursery: Nursery, receiver: Receiver, batches: bool
) -> None:
    receiver.batches = batches
    bad = told(str(job), 0, 2).run.runId
    receiver.statuses[bad] = 400
    work(nursery, job)
    relay = nursery.relay(receiver.url)
    assert receiver.wait_for(4 * RUNS - 2, 60)
    until(lambda: events.execute(PENDING).fetchone() == (1,), "its end waits, and nothing else does")
    dead = events.execute("SELECT run_id::text, event_type, last_error FROM event WHERE dead_at IS NOT NULL")
    assert [(run, kind, error[:3]) for run, kind, error in dead] == [(bad, "START", "400")]
    assert bad not in {event["run"]["runId"] for event in receiver.got}
    ends_in_time(relay)

    receiver.statuses.clear()  # the cause is mended
    assert reset(ledger, dead=True) == 1
    with MarquezClient(receiver.url) as client, Relay(ledger, client).connect() as connection:
        assert Relay(ledger, client).drain(connection) == 2
    assert [key_of(event) for event in receiver.got[-2:]] == [f"{bad} START", f"{bad} COMPLETE"]
