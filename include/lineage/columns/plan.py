"""The plan itself: from its scans upwards, which source columns each column of each frame comes from.

The plan is read unoptimised, because the optimiser drops inputs and adds columns of its own. The walk is iterative:
long chains of steps are deeper than Python's stack. An unknown node ends it with a warning; nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.lineage.columns.edges import NONE, Edge, Edges, Operation, PlanLineage, through
from include.lineage.columns.expressions import Opaque, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl

IR_VERSION = 16
UNREADABLE = ("PYTHON SCAN", "DELTA SCAN", "ICEBERG SCAN")
"""Lazily resolved Python sources: the visitor of Polars 2.1 can wait for ever on one."""


@dataclass
class Frame:
    """One frame inside a plan: its columns with their sources, and what decided its rows."""

    columns: dict[str, Edges]
    rows: Edges = NONE


def read_plan(frame: pl.LazyFrame, datasets: Mapping[str, str]) -> PlanLineage:
    """Return the lineage of a plan whose scanned paths are named by `datasets` (path -> dataset).

    Meant for plans over empty stubs (`stubs.derive`): Delta and Iceberg scans are refused unvisited.
    """
    import polars as pl

    names = tuple(dict.fromkeys(datasets.values()))
    try:
        text = frame.explain(optimized=False)
        found = next((sign for sign in UNREADABLE if sign in text), None)
        if found:
            return _unknown(names, f"{found.lower()} in the plan")
        traverser = frame._ldf.with_optimizations(pl.QueryOptFlags.none()._pyoptflags).visit()
        if traverser.version()[0] != IR_VERSION:
            version = ".".join(map(str, traverser.version()))
            return _unknown(names, f"plan format {version}, this reader knows {IR_VERSION}")
        walk = _Walk(traverser, datasets)
        result = walk.run()
    except Opaque as error:
        return _unknown(names, str(error))
    except NotImplementedError as error:
        return _unknown(names, f"part of the plan that cannot be read: {str(error)[:80]}")
    except RecursionError:
        return _unknown(names, "an expression nested too deeply")
    return PlanLineage(names, result.columns, result.rows, tuple(sorted(walk.operations)))


def _unknown(names: tuple[str, ...], why: str) -> PlanLineage:
    return PlanLineage(
        names, {}, NONE, (), (f"column lineage unknown: {why}; only the datasets are recorded",)
    )


class _Walk:
    """Visits each node once, inputs first."""

    def __init__(self, traverser: Any, datasets: Mapping[str, str]) -> None:
        self._traverser = traverser
        self._datasets = datasets
        self._done: dict[int, Frame] = {}
        self.operations: set[Operation] = set()

    def run(self) -> Frame:
        root = self._traverser.get_node()
        pending = [root]
        while pending:
            node = pending[-1]
            self._traverser.set_node(node)
            inputs = list(self._traverser.get_inputs())
            waiting = [child for child in inputs if child not in self._done]
            if waiting:
                pending.extend(waiting)
                continue
            pending.pop()
            if node not in self._done:
                self._done[node] = self._visit([self._done[child] for child in inputs])
        return self._done[root]

    def _visit(self, inputs: list[Frame]) -> Frame:
        node = self._traverser.view_current_node()
        name = type(node).__name__
        visit: Callable[[Any, list[Frame]], Frame] | None = getattr(self, f"_{name.lower()}", None)
        if visit is None:
            msg = f"unknown plan node {name}"
            raise Opaque(msg)
        return visit(node, inputs)

    def _did(self, name: str, *, ordered: bool = True) -> None:
        self.operations.add(Operation(name, ordered))

    def _read(self, frame: Frame, expressions: Iterable[Any]) -> dict[str, Edges]:
        reader = Reader(self._traverser, frame.columns)
        found = {item.output_name: reader.edges(item.node) for item in expressions}
        if reader.aggregates:
            self._did("aggregate")
        if reader.reshapes:
            self._did("reshape")
        return found

    def _used(self, frame: Frame, expressions: Iterable[Any]) -> Edges:
        """Return all edges of expressions that only decide, without a word on aggregation."""
        reader = Reader(self._traverser, frame.columns)
        merged = NONE
        for item in expressions:
            merged |= reader.edges(item.node)
        return merged

    # -- sources -------------------------------------------------------------------------------------------------

    def _scan(self, node: Any, inputs: list[Frame]) -> Frame:
        options = node.file_options
        made = {options.include_file_paths, options.row_index[0] if options.row_index else None}
        datasets = []
        for path in node.paths:
            if str(path) not in self._datasets:
                msg = "a scan of a file that is no declared input"
                raise Opaque(msg)
            datasets.append(self._datasets[str(path)])
        columns = {
            name: NONE
            if name in made
            else frozenset(Edge(dataset, name, "DIRECT", "IDENTITY") for dataset in datasets)
            for name in self._traverser.get_schema()
        }
        if len(node.paths) > 1:
            self._did("union")
        return Frame(columns)

    def _dataframescan(self, node: Any, inputs: list[Frame]) -> Frame:
        """Rows written in the code itself: constants."""
        return Frame(dict.fromkeys(self._traverser.get_schema(), NONE))

    # -- columns -------------------------------------------------------------------------------------------------

    def _select(self, node: Any, inputs: list[Frame]) -> Frame:
        return Frame(self._read(inputs[0], node.expr), inputs[0].rows)

    def _hstack(self, node: Any, inputs: list[Frame]) -> Frame:
        return Frame({**inputs[0].columns, **self._read(inputs[0], node.exprs)}, inputs[0].rows)

    def _simpleprojection(self, node: Any, inputs: list[Frame]) -> Frame:
        return Frame({name: inputs[0].columns[name] for name in self._traverser.get_schema()}, inputs[0].rows)

    def _cache(self, node: Any, inputs: list[Frame]) -> Frame:
        return inputs[0]

    def _sink(self, node: Any, inputs: list[Frame]) -> Frame:
        return inputs[0]

    # -- rows ----------------------------------------------------------------------------------------------------

    def _filter(self, node: Any, inputs: list[Frame]) -> Frame:
        self._did("filter")
        used = self._used(inputs[0], [node.predicate])
        return Frame(inputs[0].columns, inputs[0].rows | through(used, "FILTER"))

    def _sort(self, node: Any, inputs: list[Frame]) -> Frame:
        self._did("sort", ordered=bool(node.sort_options[0]))
        used = self._used(inputs[0], node.by_column)
        return Frame(inputs[0].columns, inputs[0].rows | through(used, "SORT"))

    def _slice(self, node: Any, inputs: list[Frame]) -> Frame:
        self._did("slice")
        return inputs[0]

    def _distinct(self, node: Any, inputs: list[Frame]) -> Frame:
        """`unique`: OpenLineage has no better word than GROUP_BY for the columns that tell rows apart."""
        keep, subset, maintain_order, _ = node.options
        self._did("unique", ordered=bool(maintain_order) and keep != "any")
        columns = inputs[0].columns
        used: Edges = NONE
        for name in subset if subset is not None else columns:
            used |= columns[name]
        return Frame(columns, inputs[0].rows | through(used, "GROUP_BY"))

    def _groupby(self, node: Any, inputs: list[Frame]) -> Frame:
        if node.apply:
            msg = "a Python function applied to groups"
            raise Opaque(msg)
        self._did("group_by", ordered=bool(node.maintain_order))
        reader = Reader(self._traverser, inputs[0].columns)
        keys = {item.output_name: reader.edges(item.node) for item in node.keys}
        dynamic, rolling = node.options.dynamic, node.options.rolling
        if dynamic is not None:
            keys[dynamic.index_column] = through(inputs[0].columns[dynamic.index_column], "TRANSFORMATION")
        if rolling is not None:
            keys[rolling.index_column] = inputs[0].columns[rolling.index_column]
        # inside a group every expression sees many rows: what is not a key is aggregated
        made = {item.output_name: through(reader.edges(item.node), "AGGREGATION") for item in node.aggs}
        columns = {}
        for name in self._traverser.get_schema():
            if name in keys or name in made:
                columns[name] = keys.get(name, made.get(name, NONE))
            elif dynamic is not None:  # the window's boundaries
                columns[name] = keys[dynamic.index_column]
            else:
                msg = f"column {name!r} of a group_by without an origin"
                raise Opaque(msg)
        used: Edges = NONE
        for edges in keys.values():
            used |= edges
        return Frame(columns, inputs[0].rows | through(used, "GROUP_BY"))

    # -- several frames ------------------------------------------------------------------------------------------

    def _join(self, node: Any, inputs: list[Frame]) -> Frame:
        left, right = inputs
        kind, _, _, suffix, coalesce, order = node.options
        how = kind if isinstance(kind, str) else kind[0]
        by = ([], []) if isinstance(kind, str) or how != "AsOf" else (kind[4] or [], kind[5] or [])
        self._did("join", ordered=how in {"Semi", "Anti", "AsOf"} or order != "none")
        used = self._used(left, node.left_on) | self._used(right, node.right_on)
        for frame, names in ((left, by[0]), (right, by[1])):
            for name in names:
                used |= frame.columns[name]
        rows = left.rows | right.rows | through(used, "JOIN")
        if how in {"Semi", "Anti"}:
            return Frame(left.columns, rows)
        pairs = [] if not coalesce else [*self._key_names(node), *zip(*by, strict=True)]
        columns = _joined(left.columns, right.columns, pairs, how, suffix)
        if list(columns) != list(self._traverser.get_schema()):
            msg = f"a {how} join whose columns do not follow the known rule"
            raise Opaque(msg)
        return Frame(columns, rows)

    def _key_names(self, node: Any) -> list[tuple[str, str]]:
        """Return the pairs of plain columns that a join makes one of."""
        pairs = []
        for left, right in zip(node.left_on, node.right_on, strict=True):
            views = [self._traverser.view_expression(item.node) for item in (left, right)]
            if all(type(view).__name__ == "Column" for view in views):
                pairs.append((views[0].name, views[1].name))
        return pairs

    def _union(self, node: Any, inputs: list[Frame]) -> Frame:
        self._did("union", ordered=bool(node.maintain_order))
        return _stacked(inputs)

    def _mergesorted(self, node: Any, inputs: list[Frame]) -> Frame:
        self._did("union", ordered=bool(node.maintain_order))
        merged = _stacked(inputs)
        used: Edges = NONE
        for name in node.key:
            used |= merged.columns[name]
        return Frame(merged.columns, merged.rows | through(used, "SORT"))

    def _hconcat(self, node: Any, inputs: list[Frame]) -> Frame:
        columns: dict[str, Edges] = {}
        rows: Edges = NONE
        for frame in inputs:
            columns |= frame.columns
            rows |= frame.rows
        return Frame(columns, rows)

    # -- functions on frames -------------------------------------------------------------------------------------

    def _mapfunction(self, node: Any, inputs: list[Frame]) -> Frame:
        name, *details = node.function
        frame = inputs[0]
        schema = list(self._traverser.get_schema())
        if name in {"hint_sorted", "rechunk"}:
            return frame
        if name == "row_index":
            return Frame({column: frame.columns.get(column, NONE) for column in schema}, frame.rows)
        if name == "explode":
            self._did("explode")
            changed = {column: through(frame.columns[column], "TRANSFORMATION") for column in details[0]}
            return Frame({**frame.columns, **changed}, frame.rows)
        if name == "unnest":
            self._did("unnest")
            inner: Edges = NONE
            for column in details[0]:
                inner |= frame.columns[column]
            # every field is said to come from all of the struct's columns: a safe superset
            return Frame({column: frame.columns.get(column, inner) for column in schema}, frame.rows)
        if name == "unpivot":
            self._did("unpivot")
            index, on, _, value = details
            inner = NONE
            for column in on:
                inner |= frame.columns[column]
            made = {value: through(inner, "TRANSFORMATION")}
            kept = {column: frame.columns[column] for column in index or []}
            return Frame({column: {**kept, **made}.get(column, NONE) for column in schema}, frame.rows)
        msg = f"unknown function on a frame: {name}"
        raise Opaque(msg)


def _joined(
    left: Mapping[str, Edges],
    right: Mapping[str, Edges],
    pairs: list[tuple[str, str]],
    how: str,
    suffix: str,
) -> dict[str, Edges]:
    """Return the columns of a join: left's, then right's with a suffix where a name is taken; merged keys once."""
    if how == "Right":
        merged = {name for name, _ in pairs}
        columns = {name: edges for name, edges in left.items() if name not in merged}
        rest = dict(right)
    else:
        merged = {name for _, name in pairs}
        columns = dict(left)
        rest = {name: edges for name, edges in right.items() if name not in merged}
        if how == "Full":
            for ours, theirs in pairs:
                columns[ours] = through(left[ours] | right[theirs], "TRANSFORMATION")
    for name, edges in rest.items():
        columns[f"{name}{suffix}" if name in columns else name] = edges
    return columns


def _stacked(inputs: list[Frame]) -> Frame:
    columns: dict[str, Edges] = {}
    rows: Edges = NONE
    for frame in inputs:
        rows |= frame.rows
        for name, edges in frame.columns.items():
            columns[name] = columns.get(name, NONE) | edges
    return Frame(columns, rows)
