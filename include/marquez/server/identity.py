"""Names and the identifiers made from them. Every identifier follows from what it identifies, so that replaying events
into an empty database, in any order, gives the same ones.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = UUID("6f3c1f0e-3f0b-5d43-9a53-6f0d2b1c7a11")


def made_of(kind: str, *parts: str) -> UUID:
    """Return the identifier of `kind` with these parts; parts are length-prefixed, so no two lists collide.

    >>> made_of("job", "a", "bc") == made_of("job", "ab", "c")
    False
    """
    return uuid5(ROOT, kind + "".join(f"|{len(part)}:{part}" for part in parts))


def job_id(namespace: str, name: str) -> UUID:
    return _named("job", namespace, name) if len(name) <= 300 else made_of("job", namespace, name)


def dataset_id(namespace: str, name: str) -> UUID:
    return _named("dataset", namespace, name) if len(name) <= 300 else made_of("dataset", namespace, name)


@lru_cache(maxsize=8192)
def _named(kind: str, namespace: str, name: str) -> UUID:
    """Remember what events name again and again; names of usual length only, so that the memory stays bounded."""
    return made_of(kind, namespace, name)


def name_uuid(*parts: str | None) -> UUID:
    """Return the UUID (version 3, without a namespace) that Java makes of the parts joined by ``:``; None is left out.

    Marquez names versions so. Colons inside the parts make it ambiguous: it names a version within what it is a version of.

    >>> name_uuid("legacy", "j1", "legacy:t1", "", None)
    UUID('e314a7b8-84ae-3ea5-9ef5-db141e68bc21')
    """
    text = ":".join(part for part in parts if part is not None)
    digest = bytearray(hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x30
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def run_uuid(text: str) -> UUID:
    """Return the id under which a run is kept: the UUID itself, else the name-based one (version 3) Java makes of other text.

    >>> str(run_uuid("7E990C03-66B7-4DF0-9B39-7B8E5D2A3B54"))
    '7e990c03-66b7-4df0-9b39-7b8e5d2a3b54'
    >>> run_uuid("scheduled__2026").version
    3
    """
    return UUID(text) if UUID_TEXT.fullmatch(text) else name_uuid(text)


UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

LOCKS = 4096
"""Advisory locks share so many keys: an event of ten thousand datasets must not exhaust the server's lock table."""


def lock_keys(ids: Iterable[UUID]) -> list[int]:
    """Return the advisory lock keys of these aggregates, sorted, so that two transactions never wait in a circle."""
    return sorted({(1 << 40) + identifier.int % LOCKS for identifier in ids})


@dataclass(frozen=True)
class NodeId:
    """A node of a graph, as clients write it: ``job:ns:name``, ``dataset:ns:name``, ``datasetField:ns:name:field``, ``run:id``."""

    kind: Literal["job", "dataset", "datasetField", "run"]
    namespace: str
    name: str
    field: str = ""
    version: UUID | None = None


def node_readings(text: str) -> list[NodeId]:
    """Return every way to read a node id, likeliest first.

    Namespaces and names may themselves hold colons (``s3://bucket``, ``kafka://k:9092``), so one text may name several
    nodes; the caller takes the first that exists. A ``#`` is read as a version only when a UUID follows it.

    >>> [(n.namespace, n.name) for n in node_readings("dataset:kafka://k:9092:topic.in")][0]
    ('kafka://k:9092', 'topic.in')
    >>> node_readings("nonsense")
    []
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("job", "dataset", "datasetField", "run") or not rest:
        return []
    version: UUID | None = None
    bare, hash_, tail = rest.rpartition("#")
    readings: list[NodeId] = []
    if hash_ and UUID_TEXT.fullmatch(tail):
        version = UUID(tail)
        readings += _split(kind, bare, version)
    return readings + _split(kind, rest, None)


def _split(kind: str, rest: str, version: UUID | None) -> list[NodeId]:
    if kind == "run":
        return [NodeId("run", "", rest, "", version)]
    cuts = [i for i, letter in enumerate(rest) if letter == ":"]
    # A colon inside a namespace is followed by "//" (a scheme) or by digits (a port): those are the unlikely cuts.
    likely = [i for i in cuts if not rest.startswith("://", i) and not rest[i + 1 : i + 2].isdigit()]
    order = likely + [i for i in cuts if i not in likely]
    if kind == "job":
        return [NodeId("job", rest[:i], rest[i + 1 :], "", version) for i in order if rest[i + 1 :]]
    if kind == "dataset":
        return [NodeId("dataset", rest[:i], rest[i + 1 :], "", version) for i in order if rest[i + 1 :]]
    return [
        NodeId("datasetField", rest[:i], rest[i + 1 : k], rest[k + 1 :], version)
        for i in order
        for k in reversed(cuts)
        if k > i + 1 and rest[k + 1 :]
    ]
