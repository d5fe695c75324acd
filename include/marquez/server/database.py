"""The server's database: its connection pool and its migrations."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg  # type: ignore[import-untyped]  # has no stubs; the Protocols below are what is used of it
import structlog

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """A connection of the pool. Rows are read by column name."""

    async def execute(self, query: str, *args: Any) -> str: ...
    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[None]: ...


class Pool(Protocol):
    """A pool of connections."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...
    async def fetchval(self, query: str, *args: Any, timeout: float | None = None) -> Any: ...
    async def close(self) -> None: ...
    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...


MIGRATION_LOCK = 0x7468_6C69_6E65
"""Key of the advisory lock under which migrations run; one server at a time."""


class _Plain(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no stubs
    """A connection that is not reset when it goes back to the pool: nothing here outlives its transaction."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool(dsn: str, *, size: int = 8, statement_timeout_s: float = 60.0) -> Pool:
    """Return a pool for reading on an up-to-date lineage database.

    Raises
    ------
    asyncpg.PostgresError, OSError
        The database cannot be reached or a migration failed; nothing of that migration is kept.
    """
    # A question touches few rows of many; parallel workers of two cores take longer to start than they save.
    plans = {"random_page_cost": "1.1", "max_parallel_workers_per_gather": "0"}
    pool = await _pool(dsn, size, statement_timeout_s, plans)
    async with pool.acquire() as connection:
        await migrate(connection)
    return pool


async def open_intake(dsn: str, *, size: int = 4, statement_timeout_s: float = 60.0) -> Pool:
    """Return a pool for taking events: its statements find rows by key alone, so each is planned once.

    It is apart from the pool for reading, so that events that wait for each other's locks leave connections to readers.
    """
    plans = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
    return await _pool(dsn, size, statement_timeout_s, plans)


async def _pool(dsn: str, size: int, statement_timeout_s: float, options: dict[str, str]) -> Pool:
    pool: Pool = await asyncpg.create_pool(
        dsn,
        connection_class=_Plain,
        min_size=1,
        max_size=size,
        command_timeout=statement_timeout_s * 2,
        max_inactive_connection_lifetime=300,
        statement_cache_size=200,
        max_cacheable_statement_size=0,  # no limit: the statements of `writes` are long, and the same again and again
        server_settings={
            "application_name": "lineage-server",
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "timezone": "UTC",
            "jit": "off",
            **options,
        },
    )
    return pool


async def migrate(connection: Connection) -> list[str]:
    """Apply the migrations that this database lacks; return their names. Servers that start together take turns."""
    files = sorted(
        (
            file
            for file in resources.files("include.marquez.server.migrations").iterdir()
            if file.name.endswith(".sql")
        ),
        key=lambda file: file.name,
    )
    applied: list[str] = []
    await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"] for row in await connection.fetch("SELECT name FROM schema_version")}
        for file in files:
            name = file.name.removesuffix(".sql")
            if name in done:
                continue
            async with connection.transaction():
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO schema_version (name) VALUES ($1)", name)
            applied.append(name)
            log.info("migration applied", migration=name)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
    return applied
