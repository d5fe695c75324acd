"""Tables on the terminal: no cell is ever cut, because people copy digests and names; text is text, never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDEST = 10_000
"""Columns that a row may take."""


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print rows as wide as they are: a narrower terminal wraps the lines, a file or pipe holds them whole."""
    table = Table(*headers, box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    wide = Console(width=WIDEST)
    natural = Measurement.get(wide, wide.options, table).maximum
    Console(highlight=False, soft_wrap=True, width=natural).print(table)
