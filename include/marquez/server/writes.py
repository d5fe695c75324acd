"""Several writes in one statement: one round trip to the database, whatever an event touches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.marquez.server.database import Connection

PLACEHOLDER = re.compile(r"\$(\d+)")


class Writes:
    """Collects statements that do not depend on each other's effect, and runs them as one.

    Each becomes a common table expression of one statement, so all of them see the database as it was before. No two may
    touch the same row.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[Any] = []

    def add(self, statement: str, *arguments: Any) -> None:
        """Add an INSERT, UPDATE or DELETE with its ``$n`` arguments."""
        offset = len(self._arguments)
        self._parts.append(PLACEHOLDER.sub(lambda match: f"${int(match[1]) + offset}", statement))
        self._arguments += arguments

    async def run(self, connection: Connection) -> None:
        if not self._parts:
            return
        parts = ", ".join(f"w{n} AS ({part})" for n, part in enumerate(self._parts))
        await connection.execute(f"WITH {parts} SELECT 1", *self._arguments)
        self._parts, self._arguments = [], []


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into the column arrays that ``unnest`` takes; an empty list for no rows."""
    return [list(column) for column in zip(*rows, strict=True)]
