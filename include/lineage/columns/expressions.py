"""Expressions of a plan: which columns of the frame below one reads, and how.

The nodes come from Polars' own visitor of its intermediate representation. It has no public types; node classes and
their attributes are those of version 16.0 (Polars 2.1), and `plan` refuses any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.lineage.columns.edges import NONE, Edges, Subtype, through

if TYPE_CHECKING:
    from collections.abc import Mapping

AGGREGATING = frozenset(
    {
        "approx_n_unique",
        "arg_max",
        "arg_min",
        "corr",
        "entropy",
        "hist",
        "kurtosis",
        "mode",
        "null_count",
        "product",
        "quantile",
        "skew",
        "value_counts",
        "BooleanFunction.All",
        "BooleanFunction.Any",
    }
)
"""Functions that make one value of many rows; sums, means and their like are `Agg` nodes."""

RUNNING = ("cum_", "RollingFunction.", "RollingFunctionBy.", "EwmFunction.")
"""Functions that make each value of many rows, and keep the rows."""

MASKING = frozenset({"hash"})
RESHAPING = frozenset({"drop_nulls", "drop_nans", "unique", "top_k", "bottom_k", "gather_every", "sample_n"})


class Opaque(Exception):
    """A part of the plan that cannot be read; the message says which."""


class Reader:
    """Reads the expressions of one plan node over the columns of the frame below it."""

    def __init__(self, traverser: Any, columns: Mapping[str, Edges]) -> None:
        self._traverser = traverser
        self._columns = columns
        self.aggregates = False
        self.reshapes = False

    def edges(self, node: int, *, windowed: bool = False) -> Edges:
        """Return the edges of an expression.

        Raises Opaque for a Python function, and for a node this version does not know.
        """
        try:
            expression = self._traverser.view_expression(node)
        except NotImplementedError as error:
            msg = f"expression that cannot be read: {error}"
            raise Opaque(msg) from error
        name = type(expression).__name__
        read = getattr(self, f"_{name.lower()}", None)
        if read is None:
            msg = f"unknown expression {name}"
            raise Opaque(msg)
        found: Edges = read(expression, windowed)
        return found

    def _all(self, nodes: list[int], subtype: Subtype, windowed: bool, *, masking: bool = False) -> Edges:
        merged = NONE
        for node in nodes:
            merged |= through(self.edges(node, windowed=windowed), subtype, masking=masking)
        return merged

    def _column(self, expression: Any, windowed: bool) -> Edges:
        try:
            return self._columns[expression.name]
        except KeyError as error:
            msg = f"column {expression.name!r} is not one of the frame below"
            raise Opaque(msg) from error

    def _literal(self, expression: Any, windowed: bool) -> Edges:
        return NONE

    def _len(self, expression: Any, windowed: bool) -> Edges:
        self.aggregates = self.aggregates or not windowed
        return NONE

    def _alias(self, expression: Any, windowed: bool) -> Edges:
        return self.edges(expression.expr, windowed=windowed)

    def _cast(self, expression: Any, windowed: bool) -> Edges:
        return self._all([expression.expr], "TRANSFORMATION", windowed)

    def _binaryexpr(self, expression: Any, windowed: bool) -> Edges:
        return self._all([expression.left, expression.right], "TRANSFORMATION", windowed)

    def _ternary(self, expression: Any, windowed: bool) -> Edges:
        chosen = self._all([expression.truthy, expression.falsy], "TRANSFORMATION", windowed)
        return chosen | self._all([expression.predicate], "CONDITIONAL", windowed)

    def _function(self, expression: Any, windowed: bool) -> Edges:
        function = str(expression.function_data[0])
        if function in AGGREGATING:
            self.aggregates = self.aggregates or not windowed
            return self._all(expression.input, "AGGREGATION", windowed)
        if function in RESHAPING:
            self.reshapes = True
        subtype: Subtype = "AGGREGATION" if function.startswith(RUNNING) else "TRANSFORMATION"
        return self._all(expression.input, subtype, windowed, masking=function in MASKING)

    def _agg(self, expression: Any, windowed: bool) -> Edges:
        self.aggregates = self.aggregates or not windowed
        return self._all(expression.arguments, "AGGREGATION", windowed)

    def _sort(self, expression: Any, windowed: bool) -> Edges:
        inner = self.edges(expression.expr, windowed=windowed)
        return through(inner, "TRANSFORMATION") | through(inner, "SORT")

    def _sortby(self, expression: Any, windowed: bool) -> Edges:
        inner = self._all([expression.expr], "TRANSFORMATION", windowed)
        return inner | self._all(expression.by, "SORT", windowed)

    def _filter(self, expression: Any, windowed: bool) -> Edges:
        self.reshapes = True
        inner = self.edges(expression.input, windowed=windowed)
        return inner | self._all([expression.by], "FILTER", windowed)

    def _gather(self, expression: Any, windowed: bool) -> Edges:
        self.reshapes = True
        inner = self._all([expression.expr], "TRANSFORMATION", windowed)
        return inner | self._all([expression.idx], "FILTER", windowed)

    def _slice(self, expression: Any, windowed: bool) -> Edges:
        self.reshapes = True
        inner = self._all([expression.input], "TRANSFORMATION", windowed)
        return inner | self._all([expression.offset, expression.length], "FILTER", windowed)

    def _explode(self, expression: Any, windowed: bool) -> Edges:
        self.reshapes = True
        return self._all([expression.expr], "TRANSFORMATION", windowed)

    def _window(self, expression: Any, windowed: bool) -> Edges:
        order = [] if expression.order_by is None else [expression.order_by]
        inner = self.edges(expression.function, windowed=True)
        return inner | self._all([*expression.partition_by, *order], "WINDOW", True)

    def _rolling(self, expression: Any, windowed: bool) -> Edges:
        inner = self.edges(expression.function, windowed=True)
        return inner | self._all([expression.index_column], "WINDOW", True)
