"""Requests that arrive while a transaction is under way share the next one; each learns what became of its own event.

A transaction costs several round trips and one flush of the disk, whatever it holds: under load they are paid once for
all clients that wait. Without load an event has its transaction to itself. An event that the database refuses takes no
other with it: a transaction that fails is done again, event by event, unless it failed because the database is away.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # has no stubs

from include.marquez.server.ingest import store_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.marquez.server.database import Pool
    from include.marquez.server.metrics import Metrics
    from include.marquez.server.openlineage import Event

ATTEMPTS = 3
"""How often a transaction is tried that the database broke off to part two that wait for each other."""
SHARED_EVENTS = 64
"""Most events of one shared transaction."""
SHARED_CHARS = 256 * 1024
"""Events of more characters have a transaction of their own: others should not wait for them."""

AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
"""What no event can cause."""


class Ingest:
    """Takes events into one database and counts what became of them."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self.pool = pool
        self.metrics = metrics
        self._waiting: list[tuple[Event, asyncio.Future[bool]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def take(self, events: Sequence[Event]) -> int:
        """Store events, those of one call in one transaction; return how many were new. A repeated event changes nothing.

        Raises what the database raises; nothing of these events is stored then.
        """
        begun = time.monotonic()
        if len(events) == 1 and len(events[0].body) <= SHARED_CHARS:
            count = int(await self._share(events[0]))
        else:
            count = len(await self._store(events))
        self.metrics.ingest.observe(time.monotonic() - begun)
        self.metrics.events["stored"] += count
        self.metrics.events["repeated"] += len(events) - count
        return count

    async def _share(self, event: Event) -> bool:
        """Wait for the transaction that takes an event in; return whether it was new."""
        asked = asyncio.get_running_loop().create_future()
        self._waiting.append((event, asked))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return bool(await asked)

    async def _work(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:SHARED_EVENTS], self._waiting[SHARED_EVENTS:]
                await self._commit(group)
        finally:
            self._worker = None

    async def _commit(self, group: list[tuple[Event, asyncio.Future[bool]]]) -> None:
        try:
            new = await self._store([event for event, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, AWAY):
                for one in group:
                    await self._commit([one])
                return
            for _, asked in group:
                if not asked.done():  # its request may have been given up
                    asked.set_exception(error)
            return
        for event, asked in group:
            if not asked.done():
                asked.set_result(event.digest in new)
            new.discard(event.digest)  # of two alike, the second repeats the first

    async def _store(self, events: Sequence[Event]) -> set[bytes]:
        """Store events in one transaction of several attempts; return the digests of those that were new."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._tried(events)
            except asyncpg.TransactionRollbackError:
                continue
        return await self._tried(events)

    async def _tried(self, events: Sequence[Event]) -> set[bytes]:
        self.metrics.transactions += 1
        return await store_events(self.pool, events)
