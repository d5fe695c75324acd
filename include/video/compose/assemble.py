"""Scene files and sound to one MP4, without decoding anything; a thumbnail of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.artifacts import media
from include.artifacts.scratch import scratch
from include.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def assemble(scenes: Sequence[Path], sound: Path | None, path: Path) -> None:
    """Join scene files, in the given order, and a sound track into one MP4; streams are copied, never encoded again."""
    if not scenes:
        raise InvalidInput("no scene to assemble: a video has at least one")
    with scratch() as folder:
        for place, scene in enumerate(scenes):  # names of our own: a list file has no escape to get wrong
            (folder / f"{place:03d}.mp4").symlink_to(scene.absolute())
        listed = "ffconcat version 1.0\n" + "".join(f"file {place:03d}.mp4\n" for place in range(len(scenes)))
        (folder / "scenes.txt").write_text(listed)
        media.run(
            [
                *(
                    "-v",
                    "error",
                    "-protocol_whitelist",
                    "file,pipe",
                    "-f",
                    "concat",
                    "-safe",
                    "1",
                    "-i",
                    "scenes.txt",
                ),
                *(media.reading(sound) if sound else ()),
                *("-map", "0:v:0", *(("-map", "1:a:0") if sound else ()), "-c", "copy"),
                *("-map_metadata", "-1", "-movflags", "+faststart", "-fflags", "+bitexact"),
                *("-flags:v", "+bitexact", "-flags:a", "+bitexact", "-f", "mp4", path.absolute()),
            ],
            folder=folder,
        )


def thumbnail(video: Path, path: Path, *, at_s: float) -> None:
    """Write the frame that is shown at a time as PNG; `InvalidInput` when the video is shorter."""
    duration_s = media.probe(video).duration_s
    if not 0 <= at_s < duration_s:
        raise InvalidInput(
            f"a thumbnail at {at_s:g} s of a video of {duration_s:g} s: choose a time inside it"
        )
    convert = "scale=in_color_matrix=bt709:in_range=tv:out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
    media.run(
        [
            *("-v", "error", "-filter_threads", "1", "-ss", f"{at_s:.6f}", *media.reading(video)),
            *(
                "-map",
                "0:v:0",
                "-frames:v",
                "1",
                "-vf",
                f"{convert},format=rgb24",
                "-c:v",
                "png",
                "-threads",
                "1",
            ),
            *(
                "-map_metadata",
                "-1",
                "-fflags",
                "+bitexact",
                "-flags:v",
                "+bitexact",
                "-f",
                "image2",
                "-update",
                "1",
            ),
            path.absolute(),
        ]
    )
    if not path.is_file():
        raise InvalidInput(f"{video.name} has no frame at {at_s:g} s")
