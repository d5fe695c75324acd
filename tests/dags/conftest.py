from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(scope="session")
def bag() -> DagBag:
    """Every DAG of the project, read once."""
    return DagBag(str(Path(__file__).resolve().parents[2] / "dags"))
