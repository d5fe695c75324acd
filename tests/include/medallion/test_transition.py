"""The record of a hop: derived ids, and a JSON form that holds every field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

from include.ledger.models import LayerTransition
from include.medallion.transition import Transition, transition_id_of

AT = datetime(2026, 1, 2, tzinfo=UTC)


def record(**more: object) -> Transition:
    known = {
        "transition_id": UUID(int=1),
        "batch_id": None,
        "table_name": "t",
        "partition": "latest",
        "source_layer": "bronze",
        "target_layer": "silver",
        "source_files": (),
        "target_file": None,
        "transforms_applied": ({"name": "t.silver"},),
        "engine": "polars",
        "started_at": AT,
    }
    return Transition(**{**known, **more})  # type: ignore[arg-type]


def test_the_id_follows_from_inputs_code_parameters_and_partition() -> None:
    same = ("t", "gold", "latest", ["a", "b"], "code", {"x": "1"})
    first = transition_id_of(*same)
    assert first == transition_id_of("t", "gold", "latest", ["b", "a"], "code", {"x": "1"})
    others = [
        transition_id_of("t", "gold", "latest", ["a"], "code", {"x": "1"}),
        transition_id_of("t", "gold", "latest", ["a", "b"], "other", {"x": "1"}),
        transition_id_of("t", "gold", "latest", ["a", "b"], "code", {"x": "2"}),
        transition_id_of("t", "gold", "2026-01-01", ["a", "b"], "code", {"x": "1"}),
        transition_id_of("t", "silver", "latest", ["a", "b"], "code", {"x": "1"}),
        transition_id_of("u", "gold", "latest", ["a", "b"], "code", {"x": "1"}),
    ]
    assert len({first, *others}) == 7


def test_a_failed_hop_has_every_field_that_the_ledger_demands() -> None:
    optional = {"layer_transition_id", "job_id", "stage_run_id", "completed_at"}
    demanded = {c.key for c in LayerTransition.__table__.columns if not c.nullable} - optional
    assert demanded <= set(record().row())


def test_every_field_of_the_ledger_is_one_of_the_record() -> None:
    done = record(
        target_file="f",
        column_lineage={"fields": {}},
        completed_at=AT,
        batch_id=UUID(int=2),
        status="success",
    )
    columns = {c.key for c in LayerTransition.__table__.columns} - {
        "layer_transition_id",
        "job_id",
        "stage_run_id",
    }
    assert columns <= set(done.row())


def test_the_json_form_is_plain() -> None:
    plain = json.loads(json.dumps(record(rejected_by={"r": 1}).json()))
    assert plain["started_at"] == "2026-01-02T00:00:00+00:00"
    assert plain["transition_id"] == str(UUID(int=1))
    assert plain["transforms_applied"] == [{"name": "t.silver"}]


def test_a_record_is_balanced_when_every_row_is_accounted_for() -> None:
    counts = {"row_count_in": 10, "row_count_out": 5, "rejected": 2, "deduplicated": 2, "filtered": 1}
    assert record(**counts).balanced
    assert not record(**{**counts, "rejected": 1}).balanced
