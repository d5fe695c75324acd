"""Several writes in one statement: one round trip to the database, whatever an event touches."""

from __future__ import annotations

import re
from functools import lru_cache
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
        self._parts: list[tuple[str, int]] = []
        self._arguments: list[Any] = []

    def add(self, statement: str, *arguments: Any) -> None:
        """Add an INSERT, UPDATE or DELETE with its ``$n`` arguments."""
        self._parts.append((statement, len(self._arguments)))
        self._arguments += arguments

    async def run(self, connection: Connection) -> None:
        if not self._parts:
            return
        await connection.execute(_joined(tuple(self._parts)), *self._arguments)
        self._parts, self._arguments = [], []


@lru_cache(maxsize=512)
def _joined(parts: tuple[tuple[str, int], ...]) -> str:
    """Return the one statement of several, their placeholders counted on from the given offsets."""
    numbered = (
        PLACEHOLDER.sub(lambda match, offset=offset: f"${int(match[1]) + offset}", text)  # type: ignore[misc]  # mypy cannot infer the lambda's default
        for text, offset in parts
    )
    return f"WITH {', '.join(f'w{n} AS ({text})' for n, text in enumerate(numbered))} SELECT 1"


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into the column arrays that ``unnest`` takes; an empty list for no rows."""
    return [list(column) for column in zip(*rows, strict=True)]
