from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from include.stack import credentials, launch, parts, state

if TYPE_CHECKING:
    from pathlib import Path

    from include.stack.credentials import Secrets
    from include.stack.state import Stack

NAMES = [part.name for part in parts.PARTS]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return state.prepare(tmp_path, {})


@pytest.fixture
def secrets(stack: Stack) -> Secrets:
    return credentials.read_or_make(stack.state_dir)


def environment(stack: Stack, secrets: Secrets, name: str) -> dict[str, str]:
    return launch.environment(stack, secrets, next(part for part in parts.PARTS if part.name == name))


def seen(stack: Stack, secrets: Secrets, name: str) -> set[str]:
    """Names of the secrets that occur in a part's environment."""
    text = json.dumps(environment(stack, secrets, name))
    return {key for key, value in vars(secrets).items() if value in text}


AIRFLOW = {"postgres_airflow", "airflow_fernet_key", "airflow_jwt_secret", "airflow_secret_key"}


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ("postgres", set()),
        ("lineage-server", {"postgres_lineage"}),
        ("relay", {"postgres_relay"}),
        ("dag-processor", AIRFLOW),
    ],
)
def test_a_part_knows_its_own_secrets_and_no_others(
    stack: Stack, secrets: Secrets, part: str, known: set[str]
) -> None:
    assert seen(stack, secrets, part) == known


@pytest.mark.parametrize("part", NAMES)
def test_no_part_knows_superuser_or_owner(stack: Stack, secrets: Secrets, part: str) -> None:
    assert not seen(stack, secrets, part) & {"postgres_superuser", "postgres_owner", "postgres_retention"}


def test_variables_of_another_part_do_not_come_in_from_the_shell(
    stack: Stack, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_LEDGER_ADMIN_DSN", "postgresql://owner")
    monkeypatch.setenv("THROUGHLINE_TRENDS_FILE", "trends.csv")
    made = environment(stack, secrets, "scheduler")
    assert "THROUGHLINE_LEDGER_ADMIN_DSN" not in made
    assert made["THROUGHLINE_TRENDS_FILE"] == "trends.csv"
    assert "THROUGHLINE_TRENDS_FILE" not in environment(stack, secrets, "postgres")


def test_base_url_and_execution_api_follow_the_port(stack: Stack, secrets: Secrets) -> None:
    made = environment(stack, secrets, "scheduler")
    port = stack.ports["airflow"]
    assert made["AIRFLOW__API__PORT"] == str(port)
    assert made["AIRFLOW__API__BASE_URL"] == f"http://127.0.0.1:{port}"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"http://127.0.0.1:{port}/execution/"


def test_parts_start_after_what_they_need() -> None:
    wave = {part.name: part.wave for part in parts.PARTS}
    assert (
        wave["postgres"]
        < wave["lineage-server"]
        < min(wave[name] for name in NAMES if name not in {"postgres", "lineage-server"})
    )


def test_the_lineage_client_accepts_the_transport_and_spools_what_the_table_does_not_take(
    stack: Stack, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database listens on the stack's port: the event goes to the file, scrubbed."""
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

    from include.lineage.facets import ThroughlineJobRunFacet
    from include.settings import settings

    (stack.state_dir / "lineage").mkdir()
    monkeypatch.setenv(
        "THROUGHLINE_LEDGER_DSN", environment(stack, secrets, "scheduler")["THROUGHLINE_LEDGER_DSN"]
    )
    settings.cache_clear()
    try:
        client = OpenLineageClient(config={"transport": json.loads(parts.transport(str(stack.state_dir)))})
        facet = ThroughlineJobRunFacet(
            producer="https://throughline.example/tests",
            job_id="01941c3e-0000-7000-8000-00000000000b",
            dag_id="video",
            run_id="manual__1",
            stage="review",
        )
        run = Run("01941c3e-0000-7000-8000-000000000000", {"throughline_job": facet})
        client.emit(
            RunEvent(
                eventTime="2026-01-01T00:00:00Z",
                run=run,
                job=Job("throughline", "a mail to x@y.example"),
                producer="https://throughline.example/tests",
                eventType=RunState.START,
            )
        )
    finally:
        settings.cache_clear()
    spooled = (stack.state_dir / "lineage" / "events.ndjson").read_text().splitlines()
    assert [json.loads(line)["eventType"] for line in spooled] == ["START"]
    assert "y.example" not in spooled[0]
