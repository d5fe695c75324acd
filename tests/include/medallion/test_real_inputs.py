"""Real files that nobody here wrote go from source to gold with every row, and their damage is found."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from include.artifacts.digests import sha256_file

if TYPE_CHECKING:
    from pathlib import Path

COUNTRIES = {"BR": 200, "DE": 200, "GB": 77, "US": 200}


def records(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


@pytest.fixture(params=COUNTRIES)
def chart(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    return shared_data / "youtube" / f"2018-11-01_{request.param}_videos.csv"


def test_a_chart_goes_to_gold_with_every_row_and_value(lake: Any, chart: Path) -> None:
    header, rows = records(chart)
    run = lake("trends").run(chart)
    assert len(rows) == COUNTRIES[chart.name[11:13]]
    assert [(d.rows_in, d.rows_out) for d in run.done.values()] == [(len(rows), len(rows))] * 4
    staged = run.frame("staged").select(header)
    assert [["" if value is None else value for value in row] for row in staged.rows()] == rows
    gold = run.frame("gold")
    at = {name: number for number, name in enumerate(header)}
    for row, source in zip(gold.iter_rows(named=True), rows, strict=True):
        assert row["external_id"] == source[at["video_id"]]
        assert row["views"] == int(source[at["view_count"]])
        assert row["comments"] == (
            None if source[at["comments_disabled"]] == "True" else int(source[at["comment_count"]])
        )
        assert rows[row["_row_number"] - 1] == source
        assert row["published_at"] <= row["observed_at"]
        if row["likes"] is not None and row["comments"] is not None:
            assert row["engagement_rate"] == pytest.approx((row["likes"] + row["comments"]) / row["views"])


def test_a_chart_gives_the_same_bytes_twice(lake: Any, chart: Path) -> None:
    runs = [lake("trends").run(chart) for _ in range(2)]
    for layer in ("staged", "bronze", "silver", "gold"):
        assert len({sha256_file(run.path(layer)) for run in runs}) == 1


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'"abc","cut off","2018-10-31T10:00:03.000Z"', "missing_columns"),
        (b",".join([b'"x"'] * 17), "too_many_columns"),
        (b'"caf\xe9",' + b",".join([b'"x"'] * 15), "invalid_encoding"),
    ],
    ids=["cut", "long", "latin-1"],
)
def test_a_broken_line_injected_into_a_chart_is_found_and_nothing_else_changes(
    lake: Any, chart: Path, tmp_path: Path, line: bytes, kind: str
) -> None:
    clean = lake("trends").run(chart)
    _header, rows = records(chart)
    content = chart.read_bytes()
    at = content.index(b'\n"' + rows[40][0].encode() + b'"') + 1
    damaged = tmp_path / chart.name
    damaged.write_bytes(content[:at] + line + b"\n" + content[at:])
    run = lake("trends").run(damaged)
    done = run.done["staged"]
    assert (done.rows_in, done.rows_out, done.rejected) == (len(rows) + 1, len(rows), 1)
    (kept,) = run.quarantine("staged")
    assert (kept["rules"][0], kept["byte"], kept["_row_number"]) == (kind, at, 41)
    assert kept["raw"] == line.decode("utf-8", errors="backslashreplace")
    columns = pl.exclude("_ingested_at", "_batch_id", "_row_number")
    assert run.frame("gold").select(columns).equals(clean.frame("gold").select(columns))
    assert run.frame("gold")["_row_number"].to_list() == [*range(1, 41), *range(42, len(rows) + 2)]


def test_real_companies_become_leads(lake: Any, shared_data: Path) -> None:
    path = shared_data / "spaceflights" / "companies.csv"
    _, rows = records(path)
    run = lake("leads").run(path)
    assert run.done["staged"].mapping == "fleet registry"
    assert [(d.rows_in, d.rows_out, d.rejected) for d in run.done.values()] == [(10_019, 10_019, 0)] * 4
    for row, (key, rating, place, fleet, approved) in zip(
        run.frame("gold").iter_rows(named=True), rows, strict=True
    ):
        assert row["lead_id"] == key
        assert row["rating"] == (pytest.approx(float(rating.rstrip("%")) / 100) if rating else None)
        assert row["country"] == (place or None)
        assert row["size"] == (int(float(fleet)) if fleet else None)
        assert row["approved"] == {"t": True, "f": False, "": None}[approved]
    assert run.done["bronze"].lineage.direct("size") == (("lake/staged/leads", "total_fleet_count"),)
    assert run.done["bronze"].lineage.direct("city") == ()


def test_real_reviews_become_assessments(lake: Any, fleet_reviews: Path) -> None:
    _, rows = records(fleet_reviews)
    run = lake("assessments").run(fleet_reviews)
    assert run.done["staged"].mapping == "fleet reviews"
    assert [(d.rows_in, d.rows_out, d.rejected) for d in run.done.values()] == [(15_531, 15_531, 0)] * 4
    gold = run.frame("gold")
    assert gold["n"].sum() == sum(int(row[8]) for row in rows)
    assert gold["comfort"].null_count() == sum(not row[2] for row in rows)
    assert gold.select(
        pl.min_horizontal("comfort", "price").min(), most=pl.max_horizontal("comfort", "price").max()
    ).row(0) == (2.0, 10.0)


def test_reviews_without_a_company_are_refused_by_name(lake: Any, shared_data: Path) -> None:
    from include.errors import InvalidInput

    with pytest.raises(InvalidInput, match=r"reviews.csv lacks the column company_id"):
        lake("assessments").stage(shared_data / "spaceflights" / "reviews.csv")


def test_every_real_table_of_a_foreign_kind_is_refused_naming_it(lake: Any, shared_data: Path) -> None:
    from include.errors import InvalidInput

    files = sorted((shared_data / "noc").glob("*.csv"))
    assert len(files) > 10
    for path in files:
        with pytest.raises(InvalidInput, match=rf"{path.name} .*video_id"):
            lake("trends").stage(path)
