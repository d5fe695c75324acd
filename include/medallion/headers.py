"""The header of a source file held against the contract, before anything else is read."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput
from include.medallion.contract import OWN_NAMES, PROVENANCE, Source, SourceMapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIELD_LIMIT = 1 << 30
BOM = b"\xef\xbb\xbf"
SHOWN = 300
"""Characters of a header that a message quotes."""


@dataclass(frozen=True)
class Header:
    """The first record of a file: names as they stand, and where the data begin."""

    names: tuple[str, ...]
    end_byte: int


@dataclass(frozen=True)
class Drift:
    """How a header differs from the contract. `renamed` holds guesses (contract name -> found name) for a person."""

    file: str
    mapping: str
    added: tuple[str, ...]
    missing: tuple[str, ...]
    reordered: tuple[str, ...]
    renamed: dict[str, str]

    @property
    def any(self) -> bool:
        """Whether there is a difference at all."""
        return bool(self.added or self.missing or self.reordered)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def read_header(path: Path, label: str, expected: Sequence[str]) -> Header:
    """Return the header of a CSV file (UTF-8, comma, double quotes).

    Raises InvalidInput for an empty file, a file that is no CSV text, a blank or repeated column name; the message
    names the file and a column.
    """
    columns = ", ".join(expected)
    if path.stat().st_size == 0:
        raise InvalidInput(f"{label} is empty: give a CSV with the columns {columns}")
    csv.field_size_limit(FIELD_LIMIT)
    consumed = 0
    with path.open("rb") as file:
        start = len(BOM) if file.read(len(BOM)) == BOM else 0
        file.seek(start)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")

        def lines() -> Any:
            nonlocal consumed
            for line in text:
                consumed += len(line.encode("utf-8", errors="surrogateescape"))
                yield line

        try:
            names = next((tuple(record) for record in csv.reader(lines()) if record), ())
        except csv.Error as error:
            raise InvalidInput(
                f"{label} is not a CSV: {error}; expected a header with the columns {columns}"
            ) from error
    shown = ",".join(names)[:SHOWN].encode("utf-8", errors="replace").decode()
    if not any(name.strip() for name in names):
        raise InvalidInput(f"{label} is empty: give a CSV with the columns {columns}")
    if any(not character.isprintable() for name in names for character in name.strip()):
        raise InvalidInput(
            f"{label} is not a CSV in UTF-8 (its first line holds binary data); expected the columns {columns}"
        )
    if len(names) == 1 and (other := re.search(r"[;\t|]", names[0])):
        raise InvalidInput(
            f"{label} is not separated by commas: its header {shown!r} has {other[0]!r}; expected the columns {columns}"
        )
    blank = [number for number, name in enumerate(names, 1) if not name.strip()]
    if blank:
        raise InvalidInput(f"{label}: column {blank[0]} of the header has no name; header: {shown}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{label}: the header names the column {twice[0]!r} twice; header: {shown}")
    taken = [column.name for column in PROVENANCE if column.name in names]
    if taken:
        raise InvalidInput(f"{label}: the column {taken[0]!r} is one that the lake adds itself; rename it")
    return Header(names, start + consumed)


def fit(
    source: Source, header: Header, label: str, mapping: SourceMapping | None = None
) -> tuple[SourceMapping, Drift]:
    """Return the mapping whose names the header has, and the header's difference from it.

    Without a given mapping, the first declared one that lacks no required column is taken.

    Raises InvalidInput naming file and columns when required columns are missing under every mapping, and for columns
    the contract does not have where the table's drift mode is ``freeze``.
    """
    choices = (mapping,) if mapping else (OWN_NAMES, *source.mappings)
    lacking = {choice.name: _missing(source, header, choice, required=True) for choice in choices}
    chosen = min(choices, key=lambda choice: len(lacking[choice.name]))
    drift = drift_of(source, header, label, chosen)
    if lacking[chosen.name]:
        guesses = "".join(
            f"; {theirs!r} looks like {ours!r}: rename it" for ours, theirs in drift.renamed.items()
        )
        raise InvalidInput(
            f"{label} lacks the column {', '.join(lacking[chosen.name])}; its header is: "
            f"{', '.join(header.names)[:SHOWN]}{guesses}"
        )
    if drift.added and source.drift == "freeze":
        raise InvalidInput(f"{label} has the column {', '.join(drift.added)} that the contract does not have")
    return chosen, drift


def drift_of(source: Source, header: Header, label: str, mapping: SourceMapping) -> Drift:
    """Return how a header differs from the contract under a mapping."""
    expected = [mapping.theirs(column.name) for column in source.columns]
    added = tuple(name for name in header.names if name not in expected)
    missing = tuple(_missing(source, header, mapping, required=False))
    ours_in_order = [name for name in expected if name in header.names]
    theirs_in_order = [name for name in header.names if name in expected]
    reordered = tuple(
        found for should, found in zip(ours_in_order, theirs_in_order, strict=True) if should != found
    )
    renamed = {
        name: found
        for name in missing
        for found in added
        if _plain(name) == _plain(found) or _plain(found) in (_plain(name) + "s", _plain(name)[:-1])
    }
    return Drift(label, mapping.name, added, missing, reordered, renamed)


def _missing(source: Source, header: Header, mapping: SourceMapping, *, required: bool) -> list[str]:
    return [
        mapping.theirs(column.name)
        for column in source.columns
        if (column.required or not required) and mapping.theirs(column.name) not in header.names
    ]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
