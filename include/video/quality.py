"""The automatic part of a review: what a video is, what is wrong with it, and one picture of all its scenes.

Everything is measured on the finished file, decoded frame by frame; the plan and the word times only say what ought to
be there. The report is plain JSON: facts, checks (what was found, what was wanted), verdict and its reasons.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.artifacts import media
from include.video import fonts
from include.video.compose import captions as ass
from include.video.compose import mix, scenes
from include.video.compose.timeline import timeline
from include.video.visuals.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from include.video.compose.timeline import Timeline
    from include.video.plan import Plan

LEAST_CONTRAST = 4.5
"""Source: WCAG 2.2, success criterion 1.4.3."""
LONGEST_FREEZE_S = 1.0
LONGEST_BLACK_S = 0.1
LONGEST_SILENCE_S = 1.5
LEAST_COVERAGE = 0.98
LEAST_DIFFERENCE = 2.0
"""Mean difference of two neighbouring scenes, in levels of 255, below which they count as the same picture."""
_SETTLED = 0.8
"""Share of a scene after which everything has arrived."""
_CONVERT = "scale={size}in_color_matrix=bt709:in_range=tv:out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"


@dataclass(frozen=True)
class Check:
    """One question about the video and its answer."""

    name: str
    passed: bool
    found: str
    wanted: str


@dataclass(frozen=True)
class Stretch:
    """A part of the video that is black, frozen or silent; seconds."""

    kind: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class Report:
    """What was found; `verdict` is "pass" when every check passed."""

    facts: dict[str, Any]
    stretches: tuple[Stretch, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> str:
        """Return "pass" or "fail"."""
        return "pass" if all(check.passed for check in self.checks) else "fail"

    @property
    def reasons(self) -> list[str]:
        """Return one sentence per failed check."""
        return [
            f"{check.name}: found {check.found}, wanted {check.wanted}"
            for check in self.checks
            if not check.passed
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "verdict": self.verdict,
            "reasons": self.reasons,
            "facts": self.facts,
            "stretches": [asdict(stretch) for stretch in self.stretches],
            "checks": [asdict(check) for check in self.checks],
        }


def inspect(
    video: Path,
    plan: Plan,
    words: Sequence[Mapping[str, Any]],
    *,
    captions: str | None = None,
    scale: float = 1.0,
) -> Report:
    """Measure a finished video against its plan.

    Parameters
    ----------
    words
        Word times of the voice, [{word, start_s, end_s, sentence}].
    captions
        The ASS text that was burned in; without it, the captions that the words make.
    scale
        What the video was rendered with.

    Raises
    ------
    InvalidInput
        The file cannot be read as a video at all.
    """
    line = timeline(plan, words, scale=scale)
    found, scan = media.probe(video), _scan(video)
    loud = mix.measure(video) if found.audio_codec else mix.Loudness(-math.inf, -math.inf)
    pictures = _frames(video, _moments(line), found.width, found.height)
    checks = [
        *_technical(line, found, scan),
        *_heard(line, found, scan, loud),
        *_seen(line, scan, pictures),
        *_read(line, plan, captions if captions is not None else ass.whole(line)),
        *_placed(plan, words, line, pictures, scale),
    ]
    facts = {
        "duration_s": round(scan.frames / found.fps, 3) if found.fps else found.duration_s,
        "frames": scan.frames,
        "width": found.width,
        "height": found.height,
        "fps": found.fps,
        "video_codec": found.video_codec,
        "pixel_format": found.pixel_format,
        "colour": list(found.colour),
        "audio_codec": found.audio_codec,
        "audio_rate": found.audio_rate,
        "audio_channels": found.audio_channels,
        "audio_duration_s": round(scan.samples / found.audio_rate, 3) if found.audio_rate else 0.0,
        "integrated_lufs": loud.integrated_lufs if math.isfinite(loud.integrated_lufs) else None,
        "true_peak_dbtp": loud.true_peak_dbtp if math.isfinite(loud.true_peak_dbtp) else None,
        "size_bytes": video.stat().st_size,
    }
    return Report(facts, scan.stretches, tuple(checks))


def contact_sheet(video: Path, plan: Plan, path: Path, *, scale: float = 1.0) -> None:
    """Write a PNG with one tile per scene, each with its number and times; the frames of the finished file."""
    from PIL import Image

    from include.video.visuals import typeset
    from include.video.visuals.canvas import Canvas

    line, found = timeline(plan, (), scale=scale), media.probe(video)
    wide = 300 if found.height >= found.width else 520
    tall = round(wide * found.height / found.width)
    frames = _frames(
        video, [_settled(track.first, track.frames) for track in line.scenes], found.width, found.height
    )
    columns, margin, foot = min(len(line.scenes), 4), 24, 46
    rows = math.ceil(len(line.scenes) / columns)
    size = (columns * (wide + margin) + margin, rows * (tall + foot + margin) + margin)
    sheet = Image.new("RGB", size, (24, 24, 30))
    letters = Canvas(*size)
    for place, track in enumerate(line.scenes):
        x = margin + place % columns * (wide + margin)
        y = margin + place // columns * (tall + foot + margin)
        picture = Image.fromarray(frames[_settled(track.first, track.frames)])
        sheet.paste(picture.resize((wide, tall), Image.Resampling.LANCZOS), (x, y))
        start, end = track.first / line.fps, (track.first + track.frames) / line.fps
        label = f"{track.number}   {start:.1f}–{end:.1f} s"
        letters.paste(typeset.line(label, "text", 22, (235, 235, 242)), x + 2, y + tall + 30)
    letters_image = Image.fromarray(
        letters.pixels
    )  # premultiplied: exact on black, and the text is near white
    sheet.paste(letters_image.convert("RGB"), (0, 0), letters_image.getchannel("A"))
    sheet.save(path, "PNG")


# -- measuring -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scan:
    """One pass over the whole file."""

    frames: int
    times: tuple[float, ...]
    samples: int
    stretches: tuple[Stretch, ...]


_TIME = re.compile(r"showinfo.*? n: *\d+ .*?pts_time:(-?[\d.]+)")
_SAMPLES = re.compile(r"Number of samples: (\d+)")
_BLACK = re.compile(r"black_start:([\d.]+) black_end:[\d.]+ black_duration:([\d.]+)")
_FREEZE = re.compile(r"freeze_start: ([\d.]+)|freeze_duration: ([\d.]+)")
_SILENCE = re.compile(r"silence_start: (-?[\d.]+)|silence_duration: ([\d.]+)")


def _scan(video: Path) -> _Scan:
    log = media.run(
        [
            *("-v", "info", "-nostats", *media.reading(video)),
            *(
                "-map",
                "0:v:0",
                "-vf",
                f"blackdetect=d={LONGEST_BLACK_S}:pix_th=0.05,freezedetect=n=-66dB:d={LONGEST_FREEZE_S},showinfo=checksum=0",
            ),
            *(
                "-map",
                "0:a:0?",
                "-af",
                f"silencedetect=noise=-45dB:d={LONGEST_SILENCE_S},astats=measure_perchannel=none",
            ),
            *("-f", "null", "-"),
        ]
    ).log
    times = tuple(float(time) for time in _TIME.findall(log))
    samples = _SAMPLES.findall(log)
    stretches = [Stretch("black", float(start), float(long)) for start, long in _BLACK.findall(log)]
    end_s = times[-1] if times else 0.0
    for kind, pattern in (("frozen", _FREEZE), ("silent", _SILENCE)):
        stretches += _paired(kind, pattern.findall(log), end_s)
    return _Scan(len(times), times, int(samples[-1]) if samples else 0, tuple(stretches))


def _paired(kind: str, found: Iterable[tuple[str, str]], end_s: float) -> list[Stretch]:
    """Pair starts with durations; a stretch that lasts to the end of the file has a start only."""
    stretches: list[Stretch] = []
    start: float | None = None
    for begins, lasts in found:
        if begins:
            start = max(0.0, float(begins))
        elif start is not None:
            stretches.append(Stretch(kind, start, float(lasts)))
            start = None
    if start is not None:
        stretches.append(Stretch(kind, start, round(end_s - start, 3)))
    return stretches


def _settled(first: int, frames: int) -> int:
    return first + min(frames - 1, round(frames * _SETTLED))


def _moments(line: Timeline) -> list[int]:
    """Return the frames that are looked at: every scene settled, every overlay in the middle of its time."""
    moments = {_settled(track.first, track.frames) for track in line.scenes}
    for track in line.scenes:
        moments.update(track.first + (overlay.first + overlay.end) // 2 for overlay in track.overlays)
    return sorted(moments)


def _frames(video: Path, numbers: Sequence[int], width: int, height: int) -> dict[int, NDArray[np.uint8]]:
    """Decode some frames as RGB arrays, by number; at most 540 pixels across the shorter side."""
    ratio = min(1.0, 540 / max(1, min(width, height)))
    wide, tall = max(2, round(width * ratio / 2) * 2), max(2, round(height * ratio / 2) * 2)
    wanted = sorted(set(numbers))
    chosen = "+".join(f"eq(n,{number})" for number in wanted)
    convert = _CONVERT.format(size=f"{wide}:{tall}:")
    raw = media.run(
        [
            *(
                "-v",
                "error",
                *media.reading(video),
                "-map",
                "0:v:0",
                "-vf",
                f"select='{chosen}',{convert},format=rgb24",
            ),
            *("-fps_mode", "passthrough", "-f", "rawvideo", "-"),
        ]
    ).stdout
    size = wide * tall * 3
    return {
        number: np.frombuffer(raw, np.uint8, size, place * size).reshape(tall, wide, 3)
        for place, number in enumerate(wanted)
        if (place + 1) * size <= len(raw)
    }


# -- judging -------------------------------------------------------------------------------------------------------


def _technical(line: Timeline, found: media.Probe, scan: _Scan) -> Iterable[Check]:
    yield Check("frame count", scan.frames == line.frames, str(scan.frames), str(line.frames))
    size, wanted = f"{found.width}x{found.height}", f"{line.width}x{line.height}"
    yield Check("frame size", size == wanted, size, wanted)
    yield Check("frame rate", abs(found.fps - line.fps) < 0.01, f"{found.fps:g}", f"{line.fps}")
    steps = [after - before for before, after in zip(scan.times, scan.times[1:], strict=False)]
    worst = max((abs(step - 1 / line.fps) for step in steps), default=0.0)
    yield Check("even frame times", worst < 0.2 / line.fps, f"off by {worst * 1000:.1f} ms", "one frame each")
    codec = f"{found.video_codec} {found.pixel_format}"
    yield Check("video codec", codec == "h264 yuv420p", codec, "h264 yuv420p")
    colour = " ".join(found.colour)
    yield Check(
        "colour tags", found.colour == ("tv", "bt709", "bt709", "bt709"), colour, "tv bt709 bt709 bt709"
    )


def _heard(line: Timeline, found: media.Probe, scan: _Scan, loud: mix.Loudness) -> Iterable[Check]:
    codec = f"{found.audio_codec} {found.audio_rate} Hz {found.audio_channels} channels"
    yield Check("audio codec", codec == "aac 48000 Hz 2 channels", codec, "aac 48000 Hz 2 channels")
    length = scan.samples / found.audio_rate if found.audio_rate else 0.0
    apart = abs(length - scan.frames / line.fps)
    yield Check("sound as long as picture", apart < 0.1, f"{apart:.3f} s apart", "less than 0.1 s")
    level = f"{loud.integrated_lufs:.1f} LUFS"
    wanted = f"{mix.TARGET_LUFS:g} +- 1 LUFS"
    yield Check("loudness", abs(loud.integrated_lufs - mix.TARGET_LUFS) <= 1.0, level, wanted)
    peak = f"{loud.true_peak_dbtp:.1f} dBTP"
    yield Check(
        "true peak",
        loud.true_peak_dbtp <= mix.CEILING_DBTP + 0.05,
        peak,
        f"at most {mix.CEILING_DBTP:g} dBTP",
    )
    yield _none_of("silent", scan, f"none longer than {LONGEST_SILENCE_S:g} s")


def _none_of(kind: str, scan: _Scan, wanted: str) -> Check:
    found = [stretch for stretch in scan.stretches if stretch.kind == kind]
    said = ", ".join(f"{stretch.duration_s:.2f} s at {stretch.start_s:.2f} s" for stretch in found) or "none"
    return Check(f"{kind} stretches", not found, said, wanted)


def _seen(line: Timeline, scan: _Scan, pictures: dict[int, NDArray[np.uint8]]) -> Iterable[Check]:
    yield _none_of("black", scan, f"none longer than {LONGEST_BLACK_S:g} s")
    yield _none_of("frozen", scan, f"none longer than {LONGEST_FREEZE_S:g} s")
    settled = [pictures.get(_settled(track.first, track.frames)) for track in line.scenes]
    alike = [
        f"{line.scenes[place].number} and {line.scenes[place + 1].number}"
        for place, (one, other) in enumerate(itertools.pairwise(settled))
        if one is None
        or other is None
        or float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean()) < LEAST_DIFFERENCE
    ]
    yield Check("scenes differ", not alike, ", ".join(alike) or "all differ", "no two neighbours alike")


_EVENT = re.compile(
    r"^Dialogue: [^,]*,(\d+):(\d\d):(\d\d\.\d\d),(\d+):(\d\d):(\d\d\.\d\d),(?:[^,]*,){6}(.*)$", re.MULTILINE
)
_TAGS = re.compile(r"(?<!\\)\{[^}]*\}")


def spoken_in(text: str) -> list[tuple[float, float, str]]:
    r"""Return what an ASS file shows: (start, end in seconds, plain text) of every line.

    >>> spoken_in("Dialogue: 0,0:00:01.00,0:00:02.50,S,,0,0,0,,{\\b1}one \\{two\\}")
    [(1.0, 2.5, 'one {two}')]
    """
    return [
        (
            int(h1) * 3600 + int(m1) * 60 + float(s1),
            int(h2) * 3600 + int(m2) * 60 + float(s2),
            _TAGS.sub("", body).replace("\\{", "{").replace("\\}", "}"),
        )
        for h1, m1, s1, h2, m2, s2, body in _EVENT.findall(text)
    ]


def _read(line: Timeline, plan: Plan, text: str) -> Iterable[Check]:
    """Say whether the words heard can be read while they are heard, and whether any character went missing."""
    shown = spoken_in(text)
    covered = sum(
        any(
            start - 0.02 <= (word.start_s + word.end_s) / 2 <= end + 0.02 and _as_shown(word.text) in said
            for start, end, said in shown
        )
        for word in line.words
    )
    share = covered / len(line.words) if line.words else 1.0
    yield Check(
        "captions cover the words", share >= LEAST_COVERAGE, f"{share:.0%}", f"at least {LEAST_COVERAGE:.0%}"
    )
    texts = [overlay.text for scene in plan.scenes for overlay in scene.overlays]
    texts += [text for scene in plan.scenes for text in scenes.strings(scene.visual.data)]
    dropped = sorted({character for text in texts for character in fonts.split(text, "text").dropped})
    said = " ".join(f"U+{ord(cluster[0]):04X}" for cluster in dropped) or "none"
    yield Check(
        "characters without a glyph", not dropped, said, "none; install the fonts package of their script"
    )


def _as_shown(word: str) -> str:
    runs = fonts.split(word.replace("\\", "\u2216"), "display", colour_emoji=False)
    return runs.text


def _contrast(picture: NDArray[np.uint8], box: Box, ratio: float) -> float:
    """Return the contrast between the lightest and the darkest fiftieth of a box. Source: WCAG 2.2, relative luminance."""
    top, left = int(box.y * ratio), int(box.x * ratio)
    part = (
        picture[top : math.ceil(box.bottom * ratio), left : math.ceil(box.right * ratio)].astype(np.float32)
        / 255
    )
    if part.size == 0:
        return 1.0
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    dark, bright = np.percentile(light, [2, 98])
    return float((bright + 0.05) / (dark + 0.05))


def _placed(
    plan: Plan,
    words: Sequence[Mapping[str, Any]],
    line: Timeline,
    pictures: dict[int, NDArray[np.uint8]],
    scale: float,
) -> Iterable[Check]:
    """Say whether all text stands where players leave room, and whether it can be told from what is behind it."""
    outside: list[str] = []
    faint: list[str] = []
    for track in line.scenes:
        staged = scenes.staged(plan, track.number, words, scale=scale)
        boxes = [(f"picture of scene {track.number}", staged.picture.texts)]
        boxes += [(f"overlay {overlay.text!r}", drawn.text) for overlay, drawn in staged.overlays]
        outside += [name for name, box in boxes if not _grown(line.areas.text, 2).holds(box)]
        moments = [_settled(track.first, track.frames)]
        moments += [track.first + (overlay.first + overlay.end) // 2 for overlay in track.overlays]
        for (name, box), moment in zip(boxes, moments, strict=True):
            picture = pictures.get(moment)
            found = _contrast(picture, box, picture.shape[1] / line.width) if picture is not None else 1.0
            if found < LEAST_CONTRAST:
                faint.append(f"{name} {found:.1f}")
    yield Check("text inside the safe area", not outside, ", ".join(outside) or "all inside", "all inside")
    wanted = f"at least {LEAST_CONTRAST:g}"
    yield Check("contrast of text", not faint, ", ".join(faint) or wanted, wanted)


def _grown(box: Box, by: int) -> Box:
    return Box(box.x - by, box.y - by, box.width + 2 * by, box.height + 2 * by)
