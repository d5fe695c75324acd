"""What Airflow sees of the plugin, and what it costs the components that only import it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESTINATIONS = {"nav", "dag", "dag_run", "task", "task_instance", "base"}

LOOK = """
import json, sys
from airflow import plugins_manager

plugins, errors = plugins_manager._get_plugins()
(ours,) = [plugin for plugin in plugins if plugin.name == "throughline"]
views, _ = plugins_manager._get_ui_plugins()
loaded = sorted(name for name in sys.modules if name.startswith("include"))
apps, _ = plugins_manager.get_fastapi_plugins()
print(json.dumps({"errors": errors, "views": [v for v in views if v in ours.external_views], "loaded": loaded,
                  "apps": [[a["url_prefix"], a["name"], type(a["app"]).__name__] for a in apps if a["name"] == "Throughline"]}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a fresh process of Airflow makes of the plugins folder."""
    folder = tmp_path_factory.mktemp("airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    variables = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "PYTHONPATH": str(ROOT),
    }
    answer = subprocess.run(
        [sys.executable, "-c", LOOK], env=inherited | variables, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def test_the_plugin_loads(seen: dict[str, Any]) -> None:
    assert seen["errors"] == {}


def test_importing_it_loads_nothing_of_the_project(seen: dict[str, Any]) -> None:
    """Scheduler, triggerer and tasks import every plugin; the views and their libraries are for the API server."""
    assert seen["loaded"] == []


def test_the_panel_is_mounted_once(seen: dict[str, Any]) -> None:
    assert seen["apps"] == [["/lineage", "Throughline", "FastAPI"]]


def test_it_is_in_the_navigation_and_on_dag_runs(seen: dict[str, Any]) -> None:
    views = {view["destination"]: view for view in seen["views"]}
    assert set(views) == {"nav", "dag_run"}
    assert set(views) <= DESTINATIONS  # one that Airflow does not know hides the whole plugin
    assert views["nav"]["href"] == "lineage/"
    assert views["dag_run"]["href"] == "lineage/run?dag_id={DAG_ID}&run_id={RUN_ID}"


def test_addresses_are_relative_so_that_airflow_may_live_below_a_path(seen: dict[str, Any]) -> None:
    addresses = [view[key] for view in seen["views"] for key in ("href", "icon", "icon_dark_mode")]
    assert [address for address in addresses if address.startswith("/") or "://" in address] == []
