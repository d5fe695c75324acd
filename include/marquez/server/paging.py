"""Pages by key: where the next page begins is said by the last element of this one, not by a count of those before it.

An answer whose page is full carries ``Link: <…&cursor=…>; rel="next"`` (RFC 8288). However long the list and however many
elements arrive meanwhile, each page costs the same and none is missed or seen twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from include.marquez.server.answers import invalid

if TYPE_CHECKING:
    from fastapi import Request, Response

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FORM = re.compile(r"(-?\d{1,18})_([0-9a-f]{32}|[0-9a-f]{64})")


@dataclass(frozen=True)
class Cursor:
    """The sort key of an element: a time, and the identifier that parts equal times."""

    at: datetime
    key: bytes

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // MICROSECOND}_{self.key.hex()}"


def read_cursor(text: str | None, key_bytes: int) -> Cursor | None:
    """Return the cursor of a request, None when it has none; 400 for text that no answer gave.

    >>> str(read_cursor("1000_" + "0f" * 16, 16))
    '1000_0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f'
    """
    if not text:
        return None
    match = FORM.fullmatch(text)
    refusal = invalid("query param cursor must be one that an answer's Link header gave")
    if match is None or len(match[2]) != 2 * key_bytes:
        raise refusal
    try:
        return Cursor(EPOCH + int(match[1]) * MICROSECOND, bytes.fromhex(match[2]))
    except OverflowError:
        raise refusal from None


def link_next(request: Request, response: Response, cursor: Cursor | None) -> Response:
    """Say where the next page is; None: nowhere."""
    if cursor is not None:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "offset")]
        raw = request.scope.get("raw_path") or request.url.path.encode()
        address = f"{raw.decode('ascii', 'replace')}?{urlencode([*kept, ('cursor', str(cursor))])}"
        response.headers["link"] = f'<{address}>; rel="next"'
    return response
