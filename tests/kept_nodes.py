"""Nodes of lineage graphs that a process keeps, held against the same nodes rendered anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.marquez.server.database import open_pool
from include.marquez.server.nodes import KEPT_BYTES, Nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.marquez.server.database import Connection, Pool


class KeptNodes:
    """Every node of a database, kept as a server would that is asked for all of them after each change."""

    def __init__(self, pool: Pool, runner: asyncio.Runner, kept_bytes: int = KEPT_BYTES) -> None:
        self.pool, self.runner = pool, runner
        self.counts: Counter[str] = Counter()
        self.nodes = Nodes(self.counts, kept_bytes)

    @classmethod
    @contextmanager
    def of(cls, dsn: str, **limits: int) -> Iterator[KeptNodes]:
        with asyncio.Runner() as runner:
            pool = runner.run(open_pool(dsn, size=1))
            try:
                yield cls(pool, runner, **limits)
            finally:
                runner.run(pool.close())

    def stale(self) -> list[str]:
        """Ask for every node; return those that differ from the same rendered anew, with both."""
        return self.runner.run(self._stale())

    def rendered(self) -> int:
        """Ask for every node; return how many could not be sent as they were kept."""
        before = self.counts["rendered"]
        stale = self.stale()
        assert not stale, stale[0]
        return self.counts["rendered"] - before

    async def _stale(self) -> list[str]:
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            kept = await _every(connection, self.nodes)
            anew = await _every(connection, Nodes(Counter()))
        return [
            f"{place}: kept {kept.get(place)!r}, is {anew.get(place)!r}"
            for place in sorted(kept.keys() | anew.keys())
            if kept.get(place) != anew.get(place)
        ]


async def _every(connection: Connection, nodes: Nodes) -> dict[str, tuple[bytes, object]]:
    """Return every job, with the run that stands for its latest and with that itself, and every dataset."""
    jobs = [row["id"] for row in await connection.fetch("SELECT id FROM job")]
    datasets = [row["id"] for row in await connection.fetch("SELECT id FROM dataset")]
    asked = {
        "root's run": await nodes.jobs(connection, jobs, own_runs=False),
        "own run": await nodes.jobs(connection, jobs, own_runs=True),
        "": await nodes.datasets(connection, datasets),
    }
    return {f"{node.id} {how}": (node.text, node.edges) for how, found in asked.items() for node in found}
