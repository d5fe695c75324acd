"""The event table and its relay against a real HTTP server: order per job, once per event, dead letters, back-off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from include.errors import ProviderUnavailable
from include.lineage import pending
from include.lineage.events import store_event
from include.lineage.relay import LOCK, Relay, drain_once
from include.marquez.client import MarquezClient
from include.proof.replay import reset
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.include.lineage.receiver import Receiver

Events = psycopg.Connection[tuple[Any, ...]]


def fill(events: Events, job: UUID, names: Sequence[str], runs: int) -> list[UUID]:
    """Store START and COMPLETE of so many runs of each job, in turns; return the run ids."""
    made = []
    for number in range(runs):
        for name in names:
            run = uuid4()
            made.append(run)
            store_event(events, make_event(job, name, "START", 2 * number, run))
            store_event(events, make_event(job, name, "COMPLETE", 2 * number + 1, run))
    return made


def all_at_once(events: Events) -> None:
    """Let every wait be over."""
    events.execute("UPDATE event SET next_at = now() WHERE next_at IS NOT NULL")


@pytest.fixture(params=[False, True], ids=["one by one", "batches"])
def batches(request: pytest.FixtureRequest, receiver: Receiver) -> bool:
    receiver.batches = request.param
    return bool(request.param)


@pytest.mark.usefixtures("batches")
def test_events_arrive_in_order_within_a_job_name(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    names = ["video.a", "video.b", "video.c", "video.d", "video.e", "video.f"]
    fill(events, job, names, 60)
    assert drain_once(ledger, server) == 720
    for name in names:
        times = [event["eventTime"] for event in receiver.got if event["job"]["name"] == name]
        assert times == sorted(times)
        assert len(times) == 120
    assert drain_once(ledger, server) == 0


def test_batches_save_requests_and_servers_without_them_are_asked_once(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    fill(events, job, ["video.a", "video.b"], 20)
    assert drain_once(ledger, server) == 80
    sizes = [size for path, size in receiver.asked if path.endswith("/batch")]
    assert sum(sizes) == 80
    assert len(receiver.asked) <= 5
    receiver.batches = False
    receiver.asked.clear()
    fill(events, job, ["video.a"], 5)
    with MarquezClient(receiver.url) as other:
        assert drain_once(ledger, other) == 10
        assert [path.rsplit("/", 1)[1] for path, _ in receiver.asked] == ["batch"] + ["lineage"] * 10


def test_whether_batches_are_taken_is_asked_again_after_the_server_was_away(
    receiver: Receiver, job: UUID
) -> None:
    receiver.batches = False
    with MarquezClient(receiver.url, timeout_s=0.3) as client:
        assert client.takes_batches() is False
        receiver.batches = True
        assert client.takes_batches() is False, "asked once"
        receiver.silent_for = {"all"}
        with pytest.raises(ProviderUnavailable):
            client.post_event(make_event(job, "video.a", "START", 0, uuid4()))
        assert client.takes_batches() is True


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("status", [401, 404, 408, 425, 429, 500, 503])
def test_no_outage_kills_an_event_and_everything_arrives_after_it(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver, status: int
) -> None:
    fill(events, job, ["video.a", "video.b"], 3)
    receiver.status = status
    relay = Relay(ledger, server)
    with relay.connect() as connection:
        for _ in range(pending.MAX_ATTEMPTS + 2):
            assert relay.drain(connection) == 0
            heads = events.execute("SELECT max(next_at) - now() FROM event WHERE next_at > now()").fetchone()
            assert heads is not None
            assert timedelta(0) < heads[0] <= timedelta(seconds=40), "back within a minute of the end"
            assert relay.drain(connection) == 0, "a lane waits for its time"
            all_at_once(events)
        waiting = events.execute(
            "SELECT seq, last_error FROM event WHERE last_error IS NOT NULL ORDER BY seq"
        ).fetchall()
        assert [seq for seq, _ in waiting] == [1, 3], "each lane waits behind its head"
        assert all(str(status) in error for _, error in waiting)
        assert events.execute("SELECT count(*) FROM event WHERE dead_at IS NOT NULL").fetchone() == (0,)
        receiver.status = 201
        assert relay.drain(connection) == 12
    assert receiver.kinds("video.a") == ["START", "COMPLETE"] * 3


def test_a_server_that_is_not_there_is_an_outage(
    ledger: str, events: Events, job: UUID, receiver: Receiver
) -> None:
    fill(events, job, ["video.a", "video.b", "video.c"], 1)
    with MarquezClient("http://127.0.0.1:1") as nowhere:
        assert drain_once(ledger, nowhere) == 0
    assert events.execute("SELECT count(*), max(attempts) FROM event WHERE next_at > now()").fetchone() == (
        3,
        1,
    )
    all_at_once(events)
    with MarquezClient(receiver.url) as client:
        assert drain_once(ledger, client) == 6


@pytest.mark.usefixtures("batches")
def test_an_event_that_the_server_fails_at_dies_when_others_go_through(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    bad, after = fill(events, job, ["video.a"], 2)
    receiver.statuses[str(bad)] = 500
    relay = Relay(ledger, server)
    question = "SELECT attempts, dead_at IS NOT NULL FROM event WHERE run_id = %s AND event_type = 'START'"
    with relay.connect() as connection:
        fill(events, job, ["video.b"], 1)
        relay.drain(connection)  # the server is seen to take events
        while events.execute(question, (bad,)).fetchone() != (pending.MAX_ATTEMPTS - 1, False):
            all_at_once(events)
            fill(events, job, ["video.b"], 1)
            relay.drain(connection)
            assert str(after) not in {event["run"]["runId"] for event in receiver.got}, "the lane waits"
        all_at_once(events)
        relay.drain(connection)
    assert events.execute(question, (bad,)).fetchone() == (pending.MAX_ATTEMPTS, True)
    assert receiver.kinds("video.a") == ["START", "COMPLETE"], "the run after it went on"
    assert set(receiver.kinds("video.b")) == {"START", "COMPLETE"}


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refused_event_is_dead_at_once_and_parks_only_its_own_run(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver, status: int
) -> None:
    bad, *_ = fill(events, job, ["video.a"], 3)
    receiver.statuses[str(bad)] = status
    assert drain_once(ledger, server) == 4
    fill(events, job, ["video.a"], 1)
    assert drain_once(ledger, server) == 2, "later runs of the job go on"
    left = events.execute(
        "SELECT event_type, dead_at IS NOT NULL, attempts, last_error FROM event WHERE delivered_at IS NULL ORDER BY seq"
    ).fetchall()
    assert [row[:3] for row in left] == [("START", True, 1), ("COMPLETE", False, 0)]
    assert str(status) in left[0][3]
    # Once the cause is mended, the run is sent in its order.
    receiver.statuses.clear()
    assert reset(ledger, dead=True) == 1
    assert drain_once(ledger, server) == 2
    assert [e["eventType"] for e in receiver.got if e["run"]["runId"] == str(bad)] == ["START", "COMPLETE"]


def test_in_a_batch_each_event_is_judged_alone(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    runs = fill(events, job, [f"video.{letter}" for letter in "abcdef"], 2)
    for run in runs[3:6]:
        receiver.statuses[str(run)] = 422
    assert drain_once(ledger, server) == 18
    counted = events.execute(
        "SELECT count(*) FILTER (WHERE delivered_at IS NOT NULL), count(*) FILTER (WHERE dead_at IS NOT NULL) FROM event"
    ).fetchone()
    assert counted == (18, 3)
    assert all(size > 1 for path, size in receiver.asked if size)
    taken = {event["run"]["runId"] for event in receiver.got}
    assert taken == {str(run) for run in runs} - {str(run) for run in runs[3:6]}


@pytest.mark.usefixtures("batches")
def test_a_lane_that_hangs_does_not_hold_up_the_others(
    ledger: str, events: Events, job: UUID, receiver: Receiver
) -> None:
    stuck, *_ = fill(events, job, ["video.a"], 1)
    fill(events, job, ["video.b", "video.c"], 20)
    receiver.silent_for = {str(stuck)}
    with MarquezClient(receiver.url, timeout_s=0.5) as client:
        assert drain_once(ledger, client) == 80
    left = events.execute(
        "SELECT job_name, attempts FROM event WHERE delivered_at IS NULL ORDER BY seq"
    ).fetchall()
    assert left == [("video.a", 1), ("video.a", 0)]


def test_an_end_that_was_stored_before_its_start_lets_it_go_first(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    early, late = uuid4(), uuid4()
    store_event(events, make_event(job, "video.a", "START", 0, early))
    store_event(events, make_event(job, "video.a", "COMPLETE", 3, late))
    store_event(events, make_event(job, "video.a", "COMPLETE", 4, early))
    store_event(events, make_event(job, "video.a", "START", 2, late))
    assert drain_once(ledger, server) == 4
    sent = [(event["eventType"], event["run"]["runId"]) for event in receiver.got]
    assert sent == [
        ("START", str(early)),
        ("START", str(late)),
        ("COMPLETE", str(late)),
        ("COMPLETE", str(early)),
    ]


def test_a_run_that_starts_again_is_not_reordered(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    """A cleared DAG run keeps its run id: START, COMPLETE, START, COMPLETE."""
    run = uuid4()
    for minute, kind in enumerate(["START", "COMPLETE", "START", "COMPLETE"]):
        store_event(events, make_event(job, "video", kind, minute, run))
    assert drain_once(ledger, server) == 4
    assert receiver.kinds("video") == ["START", "COMPLETE", "START", "COMPLETE"]


def test_an_error_of_our_own_does_not_end_the_relay(
    ledger: str, events: Events, job: UUID, receiver: Receiver
) -> None:
    class Breaks(MarquezClient):
        def takes_batches(self) -> bool:
            return False

        def post_event(self, event: dict[str, Any]) -> Any:
            if event["job"]["name"] == "video.bad":
                raise RecursionError("too deep")
            return super().post_event(event)

    fill(events, job, ["video.bad", "video.good"], 1)
    with Breaks(receiver.url) as client:
        assert drain_once(ledger, client) == 2
    assert events.execute("SELECT last_error FROM event WHERE last_error IS NOT NULL").fetchone() == (
        "too deep",
    )


def test_only_one_relay_works(ledger: str, events: Events, job: UUID, server: MarquezClient) -> None:
    fill(events, job, ["video.a"], 1)
    events.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    assert drain_once(ledger, server) is None
    events.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    assert drain_once(ledger, server) == 2
