"""Facets of a run: the job it works for, and how it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from openlineage.client.event_v2 import RunState
from openlineage.client.generated.base import RunFacet
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet

from include.lineage.producer import PRODUCER

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_FACET = "throughline_job"
JOB_FACET_SCHEMA = (
    "https://throughline.example/spec/facets/1-0-0/ThroughlineJobRunFacet.json#/$defs/ThroughlineJobRunFacet"
)
TERMINAL = {RunState.COMPLETE.value, RunState.FAIL.value, RunState.ABORT.value}


@attrs.define(kw_only=True)
class ThroughlineJobRunFacet(RunFacet):
    """Which job a run works for, and the digests of what it read and made; `omitted` names facets that were too large."""

    job_id: str
    dag_id: str
    run_id: str
    stage: str | None = None
    key: str | None = None
    attempt: int | None = None
    status: str | None = None
    reconciled: bool | None = None
    triggered_by: dict[str, str] | None = None
    inputs: list[dict[str, Any]] | None = None
    artifacts: list[dict[str, Any]] | None = None
    omitted: list[str] | None = None

    @staticmethod
    def _get_schema() -> str:
        return JOB_FACET_SCHEMA


def job_facet(facts: Mapping[str, Any], *, dag_id: str, run_id: str) -> ThroughlineJobRunFacet:
    """Return the facet that says which job, stage and digests a run stands for."""

    def named(item: Mapping[str, Any]) -> dict[str, Any]:
        kept = {
            "dataset": item["name"],
            "kind": item["kind"],
            "key": item.get("key", ""),
            "sha256": item["sha256"],
            "artifact_id": item["artifact_id"],
        }
        return {**kept, "reused": True} if item.get("reused_from") else kept

    return ThroughlineJobRunFacet(
        producer=PRODUCER,
        job_id=str(facts["job_id"]),
        dag_id=dag_id,
        run_id=run_id,
        stage=facts["stage"],
        key=facts.get("key") or None,
        attempt=facts.get("attempt"),
        status=facts.get("status"),
        inputs=[named(item) for item in facts.get("inputs", [])],
        artifacts=[named(item) for item in facts.get("outputs", [])],
    )


def error_of(facts: Mapping[str, Any]) -> ErrorMessageRunFacet | None:
    """Return how an attempt failed, as its facts say it; None for one that did not."""
    if not facts.get("error") or facts.get("status") not in {"failed", "stale"}:
        return None
    return ErrorMessageRunFacet(producer=PRODUCER, message=str(facts["error"]), programmingLanguage="python")
