"""JSON by the fast parser, and exactly: integers beyond 64 bits, which that one rounds or refuses, take the slow way."""

from __future__ import annotations

import json
from typing import Any

import orjson

LONG = b"0" * 19
"""Digits of the shortest integer that may not fit into 64 bits."""
DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))


def long_numbers(raw: bytes) -> bool:
    """Return whether so many digits follow each other that an integer may be lost."""
    return LONG in raw.translate(DIGITS)


def loads(text: str) -> Any:
    """Return the value of a JSON text that this server wrote.

    >>> loads('{"n": 1000000000000000000000000000001}')["n"] % 10
    1
    """
    raw = text.encode()
    return json.loads(text) if long_numbers(raw) else orjson.loads(raw)


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """Return the compact JSON of a value; nothing but ASCII control characters is escaped.

    >>> dumps({"b": 10**30, "a": "é"}, sort_keys=True)
    '{"a":"é","b":1000000000000000000000000000000}'
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, sort_keys=sort_keys, ensure_ascii=False, separators=(",", ":"))
