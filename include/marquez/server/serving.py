"""Running the server: both ports in one process, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import signal
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # has no stubs
import structlog
import uvicorn

from include.errors import ConfigurationError
from include.marquez.server.app import Limits, create_admin, create_app
from include.marquez.server.database import open_pool
from include.marquez.server.logs import configure_logs
from include.marquez.server.retention import Removed, remove_old_runs
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

GRACE_S = 3
"""How long running requests may take to finish after SIGTERM."""
GARBAGE_THRESHOLD = 100_000
"""Objects made between two searches for garbage in cycles; Python's default is 700."""


def serve(
    host: str,
    port: int,
    admin_port: int,
    dsn: str,
    token: str | None = None,
    *,
    limits: Limits | None = None,
) -> None:
    """Serve the API and the admin port until SIGTERM or SIGINT.

    Raises
    ------
    ConfigurationError
        A bind to more than this machine without a token, a port that is taken, a database that cannot be opened.
    """
    if not token and not _is_loopback(host):
        raise ConfigurationError(
            f"the lineage server has no accounts: binding {host} needs a bearer token (set MARQUEZ_TOKEN), or bind 127.0.0.1"
        )
    # Events are thousands of small objects that live for one request and hold no cycles: look for garbage rarely, and never
    # among what was loaded at the start.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 100)
    with asyncio.Runner(
        loop_factory=uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()
    ) as runner:
        runner.run(_serve(host, port, admin_port, dsn, token, limits or Limits()))


def serve_from_settings(
    host: str | None = None, port: int | None = None, admin_port: int | None = None
) -> None:
    """Serve at the addresses of MARQUEZ_URL and MARQUEZ_ADMIN_URL, on the database of THROUGHLINE_LINEAGE_DSN."""
    configure_logs()
    chosen = settings()
    if chosen.lineage_dsn is None:
        raise ConfigurationError(
            "the lineage server needs a database: set THROUGHLINE_LINEAGE_DSN to postgresql://…"
        )
    api, admin = urlsplit(chosen.marquez_url), urlsplit(chosen.marquez_admin_url)
    token = chosen.marquez_token.get_secret_value() if chosen.marquez_token else None
    serve(
        host or "127.0.0.1",
        port or api.port or 5000,
        admin_port or admin.port or 5001,
        chosen.lineage_dsn.get_secret_value(),
        token,
        limits=Limits(
            body_bytes=chosen.lineage_body_limit_mb * 1024 * 1024,
            statement_timeout_s=chosen.lineage_statement_timeout_s,
            read_only=chosen.lineage_read_only,
            retention_days=chosen.lineage_retention_days,
        ),
    )


def remove_runs_older_than(days: float, *, dry: bool = False) -> Removed | None:
    """Remove old runs from the database of THROUGHLINE_LINEAGE_DSN; None when a server is at it now.

    Raises
    ------
    ConfigurationError
        No database is set, or it cannot be opened.
    """
    chosen = settings()
    if chosen.lineage_dsn is None:
        raise ConfigurationError(
            "the lineage server's database is not set: set THROUGHLINE_LINEAGE_DSN to postgresql://…"
        )
    dsn = chosen.lineage_dsn.get_secret_value()

    async def remove() -> Removed | None:
        try:
            pool = await open_pool(dsn, size=1)
        except UNOPENED as error:
            raise _cannot_open(error) from error
        try:
            return await remove_old_runs(pool, days, dry=dry)
        finally:
            await pool.close()

    return asyncio.run(remove())


UNOPENED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)


def _cannot_open(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the lineage database cannot be opened ({type(error).__name__}: {error}); see THROUGHLINE_LINEAGE_DSN"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us: two of them share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(host: str, port: int, admin_port: int, dsn: str, token: str | None, limits: Limits) -> None:
    try:
        await (await open_pool(dsn, size=1)).close()
    except UNOPENED as error:
        raise _cannot_open(error) from error
    api = create_app(dsn, token=token, limits=limits)
    servers = []
    sockets = []
    for app, wanted, name, lifespan in (
        (api, port, "API", "on"),
        (create_admin(api), admin_port, "admin", "off"),
    ):
        sockets.append(_bind(host, wanted, name))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on" if lifespan == "on" else "off",
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=75,
        )
        servers.append(_Server(config))

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop)

    async def run(server: uvicorn.Server, bound: socket.socket) -> None:
        try:
            await server.serve(sockets=[bound])
        finally:
            stop()

    log.info("lineage server starts", host=host, port=port, admin_port=admin_port)
    # The admin port opens once the API's database is open, so that a healthy answer means a ready server.
    api_task = asyncio.create_task(run(servers[0], sockets[0]))
    while not servers[0].started and not api_task.done():
        await asyncio.sleep(0.02)
    if not api_task.done():
        await run(servers[1], sockets[1])
    await api_task
    if not servers[0].started:
        raise ConfigurationError("the lineage server could not open its database; the lines above say why")
    log.info("lineage server ended")


def _bind(host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that the event loop turns Nagle's algorithm off: small answers must not wait for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"the lineage server's {name} port {host}:{port} cannot be opened: {error}"
        ) from error
    return bound
