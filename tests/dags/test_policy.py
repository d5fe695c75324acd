"""Rules for every DAG, present and future: named, documented, tagged, validated, light to parse, whole."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
EXPECTED = ["campaign", "medallion", "reports", "upkeep", "video"]
HEAVY = ["polars", "duckdb", "moviepy", "weasyprint", "anthropic", "numpy", "PIL", "igraph", "dataframely"]


def test_every_file_holds_the_dag_it_is_named_after(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == NAMES == EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_is_documented_tagged_and_scheduled_on_purpose(bag: DagBag, name: str) -> None:
    dag = bag.dags[name]
    assert (dag.doc_md or "").startswith("### ")
    assert set(dag.tags) == {name}
    assert all(dag.params.get_param(key).description for key in dag.params)
    assert dag.catchup is False
    assert "job_id" in dag.params
    assert dag.params["job_id"] is None


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_opens_its_job_first_and_closes_it_last(bag: DagBag, name: str) -> None:
    dag = bag.dags[name]
    opened, closed = dag.get_task("open_job"), dag.get_task("close_job")
    assert opened.is_setup
    assert closed.is_teardown
    assert closed.on_failure_fail_dagrun
    for task in dag.tasks:
        if task.task_id != "open_job":
            assert "open_job" in task.get_flat_relative_ids(upstream=True), task.task_id
        if task.task_id != "close_job":
            assert "close_job" in task.get_flat_relative_ids(upstream=False), task.task_id


@pytest.mark.parametrize("name", NAMES)
def test_every_task_retries_by_the_error_tree(bag: DagBag, name: str) -> None:
    for task in bag.dags[name].tasks:
        assert task.retries == 3, task.task_id
        assert task.retry_policy is not None, task.task_id
        assert task.max_retry_delay.total_seconds() == 600, task.task_id


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_file_is_wiring_only(name: str) -> None:
    source = (ROOT / "dags" / f"{name}.py").read_text()
    tree = ast.parse(source)
    docstring = ast.get_docstring(tree, clean=False) or ""
    assert len(source.splitlines()) - len(docstring.splitlines()) <= 60
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == [name]
    for banned in ("Variable", "os.environ", "open("):
        assert banned not in source


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_those_that_the_families_declare(bag: DagBag, name: str) -> None:
    for task in bag.dags[name].tasks:
        stage = getattr(task, "stage", None) or getattr(task, "partial_kwargs", {}).get("stage")
        if stage is None:
            continue
        assert callable(stage.load()), task.task_id
        for place in stage.places:
            assert (ROOT / place).exists(), f"{task.task_id}: {place}"


@pytest.mark.slow
def test_parsing_loads_nothing_heavy() -> None:
    program = (
        "import sys; from airflow.dag_processing.dagbag import DagBag;"
        f"bag = DagBag({str(ROOT / 'dags')!r}); assert not bag.import_errors, bag.import_errors;"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
