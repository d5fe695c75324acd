from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.stack import credentials, databases
from include.stack.postgres import temporary_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.stack.credentials import Secrets


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return credentials.read_or_make(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def superuser(tmp_path_factory: pytest.TempPathFactory, secrets: Secrets) -> Iterator[str]:
    with temporary_cluster(tmp_path_factory.mktemp("cluster")) as dsn:
        databases.ensure(dsn, secrets)
        yield dsn


def as_role(dsn: str, role: str, password: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
    parameters = psycopg.conninfo.conninfo_to_dict(dsn)
    parameters |= {"user": role, "password": password, "dbname": database}
    return psycopg.connect(**parameters)


@pytest.mark.parametrize(("database", "owner"), sorted(databases.OWNERS.items()))
def test_every_database_has_its_owner(superuser: str, secrets: Secrets, database: str, owner: str) -> None:
    with as_role(superuser, owner, databases.passwords(secrets)[owner], database) as connection:
        connection.execute("CREATE TABLE owned ()")
        connection.execute("DROP TABLE owned")


@pytest.mark.parametrize("role", databases.GUESTS["throughline"])
def test_guests_of_the_ledger_enter_and_make_nothing(superuser: str, secrets: Secrets, role: str) -> None:
    with (
        as_role(superuser, role, databases.passwords(secrets)[role], "throughline") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE mine ()")


@pytest.mark.parametrize(
    ("role", "database"),
    [("airflow", "throughline"), ("lineage", "throughline"), ("throughline_writer", "airflow")],
)
def test_nobody_enters_a_database_of_others(
    superuser: str, secrets: Secrets, role: str, database: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        as_role(superuser, role, databases.passwords(secrets)[role], database)


def test_no_role_is_a_superuser(superuser: str) -> None:
    with psycopg.connect(superuser) as connection:
        question = (
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND (rolsuper OR rolcreaterole OR rolcreatedb)"
        )
        assert connection.execute(question).fetchall() == [("postgres",)]


def test_repeating_takes_over_a_changed_password_and_keeps_the_data(superuser: str, secrets: Secrets) -> None:
    with as_role(superuser, "throughline_owner", secrets.postgres_owner, "throughline") as connection:
        connection.execute("CREATE TABLE kept ()")
    changed = dataclasses.replace(secrets, postgres_reader="another")
    databases.ensure(superuser, changed)
    with pytest.raises(psycopg.OperationalError, match="password"):
        as_role(superuser, "throughline_reader", secrets.postgres_reader, "throughline")
    with as_role(superuser, "throughline_reader", "another", "throughline") as connection:
        assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)


def test_the_version_of_the_schemas_is_kept_with_the_data(superuser: str, tmp_path: Path) -> None:
    assert databases.version(superuser) is None
    databases.set_version(superuser, "airflow 3 ledger 'abc'")
    assert databases.version(superuser) == "airflow 3 ledger 'abc'"
