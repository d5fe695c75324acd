"""The two HTTP applications: the API, and the admin port with health and metrics."""

from __future__ import annotations

import asyncio
import hmac
import time
import zlib
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # has no stubs
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from include.marquez.server import IDENTITY_HEADER, VERSION
from include.marquez.server.answers import ApiError, answer, coded, error_answer, no_such_page
from include.marquez.server.database import open_intake, open_pool
from include.marquez.server.group_commit import Ingest
from include.marquez.server.metrics import CONTENT_TYPE, Metrics
from include.marquez.server.nodes import Nodes
from include.marquez.server.openlineage import Refused
from include.marquez.server.page import api_page
from include.marquez.server.retention import remove_old_runs
from include.marquez.server.routes import SLASH, router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from include.marquez.server.database import Pool

log = structlog.get_logger(__name__)

OFFERED = ("HEAD", "DELETE", "POST", "GET", "OPTIONS", "PUT")
"""Methods, in the order in which Marquez names those that a path has."""
SLOW_S = 1.0
"""Requests that take longer are logged."""
RETENTION_EVERY_S = 3600.0
REPEATED = (b"lastRunStates",)
"""Parameters of which every value counts."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Limits:
    """What the server refuses, and what it forgets.

    `body_bytes`: larger bodies get 413, before and after decompression. `statement_timeout_s`: slower statements are
    cancelled, 503. `read_only`: requests that would change something get 403. `retention_days`: older runs that nothing
    holds on to are removed hourly; None: never.
    """

    body_bytes: int = 32 * 1024 * 1024
    statement_timeout_s: float = 60.0
    read_only: bool = False
    retention_days: float | None = None


def create_app(
    dsn: str, *, token: str | None = None, limits: Limits | None = None, pool_size: int = 8
) -> ASGIApp:
    """Return the API on the lineage database of `dsn`, which is migrated when the application starts.

    `token`: every request must carry it as ``Authorization: Bearer <token>``.
    """
    limits = limits or Limits()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        timeout_s = limits.statement_timeout_s
        app.state.pool = await open_pool(dsn, size=pool_size, statement_timeout_s=timeout_s)
        intake = await open_intake(dsn, statement_timeout_s=timeout_s)
        app.state.ingest = Ingest(intake, metrics)
        app.state.nodes = Nodes(metrics.nodes)
        removal = None
        if limits.retention_days is not None and not limits.read_only:
            removal = asyncio.create_task(_remove_hourly(app.state.pool, limits.retention_days, metrics))
        try:
            yield
        finally:
            if removal is not None:
                removal.cancel()
                await asyncio.wait([removal])
            await intake.close()
            await app.state.pool.close()

    api = FastAPI(
        title="Lineage server",
        version=VERSION,
        description="The Marquez API on the embedded lineage database.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    api.include_router(router)

    @api.get("/api/v1/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(api_page(api.openapi()), media_type="text/html")

    _handle_errors(api)
    return Edge(api, token=token, limits=limits, metrics=metrics)


async def _remove_hourly(pool: Pool, days: float, metrics: Metrics) -> None:
    while True:
        try:
            removed = await remove_old_runs(pool, days)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            log.warning("old runs stay until the next hour", error=f"{type(error).__name__}: {error}")
        else:
            if removed is not None and removed.runs:
                metrics.removed_runs += removed.runs
                log.info("old runs removed", days=days, **asdict(removed))
        await asyncio.sleep(RETENTION_EVERY_S)


def create_admin(api: ASGIApp) -> FastAPI:
    """Return the admin application of the API: ``/healthcheck``, ``/ping``, ``/metrics``. It shares the API's pool."""
    edge = api if isinstance(api, Edge) else None
    if edge is None:
        raise TypeError("the admin application belongs to what create_app returned")
    admin = FastAPI(
        title="Lineage server admin", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None
    )

    @admin.middleware("http")
    async def identify(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers[IDENTITY_HEADER] = f"embedded {VERSION}"
        return response

    @admin.get("/ping")
    async def ping() -> Response:
        return Response("pong\n", media_type="text/plain")

    @admin.get("/healthcheck")
    async def healthcheck() -> Response:
        """Say whether the database answers; 500 when it does not, as Marquez does."""
        begun = time.monotonic()
        report: dict[str, Any] = {"healthy": True}
        try:
            await edge.pool.fetchval("SELECT 1", timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            report = {"healthy": False, "message": f"{type(error).__name__}: {error}"}
        report["duration"] = int((time.monotonic() - begun) * 1000)
        report["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        body = {
            "deadlocks": {"healthy": True, "duration": 0, "timestamp": report["timestamp"]},
            "postgresql": report,
        }
        return answer(body, 200 if report["healthy"] else 500)

    @admin.get("/metrics")
    async def metrics() -> Response:
        pools = {"read": edge.pool, "ingest": edge.app.state.ingest.pool}
        return Response(edge.metrics.text(pools), headers={"content-type": CONTENT_TYPE})

    return admin


def _handle_errors(api: FastAPI) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, Refused):
            api.state.ingest.metrics.events["refused"] += request.url.path == "/api/v1/lineage"
            return answer(error.body, error.status)
        if isinstance(error, ApiError):
            return error_answer(error)
        raise error

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        messages = {404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type"}
        response = error_answer(coded(status, f"HTTP {status} {messages.get(status, '')}".strip()))
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    async def unreadable(request: Request, error: Exception) -> Response:
        return error_answer(no_such_page())

    async def database(request: Request, error: Exception) -> Response:
        log.warning("database unavailable", error=f"{type(error).__name__}: {error}", path=request.url.path)
        response = error_answer(coded(503, "The lineage database does not answer; try again"))
        response.headers["retry-after"] = "5"
        return response

    async def refused_by_database(request: Request, error: Exception) -> Response:
        log.warning(
            "value refused by the database", error=f"{type(error).__name__}: {error}", path=request.url.path
        )
        return error_answer(coded(400, "A value of the request cannot be stored or compared by the database"))

    async def too_slow(request: Request, error: Exception) -> Response:
        log.warning("statement cancelled", path=request.url.path)
        return error_answer(coded(503, "The query took too long and was cancelled; ask for less"))

    async def unexpected(request: Request, error: Exception) -> Response:
        reference = uuid4().hex[:16]
        log.error("request failed", reference=reference, path=request.url.path, exc_info=error)
        return error_answer(
            coded(500, f"There was an error processing your request. It has been logged (ID {reference}).")
        )

    api.add_exception_handler(Exception, unexpected)
    api.add_exception_handler(Refused, refused)
    api.add_exception_handler(ApiError, refused)
    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(RequestValidationError, unreadable)
    api.add_exception_handler(asyncpg.QueryCanceledError, too_slow)
    api.add_exception_handler(TimeoutError, too_slow)
    api.add_exception_handler(asyncpg.DataError, refused_by_database)
    api.add_exception_handler(asyncpg.ProgramLimitExceededError, refused_by_database)
    for kind in (
        asyncpg.PostgresConnectionError,
        asyncpg.InterfaceError,
        OSError,
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
        asyncpg.TransactionRollbackError,
    ):
        api.add_exception_handler(kind, database)


class Edge:
    """What every request passes: token, size, compression, percent-encoded names, the server's name, counters.

    Names of jobs and datasets hold slashes, which clients write ``%2F``; an encoded slash must not part a path, so it
    travels through the routing as one reserved character.
    """

    def __init__(self, app: FastAPI, *, token: str | None, limits: Limits, metrics: Metrics) -> None:
        self.app = app
        self.token = token
        self.limit = limits.body_bytes
        self.read_only = limits.read_only
        self.metrics = metrics

    @property
    def pool(self) -> Any:
        return self.app.state.pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.monotonic()
        status = 0

        async def identified(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.metrics.statuses[status] += 1
                message.setdefault("headers", []).append(
                    (IDENTITY_HEADER.encode(), f"embedded {VERSION}".encode())
                )
            await send(message)

        named: Send = identified
        try:
            headers = dict(scope["headers"])
            try:
                self._authorise(headers)
                if self.read_only and scope["method"] not in READING:
                    raise coded(403, "The lineage server is read-only (THROUGHLINE_LINEAGE_READ_ONLY)")
                body = (
                    await self._body(headers, receive)
                    if scope["method"] in ("POST", "PUT", "PATCH")
                    else None
                )
            except ApiError as error:
                await error_answer(error)(scope, receive, named)
                return
            query = first_of_each(scope["query_string"])
            scope = {**scope, "path": routed_path(scope), "root_path": "", "query_string": query}
            if scope["method"] == "OPTIONS":
                await self._options(scope)(scope, receive, named)
                return
            if scope["method"] == "HEAD":
                scope["method"], named = "GET", _without_body(named)
            await self.app(scope, receive if body is None else _given(body), named)
        finally:
            seconds = time.monotonic() - begun
            self.metrics.request(scope["method"], seconds)
            if seconds > SLOW_S:
                log.info(
                    "slow request",
                    method=scope["method"],
                    path=scope["path"][:300],
                    status=status,
                    seconds=round(seconds, 3),
                )

    def _authorise(self, headers: dict[bytes, bytes]) -> None:
        if self.token is None:
            return
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if not hmac.compare_digest(given, self.token.encode()):
            raise coded(401, "HTTP 401 Unauthorized")

    def _options(self, scope: Scope) -> Response:
        """Say which methods a path has."""
        methods: set[str] = set()
        for route in self.app.router.routes:
            match, _ = route.matches({**scope, "method": "GET"})
            if match is not Match.NONE:
                methods |= getattr(route, "methods", None) or set()
        if not methods:
            return error_answer(no_such_page())
        methods |= {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        allowed = ", ".join(method for method in OFFERED if method in methods)
        return Response(allowed, headers={"allow": allowed}, media_type="text/plain")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        too_large = coded(413, f"The request body is larger than {self.limit} bytes")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limit:
            raise too_large
        unpack = None
        if headers.get(b"content-encoding", b"").strip().lower() == b"gzip":
            unpack = zlib.decompressobj(wbits=31)
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise coded(400, "The request body ended early")
            more = message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            if unpack is not None:
                try:
                    chunk = unpack.decompress(chunk, self.limit - size + 1)
                except zlib.error as error:
                    raise coded(400, f"The request body is not gzip: {error}") from error
            size += len(chunk)
            if size > self.limit:
                raise too_large
            chunks.append(chunk)
        if unpack is not None and not unpack.eof:
            raise coded(400, "The gzip body ended early")
        return b"".join(chunks)


def routed_path(scope: Scope) -> str:
    """Return the path with each segment decoded once, encoded slashes kept apart from those that part segments."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    segments = [
        # What follows a semicolon is a parameter of the segment, and no part of a name.
        unquote_to_bytes(part.partition(b";")[0]).decode("utf-8", "replace").replace("/", SLASH)
        for part in raw.split(b"/")
    ]
    path = "/".join(segments)
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def first_of_each(query: bytes) -> bytes:
    """Return the query with the first of the values that a parameter is given; states of runs may be many.

    >>> first_of_each(b"limit=1&offset=2&limit=3")
    b'limit=1&offset=2'
    """
    pairs: dict[bytes, bytes] = {}
    for place, pair in enumerate(query.split(b"&")):
        name = pair.partition(b"=")[0]
        pairs.setdefault(b"%d" % place if name in REPEATED else b"=" + name, pair)
    return b"&".join(pairs.values())


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        await send(message if message["type"] != "http.response.body" else {**message, "body": b""})

    return headers_only


def _given(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
