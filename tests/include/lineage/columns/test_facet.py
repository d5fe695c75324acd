"""The facet body: fields, dataset-level edges, and what of a plan the layer rules read."""

from __future__ import annotations

import time

import polars as pl

from include.lineage.columns import Operation, derive

SCHEMA = {"id": pl.Int64(), "who": pl.String(), "price": pl.Float64()}


def test_fields_and_dataset_have_the_form_of_the_openlineage_facet() -> None:
    found = derive(
        lambda f: f.filter(pl.col("price") > 0).select("id", x=pl.col("who").hash(), layer=pl.lit("gold")),
        {"lake/bronze/t": SCHEMA},
    )
    assert found.facet("throughline") == {
        "fields": {
            "id": {
                "inputFields": [
                    {
                        "namespace": "throughline",
                        "name": "lake/bronze/t",
                        "field": "id",
                        "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
                    }
                ]
            },
            "x": {
                "inputFields": [
                    {
                        "namespace": "throughline",
                        "name": "lake/bronze/t",
                        "field": "who",
                        "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}],
                    }
                ]
            },
        },
        "dataset": [
            {
                "namespace": "throughline",
                "name": "lake/bronze/t",
                "field": "price",
                "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}],
            }
        ],
    }


def test_two_ways_of_taking_part_are_two_transformations_of_one_input_field() -> None:
    found = derive(lambda f: f.select(x=pl.when(pl.col("id") > 0).then("id")), {"t": SCHEMA})
    facet = found.facet("ns")
    assert facet is not None
    assert facet["fields"]["x"]["inputFields"] == [
        {
            "namespace": "ns",
            "name": "t",
            "field": "id",
            "transformations": [
                {"type": "DIRECT", "subtype": "TRANSFORMATION"},
                {"type": "INDIRECT", "subtype": "CONDITIONAL"},
            ],
        }
    ]


def test_a_carried_column_is_told_from_a_computed_one() -> None:
    found = derive(lambda f: f.select("id", who=pl.col("who").str.to_lowercase(), price="id"), {"t": SCHEMA})
    assert [found.carried(name) for name in ("id", "who", "price", "absent")] == [True, False, False, False]
    assert found.direct("price") == (("t", "id"),)


def test_operations_say_what_is_done_to_rows_and_whether_in_a_fixed_order() -> None:
    def operations(transform: object) -> set[Operation]:
        return set(derive(transform, {"t": SCHEMA}).operations)  # type: ignore[arg-type]

    assert operations(lambda f: f.unique("id")) == {Operation("unique", ordered=False)}
    assert operations(lambda f: f.unique("id", keep="first", maintain_order=True)) == {Operation("unique")}
    assert operations(lambda f: f.group_by("who").agg(pl.len())) == {
        Operation("group_by", ordered=False),
    }
    assert operations(lambda f: f.select(pl.col("price").sum())) == {Operation("aggregate")}
    assert operations(lambda f: f.select(pl.col("price").sum().over("who"))) == set()
    assert operations(lambda f: f.join(f, on="id")) == {Operation("join", ordered=False)}
    assert operations(lambda f: f.sort("id")) == {Operation("sort", ordered=False)}


def test_a_chain_of_two_thousand_steps_is_read() -> None:
    def chain(frame: pl.LazyFrame) -> pl.LazyFrame:
        for _ in range(2000):
            frame = frame.with_columns(price=pl.col("price") + 1)
        return frame

    started = time.monotonic()
    assert derive(chain, {"t": SCHEMA}).direct("price") == (("t", "price"),)
    assert time.monotonic() - started < 20
