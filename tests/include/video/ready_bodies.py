"""Stage bodies that publish ready files, where a test is about what comes after them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.stage import Work


def reviewed_video(work: Work) -> dict[str, Any]:
    """Publish a file as the video, and a quality report with the verdict of the parameters."""
    file = Path(work.params["file"])
    work.admit("words", file, uri=file.as_uri(), media_type="text/plain")
    work.publish(
        "video",
        "",
        lambda path: shutil.copy(file, path),
        suffix=".bin",
        media_type="application/octet-stream",
        name="video.bin",
    )
    report = {"verdict": work.params["verdict"], "reasons": work.params["reasons"]}
    work.publish(
        "quality",
        "",
        lambda path: path.write_text(json.dumps(report)),
        suffix=".json",
        media_type="application/json",
        name="quality.json",
        facts=report,
    )
    return {}
