"""Versions have the identifiers that a real Marquez 0.51.1 gave the same content (taken from its answers)."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from include.marquez.server.identity import name_uuid
from include.marquez.server.openlineage import REQUESTED, REQUESTED_NAME
from include.marquez.server.records import JobVersion, told_version

AT = datetime(2026, 11, 20, tzinfo=UTC)
TABLE = uuid4()


def test_a_job_version_is_named_after_its_datasets_and_location() -> None:
    made = JobVersion.of(("legacy", "j1"), {TABLE: ("legacy", "t1")}, {}, "https://x.example/j1", AT, None)
    assert made.version == UUID("5627c45a-cbdf-354c-9488-41d5c20cc029")
    other = JobVersion.of(("legacy", "j1"), {}, {TABLE: ("legacy", "t1")}, "https://x.example/j1", AT, None)
    assert other.version != made.version


def test_a_dataset_version_is_named_after_its_source_fields_and_run() -> None:
    facets = {
        "dataSource": {"_producer": REQUESTED, "name": "legacysrc"},
        "schema": {"fields": [{"name": "a", "type": "integer", "description": "d"}]},
        REQUESTED_NAME: {"_producer": REQUESTED, "name": "public.t1"},
    }
    told = told_version(TABLE, ("legacy", "t1"), facets, AT, "event")
    assert told.version == UUID("c1cef6e3-c47e-3f4d-8b30-b4ca57659e6a")
    assert told_version(TABLE, ("legacy", "t1"), facets, AT, "event", uuid4()).version != told.version


def test_datasets_and_fields_count_whatever_order_they_are_told_in() -> None:
    raw, clean = {uuid4(): ("file", "b"), uuid4(): ("file", "a")}, {uuid4(): ("file", "c")}
    turned = dict(reversed(raw.items()))
    assert JobVersion.of(("n", "j"), raw, clean, None, AT, None).version == name_uuid(
        "n", "j", "file:a:file:b", "file:c"
    )
    assert JobVersion.of(("n", "j"), turned, clean, None, AT, None) == JobVersion.of(
        ("n", "j"), raw, clean, None, AT, None
    )
    # Of a real answer: three fields, of which one has a description, told in another order.
    fields = [
        {"name": "source", "type": "VARCHAR", "description": "where it was collected"},
        {"name": "raw", "type": "JSON"},
        {"name": "collected_at", "type": "TIMESTAMP"},
    ]
    facets = {
        "dataSource": {"name": "file"},
        "schema": {"fields": fields},
        "lifecycleStateChange": {"lifecycleStateChange": "OVERWRITE"},
    }
    run = UUID("019e3a7c-4cde-7251-86a6-dd281cbbd883")
    told = told_version(TABLE, ("file", "lake/staged/trends"), facets, AT, "input", run)
    assert told.version == UUID("fdbe19c0-f22c-37a8-a5af-9877034f535b")
    assert told.row()[3] == UUID("f5789a98-210a-31b1-a265-a9ec6336e374")


def test_names_that_hold_colons_may_share_a_version_but_never_a_row() -> None:
    one = JobVersion.of(("a", "b:c"), {}, {}, None, AT, None)
    two = JobVersion.of(("a:b", "c"), {}, {}, None, AT, None)
    assert one.version == two.version
    assert one.id != two.id
