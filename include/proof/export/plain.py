"""The line as one JSON document: artifacts with their facts, links, runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.proof.export.record import Record

SCHEMA = "throughline-lineage/1"


def content(record: Record) -> dict[str, Any]:
    """Return the document.

    Keys: schema, target, as_of, roots, artifacts, edges ([made, input]), reuses ([making, origin]), runs. Times are
    ISO 8601 in UTC, sizes in bytes.
    """
    return {
        "schema": SCHEMA,
        "target": {"kind": record.target.kind, "value": record.target.value},
        "as_of": record.as_of.isoformat() if record.as_of else None,
        "roots": [str(root) for root in record.roots],
        "artifacts": [
            {**_plain(asdict(item)), "file": record.file(item), "current": record.is_current(item)}
            for item in record.artifacts.values()
        ],
        "edges": [[str(made), str(used)] for made, used in record.edges],
        "reuses": [[str(made), str(origin)] for made, origin in record.reuses],
        "runs": [_plain(asdict(run)) for run in record.runs.values()],
    }


def document(record: Record) -> str:
    """Return the file."""
    return json.dumps(content(record), indent=1) + "\n"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _json(value) for name, value in values.items()}


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool | dict | list):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
