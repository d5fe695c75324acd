"""Databases, owners and roles of the embedded PostgreSQL; what each role may do is the migrations' matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from include.stack.credentials import Secrets

OWNERS = {"airflow": "airflow", "throughline": "throughline_owner", "lineage": "lineage"}
GUESTS = {
    "throughline": ("throughline_writer", "throughline_reader", "throughline_relay", "throughline_retention")
}


def passwords(secrets: Secrets) -> dict[str, str]:
    """Return the password of each role."""
    return {
        "airflow": secrets.postgres_airflow,
        "lineage": secrets.postgres_lineage,
        "throughline_owner": secrets.postgres_owner,
        "throughline_writer": secrets.postgres_writer,
        "throughline_reader": secrets.postgres_reader,
        "throughline_relay": secrets.postgres_relay,
        "throughline_retention": secrets.postgres_retention,
    }


def ensure(superuser_dsn: str, secrets: Secrets) -> None:
    """Make roles and databases that are missing; set every role's password. Safe to repeat.

    Nobody but its owner and its guests can connect to a database.
    """
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role, password in passwords(secrets).items():
            statement = (
                "ALTER ROLE {} LOGIN PASSWORD {}" if role in roles else "CREATE ROLE {} LOGIN PASSWORD {}"
            )
            connection.execute(sql.SQL(statement).format(sql.Identifier(role), sql.Literal(password)))
        databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for database, owner in OWNERS.items():
            name = sql.Identifier(database)
            if database not in databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(owner)))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            for guest in GUESTS.get(database, ()):
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(guest))
                )


def version(superuser_dsn: str) -> str | None:
    """Return which migrations this server's databases have seen; it is kept with the data, as a comment."""
    question = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'throughline'"
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return str(row[0]) if row and row[0] else None


def set_version(superuser_dsn: str, value: str) -> None:
    """Remember which migrations have been applied."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("COMMENT ON DATABASE throughline IS {}").format(sql.Literal(value)))
