"""From a graph to coordinates: layers from left to right, few crossings, the same drawing every time.

Layers by longest path on the graph without its cycles, sources pulled to what uses them, long edges routed through
empty cells, order within a layer by the barycentre method.
Source: K. Sugiyama, S. Tagawa, M. Toda, IEEE Trans. SMC 11(2), 1981; igraph's implementation orders and places.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.proof.drawing.graph import Edge, Graph, Node

BOX_WIDTH, BOX_HEIGHT = 200, 54
COLUMN, ROW = 242, 72
MARGIN = 18
FITS = 1760
ARROW = 9
LABEL_PX, DETAIL_PX = 14, 11
TEXT_LEFT, TEXT_RIGHT = 38, 12

STATE_WORDS = {
    "COMPLETED": ("ok", "✓ completed"),
    "RUNNING": ("busy", "● running"),
    "FAILED": ("bad", "✕ failed"),
    "ABORTED": ("bad", "✕ aborted"),
    "NEW": ("idle", "○ new"),
    "NONE": ("idle", "○ no run"),
    "REUSED": ("again", "↻ reused"),
}


@dataclass(frozen=True)
class Box:
    """A drawn node; pixels, from the left upper corner of the drawing."""

    node: Node
    x: float
    y: float
    label: str
    detail: str
    state: str
    state_class: str
    width: int = BOX_WIDTH
    height: int = BOX_HEIGHT

    @property
    def middle(self) -> float:
        """Return the vertical middle."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Line:
    """A drawn edge: the `d` of an SVG path, and whether it runs against the reading direction."""

    edge: Edge
    path: str
    backwards: bool


@dataclass(frozen=True)
class Drawing:
    """Everything an SVG needs; pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]

    @property
    def fits(self) -> bool:
        """Say whether the drawing may be made smaller to fit a page and still be read."""
        return self.width <= FITS


def text_width(text: str, size_px: float) -> float:
    """Return about how wide a text is in a common sans-serif; it errs on the wide side.

    >>> text_width("ill", 10) < text_width("WWW", 10) < text_width("任任任", 10)
    True
    """
    return size_px * sum(_advance(character) for character in text)


def fit(text: str, width_px: float, size_px: float, *, keep: str = "end") -> str:
    """Return the text, cut with an ellipsis where it is wider than the space; names differ at their end.

    >>> fit("lake/gold/trends", 500, 13)
    'lake/gold/trends'
    >>> fit("media/scenes", 50, 13)
    '…cenes'
    >>> fit("media/scenes", 50, 13, keep="start")
    'media…'
    """
    if text_width(text, size_px) <= width_px:
        return text
    room = width_px - text_width("…", size_px)
    taken: list[str] = []
    for character in reversed(text) if keep == "end" else text:
        room -= text_width(character, size_px)
        if room < 0:
            break
        taken.append(character)
    return "…" + "".join(reversed(taken)) if keep == "end" else "".join(taken) + "…"


def draw(graph: Graph) -> Drawing:
    """Return the drawing of a graph; equal graphs give equal drawings."""
    if not graph.nodes:
        return Drawing(2 * MARGIN, 2 * MARGIN, (), ())
    number = {node.id: index for index, node in enumerate(graph.nodes)}
    pairs = [(number[edge.origin], number[edge.destination]) for edge in graph.edges]
    cells, routes = _place(len(graph.nodes), pairs)
    boxes = tuple(_box(node, *cells[number[node.id]]) for node in graph.nodes)
    lines = tuple(
        _line(edge, boxes[origin], boxes[destination], route)
        for edge, (origin, destination), route in zip(graph.edges, pairs, routes, strict=True)
    )
    bends = [point for route in routes for point in route]
    width = max([box.x + BOX_WIDTH for box in boxes]) + MARGIN + 34
    height = (
        max([box.y + BOX_HEIGHT for box in boxes] + [_top(row) + BOX_HEIGHT for _, row in bends]) + MARGIN
    )
    return Drawing(round(width), round(height), boxes, lines)


def _place(
    count: int, pairs: list[tuple[int, int]]
) -> tuple[list[tuple[int, float]], list[list[tuple[int, float]]]]:
    """Return each node's (column, row), and for each edge the cells it passes, from origin to destination."""
    import igraph

    straight = [pair for pair in pairs if pair[0] != pair[1]]
    whole = igraph.Graph(n=count, edges=straight, directed=True)
    against = set(whole.feedback_arc_set(method="eades")) if straight else set()
    forward = [(b, a) if index in against else (a, b) for index, (a, b) in enumerate(straight)]
    columns = _columns(count, forward)
    edges: list[tuple[int, int]] = []
    layers = list(columns)
    bends: list[list[int]] = []
    for origin, destination in forward:
        passed = []
        for column in range(columns[origin] + 1, columns[destination]):
            passed.append(len(layers))
            layers.append(column)
        chain = [origin, *passed, destination]
        edges.extend(pairwise(chain))
        bends.append(passed)
    spread = igraph.Graph(n=len(layers), edges=edges, directed=True)
    placed = spread.layout_sugiyama(layers=layers, hgap=1, vgap=1, maxiter=200)
    rows = _apart([float(row) for row, _ in placed.coords], layers)
    top = min(rows)
    cells = [(layers[index], rows[index] - top) for index in range(len(layers))]
    routes: list[list[tuple[int, float]]] = []
    straights = iter(enumerate(bends))
    for origin, destination in pairs:
        if origin == destination:
            routes.append([])
            continue
        index, passed = next(straights)
        route = [cells[bend] for bend in passed]
        routes.append(route[::-1] if index in against else route)
    return cells[:count], routes


def _apart(rows: list[float], layers: list[int]) -> list[float]:
    """Return the rows, moved as little as possible so that two cells of a layer are one row apart.

    igraph may place two on each other. Least squares in the given order, by pooling neighbours that are too close.
    """
    layer_cells: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        layer_cells.setdefault(layer, []).append(index)
    apart = list(rows)
    for cells in layer_cells.values():
        cells.sort(key=lambda index: (rows[index], index))
        pools: list[
            tuple[float, int]
        ] = []  # (sum of what each cell wants, less its place in the order; cells)
        for place, index in enumerate(cells):
            total, size = rows[index] - place, 1
            while pools and pools[-1][0] / pools[-1][1] > total / size:
                before, more = pools.pop()
                total, size = total + before, size + more
            pools.append((total, size))
        wanted = [total / size for total, size in pools for _ in range(size)]
        for place, index in enumerate(cells):
            apart[index] = wanted[place] + place
    return apart


def _columns(count: int, forward: list[tuple[int, int]]) -> list[int]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for origin, destination in forward:
        before[destination].append(origin)
        after[origin].append(destination)
    columns = [0] * count
    waiting = [len(found) for found in before]
    ready = [index for index in range(count) if not waiting[index]]
    for index in ready:  # grows while it is read: a topological order
        for following in after[index]:
            columns[following] = max(columns[following], columns[index] + 1)
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    for index in range(count):
        if not before[index] and after[index]:
            columns[index] = min(columns[following] for following in after[index]) - 1
    return columns


def _left(column: int) -> float:
    return MARGIN + column * COLUMN


def _top(row: float) -> float:
    return round(MARGIN + row * ROW, 1)


def _box(node: Node, column: int, row: float) -> Box:
    state_class, word = STATE_WORDS.get(
        node.state or "", ("idle", f"○ {node.state.lower()}" if node.state else "")
    )
    space = BOX_WIDTH - TEXT_LEFT - TEXT_RIGHT
    return Box(
        node,
        _left(column),
        _top(row),
        fit(node.label, space, LABEL_PX),
        fit(node.detail, space - (text_width(word, DETAIL_PX) + 6 if word else 0), DETAIL_PX),
        word,
        state_class,
    )


def _line(edge: Edge, origin: Box, destination: Box, route: list[tuple[int, float]]) -> Line:
    if origin is destination:
        x, y = origin.x + BOX_WIDTH, origin.middle
        loop = f"M {_n(x)} {_n(y - 10)} c 34 -22 34 42 {_n(ARROW)} 20"
        return Line(edge, loop, True)
    backwards = destination.x <= origin.x
    side = -1 if backwards else 1
    start = (origin.x + (0 if backwards else BOX_WIDTH), origin.middle)
    end = (destination.x + (BOX_WIDTH + ARROW if backwards else -ARROW), destination.middle)
    parts = [f"M {_n(start[0])} {_n(start[1])}"]
    here = start
    for column, row in route:
        near, far = _left(column), _left(column) + BOX_WIDTH
        enter, leave = (far, near) if backwards else (near, far)
        y = _top(row) + BOX_HEIGHT / 2
        parts.append(_curve(here, (enter, y), side))
        parts.append(f"L {_n(leave)} {_n(y)}")
        here = (leave, y)
    parts.append(_curve(here, end, side))
    return Line(edge, " ".join(parts), backwards)


def _curve(here: tuple[float, float], there: tuple[float, float], side: int) -> str:
    reach = side * max(abs(there[0] - here[0]) / 2, 24)
    return f"C {_n(here[0] + reach)} {_n(here[1])} {_n(there[0] - reach)} {_n(there[1])} {_n(there[0])} {_n(there[1])}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _advance(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "iljtfrI.,:;'|!()[]/ -":
        return 0.36
    if character in "mwMW@%":
        return 0.9
    return 0.7 if character.isupper() else 0.57
