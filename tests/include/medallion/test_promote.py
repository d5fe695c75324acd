"""A hop keeps, refuses or drops every row with a reason, and gives the same bytes for the same input."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from include.artifacts.digests import sha256_file
from include.errors import InvalidInput, QualityGateFailed
from include.medallion.promote import Hop, Promotion, check_balance, promote
from include.medallion.tables import table_named

HEADER = "lead_id,company,city,country,rating,size,approved,verified,website,contact_name,contact_email\n"
GOOD = "L{n},Aster,Graz,Austria,90%,2.0,t,f,https://a.example,Ada Sample,Ada@a.example\n"


def good(*numbers: int) -> str:
    return "".join(GOOD.format(n=number) for number in numbers)


def test_a_value_that_does_not_parse_is_refused_with_its_rule_and_original_row(
    lake: Any, csv_file: Any
) -> None:
    bad = "L2,Birch,,Malta,ninety,two,perhaps,,,,\n"
    run = lake("leads").run(csv_file(HEADER + good(1) + bad + good(3)))
    done = run.done["bronze"]
    assert (done.rows_in, done.rows_out, done.rejected) == (3, 2, 1)
    (kept,) = run.quarantine("bronze")
    assert kept["rules"] == ["rating:cast_float64", "size:cast_int64", "approved:cast_boolean"]
    assert (kept["kind"], kept["_layer"], kept["_row_number"]) == ("cast", "bronze", 2)
    assert json.loads(str(kept["raw"])) == dict(
        zip(
            HEADER.strip().split(","),
            ["L2", "Birch", None, "Malta", "ninety", "two", "perhaps"] + [None] * 4,
            strict=True,
        )
    )
    assert done.rejected_by == {"approved:cast_boolean": 1, "rating:cast_float64": 1, "size:cast_int64": 1}
    assert [a["column"] for a in done.assertions if not a["success"]] == ["rating", "size", "approved"]


def test_a_blank_is_missing_and_no_failed_cast(lake: Any, csv_file: Any) -> None:
    run = lake("leads").run(csv_file(HEADER + 'L1,,,,"  ",,"",,,,\n'))
    assert [run.done[layer].rejected for layer in ("bronze", "silver", "gold")] == [0, 0, 0]
    row = run.frame("gold").row(0, named=True)
    assert [row[name] for name in ("company", "rating", "size", "approved", "reachable")] == [None] * 4 + [
        False
    ]


def test_a_row_that_breaks_rules_is_refused_with_all_of_them(lake: Any, csv_file: Any) -> None:
    bad = " ,Birch,,Malta,140%,-1,t,,,Bo,nowhere\n"
    run = lake("leads").run(csv_file(HEADER + good(1) + bad))
    (kept,) = run.quarantine("silver")
    assert sorted(kept["rules"]) == [
        "email_has_an_at",
        "lead_id:not_null",
        "rating_in_range",
        "size_not_negative",
    ]
    assert (kept["kind"], kept["_row_number"]) == ("rule", 2)
    assert json.loads(str(kept["raw"]))["rating"] == pytest.approx(1.4)
    failed = {(a["assertion"], a["column"]) for a in run.done["silver"].assertions if not a["success"]}
    assert failed == {
        ("email_has_an_at", None),
        ("not_null", "lead_id"),
        ("rating_in_range", None),
        ("size_not_negative", None),
    }


def test_the_first_valid_row_of_a_key_stays(lake: Any, csv_file: Any) -> None:
    invalid_first = "L1,Wrong,,Malta,500%,1,t,,,,\n"
    run = lake("leads").run(csv_file(HEADER + invalid_first + good(1, 2, 1) + good(1)))
    done = run.done["silver"]
    assert (done.rows_in, done.rows_out, done.rejected, done.deduplicated) == (5, 2, 1, 2)
    assert run.frame("silver").select("lead_id", "company", "_row_number").rows() == [
        ("L1", "Aster", 2),
        ("L2", "Aster", 3),
    ]


def test_rows_that_silver_leaves_out_are_counted_as_filtered(lake: Any, csv_file: Any) -> None:
    table = table_named("leads")
    only_austria = replace(
        table.silver,
        transform=lambda frame: table.silver.transform(frame).filter(pl.col("country") == "Austria"),
    )
    run = lake(replace(table, silver=only_austria))
    run.run(csv_file(HEADER + good(1, 2) + "L3,,,Malta,,,,,,,\n"))
    done = run.done["silver"]
    assert (done.rows_in, done.rows_out, done.filtered) == (3, 2, 1)
    assert ("lake/bronze/leads", "country") in {(e.dataset, e.column) for e in done.lineage.rows}


def test_every_hop_of_a_sample_balances(lake: Any) -> None:
    from include.medallion.partitions import SAMPLES

    counted = {}
    for name in ("trends", "leads", "assessments"):
        run = lake(name).run(SAMPLES / f"{name}_sample.csv")
        counted[name] = [
            (d.rows_in, d.rows_out, d.rejected, d.deduplicated, d.filtered) for d in run.done.values()
        ]
        assert all(i == o + r + d + f for i, o, r, d, f in counted[name])
    assert counted == {
        "trends": [(42, 41, 1, 0, 0), (41, 40, 1, 0, 0), (40, 38, 1, 1, 0), (38, 38, 0, 0, 0)],
        "leads": [(62, 61, 1, 0, 0), (61, 60, 1, 0, 0), (60, 58, 1, 1, 0), (58, 58, 0, 0, 0)],
        "assessments": [(201, 201, 0, 0, 0), (201, 200, 1, 0, 0), (200, 198, 1, 1, 0), (198, 198, 0, 0, 0)],
    }


@pytest.mark.parametrize("lost", [{"rows_out": 9}, {"filtered": -1, "rows_out": 11}])
def test_a_row_that_is_unaccounted_for_stops_the_hop(lake: Any, csv_file: Any, lost: dict[str, int]) -> None:
    run = lake("leads").run(csv_file(HEADER + good(*range(10))))
    hop = Hop(run.table, "silver", "latest", UUID(int=9), "lake/bronze/leads")
    done: Promotion = run.done["silver"]
    check_balance(hop, done)
    with pytest.raises(QualityGateFailed, match="leads silver: 10 rows came in"):
        check_balance(hop, replace(done, **lost))


def test_more_refused_rows_than_a_table_tolerates_stop_the_hop(lake: Any, csv_file: Any) -> None:
    run = lake("leads")
    run.stage(csv_file(HEADER + good(1) + "L2,,,,x,,,,,,\nL3,,,,y,,,,,,\n"))
    with pytest.raises(
        QualityGateFailed, match=r"2 of 3 rows refused, more than the 50%.*rating:cast_float64"
    ):
        run.promote("bronze")


def test_the_same_input_gives_the_same_bytes(lake: Any) -> None:
    from include.medallion.partitions import SAMPLES

    for name in ("trends", "leads", "assessments"):
        runs = [lake(name).run(SAMPLES / f"{name}_sample.csv") for _ in range(2)]
        for layer in ("staged", "bronze", "silver", "gold"):
            assert len({sha256_file(run.path(layer)) for run in runs}) == 1, (name, layer)
            if runs[0].quarantine(layer):
                assert len({sha256_file(run.refused(layer)) for run in runs}) == 1, (name, layer)


def test_a_file_says_which_batch_layer_and_transition_it_is(lake: Any, csv_file: Any) -> None:
    run = lake("leads").run(csv_file(HEADER + good(1)))
    batch = str(run.done["staged"].batch_id)
    for number, layer in enumerate(("staged", "bronze", "silver", "gold"), 1):
        footer = pl.read_parquet_metadata(run.path(layer))
        assert (footer["batch_id"], footer["layer"]) == (batch, layer)
        assert footer["transition_id"] == str(UUID(int=number))
        assert set(run.frame(layer)["_layer"]) == {layer}
        assert set(run.frame(layer)["_batch_id"]) == {batch}


def test_the_time_of_ingestion_is_the_first_one_in_every_layer(lake: Any, csv_file: Any) -> None:
    run = lake("leads").run(csv_file(HEADER + good(1)))
    times = {str(run.frame(layer)["_ingested_at"][0]) for layer in ("staged", "bronze", "silver", "gold")}
    assert times == {"2026-03-04 05:06:07+00:00"}


def test_every_gold_row_leads_to_its_record_in_the_source(lake: Any) -> None:
    import csv

    from include.medallion.partitions import SAMPLES

    path = SAMPLES / "trends_sample.csv"
    with path.open(newline="") as file:
        records = list(csv.DictReader(file))
    gold = lake("trends").run(path).frame("gold")
    assert gold.height == 38
    for row in gold.iter_rows(named=True):
        record = records[row["_row_number"] - 1]
        assert row["_source_file"] == "trends/trends_sample.csv"
        assert (row["external_id"], str(row["views"])) == (record["video_id"], record["view_count"])


def test_gold_that_breaks_its_contract_is_refused(lake: Any, csv_file: Any) -> None:
    table = table_named("leads")
    one_row_each_country = replace(table, gold_key=("country",))
    run = lake(one_row_each_country)
    with pytest.raises(QualityGateFailed, match="leads gold breaks its contract: country: unique"):
        run.run(csv_file(HEADER + good(1, 2)))
    company = tuple(replace(c, nullable=False) if c.name == "company" else c for c in table.gold.columns)
    run = lake(replace(table, gold=replace(table.gold, columns=company)))
    with pytest.raises(QualityGateFailed, match="company: not_null"):
        run.run(csv_file(HEADER + "L1,,,,,,,,,,\n"))


def test_a_column_of_another_type_than_declared_is_refused(lake: Any, csv_file: Any) -> None:
    table = table_named("leads")
    size = tuple(replace(c, dtype=pl.Int64()) if c.name == "rating" else c for c in table.gold.columns)
    run = lake(replace(table, gold=replace(table.gold, columns=size)))
    with pytest.raises(QualityGateFailed, match="rating is Float64, declared Int64"):
        run.run(csv_file(HEADER + good(1)))


def test_a_file_that_no_promotion_wrote_is_refused(lake: Any) -> None:
    run = lake("leads")
    pl.DataFrame({"lead_id": ["1"]}).write_parquet(run.path("staged"))
    with pytest.raises(InvalidInput, match="no batch_id in the footer"):
        promote(
            Hop(run.table, "bronze", "latest", UUID(int=1), "lake/staged/leads"),
            run.path("staged"),
            run.path("bronze"),
            run.refused("bronze"),
        )


def test_a_value_that_is_no_finite_number_is_refused_by_name(lake: Any, csv_file: Any) -> None:
    table = table_named("leads")
    infinite = replace(
        table.silver,
        transform=lambda frame: table.silver.transform(frame).with_columns(rating=1 / (pl.col("size") - 1)),
    )
    run = lake(replace(table, silver=infinite))
    run.run(csv_file(HEADER + good(1, 2) + "L3,,,Malta,90%,1,t,,,,\n"))
    assert run.quarantine("silver")[0]["rules"] == ["rating_in_range", "rating:not_infinite"]
