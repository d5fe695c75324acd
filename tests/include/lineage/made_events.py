"""Run events as Airflow would send them, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID


def make_event(job: UUID, name: str, kind: str, minute: int, run: UUID) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": f"2026-11-01T{minute // 60:02d}:{minute % 60:02d}:00+00:00",
        "producer": "https://throughline.example",
        "job": {"namespace": "throughline", "name": name},
        "run": {
            "runId": str(run),
            "facets": {"throughline_job": {"job_id": str(job), "dag_id": "video", "run_id": "manual__1"}},
        },
        "inputs": [],
        "outputs": [],
    }
