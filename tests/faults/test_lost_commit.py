"""F8: the database commits, and its word is lost on the way: whoever tries again finds its own row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from openlineage.client import OpenLineageClient

from include.ledger import session
from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.lineage.relay import drain_once
from include.lineage.spool import Spool
from include.lineage.transport import EventTableConfig, EventTableTransport
from include.medallion.declared import stages_of
from include.medallion.params import MedallionParams
from include.settings import settings
from include.stack.parts import transport
from include.stage import run_stage
from tests.faults.arrivals import assert_acceptable, assert_arrived
from tests.faults.nursery import key_of, told
from tests.faults.oracle import assert_files_hold
from tests.faults.wire import Wire, wired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

Events = psycopg.Connection[tuple[Any, ...]]
STORES = "INSERT INTO event"
COMMITS_WORK = "INSERT INTO artifact "


@pytest.fixture
def wire(ledger: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the ledger that this process's work takes."""
    with wired(ledger) as running:
        monkeypatch.setenv("THROUGHLINE_LEDGER_DSN", running.dsn)
        settings.cache_clear()
        yield running
        session.engine(running.dsn).dispose()


def test_an_event_whose_commit_was_not_heard_of_is_told_again_and_stored_once(
    wire: Wire, events: Events, job: UUID
) -> None:
    way = EventTableTransport(EventTableConfig())
    start = told(str(job), 0, 0)
    wire.lose(STORES, "INSERT 0 1")
    with pytest.raises(psycopg.OperationalError):
        way.emit(start)
    assert wire.lost == 1, "the fault did not fire"
    assert events.execute("SELECT count(*) FROM event").fetchone() == (1,), "it was committed"
    way.emit(start)
    way.close()
    assert events.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_the_spool_that_took_such_an_event_too_adds_none(
    wire: Wire,
    ledger: str,
    events: Events,
    job: UUID,
    state: Path,
    server: MarquezClient,
    receiver: Receiver,
    check_openlineage: Callable[[list[dict[str, Any]], str], int],
) -> None:
    """The transport as it is deployed: what the table seems not to have taken goes to the local file."""
    (state / "lineage").mkdir(parents=True, exist_ok=True)
    spool = Spool(state / "lineage")
    client = OpenLineageClient(config={"transport": json.loads(transport(str(state)))})
    lost = (0, 3)  # a START and an end
    for number in range(6):
        if number in lost:
            wire.lose(STORES, "INSERT 0 1")
        client.emit(told(str(job), 0, number))
    client.close()
    assert wire.lost == len(lost), "the fault did not fire"
    assert spool.unread().lines == len(lost)
    assert events.execute("SELECT count(*) FROM event").fetchone() == (6,), "each was committed"
    assert drain_once(ledger, server, spool) == 6
    assert spool.unread().lines == 0
    keys = [f"{told(str(job), 0, number).run.runId}" for number in range(6)]
    assert [event["run"]["runId"] for event in receiver.got if event["job"]["name"] == "video"] == keys[:2]
    all_told = {key_of(event) for event in receiver.got}
    assert len(receiver.got) == len(all_told) == 6
    assert_arrived(ledger, receiver.got, acknowledged=all_told, told=all_told)
    assert_acceptable(receiver.got)
    check_openlineage(receiver.got, "RunEvent")


@pytest.mark.parametrize("hop", [0, 3], ids=["staged", "gold"])
def test_a_stage_whose_commit_was_not_heard_of_asks_the_ledger_how_it_ended(
    wire: Wire, ledger: str, events: Events, hop: int
) -> None:
    with transaction() as opened:
        job = open_job(
            opened, derived=uuid4(), given=None, dag_id="medallion", run_id=f"r{uuid4()}", params={}
        )
    params = MedallionParams().model_dump(mode="json")
    *before, stage = stages_of("leads")[: hop + 1]
    for one in before:
        run_stage(one, job_id=job, key="latest", params=params)

    seen: list[dict[str, Any]] = []
    wire.lose(COMMITS_WORK, "COMMIT")
    done = run_stage(stage, job_id=job, key="latest", params=params, observe=seen.append)
    assert wire.lost == 1, "the fault did not fire"
    assert done.status == "succeeded"
    assert seen == [done.facts], "the end of this attempt is told as it is kept"
    assert {output["lifecycle"] for output in done.facts["outputs"]} == {"CREATE"}
    made = artifacts(events)
    assert len(made) > len(before), "it was committed"

    again = run_stage(stage, job_id=job, key="latest", params=params)
    assert again.status == "reused"
    assert artifacts(events) == made
    runs = "SELECT status FROM stage_run WHERE stage = %s ORDER BY started_at"
    assert events.execute(runs, (stage.name,)).fetchall() == [("succeeded",), ("reused",)]
    hops = "SELECT DISTINCT status FROM layer_transition"
    assert events.execute(hops).fetchall() == [("success",)]
    versions = "SELECT layer, max(version) FROM table_version GROUP BY 1"
    assert {version for _, version in events.execute(versions)} == {1}
    assert_files_hold(ledger)


def artifacts(events: Events) -> list[tuple[Any, ...]]:
    """What was made; an input file is admitted anew by every attempt."""
    return events.execute(
        "SELECT artifact_id, sha256, superseded_at FROM artifact WHERE kind <> 'source' ORDER BY 1"
    ).fetchall()
