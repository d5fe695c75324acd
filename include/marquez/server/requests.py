"""Reading a request: path names, parameters and bodies, refused with the answers that Marquez gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import Path, Request
from pydantic import AfterValidator

from include.marquez.server.answers import ApiError, coded, invalid, no_such_page
from include.marquez.server.identity import UUID_TEXT
from include.marquez.server.openlineage import malformed, parse_json

if TYPE_CHECKING:
    from include.marquez.server.database import Pool
    from include.marquez.server.group_commit import Ingest
    from include.marquez.server.nodes import Nodes
    from include.marquez.server.openlineage import Json

MEDIA_TYPE = re.compile(r"\s*[^\s/;,]+/[^\s/;,]+\s*(?:;.*)?")
SLASH = "\uffff"
"""Stands for an encoded slash while a path is routed: a noncharacter, which no name holds."""


def _whole(text: str) -> str:
    if not text.strip():
        raise ValueError("a name is not blank")
    return text.replace(SLASH, "/").replace("\x00", "\ufffd")


Name = Annotated[str, Path(), AfterValidator(_whole)]
"""A name in a path, decoded; it may hold slashes."""


def pool_of(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


def nodes_of(request: Request) -> Nodes:
    nodes: Nodes = request.app.state.nodes
    return nodes


def ingest_of(request: Request) -> Ingest:
    ingest: Ingest = request.app.state.ingest
    return ingest


def whole_number(text: str | None, name: str, default: int, *, lowest: int | None = 0) -> int:
    """Return a 32-bit number; text that is none is answered as Marquez does, with 404."""
    if not text:
        return default
    if not re.fullmatch(r"[+-]?\d{1,4000}", text):
        raise no_such_page()
    number = int(text)
    if not -(2**31) <= number < 2**31:
        raise no_such_page()
    if lowest is not None and number < lowest:
        raise invalid(f"query param {name} must be greater than or equal to {lowest}")
    return number


def one_of(text: str | None, name: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that a parameter names, whatever its case and spaces and with ``-`` or ``.`` for ``_``."""
    if not text:
        return None
    chosen = re.sub(r"[-.]", "_", "".join(text.split())).upper()
    if chosen not in choices:
        raise coded(400, f"query param {name} must be one of [{', '.join(choices)}]")
    return chosen


def text_param(text: str | None) -> str | None:
    """Return a query parameter without what the database cannot compare."""
    return None if text is None else text.replace("\x00", "\ufffd")


def uuid_param(text: str) -> UUID:
    if not UUID_TEXT.fullmatch(text):
        raise no_such_page()
    return UUID(text)


def only_json(request: Request) -> None:
    """Refuse, with 415, a request that says its body is anything but JSON; one that says nothing passes."""
    kind = request.headers.get("content-type")
    if kind and not MEDIA_TYPE.fullmatch(kind):
        raise ApiError(400, "")
    if kind is not None and kind.partition(";")[0].strip().lower() != "application/json":
        raise coded(415, "HTTP 415 Unsupported Media Type")


async def json_body(request: Request) -> bytes:
    """Return the body of a request, which must say that it is JSON unless it is empty; anything else is 415."""
    only_json(request)
    body = await request.body()
    if body and "content-type" not in request.headers:
        raise coded(415, "HTTP 415 Unsupported Media Type")
    return body


async def json_object(request: Request) -> Json:
    """Return a body that is a JSON object."""
    body = await json_body(request)
    value: Any = parse_json(body) if body.strip() else None
    if not isinstance(value, dict):
        malformed("The request body must be a JSON object")
    return value
