"""What the provider's events lack: the job of the run, a nominal time, the stage among the tags; and what they have too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openlineage.client.generated.nominal_time_run import NominalTimeRunFacet
from openlineage.client.generated.tags_job import TagsJobFacet, TagsJobFacetFields
from openlineage.client.serde import Serde

from include.lineage.facets.run import JOB_FACET, ThroughlineJobRunFacet
from include.lineage.naming import job_id_of
from include.lineage.producer import PRODUCER, TAG_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

CONF_KEYS = frozenset(
    [
        "job_id",
        "source",
        "theme",
        "content_references",
        "mood",
        "target_s",
        "size",
        "fps",
        "seed",
        "writer",
        "writer_model",
        "voice",
        "language",
        "music",
        "review",
        "fresh",
        "tables",
        "partition",
        "leads",
        "n_leads",
        "template",
        "dossier",
        "budget_usd",
        "dry_run",
        "openlineage",
    ]
)
DROPPED_FACETS = ("unknownSourceAttribute", "environmentVariables", "debug")


def completed(event: Json) -> Json:
    """Return a run event of the provider with what it lacks and without what must not be told; others as they are.

    Adds `throughline_job` to every event of a DAG run, `nominalTime` where the run has no data interval, and the stage to
    a task's tags. Takes out conf keys that no form has, and a DAG's `parent`.
    """
    run = event.get("run")
    if not run:
        return event
    facets: Json = {
        name: facet for name, facet in (run.get("facets") or {}).items() if name not in DROPPED_FACETS
    }
    given: Json = {}
    for name, dag_run in list(_dag_runs(facets)):
        conf = dag_run.get("conf")
        given = dag_run
        if isinstance(conf, dict):
            kept = {key: value for key, value in conf.items() if key in CONF_KEYS}
            facets[name] = {**facets[name], "dagRun": {**dag_run, "conf": kept}}
    parent = facets.get("parent")
    if _is_dag(event) and parent:
        # A real Marquez renames a DAG's job after its parent and leaves a ghost under the old name.
        del facets["parent"]
    if given:
        facets[JOB_FACET] = _named(facets.get(JOB_FACET), given, event, parent)
        if "nominalTime" not in facets and (moment := _nominal(given)):
            facets["nominalTime"] = moment
    return {**event, "run": {**run, "facets": facets}, "job": _tagged(event["job"], facets.get(JOB_FACET))}


def _dag_runs(facets: Json) -> Iterator[tuple[str, Json]]:
    """Yield every dagRun object with the facet that holds it (task and DAG events name the facet differently)."""
    for name, facet in facets.items():
        if isinstance(facet, dict) and isinstance(facet.get("dagRun"), dict):
            yield name, facet["dagRun"]


def _is_dag(event: Json) -> bool:
    job_type = ((event.get("job") or {}).get("facets") or {}).get("jobType") or {}
    return bool(job_type.get("jobType") == "DAG")


def _named(facet: Json | None, dag_run: Json, event: Json, parent: Json | None) -> Json:
    """Return the job facet: the operator's own where there is one, completed from the DAG run."""
    dag_id, run_id = str(dag_run["dag_id"]), str(dag_run["run_id"])
    if facet is None:
        stage = None if _is_dag(event) else event["job"]["name"].removeprefix(f"{dag_id}.")
        facet = Serde.to_dict(
            ThroughlineJobRunFacet(
                producer=PRODUCER,
                job_id=str(job_id_of(dag_id, run_id, dag_run.get("conf"))),
                dag_id=dag_id,
                run_id=run_id,
                stage=stage,
            )
        )
    if _is_dag(event) and parent:
        facet = {**facet, "triggered_by": {"job": parent["job"]["name"], "run": parent["run"]["runId"]}}
    return facet


def _nominal(dag_run: Json) -> Json | None:
    """Return the nominal time of a run that a person or another DAG triggered: the moment it was due."""
    due = dag_run.get("logical_date") or dag_run.get("run_after")
    if not due:
        return None
    return dict(Serde.to_dict(NominalTimeRunFacet(producer=PRODUCER, nominalStartTime=str(due))))


def _tagged(job: Json, facet: Json | None) -> Json:
    """Return a task's job with its stage among the tags; the provider takes tags from the DAG only."""
    if not facet or not facet.get("stage"):
        return job
    facets = job.get("facets") or {}
    tags = (facets.get("tags") or {}).get("tags") or []
    if any(tag.get("key") == "stage" for tag in tags):
        return job
    return {**job, "facets": {**facets, "tags": with_stage(tags, str(facet["stage"]))}}


def with_stage(tags: list[Json], stage: str) -> Json:
    """Return a tags facet of the given tags and the stage."""
    ours = TagsJobFacetFields(key="stage", value=stage, source=TAG_SOURCE)
    return {**Serde.to_dict(TagsJobFacet(producer=PRODUCER)), "tags": [*tags, Serde.to_dict(ours)]}
