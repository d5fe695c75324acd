"""The parts of a running deployment: what each runs and which variables it needs.

Declared once: the embedded stack starts these, and `docker/compose.yaml` is held to them by a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.settings import ROOT
from include.stack.postgres import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.stack.credentials import Secrets
    from include.stack.state import Stack

MARKER = "THROUGHLINE_PART"  # in each process of the stack: <stack id>/<part>
POSTGRES = "postgres"
LINEAGE_SERVER = "lineage-server"
RELAY = "relay"


@dataclass(frozen=True)
class Part:
    """One supervised program; parts of a lower wave are ready before those of the next one start."""

    name: str
    command: tuple[str, ...]
    wave: int
    variables: tuple[str, ...]
    """Names of the groups of variables that it gets."""
    about: str
    inherits: bool = True
    """Whether it sees the environment that the stack was started with (an operator's own settings)."""
    stop_signal: str = "TERM"
    stop_s: int = 45


PARTS = (
    Part(
        POSTGRES,
        (),
        0,
        (),
        "databases of Airflow, ledger and lineage",
        inherits=False,
        stop_signal="INT",
        stop_s=60,
    ),
    Part(
        LINEAGE_SERVER,
        ("throughline", "lineage-server"),
        1,
        ("deployment", "lineage", "lineage-database"),
        "the lineage graph over the API of Marquez",
    ),
    Part(
        "api-server",
        ("airflow", "api-server"),
        2,
        ("deployment", "airflow", "lineage", "ledger", "panel"),
        "Airflow's API and UI",
    ),
    Part(
        # No log servers: they listen on every address, and the API server reads the same folder.
        "scheduler",
        ("airflow", "scheduler", "--skip-serve-logs"),
        2,
        ("deployment", "airflow", "lineage", "ledger", "service-account"),
        "schedules and runs tasks (LocalExecutor)",
    ),
    Part("dag-processor", ("airflow", "dag-processor"), 2, ("deployment", "airflow"), "reads the DAG files"),
    Part(
        "triggerer",
        ("airflow", "triggerer", "--skip-serve-logs"),
        2,
        ("deployment", "airflow", "lineage", "ledger", "service-account"),
        "waits for deferred tasks",
    ),
    Part(
        RELAY,
        ("throughline", "relay"),
        2,
        ("deployment", "lineage", "relay-database"),
        "delivers lineage events",
    ),
)

MIGRATIONS = (
    (("airflow", "db", "migrate"), ("deployment", "airflow")),
    (("throughline", "db", "upgrade"), ("deployment", "ledger-owner")),
)

# After the migrations, at every start: what the deployed tasks read and make.
DECLARE = (("throughline", "lineage-jobs"), ("deployment", "airflow", "ledger"))

# What `throughline env` hands to a shell: all of it, to the person who owns the stack.
SHELL = (
    "deployment",
    "airflow",
    "lineage",
    "ledger",
    "ledger-owner",
    "lineage-database",
    "service-account",
)


def transport(state_dir: str) -> str:
    """Return the OpenLineage transport: scrubbed first, then the event table; what it does not take is spooled."""
    return json.dumps(
        {
            "type": "transform",
            "transformer_class": "include.operators.masking.MaskedScrub",
            "transport": {
                "type": "composite",
                "continue_on_failure": True,
                # Stop at the first that takes the event: the file holds only what the table did not take.
                "continue_on_success": False,
                "transports": [
                    {"type": "include.lineage.transport.EventTableTransport"},
                    {"type": "file", "log_file_path": f"{state_dir}/lineage/events.ndjson", "append": True},
                ],
            },
        }
    )


def variables(stack: Stack, secrets: Secrets) -> dict[str, dict[str, str]]:
    """Return the embedded stack's variables, by group."""
    state, root = str(stack.state_dir), str(ROOT)

    def dsn(role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{HOST}:{stack.ports['postgres']}/{database}"

    lineage = {"MARQUEZ_URL": stack.lineage_url}
    if stack.lineage_admin_url:
        lineage["MARQUEZ_ADMIN_URL"] = stack.lineage_admin_url
    writer = dsn("throughline_writer", secrets.postgres_writer, "throughline")
    relay = dsn("throughline_relay", secrets.postgres_relay, "throughline")
    reader = dsn("throughline_reader", secrets.postgres_reader, "throughline")
    return {
        "deployment": {
            "THROUGHLINE_ROOT": root,
            "THROUGHLINE_STATE_DIR": state,
            "THROUGHLINE_NAMESPACE": stack.namespace,
            "PYTHONPATH": root,
        },
        "airflow": {
            "AIRFLOW_HOME": str(stack.airflow_home),
            "AIRFLOW_CONFIG": f"{root}/airflow.cfg",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn(
                "airflow", secrets.postgres_airflow, "airflow"
            ).replace("postgresql://", "postgresql+psycopg://"),
            "AIRFLOW__CORE__FERNET_KEY": secrets.airflow_fernet_key,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{stack.airflow_url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(stack.airflow_home / "passwords.json"),
            "AIRFLOW__API__PORT": str(stack.ports["airflow"]),
            "AIRFLOW__API__BASE_URL": stack.airflow_url,
            "AIRFLOW__API__SECRET_KEY": secrets.airflow_secret_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.airflow_jwt_secret,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(stack.ports["scheduler_health"]),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": stack.namespace,
            "AIRFLOW__OPENLINEAGE__TRANSPORT": transport(state),
        },
        "lineage": lineage,
        "ledger": {"THROUGHLINE_LEDGER_DSN": writer, "THROUGHLINE_RELAY_DSN": relay},
        "panel": {"THROUGHLINE_LEDGER_READER_DSN": reader},
        "ledger-owner": {
            "THROUGHLINE_LEDGER_ADMIN_DSN": dsn("throughline_owner", secrets.postgres_owner, "throughline")
        },
        "relay-database": {"THROUGHLINE_LEDGER_DSN": relay},
        "lineage-database": {"THROUGHLINE_LINEAGE_DSN": dsn("lineage", secrets.postgres_lineage, "lineage")},
        "service-account": {
            "THROUGHLINE_AIRFLOW_URL": stack.airflow_url,
            "THROUGHLINE_AIRFLOW_USER": "admin",
            "THROUGHLINE_AIRFLOW_PASSWORD": secrets.airflow_admin_password,
        },
    }


def gathered(groups: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> dict[str, str]:
    """Return the variables of the named groups."""
    return {key: value for name in names for key, value in groups[name].items()}
