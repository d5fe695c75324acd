"""Whatever is delivered, refused, stored and killed in whatever order: each lane keeps its order and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from include.lineage import pending
from include.lineage.events import store_event
from include.lineage.relay import Relay
from include.marquez.client import Delivery, MarquezClient
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

JOBS = ("video", "video.a", "video.b")
NOTES = {pending.DELIVERED, pending.REFUSED, pending.FAILED, pending.WAITING}


class Killed(BaseException):
    """The relay's process ends here."""


@dataclass
class Fuse:
    """Burns down with every step of a kind; the step that finds it burnt down is the relay's last."""

    steps: int
    before: bool

    def step(self, do: Any) -> Any:
        self.steps -= 1
        if self.steps < 0 and self.before:
            raise Killed
        result = do()
        if self.steps < 0:
            raise Killed
        return result


class KilledClient(MarquezClient):
    """Dies before or after a request."""

    def __init__(self, url: str, fuse: Fuse) -> None:
        super().__init__(url, timeout_s=5)
        self.fuse = fuse

    def post_event(self, event: dict[str, Any]) -> Delivery:
        made: Delivery = self.fuse.step(lambda: super(KilledClient, self).post_event(event))
        return made

    def post_batch(self, events: Sequence[dict[str, Any]]) -> list[Delivery]:
        made: list[Delivery] = self.fuse.step(lambda: super(KilledClient, self).post_batch(events))
        return made


class KilledLedger(psycopg.Connection[dict[str, Any]]):
    """Dies before or after it notes what became of events."""

    fuse: Fuse

    def execute(self, query: Any, *given: Any, **named: Any) -> Any:
        if query in NOTES:
            return self.fuse.step(lambda: super(KilledLedger, self).execute(query, *given, **named))
        return super().execute(query, *given, **named)


@dataclass(frozen=True)
class Start:
    job: int


@dataclass(frozen=True)
class End:
    run: int
    kind: str


@dataclass(frozen=True)
class Life:
    """One relay, from its start to its death: `killed_at` posts or notes, by which it also sees new events."""

    killed_at: int
    where: str
    before: bool
    status: int
    refused: int | None
    late: int | None


STEPS = st.one_of(
    st.builds(Start, st.integers(0, len(JOBS) - 1)),
    st.builds(End, st.integers(0, 20), st.sampled_from(["COMPLETE", "FAIL", "ABORT"])),
    st.builds(
        Life,
        st.integers(0, 12),
        st.sampled_from(["post", "note"]),
        st.booleans(),
        st.sampled_from([201, 201, 201, 500, 503]),
        st.none() | st.integers(0, 20),
        st.none() | st.integers(0, len(JOBS) - 1),
    ),
)


class World:
    """A ledger, a server and the runs that were told so far."""

    def __init__(self, dsn: str, job: UUID, receiver: Receiver, events: psycopg.Connection[Any]) -> None:
        self.dsn, self.job, self.receiver, self.events = dsn, job, receiver, events
        self.runs: list[tuple[UUID, str]] = []
        self.ended: set[UUID] = set()
        self.minute = 0

    def tell(self, name: str, kind: str, run: UUID) -> None:
        self.minute += 1
        # The server's threads tell events too: a connection each time.
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            store_event(connection, make_event(self.job, name, kind, self.minute, run))

    def start(self, job: int) -> None:
        run = uuid4()
        self.runs.append((run, JOBS[job]))
        self.tell(JOBS[job], "START", run)

    def end(self, number: int, kind: str) -> None:
        open_runs = [one for one in self.runs if one[0] not in self.ended]
        if open_runs:
            run, name = open_runs[number % len(open_runs)]
            self.ended.add(run)
            self.tell(name, kind, run)

    def live(self, life: Life) -> None:
        unlimited = Fuse(10**9, before=True)
        fuse = Fuse(life.killed_at, life.before)
        self.receiver.status = life.status
        if life.refused is not None and self.runs:
            self.receiver.statuses[str(self.runs[life.refused % len(self.runs)][0])] = 422
        waits = [] if life.late is None else [life.late]

        def notice(_: int) -> None:
            while waits:
                self.start(waits.pop())

        self.receiver.noticed = notice
        with KilledClient(self.receiver.url, fuse if life.where == "post" else unlimited) as client:
            ledger = KilledLedger.connect(self.dsn, autocommit=True, row_factory=dict_row)
            ledger.fuse = fuse if life.where == "note" else unlimited
            try:
                Relay(self.dsn, client).drain(ledger)
                event("the relay lived")
            except Killed:
                event(f"killed {'before' if life.before else 'after'} a {life.where}")
            finally:
                ledger.close()
        self.receiver.noticed = lambda count: None
        self.events.execute("UPDATE event SET next_at = now() WHERE next_at IS NOT NULL")  # time goes by


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=4, max_size=25), batches=st.booleans())
def test_any_interleaving_keeps_the_order_and_loses_nothing(
    ledger: str,
    job: UUID,
    receiver: Receiver,
    events: psycopg.Connection[Any],
    steps: list[Start | End | Life],
    batches: bool,
) -> None:
    events.execute("TRUNCATE event")
    receiver.got.clear()
    receiver.statuses.clear()
    receiver.batches = batches
    world = World(ledger, job, receiver, events)
    for step in steps:
        if isinstance(step, Start):
            world.start(step.job)
        elif isinstance(step, End):
            world.end(step.run, step.kind)
        else:
            world.live(step)
    world.live(Life(10**9, "post", True, 201, None, None))

    stored = events.execute(
        "SELECT event_id, run_id, job_name, event_type, event_time, delivered_at IS NOT NULL, dead_at IS NOT NULL FROM event ORDER BY seq"
    ).fetchall()
    dead_runs = {row[1] for row in stored if row[6]}
    assert dead_runs <= {UUID(run) for run in receiver.statuses}, "only what was refused is dead"
    assert [row for row in stored if not row[5] and row[1] not in dead_runs] == [], (
        "everything else was delivered"
    )

    def key(body: dict[str, Any]) -> tuple[str, str]:
        return body["run"]["runId"], body["eventType"]

    for name in JOBS:
        taken = [key(body) for body in receiver.got if body["job"]["name"] == name]
        wanted = [(str(row[1]), row[3]) for row in stored if row[2] == name and row[5]]
        first = list(dict.fromkeys(taken))
        last = list(dict.fromkeys(reversed(taken)))[::-1]
        assert set(wanted) <= set(taken), "at least once"
        order = [(str(row[1]), row[3]) for row in stored if row[2] == name]
        assert first == [one for one in order if one in set(taken)], "in order of their seq"
        assert last == first, "and again in that order whenever they are sent again"
    started: set[str] = set()
    for body in receiver.got:
        run, kind = key(body)
        if kind == "START":
            started.add(run)
        else:
            assert run in started, "no end before its start"
