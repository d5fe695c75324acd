"""Gold tables as the reports read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from include.errors import InvalidInput
from include.reports import data

if TYPE_CHECKING:
    from collections.abc import Callable

Gold = tuple[Path, Path]


def test_a_lead_comes_with_its_own_rows_only(gold: Gold) -> None:
    found = data.read_lead(*gold, "1")
    assert found.lead["company"] == "Aster"
    assert [row["assessment_id"] for row in found.assessments] == ["11", "12", "13"]
    assert found.ingested_at.isoformat() == "2026-11-20T06:30:00+00:00"
    assert found.lead["_ingested_at"] == "2026-11-20T06:30:00+00:00"


def test_who_to_contact_stays_in_gold(gold: Gold) -> None:
    frame = pl.read_parquet(gold[0]).with_columns(
        contact_email=pl.lit("ada@canary.example"), city=pl.lit("Valletta"), _batch_id=pl.lit("b1")
    )
    frame.write_parquet(gold[0])
    found = data.read_lead(*gold, "1")
    assert "canary" not in str(found)
    assert (found.lead["city"], found.lead["_batch_id"]) == ("Valletta", "b1")


def test_gold_contracts_hold_what_reports_read() -> None:
    from include.medallion.contract import provenance_names
    from include.medallion.tables import assessments, leads

    provenance = set(provenance_names())
    for table, columns in ((leads.TABLE, data.LEAD_COLUMNS), (assessments.TABLE, data.ASSESSMENT_COLUMNS)):
        assert {*columns, data.INGESTED} <= {column.name for column in table.gold.columns} | provenance


def test_the_market_is_an_exact_sum(gold: Gold) -> None:
    market = data.read_market(*gold)
    assert market.areas["price"] == (1000 * 40 + 700 * 4, 44)
    assert (market.leads, market.assessments) == (3, 4)


def test_leads_are_ranked_by_what_a_report_is_worth(gold: Gold) -> None:
    assert [lead.lead_id for lead in data.rank_leads(*gold, 9)] == ["1", "2"]  # lead 3 has no review
    assert [lead.lead_id for lead in data.rank_leads(*gold, 1)] == ["1"]


def test_unknown_lead_is_refused_by_name(gold: Gold) -> None:
    with pytest.raises(InvalidInput, match="no row for lead_id '99'"):
        data.read_lead(*gold, "99")


@pytest.mark.parametrize(("table", "column"), [(0, "rating"), (1, "crew"), (1, "_ingested_at")])
def test_missing_column_is_refused_by_name(gold: Gold, table: int, column: str) -> None:
    frame = pl.read_parquet(gold[table])
    frame.drop(column).write_parquet(gold[table])
    with pytest.raises(
        InvalidInput, match=f"gold {('leads', 'assessments')[table]} .* lacks the column {column}"
    ):
        data.read_lead(*gold, "1")


def test_real_companies_and_reviews_can_be_audited(spaceflights: Callable[[], tuple[Gold, Any]]) -> None:
    gold, _ = spaceflights()
    best = data.rank_leads(*gold, 3)
    assert len(best) == 3
    assert best[0].opportunity >= best[1].opportunity >= best[2].opportunity > 5
    found = data.audit_of(data.read_lead(*gold, best[0].lead_id))
    assert found.findings
    assert found.reviews >= 20
