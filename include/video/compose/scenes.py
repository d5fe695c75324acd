"""One scene to one MP4: the production renderer, one ffmpeg graph per scene.

Two streams of raw frames go in, the small moving ground and the picture's box; the graph enlarges, converts to BT.709,
lays the picture and the overlays, burns the captions and encodes. x264 runs on one thread, frame count and flags are
fixed, nothing of the machine or the clock is written: equal plans make equal bytes, whatever else the machine does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.artifacts import media
from include.artifacts.scratch import scratch
from include.video import fonts
from include.video.compose import captions, overlays
from include.video.compose.timeline import timeline
from include.video.visuals import gallery
from include.video.visuals.backdrop import Backdrop
from include.video.visuals.palettes import PALETTES
from include.video.visuals.picture import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from include.video.compose.timeline import OverlayTrack, SceneTrack, Timeline
    from include.video.plan import Plan
    from include.video.visuals.picture import Picture

PRESET, CRF = "veryfast", 20
_SCALING = "flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
_TO_709 = f"in_range=pc:out_range=tv:out_color_matrix=bt709:{_SCALING}"
_TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


@dataclass(frozen=True, eq=False)
class Staged:
    """Everything that a scene shows, ready to be drawn by any renderer."""

    line: Timeline
    track: SceneTrack
    ground: Backdrop
    picture: Picture
    overlays: tuple[tuple[OverlayTrack, overlays.Placed], ...]


def staged(plan: Plan, number: int, words: Sequence[Mapping[str, Any]], *, scale: float = 1.0) -> Staged:
    """Prepare a scene: its track, its ground, its picture, its overlays; `KeyError` when the plan has no such scene."""
    line = timeline(plan, words, scale=scale)
    track, scene = line.scene(number), plan.scene(number)
    palette, unit = PALETTES[track.palette], line.areas.unit
    setting = Setting(
        box=track.picture,
        unit=unit,
        fps=line.fps,
        frames=track.frames,
        palette=palette,
        shown=frozenset(overlay.text.strip().casefold() for overlay in track.overlays),
        tags=tuple(plan.hashtags) if scene.visual.kind == "closing" else (),
    )
    return Staged(
        line=line,
        track=track,
        ground=Backdrop(
            palette,
            plan.seed * 1000 + number,
            line.width,
            line.height,
            line.fps,
            waves=_waves(scene.visual.kind, line, track),
        ),
        picture=gallery.picture(scene.visual.content, setting),
        overlays=tuple(
            (overlay, overlays.draw(overlay, palette, unit, (line.width, line.height)))
            for overlay in track.overlays
        ),
    )


def _waves(kind: str, line: Timeline, track: SceneTrack) -> tuple[float, float] | None:
    """Return where rings of light start: behind a single figure, from its middle."""
    if kind != "big_number":
        return None
    box = track.picture
    return (box.x + box.width / 2) / line.width, (box.y + box.height / 2) / line.height


def render(
    plan: Plan,
    number: int,
    words: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    threads: int = 1,
    scale: float = 1.0,
    burn: bool = True,
) -> None:
    """Write one scene as MP4: H.264, yuv420p, BT.709, video only, exactly as many frames as the plan says.

    Parameters
    ----------
    words
        The word times of the whole video, [{word, start_s, end_s, sentence}].
    threads
        Encoder threads. With one, bytes do not depend on the load of the machine; more make other bytes.
    scale
        Shrinks the frame, for previews: 0.25 makes 270x480 of 1080x1920.
    burn
        Whether captions are burned in.
    """
    scene = staged(plan, number, words, scale=scale)
    with scratch() as folder:
        subtitles = captions.of_scene(scene.line, number) if burn else None
        if subtitles is not None:
            (folder / "captions.ass").write_text(subtitles, encoding="utf-8")
            captions.gather_fonts(captions.faces(word.text for word in scene.track.words), folder / "fonts")
        for place, (_, drawn) in enumerate(scene.overlays):
            drawn.save(folder / f"overlay{place}.png", PALETTES[scene.track.palette].deep)
        (folder / "fonts.conf").write_text("<fontconfig></fontconfig>\n")
        media.run(
            _arguments(scene, subtitles is not None, threads, path),
            feeds=[
                scene.ground.frames(scene.track.frames),
                gallery.frames(scene.picture, scene.track.frames),
            ],
            folder=folder,
            environment={"FONTCONFIG_FILE": str(folder / "fonts.conf")},
        )


def _raw(size: tuple[int, int], pixels: str, fps: int, address: str) -> list[str]:
    return [
        *("-f", "rawvideo", "-pixel_format", pixels, "-video_size", f"{size[0]}x{size[1]}"),
        *("-framerate", str(fps), "-i", address),
    ]


def _arguments(scene: Staged, subtitles: bool, threads: int, path: Path) -> list[str | Path]:
    fps, frames, box = scene.line.fps, scene.track.frames, scene.picture.box
    inputs = [
        *_raw((scene.ground.width, scene.ground.height), "rgb48le", fps, "feed:0"),
        *_raw((box.width, box.height), "rgba", fps, "feed:1"),
    ]
    for place in range(len(scene.overlays)):
        inputs += ["-f", "image2", "-framerate", str(fps), "-i", f"overlay{place}.png"]
    return [
        *("-v", "error", "-filter_complex_threads", "1", "-protocol_whitelist", "file,pipe"),
        *inputs,
        *("-filter_complex", graph(scene, subtitles), "-map", "[out]"),
        *("-frames:v", str(frames), "-fps_mode", "passthrough"),
        *encoding(fps, threads),
        path.absolute(),
    ]


def encoding(fps: int, threads: int = 1) -> list[str]:
    """Return the encoder's arguments: everything that decides bytes is said, nothing is left to the machine."""
    return [
        *(
            "-c:v",
            "libx264",
            "-preset",
            PRESET,
            "-crf",
            str(CRF),
            "-profile:v",
            "high",
            "-pix_fmt",
            "yuv420p",
        ),
        *("-threads", str(threads), "-g", str(2 * fps), "-x264-params", "aq-mode=3:aq-strength=0.9"),
        *("-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-video_track_timescale", str(fps * 512), "-an", "-map_metadata", "-1", "-movflags", "+faststart"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "mp4"),
    ]


def graph(scene: Staged, subtitles: bool) -> str:
    """Return the filter graph of a scene. It holds numbers and names of our own only, never a text of the plan."""
    width, height, frames, box = scene.line.width, scene.line.height, scene.track.frames, scene.picture.box
    chains = [
        f"[0:v]scale={width}:{height}:{_TO_709}:sws_dither=bayer,format=yuv420p,setsar=1[ground]",
        f"[1:v]scale={_TO_709},format=yuva420p[picture]",
        f"[ground][picture]overlay=x={box.x}:y={box.y}:format=yuv420:alpha=straight:eof_action=pass[laid0]",
    ]
    for place, (track, drawn) in enumerate(scene.overlays):
        chains += _overlay_chains(place, track, drawn.box, scene.line.areas.unit, frames)
    last = f"[laid{len(scene.overlays)}]"
    burned = "ass=filename=captions.ass:fontsdir=fonts," if subtitles else ""
    chains.append(f"{last}{burned}{_TAGS},format=yuv420p[out]")
    return ";".join(chains)


def _overlay_chains(place: int, track: OverlayTrack, box: Any, unit: float, frames: int) -> list[str]:
    fades = (
        f"fade=t=in:s={track.first}:n={track.enter}:alpha=1,"
        f"fade=t=out:s={track.end - track.leave}:n={track.leave}:alpha=1"
    )
    y = str(box.y)
    if track.animation == "slide":
        y += f"+{slide_units() * unit:.2f}*pow(1-clip((n-{track.first})/{track.enter},0,1),3)"
    return [
        f"[{place + 2}:v]scale={_TO_709},format=yuva420p,loop=loop=-1:size=1:start=0,setpts=N/FRAME_RATE/TB,"
        f"trim=end_frame={frames},{fades}[over{place}]",
        f"[laid{place}][over{place}]overlay=x={box.x}:y='{y}':format=yuv420:alpha=straight:eof_action=pass:"
        f"enable='between(n,{track.first},{track.end - 1})'[laid{place + 1}]",
    ]


def slide_units() -> float:
    """Return how far below its place a sliding overlay starts, in design units."""
    return 90.0


def recipe(
    plan: Plan, number: int, words: Sequence[Mapping[str, Any]], *, scale: float = 1.0
) -> dict[str, Any]:
    """Return everything besides this package's own code that decides the bytes of a scene, as plain JSON.

    Only the scene itself: its visual, overlays, length, place in time, the words spoken meanwhile. Another scene's
    edit leaves it unchanged.
    """
    import numpy
    import PIL
    from PIL import features

    line = timeline(plan, words, scale=scale)
    track, scene = line.scene(number), plan.scene(number)
    texts = [word.text for word in track.words] + [overlay.text for overlay in scene.overlays]
    texts += strings(scene.visual.data) + (list(plan.hashtags) if scene.visual.kind == "closing" else [])
    return {
        "visual": scene.visual.model_dump(mode="json"),
        "overlays": [overlay.model_dump(mode="json") for overlay in scene.overlays],
        "hashtags": list(plan.hashtags) if scene.visual.kind == "closing" else [],
        "words": [[word.text, word.start_s, word.end_s, word.sentence] for word in track.words],
        "frame": [line.width, line.height, line.fps, track.frames],
        "seed": plan.seed * 1000 + number,
        "encoder": {"preset": PRESET, "crf": CRF, "threads": 1, "ffmpeg": media.build_digest()},
        "fonts": fonts.digests(texts),
        "libraries": {
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
            "freetype": str(features.version("freetype2")),
            "raqm": str(features.version("raqm")),
        },
    }


def strings(value: Any) -> list[str]:
    """Return every text inside plain JSON data."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return []
