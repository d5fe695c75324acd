"""Leads and their assessments out of gold tables; read only, by Parquet path.

Rows are taken with the columns that a report uses and their provenance, no others: what names or reaches a person (a
contact's name and address) stays in gold.

Gold leads, one row per lead: lead_id str, company str?, country str?, city str?, rating f64? (0 to 1), size i64?,
approved bool?. Gold assessments, one row per assessed offer: assessment_id str, lead_id str, one f64? column per area of
`include.reports.scoring.AREAS` (0 to 10), n i64 (reviews). Both with the provenance columns of the lake.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput
from include.reports.scoring import AREAS, HUNDREDTHS, Audit, Market, audit, opportunity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

LEAD_COLUMNS = ("lead_id", "company", "country", "rating", "size", "approved")
ASSESSMENT_COLUMNS = ("assessment_id", "lead_id", *(area.name for area in AREAS), "n")
OPTIONAL_LEAD_COLUMNS = ("city",)
INGESTED = "_ingested_at"
PROVENANCE = "_"
"""First character of the lake's provenance columns."""


@dataclass(frozen=True)
class LeadData:
    """Everything one audit is made from, as plain JSON types; `ingested_at` is the newest ingestion of its rows."""

    lead: Mapping[str, Any]
    assessments: Sequence[Mapping[str, Any]]
    market: Market
    ingested_at: datetime


@dataclass(frozen=True)
class RankedLead:
    """A lead and how much a report on it is worth."""

    lead_id: str
    company: str | None
    opportunity: float
    findings: int
    reviews: int


def read_lead(leads: Path, assessments: Path, lead_id: str) -> LeadData:
    """Return one lead's rows, its assessments in order of id, and the market they are compared with.

    Raises InvalidInput when a table lacks a column, or has no or more than one row for the lead.
    """
    import polars as pl

    lead_table = _scan(leads, LEAD_COLUMNS, "leads")
    assessment_table = _scan(assessments, ASSESSMENT_COLUMNS, "assessments")
    found = lead_table.filter(pl.col("lead_id").cast(pl.String) == lead_id).collect()
    if found.height != 1:
        what = "no row" if found.height == 0 else f"{found.height} rows"
        raise InvalidInput(f"gold leads has {what} for lead_id {lead_id!r}: choose a lead_id of that table")
    own = (
        assessment_table.filter(pl.col("lead_id").cast(pl.String) == lead_id).sort("assessment_id").collect()
    )
    times = [
        time for frame in (found, own) for time in frame[INGESTED].to_list() if isinstance(time, datetime)
    ]
    if not times:
        raise InvalidInput(f"gold leads: {INGESTED} of lead {lead_id!r} is empty or no time")
    return LeadData(
        lead=_used(found.row(0, named=True), (*LEAD_COLUMNS, *OPTIONAL_LEAD_COLUMNS)),
        assessments=[_used(row, ASSESSMENT_COLUMNS) for row in own.iter_rows(named=True)],
        market=read_market(leads, assessments),
        ingested_at=max(_utc(time) for time in times),
    )


def read_market(leads: Path, assessments: Path) -> Market:
    """Return the exact sums over all leads."""
    import polars as pl

    table = _scan(assessments, ASSESSMENT_COLUMNS, "assessments")
    expressions = [pl.len().alias("rows")]
    for area in AREAS:
        counted = pl.col(area.name).is_not_null() & (pl.col("n") > 0)
        score = (pl.col(area.name).cast(pl.Float64) * HUNDREDTHS).round(0).cast(pl.Int64)
        reviews = pl.col("n").cast(pl.Int64)
        expressions += [
            (score * reviews).filter(counted).sum().alias(f"{area.name}_total"),
            reviews.filter(counted).sum().alias(f"{area.name}_reviews"),
        ]
    sums = table.select(expressions).collect().row(0, named=True)
    count = _scan(leads, LEAD_COLUMNS, "leads").select(pl.len()).collect().item()
    return Market(
        areas={
            area.name: (int(sums[f"{area.name}_total"] or 0), int(sums[f"{area.name}_reviews"] or 0))
            for area in AREAS
        },
        leads=int(count),
        assessments=int(sums["rows"]),
    )


def audit_of(data: LeadData) -> Audit:
    """Return the audit of a lead's data."""
    return audit(data.lead, data.assessments, data.market)


def rank_leads(leads: Path, assessments: Path, most: int) -> list[RankedLead]:
    """Return the leads a report is worth most for, first first; leads without any review are never chosen.

    Order: opportunity, then number of reviews, then lead_id.
    """
    import polars as pl

    market = read_market(leads, assessments)
    rows: dict[str, list[dict[str, Any]]] = {}
    columns = list(ASSESSMENT_COLUMNS)
    reviewed = _scan(assessments, ASSESSMENT_COLUMNS, "assessments").select(columns).filter(pl.col("n") > 0)
    for row in reviewed.sort("assessment_id").collect().iter_rows(named=True):
        rows.setdefault(str(row["lead_id"]), []).append(row)
    ranked = []
    for lead in (
        _scan(leads, LEAD_COLUMNS, "leads").select(list(LEAD_COLUMNS)).collect().iter_rows(named=True)
    ):
        lead_id = str(lead["lead_id"])
        if lead_id not in rows:
            continue
        found = audit(lead, rows[lead_id], market)
        ranked.append(
            RankedLead(lead_id, lead["company"], opportunity(found), len(found.findings), found.reviews)
        )
    ranked.sort(key=lambda item: (-item.opportunity, -item.reviews, item.lead_id))
    return ranked[:most]


def _used(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return a row with the columns a report uses and where it came from."""
    return plain_row(
        {name: value for name, value in row.items() if name in columns or name.startswith(PROVENANCE)}
    )


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON types; times in UTC, decimals as text.

    >>> plain_row({"at": datetime(2026, 1, 2, tzinfo=UTC), "n": 3, "price": Decimal("1.10")})
    {'at': '2026-01-02T00:00:00+00:00', 'n': 3, 'price': '1.10'}
    """
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return plain_row(value)
    return value


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _scan(path: Path, columns: Sequence[str], table: str) -> pl.LazyFrame:
    import polars as pl

    frame = pl.scan_parquet(path)
    missing = [name for name in (*columns, INGESTED) if name not in frame.collect_schema().names()]
    if missing:
        raise InvalidInput(f"gold {table} ({path.name}) lacks the column {', '.join(missing)}")
    return frame
