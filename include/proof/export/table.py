"""The line as CSV: one row per artifact, its exact inputs in the last columns.

Format: RFC 4180, UTF-8, CRLF. A cell that a spreadsheet would take for a formula is led by an apostrophe.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.proof.export.record import Record

COLUMNS = (
    "artifact_id",
    "job_id",
    "kind",
    "key",
    "namespace",
    "dataset",
    "file",
    "sha256",
    "size_bytes",
    "media_type",
    "stage",
    "dag_id",
    "task_id",
    "map_index",
    "run_id",
    "try_number",
    "ol_run_id",
    "created_at",
    "superseded_at",
    "current",
    "reused_from",
    "input_ids",
    "input_sha256",
)
# The last four are the full-width forms, which some spreadsheets take for the same signs.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def rows(record: Record) -> list[list[str]]:
    """Return the cells, in the order of `COLUMNS`, the artifacts in the order they were made."""
    inputs = record.inputs()
    return [
        [
            cell(value)
            for value in (
                item.artifact_id,
                item.job_id,
                item.kind,
                item.key,
                item.namespace,
                item.dataset,
                record.file(item),
                item.sha256,
                item.size_bytes,
                item.media_type,
                item.stage,
                item.dag_id,
                item.task_id,
                _mapped(record.runs[item.stage_run_id].map_index),
                item.run_id,
                record.runs[item.stage_run_id].try_number,
                item.ol_run_id,
                item.created_at.isoformat(),
                item.superseded_at.isoformat() if item.superseded_at else None,
                "yes" if record.is_current(item) else "no",
                item.reused_from,
                " ".join(str(used.artifact_id) for used in inputs[item.artifact_id]),
                " ".join(used.sha256 for used in inputs[item.artifact_id]),
            )
        ]
        for item in record.artifacts.values()
    ]


def _mapped(index: int) -> int | None:
    """Return the index of a mapped task; a task that is not mapped has none."""
    return index if index >= 0 else None


def cell(value: Any) -> str:
    """Return a value as a cell that is text wherever it is opened; numbers stay numbers.

    >>> cell("=1+1"), cell(-1), cell(None), cell("scene")
    ("'=1+1", '-1', '', 'scene')
    """
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\0", "\ufffd")
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def document(record: Record) -> str:
    """Return the file."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(rows(record))
    return out.getvalue()
