"""The check that every event goes through finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validity import SPEC, Validity

FACET = {
    "_producer": "https://throughline.example",
    "_schemaURL": "https://openlineage.io/spec/facets/1-2-0/X.json#/$defs/X",
}
LINEAGE = {
    **FACET,
    "fields": {"total": {"inputFields": [{"namespace": "throughline", "name": "lake/a", "field": "x"}]}},
}


def event(**changes: Any) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-01T10:00:00Z",
        "producer": "https://throughline.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "01a1feee-814c-7b90-96b3-8d9b1ff9c984"},
        "job": {"namespace": "throughline", "name": "video.composition"},
        "inputs": [{"namespace": "throughline", "name": "lake/a"}],
        "outputs": [
            {
                "namespace": "throughline",
                "name": "lake/b",
                "facets": {"schema": {**FACET, "fields": [{"name": "total"}]}, "columnLineage": LINEAGE},
            }
        ],
    } | changes


def test_a_good_event_has_no_problem() -> None:
    assert Validity().problems([event()], "RunEvent") == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"inputs": []}, "which is no input"),
        ({"outputs": [{"namespace": "throughline", "name": "b", "facets": {"columnLineage": LINEAGE}}]}, "in the schema"),
        ({"outputs": [{"namespace": "throughline", "name": "1#b"}]}, "node id"),
        ({"job": {"namespace": "two words", "name": "x"}}, "namespace 'two words' is refused"),
        (
            {"job": {"namespace": "throughline", "name": "x", "facets": {"jobType": {**FACET, "integration": "AIRFLOW"}}}},
            "facet jobType lacks processingType",
        ),
        (
            {"job": {"namespace": "throughline", "name": "x", "facets": {"sql": {"_producer": "p", "query": "q"}}}},
            "facet sql lacks _schemaURL",
        ),
    ],
)  # fmt: skip
def test_what_marquez_refuses_or_drops_is_named(changes: dict[str, Any], named: str) -> None:
    problems = [problem for problem in _by_marquez_alone(event(**changes)) if named in problem]
    assert len(problems) == 1, problems


def _by_marquez_alone(told: dict[str, Any]) -> list[str]:
    return list(Validity()._by_marquez(told))


@pytest.mark.skipif(not SPEC.is_dir(), reason="../shared/openlineage-spec is not there: no schemas")
def test_what_the_specification_forbids_is_named() -> None:
    problems = Validity().problems([event(eventTime="yesterday")], "RunEvent")
    assert [problem for problem in problems if "eventTime" in problem]
