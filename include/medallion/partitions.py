"""Which partition a run works on, and which file that partition is read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

LATEST = "latest"
SAMPLES = Path(__file__).parent / "samples"
DATED_RUNS = ("scheduled__", "backfill__")


@dataclass(frozen=True)
class SourceFile:
    """The file of one table and partition. `label` is its portable name, in `_source_file` and in messages."""

    path: Path
    label: str
    uri: str
    sample: bool = False


@dataclass(frozen=True)
class NoInput:
    """There is no file for the partition, and that is no failure."""

    reason: str


def partition_of(params: Mapping[str, Any], run_id: str | None, logical_date: datetime | None) -> str:
    """Return the partition of a run: the form's, else the date of a scheduled or backfilled run, else ``latest``.

    >>> partition_of({"partition": "2026-01-02"}, None, None)
    '2026-01-02'
    >>> partition_of({}, "backfill__2026-01-03T00:00:00+00:00", datetime(2026, 1, 3))
    '2026-01-03'
    >>> partition_of({}, "manual__2026-01-03T00:00:00+00:00", datetime(2026, 1, 3))
    'latest'
    """
    given = params.get("partition")
    if given:
        return checked(str(given))
    if logical_date is not None and run_id is not None and run_id.startswith(DATED_RUNS):
        return logical_date.date().isoformat()
    return LATEST


def checked(partition: str) -> str:
    """Return a partition's name, or raise InvalidInput when it is neither a date nor ``latest``."""
    if partition == LATEST:
        return partition
    try:
        return date.fromisoformat(partition).isoformat()
    except ValueError as error:
        raise InvalidInput(f"partition {partition!r}: a date as YYYY-MM-DD, or `latest`") from error


def source_of(table: str, partition: str) -> SourceFile | NoInput:
    """Return the file a partition is read from.

    ``latest``: the file that THROUGHLINE_<TABLE>_FILE names, else the bundled sample. A date: the file
    ``<table>/<date>.csv`` below THROUGHLINE_SOURCES_DIR.

    Raises InvalidInput when a configured file is not there.
    """
    if partition == LATEST:
        named: Path | None = getattr(settings(), f"{table}_file", None)
        if named is None:
            name = f"{table}_sample.csv"
            return SourceFile(SAMPLES / name, f"samples/{name}", f"throughline://samples/{name}", sample=True)
        if not named.is_file():
            raise InvalidInput(
                f"THROUGHLINE_{table.upper()}_FILE: there is no file {named}; name a CSV of {table}, or unset it for the sample"
            )
        return SourceFile(named, f"{table}/{named.name}", _uri(table, named.name))
    folder = settings().sources_dir
    if folder is None:
        return NoInput(f"no input of {table} for {partition}: THROUGHLINE_SOURCES_DIR names no folder")
    path = folder / table / f"{checked(partition)}.csv"
    label = f"{table}/{path.name}"
    if not path.is_file():
        return NoInput(f"no input of {table} for {partition}: the sources folder has no {label}")
    return SourceFile(path, label, _uri(table, path.name))


def _uri(table: str, name: str) -> str:
    """Return an address that is the same on every machine; the bytes themselves are in the store."""
    return f"throughline://sources/{table}/{name}"
