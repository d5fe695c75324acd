"""From a source file to staged: every value as text, every record kept or quarantined with its place in the file.

Polars reads the file. It refuses a file with one long line and pads short lines silently, so whenever it refuses, or
the last column of any row is missing, DuckDB's reject reader judges every line instead.
"""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from include.artifacts.scratch import scratch
from include.errors import InvalidInput
from include.lineage.columns import derive
from include.medallion.contract import dtype_name, provenance_names
from include.medallion.headers import FIELD_LIMIT, Header, fit, read_header
from include.medallion.promote import (
    ENGINE,
    LEVEL,
    Hop,
    Promotion,
    check_balance,
    footer_of,
    write_quarantine,
)
from include.medallion.quarantine import BrokenLine, counts, of_lines
from include.medallion.transition import batch_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from include.medallion.contract import SourceMapping

RECORD_END = re.compile(rb'"[^"]*"|\r?\n')
"""A quoted stretch, or a line end outside of one."""
LONGEST_LINE = 1 << 26
"""Bytes; beyond this DuckDB refuses a line."""


@dataclass(frozen=True)
class Arrival:
    """A source file as it was admitted: its portable name, digest, and when its bytes were first seen."""

    path: Path
    label: str
    sha256: str
    first_seen_at: datetime


def stage(
    hop: Hop, arrival: Arrival, target: Path, refused: Path, mapping: SourceMapping | None = None
) -> Promotion:
    """Write a CSV file as staged Parquet, all text, and its broken lines, if any, to `refused`.

    Staged has the file's columns under their own names plus the provenance columns.

    Raises InvalidInput for an empty file, no CSV, or a missing column (the message names file and column);
    QualityGateFailed when more lines are broken than the table tolerates.
    """
    source = hop.table.source
    header = read_header(arrival.path, arrival.label, [column.name for column in source.columns])
    chosen, drift = fit(source, header, arrival.label, mapping)
    kept = [name for name in header.names if source.drift != "discard" or name not in drift.added]
    batch_id = batch_id_of(hop.table.name, hop.partition, [arrival.sha256])
    footer = footer_of(hop, str(batch_id), mapping=chosen.name)
    constants = {
        "_source_file": arrival.label,
        "_ingested_at": arrival.first_seen_at.astimezone(UTC),
        "_batch_id": str(batch_id),
    }

    def provide(frame: pl.LazyFrame) -> pl.LazyFrame:
        number = pl.col("_row_number").cast(pl.Int64)
        return frame.with_columns(
            pl.lit(constants["_source_file"]).alias("_source_file"),
            pl.lit(constants["_ingested_at"], pl.Datetime("us", "UTC")).alias("_ingested_at"),
            pl.lit(constants["_batch_id"]).alias("_batch_id"),
            pl.lit("staged").alias("_layer"),
            number,
        ).select(*kept, *provenance_names())

    def sink(frame: pl.LazyFrame) -> None:
        provide(frame).sink_parquet(target, compression="zstd", compression_level=LEVEL, metadata=footer)

    engine = ENGINE
    warnings: tuple[str, ...] = ()
    broken: list[BrokenLine] = []
    if not _read_by_polars(arrival.path, header, sink, target):
        frame, broken, warnings, engine = _read_by_duckdb(arrival, header)
        sink(frame)
    by: dict[str, int] = {}
    if broken:
        lines = of_lines(broken, constants)
        write_quarantine(lines, refused, hop, str(batch_id))
        by = counts(lines)
    rows_out = int(pl.scan_parquet(target).select(pl.len()).collect().item())
    if rows_out == 0 and not broken:
        raise InvalidInput(
            f"{arrival.label} is empty: it has a header and no rows; give at least one row with {header.names[0]}"
        )
    done = Promotion(
        batch_id=batch_id,
        rows_in=rows_out + len(broken),
        rows_out=rows_out,
        rejected=len(broken),
        deduplicated=0,
        filtered=0,
        rejected_by=by,
        lineage=derive(
            lambda frame: provide(frame.with_row_index("_row_number", offset=1)),
            {hop.dataset: dict.fromkeys(header.names, pl.String())},
        ),
        schema_in=dict.fromkeys(header.names, "string"),
        schema_out={
            name: dtype_name(dtype) for name, dtype in pl.scan_parquet(target).collect_schema().items()
        },
        assertions=(
            {"assertion": "every_line_is_a_record", "column": None, "success": not broken},
            {"assertion": "header_as_declared", "column": None, "success": not drift.any},
        ),
        engine=engine,
        drift=drift,
        mapping=chosen.name,
        warnings=warnings,
    )
    check_balance(hop, done)
    return done


def _read_by_polars(path: Path, header: Header, sink: Any, target: Path) -> bool:
    """Write the file as Polars reads it; return whether that reading can be trusted."""
    frame = pl.scan_csv(
        path,
        infer_schema=False,
        row_index_name="_row_number",
        row_index_offset=1,
        glob=False,
        raise_if_empty=False,
    )
    try:
        if frame.collect_schema().names()[1:] != list(header.names):
            return False
        sink(frame)
    except pl.exceptions.PolarsError:
        target.unlink(missing_ok=True)
        return False
    # a short line is padded with nulls and a blank one is all null: both lack the last column
    last = next(name for name in reversed(pl.read_parquet_schema(target)) if name in header.names)
    checked = pl.scan_parquet(target).select(
        pl.len().alias("rows"), pl.col(last).null_count().alias("missing")
    )
    rows, missing = checked.collect().row(0)
    return bool(rows) and not missing and last == header.names[-1]


def _read_by_duckdb(
    arrival: Arrival, header: Header
) -> tuple[pl.LazyFrame, list[BrokenLine], tuple[str, ...], str]:
    """Return the good rows with their record numbers, the broken lines, warnings, and the reader's name."""
    import duckdb

    with scratch() as folder, duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        good, even = folder / "good.parquet", folder / "even.csv"
        content = arrival.path.read_bytes()
        removed = _even_line_ends(content, even)
        try:
            connection.read_csv(
                str(even if removed else arrival.path),
                columns=dict.fromkeys(header.names, "VARCHAR"),
                header=True,
                sep=",",
                quotechar='"',
                escapechar='"',
                auto_detect=False,
                store_rejects=True,
                rejects_limit=0,
                max_line_size=LONGEST_LINE,
                allow_quoted_nulls=False,
            ).write_parquet(str(good))
            rejects = connection.execute(
                "SELECT byte_of, list(kind ORDER BY place), any_value(csv_line) FROM ("
                " SELECT line_byte_position AS byte_of, error_type AS kind, byte_position AS place, csv_line"
                " FROM reject_errors) GROUP BY byte_of ORDER BY byte_of"
            ).fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise InvalidInput(
                f"{arrival.label} is not readable as CSV from its column {header.names[0]!r} on: {first}"
            ) from error
        rows = pl.read_parquet(good)
    lines = [
        _broken_line(content, position - 1 + bisect_left(removed, position), kinds, text)
        for position, kinds, text in rejects
    ]
    numbered, numbers = _number(content, header, lines)
    warnings: tuple[str, ...] = ()
    if len(numbers) != rows.height:
        warnings = (
            f"{arrival.label}: the place of each good record is not known, because broken quoting hides where records end",
        )
        numbers, numbered = [None] * rows.height, lines
    frame = rows.with_columns(pl.Series("_row_number", numbers, pl.Int64)).lazy()
    engine = f"{ENGINE}, duckdb {duckdb.__version__}"
    return frame, numbered, warnings, engine


def _even_line_ends(content: bytes, even: Path) -> list[int]:
    """Write the file with LF alone where its records end in both CRLF and LF, which DuckDB reads as one long record.

    Line ends inside quotes are values and stay. Returns where carriage returns were left out, each as the place in the
    written file of the line feed after it (from 1); empty when nothing had to be written.
    """
    windows = content.count(b"\r\n")
    if windows in (0, content.count(b"\n")):
        return []
    ends = [match for match in RECORD_END.finditer(content) if match[0][:1] != b'"']
    returns = [match.start() for match in ends if match[0] == b"\r\n"]
    if len(returns) in (0, len(ends)):
        return []
    with even.open("wb") as file:
        position = 0
        for at in returns:
            file.write(content[position:at])
            position = at + 1
        file.write(content[position:])
    return [at - number + 1 for number, at in enumerate(returns)]


def _broken_line(content: bytes, start: int, kinds: Sequence[str], text: str) -> BrokenLine:
    """Return a rejected line with its own bytes; DuckDB's copy has question marks for what is no UTF-8."""
    length = len(text.encode())
    while content[start : start + 1] in (b"\n", b"\r") and length:  # after CRLF the position is one short
        start, length = start + 1, length - 1
    newline = b"\n" if b"\n" in content else b"\r"
    end = content.find(newline, start + max(length - 1, 0))
    raw = content[start : end if end >= 0 else len(content)].rstrip(b"\r\n")
    return BrokenLine(
        record=None,
        line=content.count(newline, 0, start) + 1,
        byte=start,
        size_bytes=len(raw),
        kinds=tuple(dict.fromkeys(kind.lower().replace(" ", "_") for kind in kinds)),
        raw=raw.decode("utf-8", errors="backslashreplace"),
    )


def _number(
    content: bytes, header: Header, broken: Sequence[BrokenLine]
) -> tuple[list[BrokenLine], list[int | None]]:
    """Return broken lines with their record numbers and the numbers of the good records, blank lines not counted.

    What lies between two broken lines is well-formed, so the csv module counts its records.
    """
    csv.field_size_limit(FIELD_LIMIT)
    numbered: list[BrokenLine] = []
    good: list[int | None] = []
    record, position = 0, header.end_byte
    for line in [*broken, None]:
        piece = content[position : line.byte if line else len(content)].decode("utf-8", errors="replace")
        for values in csv.reader(io.StringIO(piece, newline="")):
            if values:
                record += 1
                good.append(record)
        if line:
            record += 1
            numbered.append(replace(line, record=record))
            position = line.byte + line.size_bytes
    return numbered, good
