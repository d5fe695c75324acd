"""The drawing of a graph: the same every time, readable, complete."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from include.proof.drawing.graph import Edge, Graph, Node
from include.proof.drawing.layout import ARROW, BOX_HEIGHT, BOX_WIDTH, draw, fit, text_width


def node(name: str) -> Node:
    return Node(name, "job", name, "", name, f"/{name}")


def graph(nodes: str, *edges: str) -> Graph:
    return Graph(tuple(map(node, nodes)), tuple(Edge(a, b) for a, b in edges))


@st.composite
def graphs(make: st.DrawFn) -> Graph:
    names = [f"n{index}" for index in range(make(st.integers(1, 25)))]
    pairs = make(st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=50))
    return Graph(tuple(map(node, names)), tuple(Edge(*pair) for pair in sorted(pairs)))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_any_graph_is_drawn_the_same_twice_whole_and_without_overlap(shape: Graph) -> None:
    drawing = draw(shape)
    assert drawing == draw(shape)
    assert [box.node for box in drawing.boxes] == list(shape.nodes)
    assert [line.edge for line in drawing.lines] == list(shape.edges)
    for index, box in enumerate(drawing.boxes):
        assert 0 <= box.x <= drawing.width - BOX_WIDTH
        assert 0 <= box.y <= drawing.height - BOX_HEIGHT
        for other in drawing.boxes[:index]:
            assert abs(box.x - other.x) >= BOX_WIDTH or abs(box.y - other.y) >= BOX_HEIGHT


def test_a_chain_reads_from_left_to_right() -> None:
    drawing = draw(graph("cab", "ab", "bc"))
    x = {box.node.id: box.x for box in drawing.boxes}
    assert x["a"] < x["b"] < x["c"]
    assert not any(line.backwards for line in drawing.lines)


def test_a_source_stands_beside_what_uses_it() -> None:
    drawing = draw(graph("abcdx", "ab", "bc", "cd", "xd"))
    x = {box.node.id: box.x for box in drawing.boxes}
    assert x["x"] == x["c"]


def test_a_line_ends_at_its_boxes() -> None:
    drawing = draw(graph("abcd", "ab", "bc", "cd", "ad"))
    boxes = {box.node.id: box for box in drawing.boxes}
    for line in drawing.lines:
        numbers = [float(word) for word in line.path.split() if not word.isalpha()]
        origin, destination = boxes[line.edge.origin], boxes[line.edge.destination]
        assert numbers[:2] == [origin.x + BOX_WIDTH, origin.middle]
        assert numbers[-2:] == [destination.x - ARROW, destination.middle]


def test_a_long_line_passes_between_boxes_not_through_them() -> None:
    drawing = draw(graph("abcd", "ab", "bc", "cd", "ad"))
    (long,) = [line for line in drawing.lines if (line.edge.origin, line.edge.destination) == ("a", "d")]
    words = long.path.split()
    flat = {float(words[index + 2]) for index, word in enumerate(words) if word == "L"}
    passed = [box for box in drawing.boxes if box.node.id in "bc"]
    assert flat
    assert all(not box.y <= y <= box.y + BOX_HEIGHT for box in passed for y in flat)


def test_a_cycle_is_drawn_and_marked() -> None:
    drawing = draw(graph("ab", "ab", "ba"))
    assert sorted(line.backwards for line in drawing.lines) == [False, True]


def test_a_loop_is_drawn() -> None:
    (line,) = draw(graph("a", "aa")).lines
    assert line.path


def test_no_graph_is_no_picture() -> None:
    assert draw(Graph((), ())).boxes == ()


def test_a_text_that_is_too_wide_is_cut_to_fit() -> None:
    for text in ("lake/gold/" + "trends_" * 30, "W" * 99, "任务" * 40, "i" * 500):
        for keep in ("start", "end"):
            cut = fit(text, 150, 14, keep=keep)
            assert "…" in cut
            assert text_width(cut, 14) <= 150
