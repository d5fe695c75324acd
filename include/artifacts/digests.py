"""Digests: of files, of JSON values, of code; the names of everything that is compared by content."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

CODE_SUFFIXES = {".py", ".j2", ".html", ".css", ".sql", ".csv", ".json", ".toml", ".svg"}


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one JSON form of a value: sorted keys, no spaces, UTF-8.

    >>> canonical_json({"b": 1, "a": ["é"]}).decode()
    '{"a":["é"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def sha256_json(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@cache
def code_digest(*places: str) -> str:
    """Return the sha256 over the source files below places (files or folders relative to the repository).

    Text files that decide output (templates, SQL, bundled samples) count as code.
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for place in sorted(places):
        start = root / place
        found = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in found:
            if path.is_file() and path.suffix in CODE_SUFFIXES and "__pycache__" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
