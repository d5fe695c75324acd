"""The JobEvents of a deployment: one per task of every DAG, with what it is declared to read and make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.dagbag import DagBag
from airflow.providers.openlineage import conf
from airflow.providers.openlineage.utils.utils import get_dag_documentation, get_task_documentation
from openlineage.client.event_v2 import Job, JobEvent
from openlineage.client.generated.documentation_job import DocumentationJobFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.ownership_job import Owner, OwnershipJobFacet
from openlineage.client.serde import Serde

from include.errors import ConfigurationError
from include.lineage.facets import PRODUCER, declared_facets, inputs_of, outputs_of
from include.lineage.facets.airflow import with_stage
from include.lineage.scrub import clean, scrub
from include.operators.datasets import all_declared, declaration
from include.operators.stage import StageOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.stage import Stage


def deployed(folder: str | None = None) -> list[dict[str, Any]]:
    """Return the scrubbed JobEvent of every task of the deployment's DAGs, by name.

    Raises ConfigurationError naming the DAG files that cannot be read.
    """
    bag = DagBag(folder)
    if bag.import_errors or not bag.dags:
        broken = "; ".join(f"{path}: {text.splitlines()[-1]}" for path, text in bag.import_errors.items())
        raise ConfigurationError(f"DAG files cannot be read: {broken or f'none in {bag.dag_folder}'}")
    events = [event for dag_id in sorted(bag.dags) for event in _of_dag(bag.dags[dag_id])]
    return [scrub(event) for event in events]


def declared_datasets() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the declared facets of every dataset, scrubbed, by (namespace, name)."""
    return {
        place: clean({name: Serde.to_dict(facet) for name, facet in declared_facets(said).items()})
        for place, said in all_declared().items()
    }


def _of_dag(dag: Any) -> Iterator[dict[str, Any]]:
    for task in sorted(dag.tasks, key=lambda one: one.task_id):
        inputs, outputs = declared_of(task)
        event = JobEvent(
            eventTime=datetime.now(UTC).isoformat(),
            producer=PRODUCER,
            job=Job(
                namespace=conf.namespace(), name=f"{dag.dag_id}.{task.task_id}", facets=_facets(dag, task)
            ),
            inputs=inputs_of({}, inputs, declaration),
            outputs=outputs_of({}, outputs, declaration),
        )
        found: dict[str, Any] = Serde.to_dict(event)
        tags = [{"key": tag, "value": tag, "source": "AIRFLOW"} for tag in sorted(dag.tags)]
        found["job"]["facets"]["tags"] = with_stage(tags, task.task_id)
        yield found


def declared_of(task: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the dataset names that a task of a DAG declares to read and to make, mapped or not."""
    if isinstance(task, StageOperator):
        return task.declared()
    stage = _mapped_stage(task)
    return (stage.inputs, stage.outputs) if stage else ((), ())


def _mapped_stage(task: Any) -> Stage | None:
    found: Stage | None = getattr(task, "partial_kwargs", {}).get("stage")
    return found


def _facets(dag: Any, task: Any) -> dict[str, Any]:
    """Return what the provider says of a task's job at run time, said before the first run."""
    doc, mime = get_task_documentation(task)
    if stage := _mapped_stage(task):  # its operator, which knows the documentation, is made at run time
        doc, mime = stage.doc, "text/markdown"
    if not doc:
        doc, mime = get_dag_documentation(dag)
    owners = sorted(name.strip() for name in task.owner.split(","))
    return {
        "documentation": DocumentationJobFacet(producer=PRODUCER, description=doc or "", contentType=mime),
        "ownership": OwnershipJobFacet(producer=PRODUCER, owners=[Owner(name=name) for name in owners]),
        "jobType": JobTypeJobFacet(
            producer=PRODUCER, processingType="BATCH", integration="AIRFLOW", jobType="TASK"
        ),
    }
