"""The panel's FastAPI app: every page behind Airflow's login, every answer with the same strict headers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.errors import ArtifactCorrupt, ConfigurationError, ProviderRefused, ThroughlineError
from include.ledger.session import engine
from include.panel.access import logged_in
from include.panel.pages import Place, render
from include.panel.routes import artifacts, files, graph, health, jobs

log = structlog.get_logger("throughline.panel")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class StrictHeaders:
    """Give every answer of the panel, errors too, the headers that keep foreign text text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and add the headers to its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Close the connections to the ledger when the server stops."""
    yield
    engine.cache_clear()


def create_app() -> FastAPI:
    """Return the panel, to be mounted by Airflow's API server."""
    app = FastAPI(title="Throughline", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    guarded: list[Any] = [Depends(logged_in)]
    app.include_router(health.router)
    for part in (jobs, artifacts, graph, files):
        app.include_router(part.router, dependencies=guarded)
    app.add_middleware(StrictHeaders)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, misaddressed)
    app.add_exception_handler(ThroughlineError, failed)
    app.add_exception_handler(OperationalError, ledger_away)
    app.add_exception_handler(ProgrammingError, ledger_away)
    app.add_exception_handler(Exception, broken)
    return app


def wants_page(request: Request) -> bool:
    """Say whether a person's browser asks for a page; a client that asks for data gets JSON."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def answer(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as a page or as JSON, whichever was asked for."""
    if not wants_page(request):
        return JSONResponse({"detail": message}, status_code=status, headers=headers)
    title = HTTPStatus(status).phrase
    return render(request, "error", http_status=status, title=title, code=status, message=message)


async def refused(request: Request, error: Exception) -> Response:
    """Send an anonymous visitor to Airflow's login and back; anybody else is told what is wrong."""
    if not isinstance(error, HTTPException):
        raise error
    # A cookie of an earlier deployment is as good as none: Airflow says 403 to it, a login helps.
    anonymous = error.status_code == HTTPStatus.UNAUTHORIZED or error.detail == "Invalid JWT token"
    if anonymous and wants_page(request):
        return RedirectResponse(login_address(request), status_code=HTTPStatus.SEE_OTHER)
    headers = dict(error.headers or {})
    if anonymous:
        return JSONResponse({"detail": "Not authenticated"}, HTTPStatus.UNAUTHORIZED, headers)
    return answer(request, error.status_code, str(error.detail), headers)


def login_address(request: Request) -> str:
    """Return the address of Airflow's login, which leads back to the page that was asked for."""
    place = Place(str(request.scope.get("root_path", "")))
    # A path, not an address: behind a proxy the scheme and host seen here are not those of the browser.
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{place.airflow_root}/api/v2/auth/login?{urlencode({'next': asked})}"


async def misaddressed(request: Request, error: Exception) -> Response:
    """Say 404 for a path that names nothing, 400 for a parameter that cannot be."""
    if not isinstance(error, RequestValidationError):
        raise error
    places = {str(item["loc"][0]) for item in error.errors()}
    if "path" in places:
        return answer(request, HTTPStatus.NOT_FOUND, "There is no such page.")
    wrong = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
    return answer(request, HTTPStatus.BAD_REQUEST, wrong)


async def failed(request: Request, error: Exception) -> Response:
    """Say what the deployment or the store lacks; the details go to the log."""
    log.warning("panel request failed", path=request.url.path, error=str(error))
    if isinstance(error, ArtifactCorrupt):
        message = "The stored bytes are missing or differ from their digest; they are not served. Run `throughline verify`."
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, message)
    if isinstance(error, ConfigurationError):
        return answer(
            request,
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The panel is not set up: the ledger's address is missing.",
        )
    # The text of the error holds the server's address and what it said: for the log, not for a page.
    if isinstance(error, ProviderRefused):
        return answer(
            request, HTTPStatus.BAD_GATEWAY, "The lineage server does not understand this question."
        )
    return answer(
        request, HTTPStatus.BAD_GATEWAY, "The lineage server does not answer, or not in time. Try again."
    )


async def ledger_away(request: Request, error: Exception) -> Response:
    """Say that the ledger does not answer, without its address or the statement."""
    log.warning("the ledger does not answer", path=request.url.path, error=str(getattr(error, "orig", error)))
    return answer(
        request, HTTPStatus.SERVICE_UNAVAILABLE, "The ledger does not answer, or not in time. Try again."
    )


async def broken(request: Request, error: Exception) -> Response:
    """Say that the panel has a bug, and nothing of it; answered outside the middleware, so with the headers here."""
    reply = answer(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "The panel failed; the API server's log says why."
    )
    for name, value in HEADERS.items():
        reply.headers[name] = value
    reply.headers["Cache-Control"] = "no-store"
    return reply
