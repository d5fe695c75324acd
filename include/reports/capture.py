"""The raw inputs of a report, kept so that it can be made again byte for byte.

A document of inputs is canonical JSON and content-addressed. `bundle` makes the download of it: gzip without a time in it,
at most 2 MB a part; what is larger is split and listed, never cut. `enrich` is for what is nice to have (logs): bounded,
and whatever goes wrong with it is written down instead of raised.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from include.artifacts.digests import canonical_json
from include.errors import ArtifactCorrupt, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PART_BYTES = 2_000_000
"""No part of a download is larger, compressed."""
SLICE_BYTES = 1_900_000
"""Raw bytes per part once a document is split: even incompressible bytes then stay under the limit."""
MOST_BYTES = 512 * 2**20
"""No document of inputs unpacks to more."""
MOST_LOG_LINES = 500
MOST_LOG_BYTES = 256_000

Status = Literal["full", "truncated", "degraded", "disabled"]


@dataclass(frozen=True)
class Part:
    """One gzip file of a bundle."""

    name: str
    content: bytes
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A document of inputs as downloads: one part, or several whose unpacked bytes follow one another."""

    sha256: str
    size_bytes: int
    parts: tuple[Part, ...]

    @property
    def compressed_size_bytes(self) -> int:
        """Bytes of all parts together."""
        return sum(len(part.content) for part in self.parts)

    def listing(self) -> dict[str, Any]:
        """Return what is in which part, as JSON."""
        return {
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "parts": [
                {"name": part.name, "sha256": part.sha256, "size_bytes": len(part.content)}
                for part in self.parts
            ],
        }


@dataclass(frozen=True)
class Enrichment:
    """Logs as they are kept with a report, and whether that is all of them."""

    logs: list[dict[str, Any]]
    status: Status
    reason: str | None


def pack(content: bytes) -> bytes:
    """Return gzip bytes that depend on the content alone.

    >>> pack(b"x") == pack(b"x")
    True
    """
    return gzip.compress(content, compresslevel=9, mtime=0)


def bundle(document: Mapping[str, Any], name: str) -> Bundle:
    """Return a document of inputs as one ``<name>.json.gz``, or as numbered parts when that would be too large."""
    content = canonical_json(document)
    whole = pack(content)
    if len(whole) <= PART_BYTES:
        packed = [(f"{name}.json.gz", whole)]
    else:
        slices = [content[at : at + SLICE_BYTES] for at in range(0, len(content), SLICE_BYTES)]
        packed = [
            (f"{name}.json.{place:04d}-of-{len(slices):04d}.gz", pack(piece))
            for place, piece in enumerate(slices, 1)
        ]
    parts = tuple(Part(part, gz, sha256(gz).hexdigest()) for part, gz in packed)
    return Bundle(sha256(content).hexdigest(), len(content), parts)


def unbundle(parts: Sequence[bytes], digest: str) -> dict[str, Any]:
    """Return the document of a bundle's parts, in order.

    Raises ArtifactCorrupt when they are not those of this digest, InvalidInput when they unpack to too much.
    """
    content = bytearray()
    for place, part in enumerate(parts, 1):
        unpacker = zlib.decompressobj(31)
        try:
            content += unpacker.decompress(part, MOST_BYTES - len(content) + 1)
        except zlib.error as error:
            raise ArtifactCorrupt(f"part {place} of the captured inputs is not gzip: {error}") from error
        if len(content) > MOST_BYTES:
            raise InvalidInput(f"the captured inputs unpack to more than {MOST_BYTES} bytes")
        if not unpacker.eof or unpacker.unused_data:
            raise ArtifactCorrupt(f"part {place} of the captured inputs is cut off or has bytes behind it")
    return parse(bytes(content), digest)


def parse(content: bytes, digest: str | None = None) -> dict[str, Any]:
    """Return a document of inputs.

    Raises ArtifactCorrupt when its bytes are not those of the digest, InvalidInput when they are not one of ours.
    """
    if digest is not None and sha256(content).hexdigest() != digest:
        raise ArtifactCorrupt(f"the captured inputs are altered; their recorded sha256 is {digest}")
    try:
        found = json.loads(content)
    except ValueError as error:
        raise InvalidInput(f"the captured inputs are not JSON: {error}") from error
    if not isinstance(found, dict) or "schema" not in found:
        raise InvalidInput(
            "the captured inputs are a JSON document without a schema: not made by a gather stage"
        )
    return found


def enrich(collect: Callable[[], Sequence[Mapping[str, Any]]], *, enabled: bool) -> Enrichment:
    """Return the logs of a report with their capture status; never raises over a log.

    disabled: switched off; degraded: collecting failed; truncated: the oldest lines were left out; full: all there.
    """
    if not enabled:
        return Enrichment([], "disabled", "ENABLE_REPORT_LINEAGE is off")
    try:
        lines = [json.loads(canonical_json(line).replace(b"\\u0000", b"")) for line in collect()]
    except Exception as error:
        return Enrichment(
            [], "degraded", f"logs could not be collected: {type(error).__name__}: {error}"[:300]
        )
    kept: list[dict[str, Any]] = []
    size = 0
    for line in reversed(lines):
        size += len(canonical_json(line))
        if len(kept) == MOST_LOG_LINES or size > MOST_LOG_BYTES:
            break
        kept.append(line)
    kept.reverse()
    if len(kept) < len(lines):
        return Enrichment(
            kept, "truncated", f"the first {len(lines) - len(kept)} of {len(lines)} log lines are left out"
        )
    return Enrichment(kept, "full", None)
