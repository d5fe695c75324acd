"""Rules of each layer, read from the plan: one transform per rule that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from include.errors import QualityGateFailed
from include.medallion.contract import Column
from include.medallion.tables import table_named

HEADER = "lead_id,country,rating,size,approved\n"
SOURCE = HEADER + "L1,Malta,90%,1,t\nL2,Niue,80%,2,f\n"
Step = Callable[[pl.LazyFrame], pl.LazyFrame]

BROKEN: dict[tuple[str, str], tuple[Step, str]] = {
    ("bronze", "filter"): (lambda f: f.filter(pl.col("size") > 1), "bronze transform does filter"),
    ("bronze", "sort"): (lambda f: f.sort("size", maintain_order=True), "does sort; bronze renames and casts"),
    ("bronze", "unique"): (lambda f: f.unique("size", keep="first", maintain_order=True), "does unique"),
    ("bronze", "aggregate"): (lambda f: f.with_columns(size=pl.col("size").max()), "does aggregate"),
    ("bronze", "slice"): (lambda f: f.head(1), "does slice"),
    ("bronze", "join"): (lambda f: f.join(f, on="lead_id", how="semi"), "does join"),
    ("silver", "group by"): (
        lambda f: f.group_by(pl.all().exclude("size"), maintain_order=True).agg(pl.col("size").sum()),
        "does group_by; silver cleans and chooses rows; aggregation belongs to gold",
    ),
    ("silver", "aggregate"): (lambda f: f.with_columns(size=pl.col("size").sum()), "does aggregate"),
    ("silver", "slice"): (lambda f: f.head(1), "does slice"),
    ("silver", "any row of several"): (lambda f: f.unique("lead_id"), "unique without a fixed order"),
    ("silver", "unordered join"): (
        lambda f: f.join(f.select("lead_id"), on="lead_id", how="inner"),
        "join without a fixed order",
    ),
    ("silver", "unstable sort"): (lambda f: f.sort("size"), "sort without a fixed order"),
    ("gold", "any row of several"): (lambda f: f.unique("lead_id"), "unique without a fixed order"),
    ("gold", "unordered join"): (
        lambda f: f.join(f.select("lead_id"), on="lead_id", how="inner"),
        "join without a fixed order",
    ),
}  # fmt: skip


def with_step(layer: str, step: Step) -> Any:
    table = table_named("leads")
    declared = table.layer(layer)
    changed = replace(declared, transform=lambda frame: step(declared.transform(frame)))
    return replace(table, **{layer: changed})


def run_to(lake: Any, csv_file: Any, table: Any, layer: str) -> Any:
    run = lake(table)
    run.stage(csv_file(SOURCE))
    for name in ("bronze", "silver", "gold"):
        run.promote(name)
        if name == layer:
            break
    return run


@pytest.mark.parametrize(("layer", "what"), BROKEN)
def test_a_step_that_a_layer_does_not_permit_is_refused(
    lake: Any, csv_file: Any, layer: str, what: str
) -> None:
    step, message = BROKEN[layer, what]
    with pytest.raises(QualityGateFailed, match=message):
        run_to(lake, csv_file, with_step(layer, step), layer)


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
@pytest.mark.parametrize("column", ["_source_file", "_ingested_at", "_batch_id", "_row_number"])
def test_a_provenance_column_may_not_be_dropped(lake: Any, csv_file: Any, layer: str, column: str) -> None:
    with pytest.raises(QualityGateFailed, match=f"{layer} transform drops or changes .* {column}"):
        run_to(lake, csv_file, with_step(layer, lambda f: f.drop(column)), layer)


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_a_provenance_column_may_not_be_rewritten(lake: Any, csv_file: Any, layer: str) -> None:
    step: Step = lambda f: f.with_columns(pl.lit("2026-01-01").str.to_datetime().alias("_ingested_at"))  # noqa: E731
    with pytest.raises(QualityGateFailed, match="drops or changes the provenance column _ingested_at"):
        run_to(lake, csv_file, with_step(layer, step), layer)


@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_plan_that_cannot_be_read_is_refused_below_gold(lake: Any, csv_file: Any, layer: str) -> None:
    with pytest.raises(QualityGateFailed, match="cannot be checked against the layer's rules"):
        run_to(lake, csv_file, with_step(layer, lambda f: f.map_batches(lambda frame: frame)), layer)


def test_a_plan_that_cannot_be_read_gives_gold_a_warning_and_no_column_lineage(
    lake: Any, csv_file: Any
) -> None:
    run = run_to(lake, csv_file, with_step("gold", lambda f: f.map_batches(lambda frame: frame)), "gold")
    assert "python mapfunction" in run.done["gold"].warnings[0]
    assert run.done["gold"].lineage.facet("ns") is None
    assert run.frame("gold").height == 2


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold"])
def test_columns_are_those_of_the_contract(lake: Any, csv_file: Any, layer: str) -> None:
    with pytest.raises(
        QualityGateFailed, match=r"differs from its contract: missing \[\], not declared \['more'\]"
    ):
        run_to(lake, csv_file, with_step(layer, lambda f: f.with_columns(more=pl.lit(1))), layer)
    with pytest.raises(QualityGateFailed, match=r"missing \['size'\]"):
        run_to(lake, csv_file, with_step(layer, lambda f: f.drop("size")), layer)


def test_gold_may_group_in_a_fixed_order(lake: Any, csv_file: Any) -> None:
    """One row per key keeps the provenance by grouping on it."""
    keys = ("_source_file", "_ingested_at", "_batch_id", "_layer", "_row_number")
    table = table_named("leads")
    gold = replace(
        table.gold,
        columns=(Column("lead_id", pl.String(), "id"), Column("size", pl.Int64(), "sum")),
        transform=lambda f: f.group_by("lead_id", *keys, maintain_order=True).agg(pl.col("size").sum()),
    )
    run = run_to(lake, csv_file, replace(table, gold=gold), "gold")
    assert run.frame("gold").select("lead_id", "size").rows() == [("L1", 1), ("L2", 2)]
