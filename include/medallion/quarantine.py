"""Rows that may not go on, kept with the reason: one shape for broken lines, failed casts and broken rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["physical", "cast", "rule"]

SCHEMA: dict[str, pl.DataType] = {
    "_source_file": pl.String(),
    "_ingested_at": pl.Datetime("us", "UTC"),
    "_batch_id": pl.String(),
    "_layer": pl.String(),
    "_row_number": pl.Int64(),
    "kind": pl.String(),
    "rules": pl.List(pl.String()),
    "line": pl.Int64(),
    "byte": pl.Int64(),
    "raw": pl.String(),
}
"""`_layer` is the layer that refused the row; `line` (from 1) and `byte` (from 0) say where a broken line begins in the
file; `raw` is a broken line's text (bytes that are no UTF-8 as ``\\xNN``), else the refused row as JSON."""


@dataclass(frozen=True)
class BrokenLine:
    """A line of the source file that is no record of it."""

    record: int | None
    line: int
    byte: int
    size_bytes: int
    kinds: tuple[str, ...]
    raw: str


def of_lines(lines: Sequence[BrokenLine], provenance: Mapping[str, object]) -> pl.DataFrame:
    """Return broken lines in quarantine's shape; `provenance` has _source_file, _ingested_at, _batch_id."""
    return pl.DataFrame(
        [
            {
                **provenance,
                "_layer": "staged",
                "_row_number": line.record,
                "kind": "physical",
                "rules": list(line.kinds),
                "line": line.line,
                "byte": line.byte,
                "raw": line.raw,
            }
            for line in lines
        ],
        schema=SCHEMA,
    )


def of_rows(
    rows: pl.LazyFrame, *, layer: str, kind: Kind, broken: Mapping[str, pl.Expr], original: Sequence[pl.Expr]
) -> pl.LazyFrame:
    """Return refused rows in quarantine's shape.

    `broken` maps rule id to an expression that is true where the row breaks it; `original` are the values kept as JSON.
    """
    named = [pl.when(expression).then(pl.lit(rule)).otherwise(None) for rule, expression in broken.items()]
    rules = pl.concat_list(named).list.drop_nulls() if named else pl.lit([], pl.List(pl.String))
    return rows.select(
        "_source_file",
        "_ingested_at",
        "_batch_id",
        pl.lit(layer).alias("_layer"),
        "_row_number",
        pl.lit(kind).alias("kind"),
        rules.alias("rules"),
        pl.lit(None, pl.Int64).alias("line"),
        pl.lit(None, pl.Int64).alias("byte"),
        pl.struct(original).struct.json_encode().alias("raw"),
    ).cast(SCHEMA)  # type: ignore[arg-type]  # polars' stubs want a mapping keyed by selectors too


def counts(frame: pl.DataFrame) -> dict[str, int]:
    """Return how many rows broke each rule; a row may break several."""
    found = frame.select(pl.col("rules").explode()).to_series().drop_nulls().value_counts().sort("rules")
    return {str(rule): int(count) for rule, count in found.iter_rows()}
