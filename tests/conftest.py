"""Fixtures that every test may use: a real PostgreSQL and a fresh database on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL and its superuser."""

    host: str
    port: int
    user: str
    password: str

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def create_database(self, prefix: str = "t") -> str:
        """Create an empty database and return its DSN."""
        name = f"{prefix}_{uuid4().hex[:12]}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        name = dsn.rsplit("/", 1)[1]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server: the one THROUGHLINE_TEST_POSTGRES names, else the embedded one, started for this session."""
    named = os.environ.get("THROUGHLINE_TEST_POSTGRES")
    if named:
        info = psycopg.conninfo.conninfo_to_dict(named)
        yield Postgres(str(info["host"]), int(str(info["port"])), str(info["user"]), str(info["password"]))
        return
    from include.stack.postgres import temporary_cluster

    with tempfile.TemporaryDirectory(prefix="throughline-pg-") as folder, temporary_cluster(Path(folder)) as dsn:
        info = psycopg.conninfo.conninfo_to_dict(dsn)
        yield Postgres(str(info["host"]), int(str(info["port"])), str(info["user"]), str(info["password"]))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """DSN of an empty database that is dropped after the test."""
    dsn = postgres.create_database()
    yield dsn
    postgres.drop_database(dsn)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The optional folder of real inputs beside the repository; the test is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there: no real inputs")
    return folder


@pytest.fixture
def ledger(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated ledger and an empty store; the settings of this process name them. Yields the DSN."""
    from include.ledger import session
    from include.ledger.migrations import upgrade
    from include.settings import settings

    upgrade(database)
    monkeypatch.setenv("THROUGHLINE_LEDGER_DSN", database)
    monkeypatch.setenv("THROUGHLINE_ARTIFACT_DIR", str(tmp_path / "artifacts"))
    settings.cache_clear()
    yield database
    session.engine(database).dispose()
    session.engine.cache_clear()
    settings.cache_clear()
