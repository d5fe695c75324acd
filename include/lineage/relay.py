"""The relay: posts the event table to the lineage server, in order per job name, at least once.

One relay works at a time (an advisory lock of the ledger; others wait and take over). It may be killed at any moment:
an event counts as delivered once its row says so, and until then it is sent again. Before it delivers, it takes into
the table what lies in the spool of its machine.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from psycopg.rows import dict_row

from include.lineage import pending
from include.lineage.declarations import deliver_declarations
from include.lineage.lanes import Pass, Server, Told

if TYPE_CHECKING:
    from include.lineage.pending import Ledger, Pending
    from include.lineage.spool import Spool

log = structlog.get_logger(__name__)

LOCK = 0x7411_0001  # any constant that no other advisory lock of the ledger uses
LOCK_POLL_S = 1.0
IDLE_S = 1.0
"""Longest sleep: for retries whose time has come, for the spool, and should a notification be lost."""
EXIT_S = 8.0
PROVEN_S = 60.0
"""A server that took an event so recently takes events: one that it fails at is to blame itself."""
# Waits are bounded on both sides: a relay whose machine is gone gives the lock back within half a minute.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "application_name": "throughline-relay",
    "options": "-c statement_timeout=60s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


class Relay:
    """Delivers what is pending in the ledger `dsn` to `server`."""

    def __init__(self, dsn: str, server: Server, spool: Spool | None = None) -> None:
        self.dsn = dsn
        self.server = server
        self.spool = spool
        self.stopping = threading.Event()
        self._proven_at = float("-inf")

    def connect(self) -> Ledger:
        """Open a connection of the relay's own."""
        return psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row, **CONNECTION)

    def drain(self, ledger: Ledger) -> int:
        """Deliver what is declared of jobs, then every event that can go now; return how many were delivered."""
        count = deliver_declarations(ledger, self.server.deliver)
        while not self.stopping.is_set() and (rows := self._due(ledger)):
            with closing(Pass(self.server, rows, self.stopping).run()) as told:
                for fates in told:
                    count += self._note(ledger, fates)
        return count

    def _due(self, ledger: Ledger) -> list[Pending]:
        """Return what may go now, when nothing that was spooled before it is still in the spool."""
        while True:
            before = self.spool.taken() if self.spool else b""
            rows = pending.due(ledger)
            self.take_spool(ledger)
            # Whoever read on, a waiting relay too: a START may be in the table now that these ends must not precede.
            if self.spool is None or self.spool.taken() == before:
                return rows

    def take_spool(self, ledger: Ledger) -> int:
        """Take new lines of the spool into the event table; return how many events were new there."""
        if self.spool is None:
            return 0
        try:
            return self.spool.ingest(ledger)
        except OSError as error:
            # What is in the table must go on; `throughline status` keeps showing what the spool holds.
            log.exception("the spool cannot be read", folder=str(self.spool.folder), error=str(error))
            return 0

    def _note(self, ledger: Ledger, fates: list[Told]) -> int:
        sent = [told.seq for told in fates if told.fate == "delivered"]
        if sent:
            pending.delivered(ledger, sent)
            self._proven_at = time.monotonic()
        waiting: dict[str, list[int]] = {}
        for told in fates:
            proven = time.monotonic() - self._proven_at < PROVEN_S
            if told.fate == "refused":
                pending.refused(ledger, told.seq, told.error)
            elif told.fate == "failed" and proven:
                pending.failed(ledger, told.seq, told.error)
            elif told.fate != "delivered":
                waiting.setdefault(told.error, []).append(told.seq)
        for error, seqs in waiting.items():
            log.warning("the lineage server takes nothing now", lanes=len(seqs), error=error)
            pending.waiting(ledger, seqs, error)
        return len(sent)

    def run(self) -> None:
        """Drain until told to stop (SIGTERM, SIGINT); woken by every new event.

        Ends within `EXIT_S` of the signal, whatever hangs: to be killed does a relay no harm.
        """

        def stop(*_: object) -> None:
            if not self.stopping.is_set():
                self.stopping.set()
                last = threading.Timer(EXIT_S, os._exit, [0])
                last.daemon = True
                last.start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        while not self.stopping.is_set():
            try:
                with closing(self.connect()) as ledger:
                    self.lead(ledger)
            except psycopg.OperationalError as error:
                log.warning("the ledger is away; trying again", error=str(error).splitlines()[0])
                self.stopping.wait(LOCK_POLL_S)

    def lead(self, ledger: Ledger) -> None:
        """Wait for the lock, then deliver until told to stop."""
        while not self._leads(ledger):
            # Only one relay delivers, but each takes the spool of its own machine.
            self.take_spool(ledger)
            if self.stopping.wait(LOCK_POLL_S):
                return
        log.info("this relay delivers now")
        ledger.execute("LISTEN throughline_event")
        while not self.stopping.is_set():
            count = self.drain(ledger)
            if count:
                log.info("delivered", events=count)
            for _ in ledger.notifies(timeout=IDLE_S, stop_after=1):
                pass

    def _leads(self, ledger: Ledger) -> bool:
        row = ledger.execute("SELECT pg_try_advisory_lock(%s) AS mine", (LOCK,)).fetchone()
        return row is not None and bool(row["mine"])


def drain_once(dsn: str, server: Server, spool: Spool | None = None) -> int | None:
    """Take in the spool, and deliver what is pending unless a relay is at work; return the count, or None when one is."""
    relay = Relay(dsn, server, spool)
    with closing(relay.connect()) as ledger:
        relay.take_spool(ledger)
        return relay.drain(ledger) if relay._leads(ledger) else None
