"""Answers of the API: JSON with stored JSON copied in as it is, and the error bodies of Marquez."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from starlette.responses import Response

from include.marquez.server import exact_json
from include.marquez.server.openlineage import MAX_NAMESPACE, NOT_NAMESPACE, REQUESTED, requested
from include.marquez.server.times import instant

if TYPE_CHECKING:
    from datetime import datetime

JSON = "application/json"
URL = re.compile(r"(https?|ftp|file|jar|mailto):(?://(?=[/?#]|$))?(.*)", re.IGNORECASE | re.DOTALL)


class ApiError(Exception):
    """An answer that is an error; `body` is JSON, or plain text when it is a string."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def coded(status: int, message: str) -> ApiError:
    return ApiError(status, {"code": status, "message": message})


def not_found(what: str, name: object) -> ApiError:
    """Return the 404 of a missing namespace, job, dataset, run … by name."""
    return coded(404, f"{what} '{name}' not found.")


def no_such_page() -> ApiError:
    return coded(404, "HTTP 404 Not Found")


def possible_namespace(name: str) -> bool:
    """Return whether a request may give a namespace this name; datasets' namespaces that events tell have any."""
    return 0 < len(name) <= MAX_NAMESPACE and not NOT_NAMESPACE.search(name)


def invalid(message: str) -> ApiError:
    return ApiError(400, {"errors": [message]})


def as_json(text: str | bytes) -> orjson.Fragment:
    """Return JSON that is text already, to be copied into an answer without being read."""
    return orjson.Fragment(text)


def as_told(value: Any) -> orjson.Fragment:
    """Return what events told, to be copied into an answer: integers beyond 64 bits stay exact."""
    return as_json(exact_json.dumps(value))


def as_facets(text: str) -> orjson.Fragment:
    """Return stored facets, without those that the server made itself from a request that was no event."""
    if REQUESTED not in text:
        return as_json(text)
    facets = exact_json.loads(text)
    return as_told({name: facet for name, facet in facets.items() if not requested(facet)})


def at(moment: datetime | None) -> datetime | str | None:
    """Return an instant of the database as answers show it: `rendered` writes all but whole milliseconds as Java does."""
    if moment is None or not (fraction := moment.microsecond) or fraction % 1000:
        return moment
    return instant(moment)


def as_url(text: str | None) -> str | None:
    """Return a URL as Marquez writes it: nothing for text that is none, and no ``//`` before an empty authority.

    >>> as_url("file:///dags/a.py"), as_url("a.py")
    ('file:/dags/a.py', None)
    """
    match = URL.fullmatch((text or "").strip())
    return f"{match[1].lower()}:{match[2]}" if match else None


def rendered(value: Any) -> bytes:
    """Return a value as JSON. What events hold is a fragment in it: their integers have any length."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON response; bytes are JSON already."""
    body = value if isinstance(value, bytes) else rendered(value)
    return Response(body, status, media_type=JSON)


def _plain(value: Any) -> str:
    if isinstance(value, UUID):  # the database driver has its own subclass
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def error_answer(error: ApiError) -> Response:
    if isinstance(error.body, str):
        return Response(error.body, error.status, media_type="text/plain")
    return answer(error.body, error.status)
