r"""Captions: word times as ASS karaoke, two to four words a line, the word being spoken in the accent colour.

A line never crosses the end of a sentence. Every text is escaped, so that braces and backslashes stay text; characters
that need another font name it, so that the renderer never falls back to a font of the machine, and characters that no
font has are left out. Times in an ASS file are hundredths of a second.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.video import fonts
from include.video.visuals import typeset
from include.video.visuals.palettes import PALETTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from include.video.compose.timeline import Timeline, Word
    from include.video.fonts import Role, Run
    from include.video.visuals.geometry import Geometry
    from include.video.visuals.palettes import Colour, Palette

MOST_WORDS = 4
_SIZE = 74
"""Units per em of a caption; smaller for a line that would not fit."""
_HOLD_S = 0.45
"""How long a line may stay after its last word when nothing follows at once."""
_ROLE: Role = "display"


@dataclass(frozen=True)
class CaptionLine:
    """Words shown together, and from when to when; seconds."""

    words: tuple[Word, ...]
    start_s: float
    end_s: float

    @property
    def text(self) -> str:
        """The words with blanks between."""
        return " ".join(word.text for word in self.words)


def lines(words: Sequence[Word], width: float, size: float) -> list[CaptionLine]:
    """Group words into lines: at most four, no wider than `width` pixels, never across the end of a sentence.

    A sentence's words are shared evenly, so that no word stands alone where two could stand together.
    """
    grouped: list[list[Word]] = []
    for sentence in _sentences(words):
        grouped += _shared(sentence, width, size)
    found: list[CaptionLine] = []
    for place, group in enumerate(grouped):
        end = group[-1].end_s + _HOLD_S
        if place + 1 < len(grouped):
            end = min(end, grouped[place + 1][0].start_s)
        found.append(CaptionLine(tuple(group), group[0].start_s, max(end, group[-1].end_s)))
    return found


def _sentences(words: Sequence[Word]) -> list[list[Word]]:
    found: list[list[Word]] = []
    for word in words:
        if found and found[-1][-1].sentence == word.sentence:
            found[-1].append(word)
        else:
            found.append([word])
    return found


def _shared(sentence: list[Word], width: float, size: float) -> list[list[Word]]:
    """Return the division into the fewest lines that fit, the most even of those; a pause or comma ends a line."""
    count = len(sentence)

    def cost(first: int, end: int) -> float | None:
        group = sentence[first:end]
        across = typeset.width_of(" ".join(word.text for word in group), _ROLE, size)
        if len(group) > MOST_WORDS or (across > width and len(group) > 1):
            return None
        alone = 0.6 if len(group) == 1 and count > 1 else 0.0
        breaks = any(word.text.endswith((",", ";", ":", ".", "!", "?")) for word in group[:-1])
        return 1.0 + (across / width) ** 2 * 0.5 + alone + (0.5 if breaks else 0.0)

    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, count + 1):
        options = [
            (best[first][0] + price, first)
            for first in range(max(0, end - MOST_WORDS), end)
            if (price := cost(first, end)) is not None
        ]
        best.append(min(options))
    cuts = [count]
    while cuts[-1] > 0:
        cuts.append(best[cuts[-1]][1])
    cuts.reverse()
    return [sentence[first:end] for first, end in itertools.pairwise(cuts)]


def escaped(text: str) -> str:
    r"""Return text that an ASS renderer shows as it is.

    Braces open override blocks unless escaped; a backslash has no escape, so the character that looks like one stands
    for it; line breaks become blanks.

    >>> escaped("{\\b1}a")
    '\\{∖b1\\}a'
    """
    plain = " ".join(text.split())
    return plain.replace("\\", "\u2216").replace("{", "\\{").replace("}", "\\}")


def _colour(colour: Colour) -> str:
    red, green, blue = colour
    return f"&H{blue:02X}{green:02X}{red:02X}&"


def _time(seconds: float) -> str:
    hundredths = max(0, round(seconds * 100))
    return f"{hundredths // 360000}:{hundredths // 6000 % 60:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _fonted(run: Run, size: float) -> str:
    """Name the face of a run where it differs from the style's, and the style's again after it."""
    usual = fonts.base(_ROLE)
    if run.face == usual:
        return escaped(run.text)
    return f"{{{_naming(run.face, size)}}}{escaped(run.text)}{{{_naming(usual, size)}}}"


def _naming(face: fonts.Face, size: float) -> str:
    return f"\\fn{face.family}\\b{int(face.is_bold)}\\fs{size * face.line_per_em:.2f}"


def _word(word: Word, size: float) -> str:
    runs = fonts.split(word.text.replace("\\", "\u2216"), _ROLE, colour_emoji=False).runs
    return "".join(_fonted(run, size) for run in runs)


def _said(line: CaptionLine, start_s: float, size: float, shrink: float, palette: Palette) -> str:
    """Return the text of one line: a syllable per word, lit while it is spoken, plain before and after."""
    parts: list[str] = []
    at = start_s
    base = fonts.base(_ROLE)
    small = f"\\fs{size * shrink * base.line_per_em:.2f}" if shrink < 1 else ""
    for place, word in enumerate(line.words):
        written = _word(word, size * shrink)
        begin, end = max(0.0, word.start_s - start_s), max(0.0, word.end_s - start_s)
        pause = round((word.start_s - at) * 100) if word.start_s > at else 0
        length = max(0, round((word.end_s - max(at, word.start_s)) * 100))
        at = max(at, word.end_s)
        gap = f"{{\\k{pause}}}" if pause else ""
        light, plain = _colour(palette.accent), _colour((255, 255, 255))
        tags = (
            f"\\k{length}\\1c{plain}\\2c{plain}{small}"
            f"\\t({round(begin * 1000)},{round(begin * 1000) + 1},\\1c{light}\\2c{light})"
            f"\\t({round(end * 1000)},{round(end * 1000) + 60},\\1c{plain}\\2c{plain})"
        )
        parts.append(f"{gap}{{{tags}}}{written}" + (" " if place + 1 < len(line.words) else ""))
    return "".join(parts)


def document(groups: Iterable[tuple[CaptionLine, Palette, float]], areas: Geometry, *, until_s: float) -> str:
    """Return an ASS file of lines, each with its scene's palette and the time that counts as zero."""
    base, unit = fonts.base(_ROLE), areas.unit
    band = areas.captions
    size = _SIZE * unit
    centre = (band.x + band.width / 2, band.y + band.height / 2)
    bold = -1 if base.is_bold else 0
    head = [
        "[Script Info]",
        "ScriptType: v4.00+",
        f"PlayResX: {areas.width}",
        f"PlayResY: {areas.height}",
        "ScaledBorderAndShadow: yes",
        "WrapStyle: 2",
        "YCbCr Matrix: TV.709",
        "",
        "[V4+ Styles]",
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline,"
        " StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding",
        f"Style: Spoken,{base.family},{size * base.line_per_em:.2f},&H00FFFFFF,&H00FFFFFF,&H00140A08,&H80000000,{bold},0,0,0,"
        f"100,100,0,0,1,{7 * unit:.2f},{3 * unit:.2f},5,0,0,0,1",
        "",
        "[Events]",
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
    ]
    events: list[str] = []
    for line, palette, zero_s in groups:
        start, end = max(0.0, line.start_s - zero_s), min(until_s, line.end_s - zero_s)
        if end - start < 0.01:
            continue
        across = typeset.width_of(line.text, _ROLE, size)
        shrink = min(1.0, band.width / across) if across else 1.0
        begins = max(zero_s, line.start_s)
        whole = (
            f"{{\\an5\\pos({centre[0]:.1f},{centre[1]:.1f})\\fscx94\\fscy94\\t(0,110,\\fscx100\\fscy100)}}"
        )
        text = _said(line, begins, size, shrink, palette)
        events.append(f"Dialogue: 0,{_time(start)},{_time(end)},Spoken,,0,0,0,,{whole}{text}")
    return "\n".join([*head, *events, ""])


def _lines_of(line: Timeline) -> list[CaptionLine]:
    return lines(line.words, line.areas.captions.width, _SIZE * line.areas.unit)


def whole(line: Timeline) -> str:
    """Return the captions of the whole video, the artifact of kind `captions`."""
    groups = [(spoken, _palette_at(line, spoken.start_s), 0.0) for spoken in _lines_of(line)]
    return document(groups, line.areas, until_s=line.duration_s)


def of_scene(line: Timeline, number: int) -> str | None:
    """Return the captions of one scene, times from its first frame; None when nothing is said in it.

    It is made of the scene's own words only, so that another scene's text cannot change this one's picture.
    """
    track = line.scene(number)
    if not track.words:
        return None
    spoken = lines(track.words, line.areas.captions.width, _SIZE * line.areas.unit)
    palette = PALETTES[track.palette]
    return document([(one, palette, 0.0) for one in spoken], line.areas, until_s=track.frames / line.fps)


def _palette_at(line: Timeline, seconds: float) -> Palette:
    frame = round(seconds * line.fps)
    for track in line.scenes:
        if frame < track.first + track.frames:
            return PALETTES[track.palette]
    return PALETTES[line.scenes[-1].palette]


def faces(texts: Iterable[str]) -> list[fonts.Face]:
    """Return the faces that captions of these texts name, the base face first."""
    found = [fonts.base(_ROLE)]
    for text in texts:
        for run in fonts.split(text.replace("\\", "\u2216"), _ROLE, colour_emoji=False).runs:
            if run.face not in found:
                found.append(run.face)
    return found


def gather_fonts(chosen: Iterable[fonts.Face], folder: Path) -> None:
    """Put links to the font files into a folder of their own, the only one that the renderer is shown."""
    folder.mkdir(parents=True, exist_ok=True)
    for face in chosen:
        link = folder / face.path.name
        if not link.exists():
            link.symlink_to(face.path)
