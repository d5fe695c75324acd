"""What operators answer the OpenLineage provider, for every task of the DAG bag."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from include.operators.declarations import declared_datasets, declared_of, deployed
from tests.carried import DAGS, DECLARED, JOB, TASKS

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


def test_what_only_a_run_knows_is_declared_too() -> None:
    names = {name for _, name in declared_datasets()}
    assert {"lake/quarantine/leads", "api/v1/search"} <= names
    assert {name for task in TASKS.values() for name in (task.reads | task.makes | task.also)} <= names
    for (_, name), facets in declared_datasets().items():
        assert DECLARED - {"dataSource"} <= set(facets), name
        assert all(json.loads(json.dumps(facet))["_schemaURL"] for facet in facets.values())


@pytest.mark.slow
def test_a_task_imports_nothing_heavy_for_its_events(tasks: dict[str, Any]) -> None:
    """The provider waits a few seconds for an event; on a busy machine polars alone takes as long."""
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag;"
        f"bag = DagBag({str(ROOT / 'dags')!r}); task = bag.dags['medallion'].get_task('leads.gold');"
        "assert task.get_openlineage_facets_on_start().outputs; assert 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)
