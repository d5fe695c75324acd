"""Stage bodies whose files the panel shows; small, but each goes through the whole publish protocol."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput

if TYPE_CHECKING:
    from include.stage import Work


def collect(work: Work) -> dict[str, Any]:
    path = Path(work.params["file"])
    source = work.admit("words", path, uri=path.name, media_type="text/plain")
    work.settle()
    words = json.dumps(path.read_text().split())
    work.publish(
        "trends",
        "",
        lambda target: target.write_text(words),
        suffix=".json",
        media_type="application/json",
        name="trends.json",
        facts={"rows": 2},
        inputs=[source],
    )
    return {}


def write(work: Work) -> dict[str, Any]:
    words = work.input("trends").path.read_text()
    work.settle()
    work.cost("anthropic", "a-model", "input_tokens", Decimal("1000"), Decimal("0.0031"))
    work.cost("anthropic", "a-model", "output_tokens", Decimal("10"), Decimal("0.0002"))
    work.publish(
        "script",
        "",
        lambda target: target.write_text(words),
        suffix=".json",
        media_type="application/json",
        name="script.json",
    )
    return {}


def compose(work: Work) -> dict[str, Any]:
    work.input("script")
    work.settle()
    video = work.publish(
        "video", "", clip, suffix=".mp4", media_type="video/mp4", name="video.mp4", facts={"frames": 10}
    )
    work.publish(
        "thumbnail",
        "",
        picture,
        suffix=".png",
        media_type="image/png",
        name="thumbnail.png",
        inputs=[video],
    )
    return {}


def fail(work: Work) -> dict[str, Any]:
    work.input("trends")
    work.settle()
    raise InvalidInput("words.txt: column 'word' is missing")


def clip(target: Path) -> None:
    import imageio_ffmpeg

    source = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(target)], check=True)


def picture(target: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 16), "navy").save(target)
