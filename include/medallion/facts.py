"""What is published with a table: schema with descriptions, statistics per column, and which promises hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from include.medallion.contract import PROVENANCE, Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from include.medallion.promote import Promotion

NUMBERS = (pl.Int64(), pl.Float64())


def table_facts(table: Table, layer: str, file: Path, done: Promotion, namespace: str) -> dict[str, Any]:
    """Return the facts of one published table file, as JSON types.

    Keys: rows, schema, column_lineage (where the plan is known in full), quality, assertions, owner, steward,
    classification, retention_days, batch_id, rejected, and drift or warnings where there are any.
    """
    lineage = done.lineage.facet(namespace)
    found: dict[str, Any] = {
        "rows": done.rows_out,
        "schema": schema_of(table, layer, done),
        "quality": quality_of(table, layer, file),
        "assertions": [
            *({name: value for name, value in one.items() if value is not None} for one in done.assertions),
            {"assertion": "rows_balance", "success": True},
        ],
        "owner": table.owner,
        "steward": table.steward,
        "classification": table.classification,
        "retention_days": table.retention_days,
        "batch_id": str(done.batch_id),
        "rejected": done.rejected,
    }
    if lineage is not None:
        found["column_lineage"] = lineage
    if done.drift is not None and done.drift.any:
        found["drift"] = done.drift.plain()
    if done.warnings or done.lineage.warnings:
        found["warnings"] = list(dict.fromkeys((*done.warnings, *done.lineage.warnings)))
    return found


def schema_of(table: Table, layer: str, done: Promotion) -> list[dict[str, str]]:
    """Return name, type and description of every column of a layer."""
    columns = {column.name: column.description for column in columns_of(table, layer)}
    return [
        {"name": name, "type": dtype, **({"description": columns[name]} if columns.get(name) else {})}
        for name, dtype in done.schema_out.items()
    ]


def columns_of(table: Table, layer: str) -> tuple[Column, ...]:
    """Return the declared columns of a layer, provenance included; staged has the source's."""
    if layer != "staged":
        return (*table.layer(layer).columns, *PROVENANCE)
    source = (Column(column.name, pl.String(), column.description) for column in table.source.columns)
    return (*source, *PROVENANCE)


def quality_of(table: Table, layer: str, file: Path) -> dict[str, Any]:
    """Return rowCount and columnMetrics (nullCount, distinctCount, and min, max, sum of numbers).

    Of personal columns only how many are missing is told. Sums are of whole numbers only: a float's sum depends on order.
    """
    frame = pl.scan_parquet(file)
    schema = dict(frame.collect_schema())
    personal = {column.name for column in columns_of(table, layer) if column.classification == "personal"}
    wanted: list[pl.Expr] = [pl.len().alias("rows")]
    for name, dtype in schema.items():
        column = pl.col(name)
        wanted.append(column.null_count().alias(f"{name}\0nullCount"))
        if name in personal:
            continue
        wanted.append(column.n_unique().alias(f"{name}\0distinctCount"))
        if dtype in NUMBERS and name != "_row_number":
            wanted += [column.min().alias(f"{name}\0min"), column.max().alias(f"{name}\0max")]
        if dtype == pl.Int64() and name != "_row_number":
            wanted.append(column.sum().alias(f"{name}\0sum"))
    row = frame.select(wanted).collect().row(0, named=True)
    metrics: dict[str, dict[str, Any]] = {name: {} for name in schema}
    for key, value in row.items():
        name, _, metric = key.partition("\0")
        if metric and value is not None:
            metrics[name][metric] = float(value) if metric in {"min", "max", "sum"} else int(value)
    return {"rowCount": int(row["rows"]), "columnMetrics": metrics}
