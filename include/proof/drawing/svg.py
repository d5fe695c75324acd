"""A graph as an SVG file that stands alone: the drawing of the pages, with its style and its words inside."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.proof.drawing.graph import Graph
from include.proof.drawing.layout import draw

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule

HERE = Path(__file__).resolve().parent

# Literal colours: Inkscape, LibreOffice and office programs know no CSS variables.
STYLE = """
.page { fill: #ffffff; }
.edge { fill: none; stroke: #8994a5; stroke-width: 1.4; }
.edge.near { stroke: #1457c4; stroke-width: 1.8; }
.edge.back { stroke-dasharray: 5 4; }
.head { fill: #8994a5; } .head.near { fill: #1457c4; }
.box { stroke-width: 1.3; fill: #f3f5f8; stroke: #7b8796; }
.job .box { fill: #e8f0fe; stroke: #3f73d1; }
.dataset .box { fill: #fff6e0; stroke: #b5820f; }
.source .box { fill: #e5f5ea; stroke: #2f8a52; }
.elsewhere .box { fill: #ffffff; stroke-dasharray: 4 3; }
.centre .box { stroke-width: 3; }
.icon { fill: #3f73d1; }
.icon.hollow { fill: none; stroke: #7b8796; stroke-width: 1.4; stroke-linejoin: round; stroke-linecap: round; }
text { font-size: 11px; fill: #5f6b7c; }
.label { font-size: 14px; font-weight: 600; fill: #1c2430; }
.word { font-weight: 600; } .word.again { fill: #6a3fb0; }
"""
NOTE_PX = 16
# What XML 1.0 cannot hold, however it is escaped.
UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Alone:
    """What a file says of itself."""

    title: str
    description: str
    style: str = STYLE


def standalone(graph: Graph, *, title: str, description: str) -> str:
    """Return the SVG file of a graph, UTF-8; whatever its names hold is text there, never markup."""
    clean = Graph(
        tuple(
            replace(
                node, label=xml_text(node.label), detail=xml_text(node.detail), title=xml_text(node.title)
            )
            for node in graph.nodes
        ),
        graph.edges,
        graph.centre,
        tuple(xml_text(note) for note in graph.notes),
    )
    drawing = draw(clean)
    drawing = replace(drawing, height=drawing.height + NOTE_PX * len(clean.notes))
    alone = Alone(xml_text(title), xml_text(description))
    body = str(template().svg(clean, drawing, alone))  # type: ignore[attr-defined]  # the template's own macro
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body.strip()}\n'


def xml_text(text: str) -> str:
    """Return a text that XML can hold: what it cannot is shown as a replacement character.

    >>> xml_text("a" + chr(0) + "b") == "a" + chr(0xFFFD) + "b"
    True
    """
    return UNPRINTABLE.sub("\ufffd", text)


@cache
def template() -> TemplateModule:
    """Return the macros of the drawing."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template("svg.html").module
