"""The spool: what the event table could not take gets there once, whatever writers, readers and operators do."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.lineage.events import INSERT, event_id, store_event
from include.lineage.relay import LOCK, Relay, drain_once
from include.lineage.spool import KEEP_S, Spool, Unread
from tests.include.lineage.made_events import make_event

if TYPE_CHECKING:
    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

Events = psycopg.Connection[tuple[Any, ...]]

# The OpenLineage client's own file transport, as Airflow's processes use it; writes until its input is closed.
WRITER = """
import itertools, sys, threading
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.transport.file import FileConfig, FileTransport
from include.lineage.facets import ThroughlineJobRunFacet
from include.lineage.naming import derived_job_id
path, who, job = sys.argv[1], int(sys.argv[2]), sys.argv[3]
transport = FileTransport(FileConfig(log_file_path=path, append=True))
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
for number in itertools.count():
    if told.wait(0.03):
        break
    facet = ThroughlineJobRunFacet(producer="https://t.example", job_id=job, dag_id="video", run_id="manual__1")
    facet.status = "x" * (50_000 if number % 20 == 0 else 10)
    run = Run(f"00000000-0000-4000-8000-{who:06d}{number:06d}", {"throughline_job": facet})
    transport.emit(RunEvent(eventTime="2026-01-01T00:00:00Z", run=run, job=Job("throughline", f"video.{who}"),
        producer="https://t.example", eventType=RunState.START))
print(number)
"""


def line_of(event: dict[str, Any]) -> bytes:
    """As the client's file transport writes it: keys in order, one line."""
    return json.dumps(event, sort_keys=True).encode() + b"\n"


def rehearsed(job: UUID, run: UUID) -> dict[str, Any]:
    event = make_event(job, "video.review", "START", 0, run)
    event["run"]["facets"]["throughline_job"]["run_id"] = "__airflow_temporary_run_2026__"
    return event


def write(spool: Spool, *lines: bytes) -> None:
    with spool.path.open("ab") as file:
        for line in lines:
            file.write(line)


def stored(events: Events) -> list[UUID]:
    return [row[0] for row in events.execute("SELECT run_id FROM event ORDER BY seq")]


def put_aside(spool: Spool) -> list[dict[str, Any]]:
    if not spool.rejects.exists():
        return []
    return [json.loads(line) for line in spool.rejects.read_text().splitlines()]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "lineage").mkdir()
    return Spool(tmp_path / "lineage")


def test_lines_get_into_the_table_once_and_in_their_order(spool: Spool, events: Events, job: UUID) -> None:
    told = [make_event(job, "video.a", "START", minute, uuid4()) for minute in range(5)]
    store_event(events, told[1])  # the table took it, and its answer was lost: the file has it as well
    write(spool, *map(line_of, told[:3]), line_of(told[0]))
    assert spool.unread() == Unread(4, spool.path.stat().st_size, 0)
    assert spool.ingest(events) == 2
    assert spool.ingest(events) == 0
    write(spool, *map(line_of, told[3:]))
    assert Spool(spool.folder).ingest(events) == 2, "another reader goes on where this one ended"
    assert stored(events) == [UUID(told[i]["run"]["runId"]) for i in (1, 0, 2, 3, 4)]
    assert spool.unread() == Unread(0, 0, 0)
    assert spool.path.read_bytes().count(b"\n") == 6, "the file is not touched"


def test_a_torn_last_line_is_kept_for_next_time(spool: Spool, events: Events, job: UUID) -> None:
    whole, torn = (line_of(make_event(job, "video.a", "START", minute, uuid4())) for minute in (1, 2))
    write(spool, whole, torn[:100])
    assert spool.ingest(events) == 1
    assert spool.unread() == Unread(0, 100, 0)
    assert spool.ingest(events) == 0
    write(spool, torn[100:])
    assert spool.ingest(events) == 1
    assert put_aside(spool) == []


@pytest.mark.parametrize(
    "cut", [1, 5, 60, 10_000], ids=["a bracket", "before a key", "half", "all but the end"]
)
def test_a_line_written_behind_a_torn_one_is_not_lost(
    spool: Spool, events: Events, job: UUID, cut: int
) -> None:
    torn, whole = (make_event(job, "video.a", "START", minute, uuid4()) for minute in (1, 2))
    head = line_of(torn)[:-1][:cut]
    write(spool, head)
    spool.ingest(events)
    write(spool, line_of(whole))
    assert spool.ingest(events) == (2 if cut == 10_000 else 1)
    assert UUID(whole["run"]["runId"]) in stored(events)
    assert [one["line"].encode() for one in put_aside(spool)] == ([] if cut == 10_000 else [head])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"no JSON at all", "not JSON"),
        (b"[1, 2]", "not an OpenLineage event"),
        (b'{"a": 1}', "not an OpenLineage event"),
        (b"\xff\xfe broken \x80", "not JSON"),
        (b'"text"', "not an OpenLineage event"),
        (b'{"eventTime": "2026-01-01T00:00:00Z", "run": [1]}', "AttributeError"),
        (b'{"eventTime": "2026-01-01T00:00:00Z", "run": {"facets": {"throughline_job": {}}}}', "KeyError"),
    ],
)
def test_a_line_that_is_no_event_is_put_aside_with_its_reason(
    spool: Spool, events: Events, job: UUID, line: bytes, why: str
) -> None:
    good = make_event(job, "video.a", "START", 1, uuid4())
    write(spool, line + b"\n", line_of(good))
    assert spool.ingest(events) == 1
    (told,) = put_aside(spool)
    assert why in told["reason"]
    kept = told["line"].encode() if "line" in told else base64.b64decode(told["line_base64"])
    assert (kept, told["from"]) == (line, "events.ndjson@0")
    assert spool.unread().rejects == 1
    assert spool.rejects.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.update(eventTime="yesterday"),
        lambda event: event["run"].update(runId="no uuid"),
        lambda event: event["job"].pop("name"),
        lambda event: event["job"].update(name="with \0 in it"),
        lambda event: event["job"].update(name="half \ud800 of it"),
        lambda event: event.pop("eventType"),
        lambda event: event["run"]["facets"]["throughline_job"].update(job_id="no uuid"),
    ],
    ids=["time", "run", "no job", "NUL", "surrogate", "no type", "job id"],
)
def test_an_event_that_the_table_cannot_hold_is_put_aside(
    spool: Spool, events: Events, job: UUID, change: Any
) -> None:
    bad = make_event(job, "video.a", "START", 1, uuid4())
    change(bad)
    good = make_event(job, "video.a", "START", 2, uuid4())
    write(spool, line_of(bad), line_of(good))
    assert spool.ingest(events) == 1
    (told,) = put_aside(spool)
    assert json.loads(told["line"]) == bad


def test_rehearsals_and_events_of_no_run_stay_where_they_are(spool: Spool, events: Events, job: UUID) -> None:
    declared = {"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "t", "name": "x"}, "producer": "p"}
    write(spool, line_of(rehearsed(job, uuid4())), line_of(declared))
    before = spool.path.read_bytes()
    assert spool.ingest(events) == 0
    assert stored(events) == []
    assert put_aside(spool) == []
    assert spool.path.read_bytes() == before
    assert spool.unread() == Unread(0, 0, 0)


def test_nothing_is_lost_when_the_ledger_goes_away(
    spool: Spool, ledger: str, events: Events, job: UUID
) -> None:
    told = [make_event(job, "video.a", "START", minute, uuid4()) for minute in range(10)]
    write(spool, *map(line_of, told))

    class Cut(psycopg.Connection[Any]):
        left = 4

        def execute(self, query: Any, *given: Any, **named: Any) -> Any:
            Cut.left -= query == INSERT
            if Cut.left < 0:
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            return super().execute(query, *given, **named)

    with Cut.connect(ledger, autocommit=True) as cut, pytest.raises(psycopg.OperationalError):
        spool.ingest(cut)
    assert len(stored(events)) == 4
    assert spool.unread().lines == 6
    assert spool.ingest(events) == 6
    assert put_aside(spool) == []


@pytest.mark.parametrize("memory", [b"", b"[1]", b'{"1": 2}', b'{"x": {"offset": "a", "seal": ""}}', None])
def test_a_reader_that_remembers_nothing_reads_all_and_stores_nothing_twice(
    spool: Spool, events: Events, job: UUID, memory: bytes | None
) -> None:
    write(spool, *(line_of(make_event(job, "video.a", "START", minute, uuid4())) for minute in range(3)))
    assert spool.ingest(events) == 3
    progress = spool.folder / "progress.json"
    if memory is None:
        progress.unlink()
    else:
        progress.write_bytes(memory)
    again = Spool(spool.folder)
    assert again.unread().lines == 3
    assert again.ingest(events) == 0
    assert again.unread().lines == 0
    assert len(stored(events)) == 3


def test_another_file_of_the_same_inode_is_read_from_its_start(
    spool: Spool, events: Events, job: UUID
) -> None:
    """A deleted file's inode is given to the next one: what tells them apart is what was read."""
    write(spool, *(line_of(make_event(job, "video.a", "START", minute, uuid4())) for minute in range(3)))
    assert spool.ingest(events) == 3
    with spool.path.open("r+b") as file:  # the same inode, other content, longer than what was read
        file.truncate()
    write(spool, *(line_of(make_event(job, "video.b", "START", minute, uuid4())) for minute in range(5)))
    assert spool.ingest(events) == 5


def test_a_large_file_is_renamed_read_on_and_removed_after_a_week(
    spool: Spool, events: Events, job: UUID
) -> None:
    def one(minute: int) -> bytes:
        return line_of(make_event(job, "video.a", "START", minute, uuid4()))

    small = Spool(spool.folder, rotate_bytes=1)
    slow_writer = spool.path.open("ab")  # opened before the change, writes after it
    write(spool, one(1))
    assert small.ingest(events) == 1
    assert not spool.path.exists()
    (renamed,) = spool.folder.glob("events.*.ndjson")
    slow_writer.write(one(2))
    slow_writer.close()
    write(spool, one(3))
    assert small.ingest(events) == 2
    assert len(stored(events)) == 3
    weeks_ago = time.time() - KEEP_S - 60
    os.utime(renamed, (weeks_ago, weeks_ago))
    write(spool, one(4))
    assert small.ingest(events) == 1
    assert not renamed.exists()
    with renamed.open("wb") as file:
        file.write(one(5)[:50])
    os.utime(renamed, (weeks_ago, weeks_ago))
    small.ingest(events)
    assert renamed.exists(), "never removed before all of it is read"


@pytest.mark.slow
def test_many_writers_and_a_reader_at_once_lose_no_line(spool: Spool, events: Events, job: UUID) -> None:
    small = Spool(spool.folder, rotate_bytes=200_000)
    writers = []
    for who in range(3):
        command = [sys.executable, "-c", WRITER, str(spool.path), str(who), str(job)]
        root = Path(__file__).resolve().parents[3]
        writers.append(
            subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    seen: set[str] = set()
    try:
        # Until each of them was read while it wrote, and files were renamed under them.
        while len(seen) < 3 or len(list(spool.folder.glob("events.*.ndjson"))) < 3:
            assert all(writer.poll() is None for writer in writers)
            small.ingest(events)
            seen = {row[0] for row in events.execute("SELECT DISTINCT job_name FROM event")}
    finally:
        counts = [int(writer.communicate(timeout=60)[0] or 0) for writer in writers]
    small.ingest(events)
    runs = stored(events)
    assert len(runs) == len(set(runs)) == sum(counts)
    assert min(counts) > 0
    assert put_aside(spool) == []


def test_the_relay_takes_the_spool_in_before_it_delivers(
    spool: Spool, ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    """START while the database was away, its end when it was back: the start still goes first."""
    run = uuid4()
    write(spool, line_of(make_event(job, "video.a", "START", 0, run)))
    store_event(events, make_event(job, "video.a", "COMPLETE", 1, run))
    relay = Relay(ledger, server, spool)
    with relay.connect() as connection:
        assert relay.drain(connection) == 2
    assert receiver.kinds("video.a") == ["START", "COMPLETE"]


def test_an_end_waits_for_the_start_that_another_relay_takes_in_meanwhile(
    spool: Spool, ledger: str, events: Events, job: UUID, server: MarquezClient, receiver: Receiver
) -> None:
    class Second(Spool):
        """Comes too late: a relay that waits for the lock has just read it all."""

        def ingest(self, connection: psycopg.Connection[Any]) -> int:
            Spool(self.folder).ingest(events)
            return super().ingest(connection)

    run = uuid4()
    write(spool, line_of(make_event(job, "video.a", "START", 0, run)))
    store_event(events, make_event(job, "video.a", "COMPLETE", 1, run))
    relay = Relay(ledger, server, Second(spool.folder))
    with relay.connect() as connection:
        assert relay.drain(connection) == 2
    assert receiver.kinds("video.a") == ["START", "COMPLETE"]


def test_a_reader_waits_for_another_one_as_long_as_it_gets_on(
    spool: Spool, events: Events, job: UUID
) -> None:
    write(spool, line_of(make_event(job, "video.a", "START", 0, uuid4())))
    patient = Spool(spool.folder, alone_s=2.0)
    stored: list[int] = []
    reader = threading.Thread(target=lambda: stored.append(patient.ingest(events)))
    with (spool.folder / "ingest.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reader.start()
        for step in range(15):  # longer than it would wait for one that hangs
            (spool.folder / "progress.json").write_text(json.dumps({str(step): {"offset": step, "seal": ""}}))
            reader.join(0.2)
            assert reader.is_alive()
    reader.join(10)
    assert stored == [1]


def test_whoever_drains_takes_the_spool_in_even_beside_a_working_relay(
    spool: Spool, ledger: str, events: Events, job: UUID, server: MarquezClient
) -> None:
    write(spool, line_of(make_event(job, "video.a", "START", 0, uuid4())))
    events.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    assert drain_once(ledger, server, spool) is None
    assert len(stored(events)) == 1


def test_a_spool_that_cannot_be_read_does_not_stop_delivery(
    tmp_path: Path, ledger: str, events: Events, job: UUID, server: MarquezClient
) -> None:
    folder = tmp_path / "lineage"
    folder.mkdir()
    (folder / "events.ndjson").mkdir()  # root may read any file; nobody can read a folder as one
    store_event(events, make_event(job, "video.a", "START", 0, uuid4()))
    relay = Relay(ledger, server, Spool(folder))
    with relay.connect() as connection:
        assert relay.drain(connection) == 1


LINES = st.sampled_from(["event", "again", "rehearsal", "garbage", "torn", "newline"])
STEPS = st.one_of(
    st.tuples(st.just("write"), LINES, st.integers(1, 300)),
    st.tuples(st.just("read"), st.sampled_from(["whole", "killed"]), st.integers(0, 3)),
    st.tuples(st.just("operator"), st.sampled_from(["forgets", "renames"]), st.just(0)),
)


class Killed(BaseException):
    """The reader's process ends here."""


class KilledAt(psycopg.Connection[Any]):
    left = 0

    def execute(self, query: Any, *given: Any, **named: Any) -> Any:
        if query == INSERT:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return super().execute(query, *given, **named)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=25))
def test_whatever_happens_every_whole_event_is_stored_once(
    spool: Spool, ledger: str, events: Events, job: UUID, steps: list[tuple[str, str, int]]
) -> None:
    events.execute("TRUNCATE event")
    for path in spool.folder.iterdir():
        path.unlink()
    told: list[dict[str, Any]] = []
    garbage = 0
    for number, (what, how, size) in enumerate(steps):
        if what == "write":
            event = make_event(job, "video.a", "START", number, uuid4())
            if how == "event":
                told.append(event)
                write(spool, line_of(event))
            elif how == "again" and told:
                write(spool, line_of(told[size % len(told)]))
            elif how == "rehearsal":
                write(spool, line_of(rehearsed(job, uuid4())))
            elif how == "torn":
                write(spool, line_of(event)[:-1][:size])
            elif how == "newline":
                write(spool, b"\n")
            elif how == "garbage":
                garbage += 1
                write(spool, b"garbage %d\n" % garbage)
        elif how == "killed":
            with KilledAt.connect(ledger, autocommit=True) as connection:
                connection.left = size
                with suppress(Killed):
                    Spool(spool.folder, rotate_bytes=1_000).ingest(connection)
        elif what == "read":
            Spool(spool.folder, rotate_bytes=1_000).ingest(events)
        elif how == "forgets":
            (spool.folder / "progress.json").unlink(missing_ok=True)
        elif spool.path.exists():
            spool.path.replace(spool.folder / f"events.{time.time_ns():020d}.ndjson")
    write(spool, b"\n")
    Spool(spool.folder).ingest(events)
    ids = [row[0] for row in events.execute("SELECT event_id FROM event")]
    assert len(ids) == len(set(ids))
    assert {event_id(event) for event in told} <= set(ids)
    aside = "".join(one.get("line", "") + "\n" for one in put_aside(spool))
    assert [number for number in range(1, garbage + 1) if f"garbage {number}\n" not in aside] == []
