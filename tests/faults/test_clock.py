"""F13: clocks of machines jump by an hour; order and back-off stay, for they are the database's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
import time_machine

from include.lineage.events import store_event
from include.lineage.relay import drain_once
from include.lineage.spool import Spool
from include.marquez.client import MarquezClient
from tests.faults.arrivals import assert_arrived
from tests.faults.nursery import until
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.nursery import Nursery
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

Events = psycopg.Connection[tuple[Any, ...]]
HOUR = timedelta(hours=1)
RUNS = 6
PENDING = "SELECT count(*) FROM event WHERE delivered_at IS NULL"
LANES = 12


def jumped(by: timedelta) -> time_machine.travel:
    """This process's wall clock, wrong by so much and running on."""
    return time_machine.travel(datetime.now(UTC) + by, tick=True)


@pytest.mark.parametrize("clock", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_relay_whose_clock_is_wrong_keeps_order_and_waits_as_others_do(
    ledger: str, events: Events, job: UUID, nursery: Nursery, receiver: Receiver, clock: timedelta
) -> None:
    receiver.status = 503
    relay = nursery.relay(receiver.url, clock_s=clock.total_seconds())
    writers = [nursery.writer(job, who, most=2 * RUNS) for who in range(2)]
    assert [writer.wait() for writer in writers] == ["0", "0"]
    tried = "SELECT count(*) FROM event WHERE last_error IS NOT NULL"
    until(lambda: events.execute(tried).fetchone() == (4,), "every lane was tried in vain")
    far = events.execute("SELECT max(next_at) - now() FROM event WHERE next_at IS NOT NULL").fetchone()
    assert far is not None
    assert far[0] <= timedelta(seconds=40)
    (clock_then,) = re.findall(r"^clock (\S+)$", relay.log(), re.M)
    assert abs(datetime.fromisoformat(clock_then) - datetime.now(UTC) - clock) < HOUR / 2, (
        "the fault did not fire"
    )
    receiver.status = 201
    until(lambda: events.execute(PENDING).fetchone() == (0,), "delivered when the database's time had come")
    relay.terminate()
    assert relay.wait(10) == "0"
    assert_arrived(
        ledger, receiver.got, acknowledged=nursery.told("acknowledged"), told=nursery.told("tells")
    )


def test_the_back_off_doubles_with_jitter_while_the_clock_jumps_back_and_forth(
    ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    for number in range(LANES):
        run = uuid4()
        for minute, kind in enumerate(["START", "COMPLETE"]):
            store_event(events, make_event(job, f"video.{number}", kind, minute, run))
    receiver.status = 503
    waits: list[list[float]] = []
    for tries in range(6):
        before = events.execute("SELECT now()").fetchone()
        with jumped(HOUR if tries % 2 else -HOUR):
            assert drain_once(ledger, server) == 0
        after = events.execute("SELECT now()").fetchone()
        assert before is not None
        assert after is not None
        times = [row[0] for row in events.execute("SELECT next_at FROM event WHERE next_at IS NOT NULL")]
        assert len(times) == LANES
        step = 2 ** min(tries, 5)
        assert min(times) >= before[0] + timedelta(seconds=0.75 * step)
        assert max(times) <= after[0] + timedelta(seconds=1.25 * step)
        waits.append([(moment - before[0]).total_seconds() / step for moment in times])
        events.execute("UPDATE event SET next_at = now() WHERE next_at IS NOT NULL")
    spread = max(waits[-1]) - min(waits[-1])
    assert spread > 0.02, "not all at once"


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_runs_told_across_a_jump_of_a_workers_clock_arrive_in_order_and_end(
    ledger: str,
    events: Events,
    job: UUID,
    server: MarquezClient,
    receiver: Receiver,
    lineage_server: Any,
    jump: timedelta,
) -> None:
    """The clock jumps between a run's START and its COMPLETE; the next run of the same task comes after it."""
    name = f"video.jump_{uuid4().hex[:8]}"
    runs = [uuid4(), uuid4()]
    clock = datetime.now(UTC)
    told = []
    for run in runs:
        for kind in ("START", "COMPLETE"):
            event = make_event(job, name, kind, 0, run)
            told.append({**event, "eventTime": clock.isoformat()})
            store_event(events, told[-1])
            clock += timedelta(seconds=1) + (jump if len(told) == 1 else timedelta())
    assert (
        abs(datetime.fromisoformat(told[1]["eventTime"]) - datetime.fromisoformat(told[0]["eventTime"]))
        > HOUR / 2
    )
    assert drain_once(ledger, server) == 4
    assert [(one["run"]["runId"], one["eventType"]) for one in receiver.got] == [
        (str(run), kind) for run in runs for kind in ("START", "COMPLETE")
    ]
    with MarquezClient(lineage_server.url) as client:
        assert all(delivery.delivered for delivery in client.post_batch(receiver.got))
        states = [(client.run(run) or {})["state"] for run in runs]
    assert states == ["COMPLETED", "COMPLETED"]


def test_spooled_files_are_read_in_their_order_when_the_clock_went_back_between_them(
    events: Events, job: UUID, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, rotate_bytes=1)
    first, second = uuid4(), uuid4()
    slow = []
    for run, by in ((first, timedelta()), (second, -HOUR)):
        slow.append(spool.path.open("ab", buffering=0))  # writers that opened the file before it was renamed
        slow[-1].write(line_of(make_event(job, "video.a", "START", 0, run)))
        with jumped(by):
            assert spool.ingest(events) == 1
    assert len(list(tmp_path.glob("events.*.ndjson"))) == 2
    for file, run in zip(slow, (first, second), strict=True):
        file.write(line_of(make_event(job, "video.a", "COMPLETE", 1, run)))
        file.close()
    assert spool.ingest(events) == 2
    ends = events.execute("SELECT run_id FROM event WHERE event_type = 'COMPLETE' ORDER BY seq").fetchall()
    assert ends == [(first,), (second,)]


def line_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event, sort_keys=True).encode() + b"\n"
