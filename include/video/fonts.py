"""Fonts: which file draws which character, so that no missing-glyph box is ever drawn.

Faces are looked for at the places where Debian installs them; nothing asks fontconfig, whose answer changes with the
machine. A text is split into runs of one face each by the character maps of the files; a character that no installed
face has is left out and reported. The digests of the faces used belong to the recipe of a picture.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fontTools import unicodedata as scripts
from fontTools.ttLib import TTFont

from include.artifacts.digests import sha256_file
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.ImageFont import FreeTypeFont

Role = Literal["display", "strong", "text"]
"""display: headlines and figures; strong: names and values; text: everything longer."""

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
PACKAGES = (
    "fonts-inter",
    "fonts-noto-core",
    "fonts-noto-cjk",
    "fonts-noto-color-emoji",
    "fonts-dejavu-core",
    "libfribidi0",
)
"""Debian packages that make every script drawable (libfribidi0: shaping of right-to-left scripts)."""

_BASE: dict[Role, tuple[str, ...]] = {
    "display": (
        "opentype/inter/InterDisplay-ExtraBold.otf",
        "opentype/inter/Inter-ExtraBold.otf",
        "truetype/noto/NotoSans-Bold.ttf",
        "truetype/dejavu/DejaVuSans-Bold.ttf",
    ),
    "strong": (
        "opentype/inter/Inter-Bold.otf",
        "truetype/noto/NotoSans-Bold.ttf",
        "truetype/dejavu/DejaVuSans-Bold.ttf",
    ),
    "text": (
        "opentype/inter/Inter-SemiBold.otf",
        "truetype/noto/NotoSans-Bold.ttf",
        "truetype/dejavu/DejaVuSans-Bold.ttf",
    ),
}
_WIDE = ("truetype/noto/NotoSans-Bold.ttf", "truetype/dejavu/DejaVuSans-Bold.ttf")
_EMOJI = "truetype/noto/NotoColorEmoji.ttf"
_CJK = "opentype/noto/NotoSansCJK-Bold.ttc"
_CJK_FACES = {"Hira": 0, "Kana": 0, "Hang": 1, "Hani": 2, "Bopo": 3}
_SYMBOLS = (
    "truetype/noto/NotoSansSymbols-Bold.ttf",
    "truetype/noto/NotoSansSymbols2-Regular.ttf",
    "truetype/noto/NotoSansMath-Regular.ttf",
    "truetype/dejavu/DejaVuSans.ttf",
)
_JOINERS = "\u200c\u200d"
_VARIATION = range(0xFE00, 0xFE10)
_SKIN = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)
EMOJI_SIZE = 109
"""The one size, in pixels, that the colour emoji font has bitmaps of."""


@dataclass(frozen=True)
class Face:
    """One face of one font file."""

    path: Path
    index: int = 0

    @property
    def is_emoji(self) -> bool:
        """Whether the face holds colour bitmaps of one size."""
        return self.path.name == Path(_EMOJI).name

    @property
    def digest(self) -> str:
        """sha256 of the file, read once per process and file version."""
        facts = self.path.stat()
        return _digest(self.path, facts.st_size, facts.st_mtime_ns)

    @property
    def family(self) -> str:
        """The name by which a subtitle renderer finds the face."""
        return _names(self).family

    @property
    def is_bold(self) -> bool:
        """Whether `family` means the face only together with "bold"."""
        return _names(self).bold

    @property
    def line_per_em(self) -> float:
        """Ascent plus descent of the Windows metrics per em: what a subtitle renderer calls the font size."""
        return _names(self).line_per_em

    def has(self, character: str) -> bool:
        """Say whether the face has a glyph of its own for a character."""
        return ord(character) in _glyphs(self)

    def at(self, size: float) -> FreeTypeFont:
        """Return the face at a size in pixels per em; emoji come at their only size."""
        return _sized(self, float(EMOJI_SIZE) if self.is_emoji else round(size * 4) / 4)


@dataclass(frozen=True)
class _Names:
    family: str
    bold: bool
    line_per_em: float


@dataclass(frozen=True)
class Run:
    """A stretch of text that one face draws."""

    text: str
    face: Face


@dataclass(frozen=True)
class Runs:
    """A text split by face, and the characters that no installed face has."""

    runs: tuple[Run, ...]
    dropped: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is drawn."""
        return "".join(run.text for run in self.runs)


@cache
def _digest(path: Path, size_bytes: int, changed_ns: int) -> str:
    return sha256_file(path)


@cache
def _sized(face: Face, size: float) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(face.path, size, face.index, layout_engine=ImageFont.Layout.RAQM)


@cache
def _glyphs(face: Face) -> frozenset[int]:
    with TTFont(face.path, fontNumber=face.index, lazy=True) as font:
        return frozenset(font.getBestCmap() or {})


@cache
def _names(face: Face) -> _Names:
    with TTFont(face.path, fontNumber=face.index, lazy=True) as font:
        table, metrics = font["name"], font["OS/2"]
        style = str(table.getDebugName(2))
        per_em = (metrics.usWinAscent + metrics.usWinDescent) / font["head"].unitsPerEm
        return _Names(str(table.getDebugName(1)), "Bold" in style, float(per_em))


@cache
def _find(name: str, index: int = 0) -> Face | None:
    for folder in FOLDERS:
        path = folder / name
        if path.is_file():
            return Face(path, index)
    return None


@cache
def base(role: Role) -> Face:
    """Return the face of a role; `ConfigurationError` naming the package when no font is installed."""
    for name in _BASE[role]:
        face = _find(name)
        if face is not None:
            return face
    raise ConfigurationError(f"no font is installed: apt-get install {' '.join(PACKAGES)}")


@cache
def _emoji() -> Face | None:
    return _find(_EMOJI)


@cache
def _others() -> tuple[Face, ...]:
    """Every face of the Noto folders, in name order: the last resort for rare scripts."""
    paths = {
        path.name: path for folder in reversed(FOLDERS) for path in folder.glob("truetype/noto/NotoSans*.ttf")
    }
    chosen = sorted(paths, key=lambda name: ("-Bold" not in name, "-Regular" not in name, name))
    return tuple(Face(paths[name]) for name in chosen if "-Bold." in name or "-Regular." in name)


@cache
def _face_for(character: str, role: Role, han: int) -> Face | None:
    """Return the face that draws one character; `han` is the index of the CJK face for Han characters."""
    emoji, point = _emoji(), ord(character)
    if point >= 0x1F000 and emoji is not None and emoji.has(character):
        return emoji
    candidates: list[Face | None] = [base(role), *(_find(name) for name in _WIDE)]
    script = scripts.script(character)
    if script in _CJK_FACES or 0x3000 <= point < 0x3040 or 0xFF00 <= point < 0xFFF0:
        candidates.insert(0, _find(_CJK, han if script == "Hani" else _CJK_FACES.get(script, han)))
    name = scripts.script_name(script).replace("_", "")
    candidates += [_find(f"truetype/noto/NotoSans{name}-{weight}.ttf") for weight in ("Bold", "Regular")]
    candidates += [_find(_CJK, han), *(_find(name) for name in _SYMBOLS), emoji]
    for face in candidates:
        if face is not None and face.has(character):
            return face
    return next((face for face in _others() if face.has(character)), None)


def clusters(text: str) -> list[str]:
    r"""Split a text into what must stay together: a character with its marks, an emoji with its joiners, a flag.

    >>> [len(cluster) for cluster in clusters("e\u0301a")]
    [2, 1]
    """
    found: list[str] = []
    for character in text:
        point = ord(character)
        last = found[-1] if found else ""
        follows = bool(last) and (
            unicodedata.combining(character) != 0
            or unicodedata.category(character) in ("Mn", "Mc", "Me")
            or character in _JOINERS
            or point in _VARIATION
            or point in _SKIN
            or point in _TAGS
            or (last[-1] == "\u200d" and point > 0x2000)
            or (point in _FLAGS and len(last) == 1 and ord(last) in _FLAGS)
        )
        if follows:
            found[-1] += character
        else:
            found.append(character)
    return found


def _han_index(text: str) -> int:
    """Return which of the CJK faces suits the Han characters of a text: that of the kana or hangul beside them."""
    for character in text:
        script = scripts.script(character)
        if script in ("Hira", "Kana", "Hang", "Bopo"):
            return _CJK_FACES[script]
    return _CJK_FACES["Hani"]


def _emoji_cluster(cluster: str) -> bool:
    emoji = _emoji()
    if emoji is None or not emoji.has(cluster[0]):
        return False
    points = [ord(character) for character in cluster]
    return (
        points[0] >= 0x1F000
        or 0xFE0F in points
        or 0x20E3 in points
        or any(point in _SKIN for point in points)
    )


def split(text: str, role: Role, *, colour_emoji: bool = True) -> Runs:
    """Split a text into runs of one face each.

    Characters that nothing installed has, and invisible ones that would only reorder or hide text, are left out; the
    former are reported in `dropped`. With `colour_emoji` false, emoji count as characters that nothing has (subtitle
    renderers cannot draw their bitmaps).
    """
    han, runs, dropped = _han_index(text), list[Run](), list[str]()

    def add(piece: str, face: Face) -> None:
        if runs and runs[-1].face == face:
            runs[-1] = Run(runs[-1].text + piece, face)
        else:
            runs.append(Run(piece, face))

    for cluster in clusters(unicodedata.normalize("NFC", text)):
        category = unicodedata.category(cluster[0])
        if cluster[0] in _JOINERS or category in ("Cf", "Cc"):
            continue
        if category in ("Co", "Cs"):
            dropped.append(
                cluster[0]
            )  # private use: some fonts have glyphs there, but nobody's text means them
            continue
        if _emoji_cluster(cluster):
            emoji = _emoji()
            if emoji is not None and colour_emoji:
                add("".join(c for c in cluster if emoji.has(c) or c in "\u200d\ufe0f"), emoji)
            else:
                dropped.append(cluster)
            continue
        face = _face_for(cluster[0], role, han)
        if face is not None and face.is_emoji and not colour_emoji:
            face = None
        if face is None:
            dropped.append(cluster[0])
            continue
        kept = cluster[0]
        for mark in cluster[1:]:
            if face.has(mark):
                kept += mark
            elif mark not in _JOINERS and ord(mark) not in _VARIATION:
                dropped.append(mark)
        add(kept, face)
    return Runs(tuple(runs), tuple(dropped))


def right_to_left(text: str) -> bool:
    """Say whether the first letter with a direction runs to the left."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def digests(texts: Iterable[str], roles: Iterable[Role] = ("display", "strong", "text")) -> dict[str, str]:
    """Return {file name: sha256} of every font file that draws these texts, the base faces included."""
    chosen = list(roles)
    faces = {base(role) for role in chosen}
    for text in texts:
        for role in chosen:
            faces.update(run.face for run in split(text, role).runs)
    return {face.path.name: face.digest for face in sorted(faces, key=lambda face: face.path.name)}
