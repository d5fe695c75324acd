"""What a plan says of its columns, as plain values, and the OpenLineage facet body made from it.

Kinds and subtypes are those of the OpenLineage columnLineage facet 1-2-0
(https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["DIRECT", "INDIRECT"]
Subtype = Literal[
    "IDENTITY",
    "TRANSFORMATION",
    "AGGREGATION",
    "JOIN",
    "GROUP_BY",
    "FILTER",
    "SORT",
    "WINDOW",
    "CONDITIONAL",
]
DIRECT_ORDER: tuple[Subtype, ...] = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")


@dataclass(frozen=True, order=True)
class Edge:
    """One input column and how it takes part; `dataset` is empty while the column is one of a plan's own frames."""

    dataset: str
    column: str
    kind: Kind
    subtype: Subtype
    masking: bool = False

    def as_input(self, subtype: Subtype, *, masking: bool = False) -> Edge:
        """Return this edge seen through one more step that uses the column as `subtype`.

        A step that only looks (a filter, a sort key, a condition) makes the edge indirect; a step that computes makes a
        direct edge at least that strong and leaves an indirect one as it is.
        """
        if subtype not in DIRECT_ORDER:
            return replace(self, kind="INDIRECT", subtype=subtype)
        hidden = self.masking or masking
        if self.kind == "INDIRECT":
            return self
        return replace(self, subtype=max(self.subtype, subtype, key=DIRECT_ORDER.index), masking=hidden)


Edges = frozenset[Edge]
NONE: Edges = frozenset()


@dataclass(frozen=True, order=True)
class Operation:
    """One thing a plan does to rows: `name` is filter, sort, slice, unique, group_by, aggregate, join, union, explode, …

    `ordered` says whether the same input always gives the same order of rows, and the same row of several.
    """

    name: str
    ordered: bool = True


@dataclass(frozen=True)
class PlanLineage:
    """Lineage of one plan.

    `columns` has every output column, in order, with its edges (none for a constant); `rows` holds the columns that
    decide which rows come out and in what order. With an opaque part in the plan `exact` is false, `columns` is empty
    and `warnings` says why: then only the `datasets` are known.
    """

    datasets: tuple[str, ...]
    columns: Mapping[str, Edges]
    rows: Edges
    operations: tuple[Operation, ...]
    warnings: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every step of the plan was understood."""
        return not self.warnings

    def facet(self, namespace: str) -> dict[str, Any] | None:
        """Return the body of the columnLineage facet, or None when the plan is not known in full."""
        if not self.exact:
            return None
        fields = {
            name: {"inputFields": _input_fields(edges, namespace)}
            for name, edges in self.columns.items()
            if edges
        }
        return {"fields": fields, "dataset": _input_fields(self.rows, namespace)}

    def direct(self, column: str) -> tuple[tuple[str, str], ...]:
        """Return the (dataset, column) pairs whose values make up a column, in order."""
        return tuple(
            sorted({(edge.dataset, edge.column) for edge in self.columns[column] if edge.kind == "DIRECT"})
        )

    def carried(self, column: str) -> bool:
        """Return whether an output column is one input column of the same name, its values unchanged."""
        edges = [edge for edge in self.columns.get(column, NONE) if edge.kind == "DIRECT"]
        return bool(edges) and all(edge.column == column and edge.subtype == "IDENTITY" for edge in edges)


def through(edges: Iterable[Edge], subtype: Subtype, *, masking: bool = False) -> Edges:
    """Return edges seen through one more step."""
    return frozenset(edge.as_input(subtype, masking=masking) for edge in edges)


def _input_fields(edges: Edges, namespace: str) -> list[dict[str, Any]]:
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for edge in sorted(edges):
        transformation: dict[str, Any] = {"type": edge.kind, "subtype": edge.subtype}
        if edge.masking:
            transformation["masking"] = True
        grouped.setdefault((edge.dataset, edge.column), []).append(transformation)
    return [
        {"namespace": namespace, "name": dataset, "field": column, "transformations": found}
        for (dataset, column), found in grouped.items()
    ]
