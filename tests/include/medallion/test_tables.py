"""The declared tables: their values, their column lineage as golden, and their declarations against each other."""

from __future__ import annotations

import sys
from typing import Any

import polars as pl
import pytest

from include.medallion import declared
from include.medallion.contract import PROVENANCE
from include.medallion.partitions import SAMPLES
from include.medallion.schemas import dataframely_schema, rule_ids
from include.medallion.tables import table_named

LETTERS = {
    "IDENTITY": "I",
    "TRANSFORMATION": "T",
    "AGGREGATION": "A",
    "GROUP_BY": "G",
    "FILTER": "F",
    "WINDOW": "W",
    "CONDITIONAL": "C",
}

GOLDEN: dict[tuple[str, str], dict[str, str]] = {
    ("trends", "bronze"): {
        "external_id": "video_id:I",
        "published_at": "publishedAt:T publishedAt:C",
        "channel_id": "channelId:I",
        "channel": "channelTitle:I",
        "category_id": "categoryId:T",
        "trending_on": "trending_date:T",
        "views": "view_count:T",
        "likes": "likes:T",
        "dislikes": "dislikes:T",
        "comments": "comment_count:T",
        "thumbnail_url": "thumbnail_link:I",
        "comments_disabled": "comments_disabled:T",
        "ratings_disabled": "ratings_disabled:T",
        "_layer": "",
        "rows": "categoryId:F comment_count:F comments_disabled:F dislikes:F likes:F publishedAt:F "
        "ratings_disabled:F trending_date:F view_count:F",
    },
    ("trends", "silver"): {
        "external_id": "external_id:T",
        "title": "title:T",
        "channel_id": "channel_id:T",
        "channel": "channel:T",
        "tags": "tags:T tags:C",
        "likes": "likes:T ratings_disabled:C",
        "dislikes": "dislikes:T ratings_disabled:C",
        "comments": "comments:T comments_disabled:C",
        "thumbnail_url": "thumbnail_url:T",
        "description": "description:T",
        "_layer": "",
        "rows": "_batch_id:F _ingested_at:F _source_file:F comments:F comments_disabled:F dislikes:F external_id:F "
        "external_id:G likes:F published_at:F ratings_disabled:F title:F trending_on:F trending_on:G views:F",
    },
    ("trends", "gold"): {
        "platform": "",
        "observed_at": "published_at:A published_at:C trending_on:T trending_on:C trending_on:W",
        "url": "external_id:T",
        "engagement_rate": "comments:T comments:C likes:T likes:C views:T views:C",
        "_layer": "",
    },
    ("leads", "bronze"): {
        "rating": "rating:T rating:C",
        "size": "size:T",
        "approved": "approved:T",
        "verified": "verified:T",
        "_layer": "",
        "rows": "approved:F rating:F size:F verified:F",
    },
    ("leads", "silver"): {
        "lead_id": "lead_id:T",
        "company": "company:T",
        "city": "city:T",
        "country": "country:T",
        "website": "website:T",
        "contact_name": "contact_name:T",
        "contact_email": "contact_email:T",
        "_layer": "",
        "rows": "_batch_id:F _ingested_at:F _source_file:F contact_email:F lead_id:F lead_id:G rating:F size:F",
    },
    ("leads", "gold"): {"reachable": "contact_email:T", "_layer": ""},
    ("assessments", "bronze"): {
        "overall": "overall:T overall:C",
        "comfort": "comfort:T comfort:C",
        "amenities": "amenities:T amenities:C",
        "trip": "trip:T trip:C",
        "crew": "crew:T crew:C",
        "location": "location:T location:C",
        "price": "price:T price:C",
        "n": "reviews:T",
        "reviews_per_month": "reviews_per_month:T reviews_per_month:C",
        "_layer": "",
        "rows": "amenities:F comfort:F crew:F location:F overall:F price:F reviews:F reviews_per_month:F trip:F",
    },
    ("assessments", "silver"): {
        "assessment_id": "assessment_id:T",
        "lead_id": "lead_id:T",
        "_layer": "",
        "rows": "_batch_id:F _ingested_at:F _source_file:F amenities:F assessment_id:F assessment_id:G comfort:F "
        "crew:F lead_id:F location:F n:F overall:F price:F reviews_per_month:F trip:F",
    },
    ("assessments", "gold"): {
        "overall": "overall:T",
        "scored_areas": "amenities:T comfort:T crew:T location:T price:T trip:T",
        "_layer": "",
    },
}


@pytest.mark.parametrize(("name", "layer"), GOLDEN)
def test_column_lineage_of_the_declared_transforms(lake: Any, name: str, layer: str) -> None:
    lineage = lake(name).run(SAMPLES / f"{name}_sample.csv").done[layer].lineage
    below = {"bronze": "staged", "silver": "bronze", "gold": "silver"}[layer]
    assert lineage.datasets == (f"lake/{below}/{name}",)
    found = {
        column: " ".join(f"{edge.column}:{LETTERS[edge.subtype]}" for edge in sorted(edges))
        for column, edges in {**lineage.columns, "rows": lineage.rows}.items()
    }
    assert {c: text for c, text in found.items() if text != f"{c}:I" and (c, text) != ("rows", "")} == GOLDEN[
        name, layer
    ]


@pytest.mark.parametrize("name", declared.TABLES)
def test_a_bronze_column_is_parsed_from_the_source_column_it_declares(lake: Any, name: str) -> None:
    run = lake(name)
    run.stage(SAMPLES / f"{name}_sample.csv")
    lineage = run.promote("bronze").lineage
    for column in run.table.bronze.columns:
        assert lineage.direct(column.name) == ((f"lake/staged/{name}", column.source),), column.name


@pytest.mark.parametrize("name", declared.TABLES)
def test_a_declaration_is_whole(name: str) -> None:
    table = table_named(name)
    assert table.name == name
    assert table.owner
    assert table.steward
    for layer in ("bronze", "silver", "gold"):
        columns = table.layer(layer).columns
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.description for column in columns)
        assert set(table.key if layer == "silver" else ()) <= {column.name for column in columns}
    assert set(table.gold_key) <= {column.name for column in table.gold.columns}
    names = {column.name for column in (*table.silver.columns, *PROVENANCE)}
    assert not names & {rule.name for rule in table.rules}


@pytest.mark.parametrize("name", declared.TABLES)
def test_every_check_of_the_schema_has_a_rule_id(name: str) -> None:
    table = table_named(name)
    empty = pl.DataFrame(schema=table.silver.schema())
    checks = set(dataframely_schema(table).filter(empty).failure.details().columns) - set(empty.columns)
    assert checks == set(rule_ids(table))


def test_stages_are_one_per_table_and_layer_and_name_their_datasets() -> None:
    assert [stage.name for stage in declared.stages_of("trends")] == [
        "trends.ingest",
        "trends.bronze",
        "trends.silver",
        "trends.gold",
    ]
    assert [(stage.inputs, stage.outputs) for stage in declared.stages_of("leads")] == [
        (("sources/leads",), ("lake/staged/leads",)),
        (("lake/staged/leads",), ("lake/bronze/leads",)),
        (("lake/bronze/leads",), ("lake/silver/leads",)),
        (("lake/silver/leads",), ("lake/gold/leads",)),
    ]
    assert len(declared.STAGES) == 4 * len(declared.TABLES)
    for stage in declared.STAGES:
        assert callable(stage.load())


def test_the_code_of_a_stage_is_all_of_the_family_but_the_other_tables() -> None:
    """What a stage imports of its own family decides its bytes, so it is in its code digest."""
    from pathlib import Path

    from include.artifacts.digests import code_digest

    root = Path(declared.__file__).parents[2]
    light = {"__init__.py", "datasets.py", "declared.py", "params.py", "partitions.py"}  # none decides a byte
    family = {
        path.relative_to(root).as_posix()
        for path in (root / "include/medallion").glob("*.py")
        if path.name not in light
    }
    assert family == {
        place
        for place in declared.code_of("leads")
        if place.startswith("include/medallion/") and "/tables/" not in place
    }
    digests = {code_digest(*declared.code_of(name)) for name in declared.TABLES}
    assert len(digests) == 3


def test_declared_stages_are_light(tmp_path: Any) -> None:
    import subprocess

    code = (
        "import sys, include.medallion.declared, include.medallion.params\n"
        "print(sorted({'polars', 'duckdb', 'dataframely'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_trends_values(lake: Any, csv_file: Any) -> None:
    header = (
        "video_id,title,publishedAt,channelId,channelTitle,categoryId,trending_date,tags,view_count,likes,dislikes,"
        "comment_count,thumbnail_link,comments_disabled,ratings_disabled,description\n"
    )
    run = lake("trends").run(
        csv_file(
            header
            + 'v1,"A\n title ",2018-10-31T10:00:03.000Z,c1,Chan,24,18.01.11,"a|""b c""",200,10,1,6,t,False,False,d\n'
            + "v2,Late,2018-11-01T05:30:00.000Z,c1,Chan,24,18.01.11,[none],0,7,1,6,t,True,True,\n"
        )
    )
    first, second = run.frame("gold").select(pl.exclude([column.name for column in PROVENANCE])).to_dicts()
    assert first == {
        "platform": "youtube",
        "external_id": "v1",
        "title": "A title",
        "channel": "Chan",
        "category_id": 24,
        "published_at": first["published_at"],
        "observed_at": first["observed_at"],
        "views": 200,
        "likes": 10,
        "dislikes": 1,
        "comments": 6,
        "tags": "a|b c",
        "url": "https://www.youtube.com/watch?v=v1",
        "engagement_rate": 0.08,
    }
    assert first["published_at"].isoformat() == "2018-10-31T10:00:03+00:00"
    assert first["observed_at"].isoformat() == "2018-11-01T05:30:00+00:00", (
        "not before the newest of that day"
    )
    assert [second[name] for name in ("likes", "dislikes", "comments", "tags", "engagement_rate")] == [
        None
    ] * 5


def test_leads_values(lake: Any, csv_file: Any) -> None:
    run = lake("leads").run(
        csv_file(
            "lead_id,company,city,country,rating,size,approved,verified,website,contact_name,contact_email\n"
            "007, Aster  Lines ,,Malta,97%,12.0,t,No,,Ada,Ada@A.Example\n"
        )
    )
    row = run.frame("gold").select(pl.exclude([column.name for column in PROVENANCE])).row(0, named=True)
    assert row == {
        "lead_id": "007",
        "company": "Aster Lines",
        "city": None,
        "country": "Malta",
        "rating": 0.97,
        "size": 12,
        "approved": True,
        "verified": False,
        "website": None,
        "contact_name": "Ada",
        "contact_email": "ada@a.example",
        "reachable": True,
    }
    personal = {column.name for column in run.table.gold.columns if column.classification == "personal"}
    assert personal == {"contact_name", "contact_email"}


def test_assessments_values(lake: Any, csv_file: Any) -> None:
    run = lake("assessments").run(
        csv_file(
            "assessment_id,lead_id,overall,comfort,amenities,trip,crew,location,price,reviews\nA1,L1,91.0,10,,9.5,9,8,7,26\n"
        )
    )
    row = run.frame("gold").select(pl.exclude([column.name for column in PROVENANCE])).row(0, named=True)
    assert row == {
        "assessment_id": "A1",
        "lead_id": "L1",
        "comfort": 10.0,
        "amenities": None,
        "trip": 9.5,
        "crew": 9.0,
        "location": 8.0,
        "price": 7.0,
        "overall": 9.1,
        "n": 26,
        "scored_areas": 5,
        "reviews_per_month": None,
    }
