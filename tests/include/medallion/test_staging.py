"""Staged is the source as it is: all text, every record, and a place for every line that is none."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from include.errors import InvalidInput, QualityGateFailed
from include.medallion.contract import Source, SourceColumn, SourceMapping
from include.medallion.tables import table_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = (
    "assessment_id,lead_id,overall,comfort,amenities,trip,crew,location,price,reviews,reviews_per_month\n"
)
ROW = "A{n},L1,90.0,9,9,9,9,9,9,12,0.5\n"
PROVENANCE = ["_source_file", "_ingested_at", "_batch_id", "_layer", "_row_number"]


def rows(*numbers: int) -> str:
    return "".join(ROW.format(n=number) for number in numbers)


def test_values_stay_text_and_provenance_is_added(lake: Any, csv_file: Any) -> None:
    staged = lake("assessments")
    staged.stage(csv_file(HEADER + '00010.00,L1,"9,0",,"",x,9,9,9,1.0,\n'))
    frame = staged.frame("staged")
    assert frame.columns == [*HEADER.strip().split(","), *PROVENANCE]
    assert set(frame.select(pl.exclude(PROVENANCE)).dtypes) == {pl.String()}
    row = frame.row(0, named=True)
    assert (row["assessment_id"], row["overall"], row["comfort"], row["amenities"]) == (
        "00010.00",
        "9,0",
        None,
        "",
    )
    assert row["_source_file"] == "assessments/in.csv"
    assert str(row["_ingested_at"]) == "2026-03-04 05:06:07+00:00"
    assert (row["_layer"], row["_row_number"]) == ("staged", 1)


@pytest.mark.parametrize("name", ["trends", "leads", "assessments"])
def test_a_sample_has_as_many_records_as_the_csv_module_counts(lake: Any, name: str) -> None:
    from include.medallion.partitions import SAMPLES

    path = SAMPLES / f"{name}_sample.csv"
    with path.open(newline="") as file:
        header, *records = csv.reader(file)
    staged = lake(name)
    done = staged.stage(path)
    assert done.rows_in == len(records)
    kept = staged.frame("staged")
    assert kept.columns == [*header, *PROVENANCE]
    for values, number in zip(kept.select(header).rows(), kept["_row_number"], strict=True):
        assert ["" if value is None else value for value in values] == records[number - 1]


def test_the_batch_is_the_same_for_the_same_bytes_only(lake: Any, csv_file: Any) -> None:
    one, again, other = (lake("assessments") for _ in range(3))
    ids = [
        one.stage(csv_file(HEADER + rows(1), "a.csv")).batch_id,
        again.stage(csv_file(HEADER + rows(1), "b.csv")).batch_id,
        other.stage(csv_file(HEADER + rows(2), "c.csv")).batch_id,
    ]
    assert ids[0] == ids[1] != ids[2]
    assert one.frame("staged")["_batch_id"].to_list() == [str(ids[0])]
    assert pl.read_parquet_metadata(one.path("staged"))["batch_id"] == str(ids[0])


BROKEN: dict[str, tuple[bytes, list[str]]] = {
    "too few fields": (b"A2,L1,90.0", ["missing_columns"]),
    "too many fields": (b"A2,L1,90.0,9,9,9,9,9,9,12,0.5,more", ["too_many_columns"]),
    "bytes that are no UTF-8": (b"A2,caf\xe9,90.0,9,9,9,9,9,9,12,0.5", ["invalid_encoding"]),
    "a stray quote in a quoted field": (b'"A2","L"1",90.0,9,9,9,9,9,9,12,0.5', ["unquoted_value"]),
}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_line_is_kept_with_its_place_kind_and_bytes(
    lake: Any, csv_file: Any, what: str, newline: bytes
) -> None:
    line, kinds = BROKEN[what]
    before = HEADER.encode() + b'A0,"L\n1",90.0,9,9,9,9,9,9,12,0.5\n' + rows(1).encode()
    content = (before + line + b"\n" + rows(3, 4).encode()).replace(b"\n", newline)
    at = content.index(line)
    staged = lake("assessments")
    done = staged.stage(csv_file(content))
    assert (done.rows_in, done.rows_out, done.rejected) == (5, 4, 1)
    assert staged.frame("staged")["assessment_id"].to_list() == ["A0", "A1", "A3", "A4"]
    assert staged.frame("staged")["_row_number"].to_list() == [1, 2, 4, 5]
    (kept,) = staged.quarantine("staged")
    assert kept["kind"] == "physical"
    assert kept["rules"][0] == kinds[0]
    assert (kept["_source_file"], kept["_row_number"]) == ("assessments/in.csv", 3)
    assert (kept["byte"], kept["line"]) == (at, content[:at].count(b"\n") + 1)
    assert kept["raw"] == line.decode("utf-8", errors="backslashreplace")
    assert done.rejected_by.get(kinds[0]) == 1
    assert "duckdb" in done.engine


def test_a_quote_that_never_closes_takes_the_rest_of_the_file_with_it_and_keeps_it(
    lake: Any, csv_file: Any
) -> None:
    tail = 'A3,"L1,90.0,9,9,9,9,9,9,12,0.5\n' + rows(4)
    staged = lake("assessments")
    done = staged.stage(csv_file(HEADER + rows(1, 2) + tail))
    assert (done.rows_in, done.rows_out) == (3, 2)
    assert staged.quarantine("staged")[0]["raw"] == tail.strip("\n")


def test_a_quote_inside_an_unquoted_field_is_a_value(lake: Any, csv_file: Any) -> None:
    staged = lake("assessments")
    assert staged.stage(csv_file(HEADER + 'A1,L"1,90.0,9,9,9,9,9,9,12,0.5\n' + rows(2))).rejected == 0
    assert staged.frame("staged")["lead_id"].to_list() == ['L"1', "L1"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_blank_lines_are_no_records(lake: Any, csv_file: Any, newline: str) -> None:
    content = (HEADER + rows(1) + "\n" + rows(2) + "\n\n").replace("\n", newline)
    staged = lake("assessments")
    assert staged.stage(csv_file(content)).rows_in == 2
    assert staged.frame("staged")["_row_number"].to_list() == [1, 2]


def test_a_row_without_its_last_value_is_a_record(lake: Any, csv_file: Any) -> None:
    staged = lake("assessments")
    done = staged.stage(csv_file(HEADER + "A1,L1,90.0,9,9,9,9,9,9,12,\n"))
    assert (done.rows_out, done.rejected) == (1, 0)
    assert staged.frame("staged")["reviews_per_month"].to_list() == [None]


def test_old_line_ends_and_a_byte_order_mark_are_read(lake: Any, csv_file: Any) -> None:
    staged = lake("assessments")
    assert staged.stage(csv_file((HEADER + rows(1, 2)).replace("\n", "\r"), "mac.csv")).rows_out == 2
    marked = lake("assessments")
    assert marked.stage(csv_file(b"\xef\xbb\xbf" + (HEADER + rows(1)).encode(), "bom.csv")).rows_out == 1
    assert marked.frame("staged").columns[0] == "assessment_id"


def test_a_byte_order_mark_does_not_shift_the_place_of_a_broken_line(lake: Any, csv_file: Any) -> None:
    content = b"\xef\xbb\xbf" + (HEADER + rows(1) + "A2,short\n" + rows(3)).encode()
    staged = lake("assessments")
    staged.stage(csv_file(content))
    assert staged.quarantine("staged")[0]["byte"] == content.index(b"A2,short")


REFUSED: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["is empty", "assessment_id"]),
    "blank": (b"\n\n", ["is empty", "assessment_id"]),
    "header only": (HEADER.encode(), ["no rows", "assessment_id"]),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ["not a CSV", "assessment_id"]),
    "parquet": (b"PAR1\x15\x04\x15\x10", ["not a CSV", "assessment_id"]),
    "UTF-16": (HEADER.encode("utf-16"), ["not a CSV in UTF-8", "assessment_id"]),
    "json": (b'[{"assessment_id": 1}]', ["lacks the column", "assessment_id"]),
    "semicolons": (HEADER.replace(",", ";").encode(), ["not separated by commas", "assessment_id"]),
    "missing column": (HEADER.replace("crew,", "").encode() + b"1\n", ["lacks the column crew"]),
    "renamed column": (
        HEADER.replace("lead_id", "Lead-ID").encode() + b"1\n",
        ["lacks the column lead_id", "'Lead-ID' looks like 'lead_id'"],
    ),
    "named twice": (HEADER.replace("crew", "trip").encode() + b"1\n", ["'trip' twice"]),
    "nameless": (HEADER.replace("crew", "").encode() + b"1\n", ["column 7", "no name"]),
    "a column of the lake": (HEADER.replace("crew", "crew,_batch_id").encode(), ["'_batch_id'"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_table_is_refused_naming_file_and_column(lake: Any, csv_file: Any, what: str) -> None:
    content, words = REFUSED[what]
    staged = lake("assessments")
    with pytest.raises(InvalidInput) as caught:
        staged.stage(csv_file(content))
    for word in ["assessments/in.csv", *words]:
        assert word in str(caught.value)


def test_a_file_of_nothing_but_broken_lines_is_refused(lake: Any, csv_file: Any) -> None:
    with pytest.raises(QualityGateFailed, match=r"2 of 2 rows refused.*most by missing_columns"):
        lake("assessments").stage(csv_file(HEADER + "a,b\nc,d\n"))


def test_drift_names_file_and_columns(lake: Any, csv_file: Any) -> None:
    header = HEADER.replace("overall,comfort", "comfort,overall").replace(",reviews_per_month\n", ",stars\n")
    staged = lake("assessments")
    done = staged.stage(csv_file(header + rows(1)))
    assert done.drift is not None
    assert done.drift.plain() == {
        "file": "assessments/in.csv",
        "mapping": "own names",
        "added": ["stars"],
        "missing": ["reviews_per_month"],
        "reordered": ["comfort", "overall"],
        "renamed": {},
    }
    assert "stars" in staged.frame("staged").columns


@pytest.mark.parametrize("mode", ["evolve", "discard", "freeze"])
def test_the_drift_mode_decides_what_becomes_of_an_added_column(lake: Any, csv_file: Any, mode: Any) -> None:
    table = table_named("assessments")
    staged = lake(replace(table, source=replace(table.source, drift=mode)))
    file = csv_file(HEADER.replace("\n", ",stars\n") + rows(1).replace("\n", ",5\n"))
    if mode == "freeze":
        with pytest.raises(InvalidInput, match=r"in.csv has the column stars"):
            staged.stage(file)
        return
    assert staged.stage(file).drift.added == ("stars",)
    assert ("stars" in staged.frame("staged").columns) == (mode == "evolve")


def test_another_sources_names_are_told_by_the_header(lake: Any, csv_file: Any) -> None:
    staged = lake("leads")
    done = staged.stage(
        csv_file("id,company_rating,company_location,total_fleet_count,iata_approved\n7,90%,Malta,2.0,t\n")
    )
    assert done.mapping == "fleet registry"
    assert staged.frame("staged").columns[:2] == ["id", "company_rating"]
    staged.promote("bronze")
    row = staged.frame("bronze").row(0, named=True)
    assert (row["lead_id"], row["rating"], row["size"], row["approved"], row["city"]) == (
        "7",
        0.9,
        2,
        True,
        None,
    )


def test_a_given_mapping_is_the_one_that_is_used(lake: Any, csv_file: Any) -> None:
    with pytest.raises(InvalidInput, match="lacks the column id"):
        lake("leads").stage(csv_file("lead_id\n1\n"), SourceMapping("given", {"lead_id": "id"}))


def test_staging_knows_which_source_column_each_column_is(lake: Any, csv_file: Any) -> None:
    staged = lake("assessments")
    done = staged.stage(csv_file(HEADER + rows(1)))
    assert done.lineage.direct("crew") == (("sources/assessments", "crew"),)
    assert done.lineage.columns["_batch_id"] == frozenset()
    assert done.lineage.columns["_row_number"] == frozenset()


def test_thousands_of_records_around_broken_lines_keep_their_numbers(
    lake: Any, csv_file: Callable[..., Path]
) -> None:
    records = [f'"A{n}","L\n{n}",9,9,9,9,9,9,9,1,1' for n in range(1, 20_001)]
    for broken in (17, 4_000, 19_999):
        records[broken - 1] = f"A{broken},cut"
    staged = lake("assessments")
    done = staged.stage(csv_file(HEADER + "\n".join(records)))
    assert (done.rows_in, done.rejected) == (20_000, 3)
    frame = staged.frame("staged")
    assert frame.filter(pl.col("assessment_id") != pl.format("A{}", "_row_number")).is_empty()
    assert [row["_row_number"] for row in staged.quarantine("staged")] == [17, 4_000, 19_999]


def test_a_source_of_one_column_is_read(lake: Any, csv_file: Any) -> None:
    table = replace(table_named("leads"), source=Source((SourceColumn("only", "one"),)))
    staged = lake(table)
    assert staged.stage(csv_file("only\na\nb\n")).rows_out == 2


def test_records_that_end_in_one_way_or_the_other_are_all_read(lake: Any, csv_file: Any) -> None:
    content = (
        HEADER.encode().replace(b"\n", b"\r\n")
        + b'A1,"L\r\n1",90.0,9,9,9,9,9,9,12,\r\n'
        + b'A2,"L\n2",90.0,9,9,9,9,9,9,12,\n'
        + b"A3,cut\n"
        + b"A4,L4,90.0,9,9,9,9,9,9,12,0.5\r\n"
        + b"A5,cut\r\n"
        + b"A6,L6,90.0,9,9,9,9,9,9,12,0.5\n"
    )
    staged = lake("assessments")
    assert staged.stage(csv_file(content)).rejected == 2
    assert staged.frame("staged").select("assessment_id", "lead_id", "_row_number").rows() == [
        ("A1", "L\r\n1", 1),
        ("A2", "L\n2", 2),
        ("A4", "L4", 4),
        ("A6", "L6", 6),
    ]
    found = [(row["raw"], row["byte"]) for row in staged.quarantine("staged")]
    assert found == [("A3,cut", content.index(b"A3,")), ("A5,cut", content.index(b"A5,"))]
