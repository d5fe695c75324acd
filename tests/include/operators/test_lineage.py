"""What operators answer the OpenLineage provider, for every task of the DAG bag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from include.operators.declarations import declared_of, deployed
from include.operators.stage import StageOperator
from tests.carried import DAGS, JOB, TASKS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(DAGS)
    return {f"{dag_id}.{task.task_id}": task for dag_id, dag in bag.dags.items() for task in dag.tasks}


def test_the_table_of_facets_has_every_task_and_no_other(tasks: dict[str, Any]) -> None:
    assert set(tasks) == set(TASKS)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_declares_the_datasets_of_the_table(tasks: dict[str, Any], name: str) -> None:
    inputs, outputs = declared_of(tasks[name])
    assert (set(inputs), set(outputs)) == (set(TASKS[name].reads), set(TASKS[name].makes))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_start_says_what_is_declared_of_each_dataset(tasks: dict[str, Any], name: str) -> None:
    task = tasks[name]
    if not isinstance(task, StageOperator):
        stage = getattr(task, "partial_kwargs", {}).get("stage")
        if stage is None:
            assert not TASKS[name].reads, "a task that is no stage reads nothing"
            return
        task = StageOperator(task_id="unmapped", stage=stage)
    found = task.get_openlineage_facets_on_start()
    for items, wanted in ((found.inputs, TASKS[name].reads), (found.outputs, TASKS[name].makes)):
        assert {item.name for item in items} == set(wanted)
        for item in items:
            assert set(item.facets) == set(wanted[item.name].start), item.name


def test_a_deployment_declares_the_same(tasks: dict[str, Any]) -> None:
    for event in deployed(str(ROOT / "dags")):
        wanted = TASKS[event["job"]["name"]]
        assert set(event["job"]["facets"]) == JOB
        for side, told in (("inputs", wanted.reads), ("outputs", wanted.makes)):
            assert {item["name"]: set(item["facets"]) for item in event[side]} == {
                name: set(carries.start) for name, carries in told.items()
            }
        if event["job"]["name"].startswith("video.content_generation."):
            assert "### " not in event["job"]["facets"]["documentation"]["description"], (
                "its own, not the DAG's"
            )


def test_columns_with_personal_data_are_tagged() -> None:
    from include.operators.datasets import declaration

    for name in ("lake/staged/leads", "lake/bronze/leads", "lake/silver/leads", "lake/gold/leads"):
        said = declaration("throughline", name)
        assert said is not None
        assert set(said.personal) == {"contact_name", "contact_email"}
        assert said.classification == "personal"
    trends = declaration("throughline", "lake/gold/trends")
    assert trends is not None
    assert (trends.personal, trends.tags["layer"]) == ((), "gold")
    assert declaration("throughline", "lake/gold/strangers") is None
