"""The event table raises or hangs while a task tells of itself: its artifact stands, the loss is seen, nothing stays lost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from attempts import attempt
from include.ledger.session import transaction
from include.lineage.backlog import read_backlog
from include.lineage.spool import Spool
from include.proof.verify import verify
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import WORDS, Prepared, digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from uuid import UUID

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no room for events'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse();
"""
EVENTS = "SELECT event_type FROM event WHERE run_id = %s ORDER BY seq"


@contextmanager
def raising(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(REFUSE)
        yield
        connection.execute("DROP TRIGGER refuse ON event")


@contextmanager
def hanging(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def no_spool(state: Path) -> Iterator[None]:
    """A file where the folder of the spool should be: not even root can write a line there."""
    folder = state / "lineage"
    folder.rename(state / "aside")
    folder.write_text("")
    yield
    folder.unlink()
    (state / "aside").rename(folder)


def told(dsn: str, run: UUID) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [kind for (kind,) in connection.execute(EVENTS, (run,))]


@pytest.mark.parametrize("broken", [raising, hanging])
def test_events_that_the_table_does_not_take_are_spooled_and_arrive(
    prepared: Prepared,
    broken: Callable[[str], AbstractContextManager[None]],
    tmp_path: Path,
    state: Path,
    receiver: Receiver,
    server: MarquezClient,
) -> None:
    task = WORDS[1]
    with prepared.before_task(task, tmp_path) as dsn:
        spool = Spool(state / "lineage")
        with broken(dsn):
            ended = attempt(prepared.job, task)
            assert ended.status == "succeeded", "the artifact does not wait for its events"
            assert digests(dsn, task).items() <= prepared.made.items()
        assert told(dsn, ended.run) == []
        assert read_backlog(dsn, spool).spool_lines == 2, "what waits in the spool is seen"

        settled = settle(dsn, server, spool=spool)
        assert told(dsn, ended.run) == ["START", "COMPLETE"]
        assert settled.reconciled.synthesised == ()
        assert read_backlog(dsn, spool).spool_lines == 0
        assert_sound(dsn, receiver.got)


def test_events_that_nothing_takes_are_made_up_from_the_facts(
    prepared: Prepared, tmp_path: Path, state: Path, receiver: Receiver, server: MarquezClient
) -> None:
    task = WORDS[1]
    with prepared.before_task(task, tmp_path) as dsn:
        with raising(dsn), no_spool(state):
            ended = attempt(prepared.job, task)
            assert ended.status == "succeeded"
        assert told(dsn, ended.run) == []
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("UPDATE stage_run SET finished_at = finished_at - interval '1 hour'")
        with transaction(dsn) as session:
            assert [(one.invariant, one.subject) for one in verify(session, skip=["I8"])] == [
                ("I2", str(ended.run))
            ], "the loss is seen"

        settled = settle(dsn, server)
        assert [one.event_type for one in settled.reconciled.synthesised] == ["START", "COMPLETE"]
        assert_sound(dsn, receiver.got)
        (complete,) = [
            one
            for one in receiver.got
            if (one["run"]["runId"], one["eventType"]) == (str(ended.run), "COMPLETE")
        ]
        assert [item["name"] for item in complete["outputs"]] == ["media/reports"]
        assert (
            complete["run"]["facets"]["throughline_job"]["artifacts"][0]["sha256"] == prepared.made["report"]
        )
