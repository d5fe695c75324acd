"""The option ``--as-of``: a moment in the past, by which the ledger's rows are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from include.errors import InvalidInput

AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="TIME", help="Answer as of this moment: ISO 8601 with a zone; without one, UTC."
    ),
]


@dataclass(frozen=True)
class AsOf:
    """A moment in UTC; `assumed` where no zone was given."""

    moment: datetime
    assumed: bool

    def __str__(self) -> str:
        """Return the moment as it is told, with what was assumed."""
        said = self.moment.isoformat()
        return f"{said} (no zone given: taken as UTC)" if self.assumed else said


def parse(text: str | None, *, now: datetime | None = None) -> AsOf | None:
    """Return the moment that was written, in UTC; None where none was.

    >>> str(parse("2026-11-01T10:00:00+02:00"))
    '2026-11-01T08:00:00+00:00'
    >>> str(parse("2026-11-01"))
    '2026-11-01T00:00:00+00:00 (no zone given: taken as UTC)'

    Raises InvalidInput for anything else, and for a moment that has not come yet: nobody knows what will be made.
    """
    if text is None:
        return None
    try:
        written = datetime.fromisoformat(text.strip())
        moment = (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"--as-of {text!r}: a time as ISO 8601, such as 2026-11-01T08:00:00+00:00"
        ) from error
    if moment > (now or datetime.now(UTC)):
        raise InvalidInput(f"--as-of {text!r}: {moment.isoformat()} has not come yet")
    return AsOf(moment, written.tzinfo is None)


def moment_of(as_of: AsOf | None) -> datetime | None:
    """Return the moment alone."""
    return as_of.moment if as_of else None
