"""Findings and their priorities, worked out by hand from the rows of the fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.reports import data, scoring

Gold = tuple[Path, Path]


@pytest.fixture
def first(gold: Gold) -> scoring.Audit:
    """The audit of lead 1."""
    return data.audit_of(data.read_lead(*gold, "1"))


def test_priority_is_the_weighted_sum() -> None:
    assert scoring.priority_of(impact=6.25, conversion=10.0, effort=7.0) == 7.1
    assert scoring.priority_of(impact=0, conversion=0, effort=10) == 0
    assert scoring.priority_of(impact=10, conversion=10, effort=0) == 10


def test_means_are_weighted_by_reviews_and_leave_unscored_offers_out(first: scoring.Audit) -> None:
    comfort = next(area for area in first.areas if area.area == "comfort")
    assert (comfort.mean, comfort.reviews, comfort.worst_offer, comfort.worst_score) == (7.5, 40, "12", 6.0)
    assert comfort.market == round((8 * 30 + 6 * 10 + 10 * 4) / 44, 2) == 7.73
    # offer 12 (10 of 40 reviews) scores below 7.73, offer 11 above it
    assert comfort.below_share == 0.25


def test_golden_findings_of_a_lead(first: scoring.Audit) -> None:
    found = [
        (item.area, item.impact, item.conversion, item.effort, item.priority, item.urgency, item.quick_win)
        for item in first.findings
    ]
    # amenities, trip, crew, location: mean 9 -> impact 2.5; market (9 x 40 + 10 x 4) / 44 = 9.09 -> all reviews below it
    # comfort: mean 7.5 -> impact 6.25, a quarter of the reviews below the market; price: mean 10, nothing lost
    assert found == [
        ("crew", 2.5, 10.0, 4.0, 6.2, "plan", True),
        ("amenities", 2.5, 10.0, 5.0, 6.0, "plan", True),
        ("trip", 2.5, 10.0, 6.0, 5.8, "plan", False),
        ("location", 2.5, 10.0, 9.0, 5.2, "plan", False),
        ("approval", 4.0, 5.0, 7.0, 4.2, "plan", False),
        ("comfort", 6.25, 2.5, 7.0, 4.1, "plan", False),
        ("rating", 2.0, 2.0, 6.0, 2.4, "watch", False),
    ]
    assert first.overall == round((7.5 + 9 * 4 + 10) / 6, 2) == 8.92
    assert (first.reviews, first.offers) == (42, 3)


def test_warnings_name_what_is_missing(gold: Gold) -> None:
    assert data.audit_of(data.read_lead(*gold, "1")).warnings == (
        "1 of 3 assessments without any score: left out of every mean.",
    )
    assert data.audit_of(data.read_lead(*gold, "2")).warnings == (
        "Only 4 reviews: means may change with the next one.",
        "The company rating is not known.",
        "The country is not known.",
        "The fleet size is not known.",
    )
    none = data.audit_of(data.read_lead(*gold, "3"))
    assert none.warnings == (
        "No assessment of this lead exists: the report rests on the company's own record alone.",
    )
    assert (none.findings, none.overall) == ((), None)


def test_row_order_does_not_show(gold: Gold) -> None:
    lead = data.read_lead(*gold, "1")
    assert scoring.audit(lead.lead, list(reversed(lead.assessments)), lead.market) == data.audit_of(lead)


@pytest.mark.parametrize(
    ("field", "value", "area"), [("comfort", 7.9, "comfort"), ("n", 31, "comfort"), ("price", 9.9, "price")]
)
def test_one_cell_changes_the_finding(gold: Gold, field: str, value: Any, area: str) -> None:
    lead = data.read_lead(*gold, "1")
    changed = [dict(row) for row in lead.assessments]
    changed[0][field] = value

    def finding(rows: Any) -> Any:
        return next(
            (item for item in scoring.audit(lead.lead, rows, lead.market).findings if item.area == area), None
        )

    assert finding(changed) != finding(lead.assessments)


def test_evidence_makes_a_lead_worth_a_report(first: scoring.Audit, gold: Gold) -> None:
    assert scoring.opportunity(first) == 6.2
    few = data.audit_of(data.read_lead(*gold, "2"))
    assert scoring.opportunity(few) == round(few.findings[0].priority * 4 / 20, 4)
