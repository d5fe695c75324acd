"""One hop of one table: read a Parquet file of a layer, write the next layer's, account for every row.

Pure with regard to its inputs: the same file, declaration and ids give the same bytes. Good rows and refused rows are
written by separate passes, which needs less memory than two sinks on one plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl

from include.errors import InvalidInput, QualityGateFailed
from include.lineage.columns import PlanLineage, derive
from include.medallion import layers, quarantine
from include.medallion.contract import (
    OWN_NAMES,
    PROVENANCE,
    Column,
    Layer,
    SourceMapping,
    Table,
    dtype_name,
    provenance_names,
)
from include.medallion.schemas import dataframely_schema, holds_all, rule_ids

if TYPE_CHECKING:
    from pathlib import Path

    from include.medallion.headers import Drift

ENGINE = f"polars {pl.__version__}"
Footer = Mapping[str, str]
TEXT = "text of "
"""Prefix of a source column's text beside the values cast from it."""
LEVEL = 3
"""zstd's knee: level 9 doubles the time for a fortieth of the size."""


@dataclass(frozen=True)
class Hop:
    """What a hop works on. `dataset` names the input in the lineage graph."""

    table: Table
    layer: str
    partition: str
    transition_id: UUID
    dataset: str


@dataclass(frozen=True)
class Promotion:
    """What a hop did. Counts are rows; `refused` says whether the quarantine file was written."""

    batch_id: UUID
    rows_in: int
    rows_out: int
    rejected: int
    deduplicated: int
    filtered: int
    rejected_by: Mapping[str, int]
    lineage: PlanLineage
    schema_in: Mapping[str, str]
    schema_out: Mapping[str, str]
    assertions: tuple[Mapping[str, Any], ...] = ()
    engine: str = ENGINE
    drift: Drift | None = None
    mapping: str = ""
    warnings: tuple[str, ...] = field(default=())

    @property
    def refused(self) -> bool:
        """Whether any row was refused."""
        return self.rejected > 0


def promote(hop: Hop, source: Path, target: Path, refused: Path) -> Promotion:
    """Write the next layer of a table to `target` and refused rows, if any, to `refused`.

    Raises QualityGateFailed when a layer's rule or the contract is broken, when rows are unaccounted for, or when more
    rows are refused than the table tolerates.
    """
    footer = pl.read_parquet_metadata(source)
    if "batch_id" not in footer:
        raise InvalidInput(
            f"{hop.dataset}: its file has no batch_id in the footer; promote it anew from the source"
        )
    frame = pl.scan_parquet(source)
    if hop.layer == "bronze":
        done = _bronze(hop, frame, target, refused, footer)
    elif hop.layer == "silver":
        done = _silver(hop, frame, target, refused, footer)
    else:
        done = _gold(hop, frame, target, footer)
    check_balance(hop, done)
    return done


def check_balance(hop: Hop, done: Promotion) -> None:
    """Raise QualityGateFailed unless every row is accounted for and the refused ones are few enough."""
    accounted = done.rows_out + done.rejected + done.deduplicated + done.filtered
    if done.rows_in != accounted or min(done.deduplicated, done.filtered) < 0:
        raise QualityGateFailed(
            f"{hop.table.name} {hop.layer}: {done.rows_in} rows came in, {accounted} are accounted for "
            f"({done.rows_out} out, {done.rejected} rejected, {done.deduplicated} deduplicated, {done.filtered} filtered)"
        )
    if done.rows_in and done.rejected > hop.table.max_rejected * done.rows_in:
        worst = max(done.rejected_by, key=lambda rule: done.rejected_by[rule])
        raise QualityGateFailed(
            f"{hop.table.name} {hop.layer}: {done.rejected} of {done.rows_in} rows refused, more than the "
            f"{hop.table.max_rejected:.0%} this table tolerates; most by {worst}"
        )


# -- bronze ------------------------------------------------------------------------------------------------------------


def prepare(table: Table, staged: pl.LazyFrame, mapping: SourceMapping) -> pl.LazyFrame:
    """Return staged under the declaration's own column names; optional columns that the file lacks are null."""
    have = staged.collect_schema().names()
    return staged.select(
        *(
            pl.col(mapping.theirs(column.name)).alias(column.name)
            if mapping.theirs(column.name) in have
            else pl.lit(None, pl.String).alias(column.name)
            for column in table.source.columns
        ),
        *(column.name for column in PROVENANCE),
    )


def mapping_named(table: Table, name: str) -> SourceMapping:
    """Return a declared mapping; InvalidInput for a name the table does not have."""
    for mapping in (OWN_NAMES, *table.source.mappings):
        if mapping.name == name:
            return mapping
    raise InvalidInput(f"{table.name} declares no source mapping {name!r}; ingest the source anew")


def _bronze(hop: Hop, staged: pl.LazyFrame, target: Path, refused: Path, footer: Footer) -> Promotion:
    table, layer = hop.table, hop.table.bronze
    mapping = mapping_named(table, footer.get("mapping", OWN_NAMES.name))
    texts = [name for name in staged.collect_schema().names() if name not in provenance_names()]
    failures = {
        f"{column.name}:cast_{dtype_name(column.dtype)}": _cast_failed(column, mapping.theirs(column.source))
        for column in layer.columns
        if column.source and column.dtype != pl.String() and mapping.theirs(column.source) in texts
    }
    failed = pl.any_horizontal(*failures.values()) if failures else pl.lit(value=False)

    def transform(frame: pl.LazyFrame) -> pl.LazyFrame:
        return layer.transform(prepare(table, frame, mapping))

    def beside(frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put each row's own text beside its values: bronze keeps rows and order, so they belong together."""
        return pl.concat([transform(frame), frame.select(pl.col(texts).name.prefix(TEXT))], how="horizontal")

    def good(frame: pl.LazyFrame) -> pl.LazyFrame:
        return _finish(beside(frame).filter(~failed), layer, "bronze")

    layers.check(table.name, "bronze", layer, _read(transform, hop, staged))
    original = [pl.col(f"{TEXT}{name}").alias(name) for name in texts]
    bad = quarantine.of_rows(
        beside(staged).filter(failed), layer="bronze", kind="cast", broken=failures, original=original
    )
    rejected, by = _keep_refused(bad, refused, hop, footer)
    _sink(good(staged), target, hop, footer)
    rows_in, rows_out = _rows(staged), _rows(pl.scan_parquet(target))
    return Promotion(
        batch_id=UUID(footer["batch_id"]),
        rows_in=rows_in,
        rows_out=rows_out,
        rejected=rejected,
        deduplicated=0,
        filtered=0,
        rejected_by=by,
        lineage=_read(good, hop, staged),
        schema_in=_names(staged),
        schema_out=_names(pl.scan_parquet(target)),
        assertions=_rule_assertions(failures, by),
        mapping=mapping.name,
    )


def _cast_failed(column: Column, text: str) -> pl.Expr:
    """Return whether there was a text and no value came of it."""
    given = pl.col(f"{TEXT}{text}").str.strip_chars().str.len_chars().fill_null(0) > 0
    return given & pl.col(column.name).is_null()


# -- silver ------------------------------------------------------------------------------------------------------------


def _silver(hop: Hop, bronze: pl.LazyFrame, target: Path, refused: Path, footer: Footer) -> Promotion:
    table, layer = hop.table, hop.table.silver
    schema = dataframely_schema(table)
    plan = _read(layer.transform, hop, bronze)
    layers.check(table.name, "silver", layer, plan)
    cleaned = _finish(layer.transform(bronze), layer, "silver")
    result = schema.filter(cleaned, eager=False)
    bad = result.failure.details()
    rules = rule_ids(table)
    broken = {rule: pl.col(column) == "invalid" for column, rule in rules.items() if column in bad.columns}
    original = [pl.col(column.name) for column in layer.columns]
    rejected, by = _keep_refused(
        quarantine.of_rows(bad.lazy(), layer="silver", kind="rule", broken=broken, original=original),
        refused,
        hop,
        footer,
    )
    valid = result.result.lazy()
    _sink(_first_of_each(valid, table.key).select(_contract_names(layer)), target, hop, footer)
    repeated = valid.filter(~pl.struct(table.key).is_first_distinct())
    rows_in, rows_out = _rows(bronze), _rows(pl.scan_parquet(target))
    chooses = any(step.name in {"filter", "unique", "join"} for step in plan.operations)

    def good(frame: pl.LazyFrame) -> pl.LazyFrame:
        kept = _finish(layer.transform(frame), layer, "silver").filter(holds_all(table))
        return _first_of_each(kept, table.key)

    return Promotion(
        batch_id=UUID(footer["batch_id"]),
        rows_in=rows_in,
        rows_out=rows_out,
        rejected=rejected,
        deduplicated=_rows(repeated),
        filtered=rows_in - _rows(cleaned) if chooses else 0,
        rejected_by=by,
        lineage=_read(good, hop, bronze),
        schema_in=_names(bronze),
        schema_out=_names(pl.scan_parquet(target)),
        assertions=_rule_assertions(rules.values(), by),
    )


def _first_of_each(frame: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    """Keep the first row of each key, in order; any other form gives other bytes every time."""
    return frame.unique(list(key), keep="first", maintain_order=True)


# -- gold --------------------------------------------------------------------------------------------------------------


def _gold(hop: Hop, silver: pl.LazyFrame, target: Path, footer: Footer) -> Promotion:
    table, layer = hop.table, hop.table.gold
    plan = _read(layer.transform, hop, silver)
    layers.check(table.name, "gold", layer, plan)

    def good(frame: pl.LazyFrame) -> pl.LazyFrame:
        return _finish(layer.transform(frame), layer, "gold")

    _sink(good(silver), target, hop, footer)
    made = pl.scan_parquet(target)
    assertions = contract_assertions(table, made)
    broken = [f"{a['column']}: {a['assertion']}" for a in assertions if not a["success"]]
    if broken:
        raise QualityGateFailed(f"{table.name} gold breaks its contract: {', '.join(broken)}")
    rows_in, rows_out = _rows(silver), _rows(made)
    chooses = not plan.exact or any(step.name in {"filter", "join"} for step in plan.operations)
    return Promotion(
        batch_id=UUID(footer["batch_id"]),
        rows_in=rows_in,
        rows_out=rows_out,
        rejected=0,
        deduplicated=0,
        filtered=rows_in - rows_out if chooses else 0,
        rejected_by={},
        lineage=_read(good, hop, silver),
        schema_in=_names(silver),
        schema_out=_names(made),
        assertions=tuple(assertions),
        warnings=plan.warnings,
    )


def contract_assertions(table: Table, made: pl.LazyFrame) -> list[dict[str, Any]]:
    """Return what gold promises and whether it holds: columns that are never null, one row per key."""
    never_null = [c.name for c in (*table.gold.columns, *PROVENANCE) if not c.nullable]
    found = made.select(
        *(pl.col(name).null_count().alias(name) for name in never_null),
        pl.struct(table.gold_key).n_unique().alias("unique keys"),
        pl.len().alias("rows"),
    ).collect()
    counted = found.row(0, named=True)
    assertions = [
        {"assertion": "not_null", "column": name, "success": counted[name] == 0} for name in never_null
    ]
    one_each = counted["rows"] == 0 or counted["unique keys"] == counted["rows"]
    return [*assertions, {"assertion": "unique", "column": ",".join(table.gold_key), "success": one_each}]


# -- all layers --------------------------------------------------------------------------------------------------------


def _contract_names(layer: Layer) -> list[str]:
    return [*(column.name for column in layer.columns), *provenance_names()]


def _finish(frame: pl.LazyFrame, layer: Layer, name: str) -> pl.LazyFrame:
    """Put columns into the contract's order and say which layer this copy of the row lies in."""
    return frame.with_columns(pl.lit(name).alias("_layer")).select(_contract_names(layer))


def _read(transform: Callable[[pl.LazyFrame], pl.LazyFrame], hop: Hop, frame: pl.LazyFrame) -> PlanLineage:
    return derive(transform, {hop.dataset: dict(frame.collect_schema())})


def footer_of(hop: Hop, batch_id: str, **more: str) -> dict[str, str]:
    """Return what a Parquet file says of itself."""
    return {
        "batch_id": batch_id,
        "layer": hop.layer,
        "transition_id": str(hop.transition_id),
        **more,
    }


def _sink(frame: pl.LazyFrame, target: Path, hop: Hop, footer: Footer) -> None:
    schema = dict(frame.collect_schema())
    wanted = hop.table.layer(hop.layer).schema()
    other = [
        f"{name} is {schema[name]}, declared {dtype}"
        for name, dtype in wanted.items()
        if schema[name] != dtype
    ]
    if other:
        raise QualityGateFailed(f"{hop.table.name} {hop.layer} differs from its contract: {'; '.join(other)}")
    frame.sink_parquet(
        target,
        compression="zstd",
        compression_level=LEVEL,
        metadata=footer_of(hop, footer["batch_id"]),
    )


def _keep_refused(bad: pl.LazyFrame, refused: Path, hop: Hop, footer: Footer) -> tuple[int, dict[str, int]]:
    """Write refused rows where there are any; return how many, and how many broke each rule."""
    found = bad.collect()
    if found.is_empty():
        return 0, {}
    write_quarantine(found, refused, hop, footer["batch_id"])
    return found.height, quarantine.counts(found)


def write_quarantine(found: pl.DataFrame, refused: Path, hop: Hop, batch_id: str) -> None:
    """Write refused rows; the file shares batch and transition with the rows that went on."""
    found.write_parquet(
        refused, compression="zstd", compression_level=LEVEL, metadata=footer_of(hop, batch_id)
    )


def _rows(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _names(frame: pl.LazyFrame) -> dict[str, str]:
    return {name: dtype_name(dtype) for name, dtype in frame.collect_schema().items()}


def _rule_assertions(rules: Iterable[str], by: Mapping[str, int]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "assertion": rule.partition(":")[2] or rule,
            "column": rule.partition(":")[0] if ":" in rule else None,
            "success": by.get(rule, 0) == 0,
        }
        for rule in rules
    )
