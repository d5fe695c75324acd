"""What a drawn graph is, whatever it was made from: nodes that are links, edges, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["job", "dataset", "artifact", "source", "elsewhere"]


@dataclass(frozen=True)
class Node:
    """One box: `label` is drawn large and `detail` small, both cut to fit; `title` is the whole name.

    `hops` counts edges from the centre. `hidden` counts neighbours that are not drawn; `more` is where they are.
    """

    id: str
    kind: Kind
    label: str
    detail: str
    title: str
    href: str
    state: str | None = None
    hops: int = 0
    hidden: int = 0
    more: str | None = None


@dataclass(frozen=True)
class Edge:
    """An arrow from what came before to what came after."""

    origin: str
    destination: str


@dataclass(frozen=True)
class Graph:
    """Nodes and edges in a fixed order, and one sentence for everything that is not shown."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    centre: str | None = None
    notes: tuple[str, ...] = ()
    _named: dict[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {node.id: node for node in self.nodes})

    def node(self, name: str) -> Node:
        """Return the node of an id."""
        return self._named[name]

    def before(self, node: Node) -> list[Node]:
        """Return the nodes with an arrow to this one."""
        return [self.node(edge.origin) for edge in self.edges if edge.destination == node.id]

    def after(self, node: Node) -> list[Node]:
        """Return the nodes that this one has an arrow to."""
        return [self.node(edge.destination) for edge in self.edges if edge.origin == node.id]
