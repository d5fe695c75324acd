"""F14: the database is away while events are told, a writer dies within its line, a spool is taken in twice."""

from __future__ import annotations

import json
import shutil
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from openlineage.client.serde import Serde

from include.ledger.jobs import open_job
from include.ledger.migrations import upgrade
from include.ledger.session import engine, transaction
from include.lineage.spool import Spool
from include.stack.postgres import temporary_server
from tests.faults.arrivals import assert_acceptable, assert_arrived
from tests.faults.nursery import Nursery, told, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.nursery import Forker
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

RUNS = 10


def pending(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return len(connection.execute("SELECT 1 FROM event WHERE delivered_at IS NULL").fetchall())


@pytest.mark.slow
def test_events_told_while_the_database_is_away_arrive_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    state: Path,
    forker: Forker,
    receiver: Receiver,
    check_openlineage: Callable[[list[dict[str, Any]], str], int],
) -> None:
    with temporary_server(tmp_path_factory.mktemp("away"), fsync=True) as server:
        upgrade(server.dsn)
        with transaction(server.dsn) as session:
            job = open_job(
                session, derived=uuid4(), given=None, dag_id="video", run_id="manual__1", params={}
            )
        engine(server.dsn).dispose()
        spool = Spool(state / "lineage")
        with Nursery.opened(forker, server.dsn, state) as nursery:
            relay = nursery.relay(receiver.url)
            half = [nursery.writer(job, who, most=RUNS + who) for who in range(2)]  # one ends within a run
            assert [writer.wait() for writer in half] == ["0", "0"]
            assert receiver.wait_for(2 * RUNS + 1, 30)
            until(
                lambda: pending(server.dsn) == 0,
                "all is noted, so that nothing is sent again for this reason",
            )

            server.stop(immediate=True)
            whole = [nursery.writer(job, who, most=2 * RUNS) for who in range(2)]
            assert [writer.wait() for writer in whole] == ["0", "0"], whole[0].log()
            assert spool.unread().lines == 2 * RUNS - 1, "the fault did not fire"
            torn = Serde.to_json(told(str(job), 0, 2 * RUNS)).encode()[
                :-30
            ]  # its writer died, nothing was acknowledged
            with spool.path.open("ab") as file:
                file.write(torn)
            server.start()

            assert receiver.wait_for(4 * RUNS, 60)
            until(lambda: spool.unread().lines == 0, "all lines are taken in")
            assert spool.unread().size_bytes == len(torn), "the torn line is kept for another time"
            again = nursery.writer(
                job, 0, most=2 * RUNS + 2
            )  # who took the dead writer's place tells it anew
            assert again.wait() == "0"
            assert receiver.wait_for(4 * RUNS + 2, 30)

            # An operator puts back a copy of the spool, and what was remembered of it is gone.
            shutil.copy(spool.path, spool.folder / "events.00000000000000000001.ndjson")
            (spool.folder / "progress.json").unlink()
            last = nursery.writer(job, 1, most=2 * RUNS + 2)
            assert last.wait() == "0"
            until(lambda: spool.unread().lines == 0, "all lines are taken in again")
            assert receiver.wait_for(4 * RUNS + 4, 30)
            until(lambda: pending(server.dsn) == 0, "all is noted")
            relay.terminate()
            assert relay.wait(10) == "0", relay.log()
            assert "ledger is away" in relay.log()
        assert len(receiver.got) == 4 * RUNS + 4, "each once"
        assert not spool.rejects.exists()
        assert_arrived(
            server.dsn, receiver.got, acknowledged=nursery.told("acknowledged"), told=nursery.told("tells")
        )
    assert_acceptable(receiver.got)
    check_openlineage(receiver.got, "RunEvent")


@pytest.mark.slow
def test_a_database_that_takes_connections_and_never_answers_holds_nobody_up(
    state: Path, forker: Forker, ledger: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        dsn = f"postgresql://writer:secret@127.0.0.1:{hole.getsockname()[1]}/ledger"
        with Nursery.opened(forker, dsn, state) as nursery:
            writer = nursery.writer(uuid4(), 0, most=2)
            assert writer.wait(30) == "0", writer.log()
            hole.setblocking(False)
            hole.accept()[0].close()  # the fault fired: somebody waits in the queue
            assert len(nursery.told("acknowledged")) == 2
    spooled = [json.loads(line) for line in Spool(state / "lineage").path.read_text().splitlines()]
    assert [event["eventType"] for event in spooled] == ["START", "COMPLETE"]
