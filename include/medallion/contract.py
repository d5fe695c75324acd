"""What a lake table is: columns with meaning, where they come from, what must hold, and the transforms of its layers.

A table is declared once, in `tables/<name>.py`. Transforms are plain functions of one LazyFrame; they build a plan and
never run it, so that the plan can be read for column lineage and for the rules of its layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

LayerName = Literal["staged", "bronze", "silver", "gold"]
LAYERS: tuple[LayerName, ...] = ("staged", "bronze", "silver", "gold")
SOURCE_OF: dict[LayerName, str] = {
    "staged": "source",
    "bronze": "staged",
    "silver": "bronze",
    "gold": "silver",
}
Classification = Literal["public", "internal", "personal"]
Transform = Callable[[pl.LazyFrame], pl.LazyFrame]


def dtype_name(dtype: pl.DataType | type[pl.DataType]) -> str:
    """Return a dtype as contracts and facets write it.

    >>> [dtype_name(dtype) for dtype in (pl.Int64(), pl.String(), pl.Datetime("us", "UTC"))]
    ['int64', 'string', 'datetime[us, UTC]']
    """
    if isinstance(dtype, pl.Datetime):
        return f"datetime[{dtype.time_unit}, {dtype.time_zone}]"
    return str(dtype).lower()


@dataclass(frozen=True)
class Column:
    """One typed column of a layer. `source` is the source column it is parsed from (bronze only)."""

    name: str
    dtype: pl.DataType
    description: str
    nullable: bool = True
    classification: Classification = "public"
    source: str | None = None


@dataclass(frozen=True)
class SourceColumn:
    """One column of the source file, always text. A file may lack one that is not `required`."""

    name: str
    description: str
    required: bool = True


@dataclass(frozen=True)
class SourceMapping:
    """Another source's names for our source columns: ours -> theirs. What it does not name keeps our name."""

    name: str
    columns: Mapping[str, str]

    def theirs(self, ours: str) -> str:
        """Return the other source's name of a column."""
        return self.columns.get(ours, ours)


OWN_NAMES = SourceMapping("own names", {})


@dataclass(frozen=True)
class Source:
    """The file a table is read from.

    `drift` says what happens to columns that the contract does not have: ``evolve`` keeps them in staged and reports
    them, ``discard`` leaves them out and reports them, ``freeze`` refuses the file.
    """

    columns: tuple[SourceColumn, ...]
    mappings: tuple[SourceMapping, ...] = ()
    drift: Literal["evolve", "discard", "freeze"] = "evolve"


@dataclass(frozen=True)
class Rule:
    """What must hold for a silver row; null counts as holding (nullability is the column's own)."""

    name: str
    description: str
    holds: Callable[[], pl.Expr]


@dataclass(frozen=True)
class Layer:
    """One layer's contract and the transform that makes it of the layer below."""

    columns: tuple[Column, ...]
    transform: Transform

    def schema(self) -> dict[str, pl.DataType]:
        """Return column -> dtype, provenance included."""
        return {column.name: column.dtype for column in (*self.columns, *PROVENANCE)}


@dataclass(frozen=True)
class Table:
    """One lake table, whole. `key` tells its silver rows apart, `gold_key` its gold rows; `max_rejected` is a share of rows (0 to 1)."""

    name: str
    description: str
    owner: str
    source: Source
    bronze: Layer
    silver: Layer
    gold: Layer
    key: tuple[str, ...]
    gold_key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    classification: Classification = "public"
    retention_days: int = 730
    max_rejected: float = 0.5
    steward: str = field(default="")

    def layer(self, name: str) -> Layer:
        """Return bronze, silver or gold."""
        layers = {"bronze": self.bronze, "silver": self.silver, "gold": self.gold}
        return layers[name]


PROVENANCE: tuple[Column, ...] = (
    Column("_source_file", pl.String(), "the source file the row was read from", nullable=False),
    Column(
        "_ingested_at",
        pl.Datetime("us", "UTC"),
        "when the source's bytes were first admitted; never rewritten",
        nullable=False,
    ),
    Column(
        "_batch_id",
        pl.String(),
        "minted at staging; the same in all layers of one source, table and partition",
        nullable=False,
    ),
    Column("_layer", pl.String(), "the layer this copy of the row lies in", nullable=False),
    Column(
        "_row_number", pl.Int64(), "the record's place in the source file, from 1, blank lines not counted"
    ),
)
CARRIED = ("_source_file", "_ingested_at", "_batch_id", "_row_number")
"""Provenance columns that every transform hands on unchanged; `_layer` is set by the promotion."""


def provenance_names() -> list[str]:
    """Return the names of the provenance columns, in order."""
    return [column.name for column in PROVENANCE]
