"""The containers run what the embedded stack runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import psycopg
import pytest
import yaml

from include.stack import credentials, databases, parts, postgres, state

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
OURS = [part for part in parts.PARTS if part.name not in {"postgres", "lineage-server"}]
# What a container needs beside the variables of the embedded part.
EXTRA = {"api-server": {"AIRFLOW__API__HOST"}}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    stack = state.prepare(tmp_path_factory.mktemp("s"), {})
    return parts.variables(stack, credentials.read_or_make(stack.state_dir))


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(
            COMPOSE | {"services": {"x": {"imagine": "throughline"}}}
        )


def test_its_services_are_the_parts_and_what_stands_for_the_embedded_ones() -> None:
    assert set(SERVICES) == {part.name for part in OURS} | {"postgres", "marquez", "marquez-web", "prepare"}


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_a_service_runs_the_parts_command(part: parts.Part) -> None:
    assert tuple(SERVICES[part.name]["command"]) == part.command


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_a_service_has_the_parts_variables_and_no_others(
    part: parts.Part, groups: dict[str, dict[str, str]]
) -> None:
    expected = set(parts.gathered(groups, part.variables)) | EXTRA.get(part.name, set())
    assert set(SERVICES[part.name]["environment"]) == expected


def test_the_events_take_the_same_way() -> None:
    said = json.loads(SERVICES["scheduler"]["environment"]["AIRFLOW__OPENLINEAGE__TRANSPORT"])
    assert said == json.loads(parts.transport("/opt/throughline/state"))


def test_the_migrations_are_those_of_the_embedded_stack(groups: dict[str, dict[str, str]]) -> None:
    lines = (DOCKER / "prepare.sh").read_text().splitlines()
    steps = (*parts.MIGRATIONS, parts.DECLARE)
    wanted = [shlex.join(words) for words, _ in steps]
    assert [line for line in lines if line in wanted] == wanted
    needed = {name for _, names in steps for name in parts.gathered(groups, names)}
    assert needed <= set(SERVICES["prepare"]["environment"])


def test_every_port_is_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_every_service_that_stays_is_healthy_by_a_check_and_comes_back() -> None:
    lasting = {name: service for name, service in SERVICES.items() if name != "prepare"}
    assert [name for name, service in lasting.items() if "test" not in service.get("healthcheck", {})] == []
    assert {service["restart"] for service in lasting.values()} == {"always"}


def test_our_containers_have_no_rights() -> None:
    for part in OURS:
        service = SERVICES[part.name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["init"] is True
    assert re.search(r"^USER 50000", DOCKERFILE, re.M)


def test_passwords_come_by_environment_and_have_no_default() -> None:
    values = [
        str(value)
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD$|SECRET|FERNET|DSN|SQL_ALCHEMY_CONN", name)
    ]
    assert len(values) > 20
    assert [value for value in values if ":?run docker/make-env.sh}" not in value] == []


def test_the_generated_secrets_are_the_ones_that_are_asked_for(tmp_path: Path) -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text()))
    shutil.copy(DOCKER / "make-env.sh", tmp_path)
    for _ in range(2):  # the second run keeps what is there
        subprocess.run([tmp_path / "make-env.sh"], check=True, capture_output=True)
    lines = (tmp_path / ".env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) == asked
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert len(given["AIRFLOW_JWT_SECRET"]) >= 64
    from cryptography.fernet import Fernet

    Fernet(given["AIRFLOW_FERNET_KEY"])


def test_the_image_is_built_from_the_same_lock_and_packages() -> None:
    copied = {word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M) for word in line.split()[:-1]}
    assert {"requirements.txt", "include/stack/install.sh", "include/stack/packages.txt"} <= copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert "include/stack/install.sh &&" in DOCKERFILE
    assert not re.search(r"pip install|apt-get install", DOCKERFILE)


def test_the_ignore_file_lets_through_what_is_copied() -> None:
    allowed = {
        line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M) for word in line.split()[:-1]}
    assert {path.split("/")[0] for path in copied} <= allowed


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on which databases.sql has run, as the PostgreSQL image runs it."""
    environment = {
        name: f"pw-{name}" for name in SERVICES["postgres"]["environment"] if name.endswith("_PASSWORD")
    }
    with postgres.temporary_cluster(tmp_path_factory.mktemp("cluster")) as dsn:
        psql = postgres.installed() / "bin" / "psql"
        words = [psql, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-d", dsn, "-f", DOCKER / "databases.sql"]
        subprocess.run(words, check=True, capture_output=True, env=environment | {"PATH": os.environ["PATH"]})
        yield dsn


def test_its_databases_and_roles_are_those_of_the_embedded_stack(initialised: str) -> None:
    with psycopg.connect(initialised) as connection:
        owners = dict(
            connection.execute(
                "SELECT datname, rolname FROM pg_database JOIN pg_roles ON datdba = pg_roles.oid"
                " WHERE rolname <> 'postgres'"
            ).fetchall()
        )
        roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin")}
        public = connection.execute(
            "SELECT datname FROM pg_database, aclexplode(datacl) WHERE grantee = 0 AND datname = ANY(%s)",
            (list(owners),),
        ).fetchall()
    # A real Marquez has a database of its own in the place of the embedded server's.
    assert owners == {name: owner for name, owner in databases.OWNERS.items() if name != "lineage"} | {
        "marquez": "marquez"
    }
    assert roles == {"postgres", *owners.values(), *databases.GUESTS["throughline"]}
    assert public == []


@pytest.mark.parametrize("guest", databases.GUESTS["throughline"])
def test_its_guests_enter_the_ledger_with_the_password_of_the_environment(
    initialised: str, guest: str
) -> None:
    variable = f"LEDGER_{guest.removeprefix('throughline_').upper()}_PASSWORD"
    parameters = psycopg.conninfo.conninfo_to_dict(initialised)
    parameters |= {"user": guest, "password": f"pw-{variable}", "dbname": "throughline"}
    with psycopg.connect(**parameters) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (guest,)
