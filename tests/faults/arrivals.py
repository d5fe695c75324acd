"""What must be true of the events that a lineage server took, whatever happened to those who sent them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg

from include.lineage.facets import TERMINAL
from include.marquez.server.openlineage import parse_json, read_event
from tests.faults.nursery import key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Event = dict[str, Any]


def assert_arrived(
    dsn: str, received: Sequence[Event], *, acknowledged: Collection[str], told: Collection[str]
) -> None:
    """Fail unless every acknowledged event arrived, nothing arrived that nobody told, and each lane kept its order.

    Events may have come again; what counts is when each was `received` first. `acknowledged` and `told` are keys of events.
    """
    arrived = {key_of(event): place for place, event in reversed(list(enumerate(received)))}
    assert set(acknowledged) - arrived.keys() == set(), "acknowledged, and missing at the server"
    assert arrived.keys() - set(told) == set(), "at the server, and nobody told it"

    with psycopg.connect(dsn) as connection:
        stored = connection.execute(
            "SELECT job_name, run_id::text, event_type, delivered_at IS NOT NULL AND dead_at IS NULL FROM event ORDER BY seq"
        ).fetchall()
    keys = [f"{run} {kind}" for _, run, kind, _ in stored]
    assert len(keys) == len(set(keys)), "one row for each event"
    assert set(keys) == arrived.keys(), "the table has what arrived, and nothing else"
    assert [row for row in stored if not row[3]] == []

    starts = {run: arrived[f"{run} START"] for _, run, kind, _ in stored if kind == "START"}
    ends = [(run, arrived[f"{run} {kind}"]) for _, run, kind, _ in stored if kind in TERMINAL]
    assert [run for run, place in ends if run not in starts or place < starts[run]] == [], (
        "an end before its start"
    )
    assert sorted(run for run, _ in ends) == sorted(starts), "one end to each run"

    ended: set[str] = set()
    lanes: dict[str, list[int]] = {}
    for name, run, kind, _ in stored:
        if kind in TERMINAL:
            ended.add(run)
        # A START that came into the table behind its run's end went before that end, and so before its own turn.
        if kind != "START" or run not in ended:
            lanes.setdefault(name, []).append(arrived[f"{run} {kind}"])
    assert {name: places for name, places in lanes.items() if places != sorted(places)} == {}


def assert_acceptable(events: Sequence[Event]) -> None:
    """Fail unless a Marquez would take every event: read by the rules of one, which raise what it refuses."""
    for event in events:
        read_event(parse_json(json.dumps(event).encode()))
