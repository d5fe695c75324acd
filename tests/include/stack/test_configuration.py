"""airflow.cfg: known options, no default repeated, no secret, no path of a machine."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "airflow.cfg").read_text()
SECRETS = {
    ("core", "fernet_key"),
    ("api", "secret_key"),
    ("api_auth", "jwt_secret"),
    ("database", "sql_alchemy_conn"),
    ("openlineage", "transport"),
}


def ours() -> dict[tuple[str, str], str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(TEXT)
    return {
        (section, name): parser[section][name] for section in parser.sections() for name in parser[section]
    }


def defaults() -> dict[tuple[str, str], Any]:
    import airflow
    from airflow.providers.openlineage.get_provider_info import get_provider_info

    core = yaml.safe_load((Path(airflow.__path__[0]) / "config_templates" / "config.yml").read_text())
    described = core | get_provider_info()["config"]
    return {
        (section, name): option.get("default")
        for section, content in described.items()
        for name, option in content["options"].items()
    }


def test_every_option_is_one_that_airflow_knows_and_differs_from_its_default() -> None:
    known = defaults()
    assert set(ours()) - set(known) == set()
    # Kept although they are the default: what is promised must not change with a version of Airflow.
    kept = {("openlineage", "dag_state_change_process_pool_size"), ("core", "simple_auth_manager_users")}
    assert {name for name, value in ours().items() if str(known[name]) == value} <= kept


def test_every_option_has_its_reason() -> None:
    """A comment stands directly above it."""
    lines = TEXT.splitlines()
    options = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(options) == len(ours())
    assert [lines[number] for number in options if not lines[number - 1].startswith("#")] == []


def test_no_secret_and_no_path_is_in_it() -> None:
    assert SECRETS & set(ours()) == set()
    assert [value for value in ours().values() if value.startswith("/")] == []
    assert ours()["core", "dags_folder"] == "$THROUGHLINE_ROOT/dags"


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("api", "host", "127.0.0.1"),
        ("api", "enable_swagger_ui", "False"),
        ("scheduler", "scheduler_health_check_server_host", "127.0.0.1"),
        ("core", "load_examples", "False"),
        ("core", "executor", "include.operators.executor.WatchfulLocalExecutor"),
        ("core", "simple_auth_manager_users", "admin:admin"),
        ("workers", "max_failed_heartbeats", "60"),
        ("openlineage", "execute_in_thread", "True"),
        ("openlineage", "namespace", "throughline"),
    ],
)
def test_what_is_promised_is_set(section: str, name: str, value: str) -> None:
    assert ours()[section, name] == value


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("core", "simple_auth_manager_all_admins", "False"),
        ("core", "dags_are_paused_at_creation", "True"),
        ("core", "default_timezone", "utc"),
        ("core", "test_connection", "Disabled"),
        ("core", "allowed_deserialization_classes", "airflow.*"),
        ("api", "expose_config", "False"),
        ("api", "expose_stacktrace", "False"),
        ("api", "access_control_allow_origins", ""),
        ("openlineage", "debug_mode", "False"),
    ],
)
def test_what_is_promised_by_a_default_is_still_the_default(section: str, name: str, value: str) -> None:
    assert (section, name) not in ours()
    assert str(defaults()[section, name]) == value
