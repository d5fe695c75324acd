"""F7: writers and relays killed at any moment, and the database with them: nothing acknowledged is ever missing."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import psycopg
import pytest

from include.ledger.jobs import open_job
from include.ledger.migrations import upgrade
from include.ledger.session import engine, transaction
from include.lineage.relay import LOCK
from include.lineage.spool import Spool
from include.stack.postgres import temporary_server
from tests.faults.arrivals import assert_acceptable, assert_arrived
from tests.faults.nursery import Nursery, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.stack.postgres import TemporaryServer
    from tests.faults.nursery import Child, Forker
    from tests.include.lineage.receiver import Receiver

pytestmark = pytest.mark.slow

WRITERS = 3
KILLS = 52
RESTARTS_AFTER = (17, 34)
BETWEEN_KILLS = (5, 30)
SPOOLED = 6
WAITING = "SELECT count(*) FROM event WHERE delivered_at IS NULL"
RELAYS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'throughline-relay'"
HOLDER = """
SELECT client_port FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND granted AND pg_locks.classid = 0 AND objid = %s
"""


class Storm:
    """Three writers and two relays; who is killed starts anew at once."""

    def __init__(
        self, server: TemporaryServer, dsn: str, nursery: Nursery, receiver: Receiver, job: Any
    ) -> None:
        self.server, self.dsn, self.nursery, self.receiver, self.job = server, dsn, nursery, receiver, job
        self.spool = Spool(nursery.state / "lineage")
        self.chance = random.Random(20261101)
        self.killed: Counter[str] = Counter()
        self.writers = [nursery.writer(job, who) for who in range(WRITERS)]
        self.relays = [nursery.relay(receiver.url) for _ in range(2)]

    def progress(self) -> None:
        """Wait until the receiver took so many events more, some of them perhaps again."""
        wanted = len(self.receiver.got) + self.chance.randrange(*BETWEEN_KILLS)
        assert self.receiver.wait_for(wanted, 60), self.relays[0].log()[-3000:]

    def kill_one(self) -> None:
        if self.chance.random() < 0.5:
            self.kill_writer()
        else:
            leading = [self.leads(relay) for relay in self.relays]
            wanted = self.chance.random() < 0.5
            at = leading.index(wanted) if wanted in leading else 0
            self.relays[at].kill()
            self.killed["leading relay" if leading[at] else "waiting relay"] += 1
            self.relays[at] = self.nursery.relay(self.receiver.url)

    def kill_writer(self) -> None:
        who = self.chance.randrange(WRITERS)
        self.writers[who].kill()
        self.killed["writer"] += 1
        self.writers[who] = self.nursery.writer(self.job, who)

    def leads(self, relay: Child) -> bool:
        with psycopg.connect(self.dsn) as connection:
            holder = connection.execute(HOLDER, (LOCK,)).fetchone()
        ports = {one.laddr.port for one in psutil.Process(relay.pid).net_connections("tcp")}
        return holder is not None and holder[0] in ports

    def break_the_database(self) -> None:
        """Kill PostgreSQL as a crash would; writers go on without it, and one of them is killed meanwhile."""
        self.server.stop(immediate=True)
        before = self.spool.unread().lines
        until(lambda: self.spool.unread().lines >= before + SPOOLED, "events are spooled")
        self.kill_writer()
        self.server.start()

    def settle(self) -> None:
        """Let writers finish their runs, and the relays deliver everything."""
        self.nursery.enough.touch()
        assert [writer.wait() for writer in self.writers] == ["0"] * WRITERS, [w.log() for w in self.writers]
        with psycopg.connect(self.dsn, autocommit=True) as connection:

            def count(sql: str) -> Any:
                return connection.execute(sql).fetchone()

            until(
                lambda: self.spool.unread().lines == 0 and count(WAITING) == (0,), "everything is delivered"
            )
            until(lambda: count(RELAYS) == (2,), "both relays are at work, the last one started included")
        for relay in self.relays:
            relay.terminate()
        assert [relay.wait(10) for relay in self.relays] == ["0", "0"]


@pytest.mark.slow
def test_nothing_acknowledged_is_missing_after_a_storm_of_crashes(
    tmp_path_factory: pytest.TempPathFactory,
    state: Path,
    forker: Forker,
    receiver: Receiver,
    check_openlineage: Callable[[list[dict[str, Any]], str], int],
) -> None:
    with temporary_server(tmp_path_factory.mktemp("storm"), fsync=True) as server:
        upgrade(server.dsn)
        with transaction(server.dsn) as session:
            job = open_job(
                session, derived=uuid4(), given=None, dag_id="video", run_id="manual__1", params={}
            )
        with Nursery.opened(forker, server.dsn, state) as nursery:
            storm = Storm(server, server.dsn, nursery, receiver, job)
            while storm.killed.total() < KILLS:
                storm.progress()
                storm.kill_one()
                if storm.killed.total() in RESTARTS_AFTER:
                    storm.break_the_database()
                receiver.batches = (
                    storm.killed.total() < KILLS / 2
                )  # then another server answers at the address
            storm.settle()
        said = server.log.read_text()
        assert said.count("received immediate shutdown request") == len(RESTARTS_AFTER)
        assert said.count("was not properly shut down; automatic recovery in progress") == len(RESTARTS_AFTER)
        assert storm.killed.total() >= 50
        assert all(storm.killed[kind] >= 5 for kind in ("writer", "leading relay", "waiting relay")), (
            storm.killed
        )
        told, acknowledged = nursery.told("tells"), nursery.told("acknowledged")
        assert len(acknowledged) == len(told) > 500
        assert_arrived(server.dsn, receiver.got, acknowledged=acknowledged, told=told)
        engine(server.dsn).dispose()
    print(f"{dict(storm.killed)}: {len(told)} events, {len(receiver.got) - len(told)} came again")
    assert_acceptable(receiver.got)
    check_openlineage(receiver.got, "RunEvent")
