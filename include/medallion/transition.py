"""The record of one hop of one table between two layers; a row of the ledger and its JSON projection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid5

from include.artifacts.digests import sha256_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAKE = UUID("0f3f2b52-6f0b-5a58-9b0e-6d1f5b1a7c44")
"""Namespace of the lake's derived ids."""


def batch_id_of(table: str, partition: str, source_digests: Sequence[str]) -> UUID:
    """Return the id that links one source's rows across all layers.

    >>> batch_id_of("t", "latest", ["b", "a"]) == batch_id_of("t", "latest", ["a", "b"])
    True
    """
    return uuid5(LAKE, f"batch/{table}/{partition}/{'+'.join(sorted(source_digests))}")


def transition_id_of(
    table: str,
    layer: str,
    partition: str,
    input_digests: Sequence[str],
    transform_digest: str,
    parameters: Mapping[str, Any],
) -> UUID:
    """Return the id of a hop: the same inputs, code, parameters and partition give the same one."""
    recipe = [table, layer, partition, sorted(input_digests), transform_digest, dict(parameters)]
    return uuid5(LAKE, f"transition/{sha256_json(recipe)}")


@dataclass(frozen=True)
class Transition:
    """One hop. Counts are rows; row_count_in = row_count_out + rejected + deduplicated + filtered once it succeeded.

    `source_files`, `inputs` and `outputs` are JSON objects with path or dataset, sha256 and rows; `rejected_by` counts
    per rule (a row may break several); `drift` is the header's difference from the contract.
    """

    transition_id: UUID
    batch_id: UUID | None
    table_name: str
    partition: str
    source_layer: str
    target_layer: str
    source_files: tuple[dict[str, Any], ...]
    target_file: str | None
    transforms_applied: tuple[dict[str, Any], ...]
    engine: str
    started_at: datetime
    row_count_in: int = 0
    row_count_out: int = 0
    rejected: int = 0
    deduplicated: int = 0
    filtered: int = 0
    status: Literal["success", "partial", "failed"] = "failed"
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    column_lineage: dict[str, Any] | None = None
    completed_at: datetime | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    rejected_by: Mapping[str, int] | None = None
    schema_in: tuple[dict[str, str], ...] = ()
    schema_out: tuple[dict[str, str], ...] = ()
    drift: dict[str, Any] | None = None

    @property
    def balanced(self) -> bool:
        """Whether every row that came in is accounted for."""
        return self.row_count_in == self.row_count_out + self.rejected + self.deduplicated + self.filtered

    def row(self) -> dict[str, Any]:
        """Return the fields for the ledger and the catalogue; sequences as lists, unknown ones left out."""
        found = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return {name: value for name, value in found.items() if value is not None or name == "batch_id"}

    def json(self) -> dict[str, Any]:
        """Return `row` with ids and times as text."""
        return {
            name: value.isoformat()
            if isinstance(value, datetime)
            else str(value)
            if isinstance(value, UUID)
            else value
            for name, value in self.row().items()
        }
