"""A stage body that publishes a ready Parquet file as the lake's gold trends."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.stage import Work


def publish(work: Work) -> dict[str, Any]:
    file = Path(work.params["file"])
    work.admit("trends", file, uri=file.as_uri(), media_type="application/vnd.apache.parquet")
    work.publish(
        "table",
        "gold/trends/2026-06-01",
        lambda path: shutil.copy(file, path),
        suffix=".parquet",
        media_type="application/vnd.apache.parquet",
        name="gold-trends.parquet",
        dataset="lake/gold/trends",
    )
    return {}
