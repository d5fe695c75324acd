"""Golden table: what is said of each shape of plan, letter by letter.

Notation: ``out <- dataset.column:Kind``. Kinds: I identity, T transformation, A aggregation; indirect: J join, G group by,
F filter, S sort, W window, C condition. Inputs are the datasets `o` (orders) and `c` (customers); a column without a
dataset is one of `o`. ``rows`` are the columns that decide which rows come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars import selectors as cs

from include.lineage.columns import PlanLineage, derive

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERS = {
    "id": pl.Int64(),
    "who": pl.String(),
    "price": pl.Float64(),
    "n": pl.Int64(),
    "day": pl.Date(),
    "tags": pl.List(pl.String()),
}
CUSTOMERS = {"who": pl.String(), "name": pl.String(), "n": pl.Int64(), "day": pl.Date()}
LETTERS = {
    "IDENTITY": "I",
    "TRANSFORMATION": "T",
    "AGGREGATION": "A",
    "JOIN": "J",
    "GROUP_BY": "G",
    "FILTER": "F",
    "SORT": "S",
    "WINDOW": "W",
    "CONDITIONAL": "C",
}
o = pl.col


def notation(lineage: PlanLineage) -> dict[str, str]:
    """Return a lineage in the notation of this table; identities of a column of `o` with its own name are left out."""

    def words(edges: object) -> str:
        return " ".join(
            f"{'' if e.dataset == 'o' else e.dataset + '.'}{e.column}:{LETTERS[e.subtype]}{'*' if e.masking else ''}"
            for e in sorted(edges)  # type: ignore[call-overload]
        )

    found = {name: words(edges) for name, edges in lineage.columns.items()}
    return {name: text for name, text in found.items() if text != f"{name}:I"} | (
        {"rows": words(lineage.rows)} if lineage.rows else {}
    )


ONE: dict[str, tuple[Callable[[pl.LazyFrame], pl.LazyFrame], dict[str, str]]] = {
    "select": (lambda f: f.select("id", "who"), {}),
    "alias": (lambda f: f.select(o("id").alias("key")), {"key": "id:I"}),
    "with_columns": (lambda f: f.with_columns(total=o("price") * o("n")), {"total": "n:T price:T"}),
    "chain": (
        lambda f: f.with_columns(a=o("price") + 1).with_columns(b=o("a") * o("n")).select("b"),
        {"b": "n:T price:T"},
    ),
    "rename": (lambda f: f.rename({"id": "key"}).select("key", "who"), {"key": "id:I"}),
    "drop": (lambda f: f.drop("tags"), {}),
    "cast": (lambda f: f.select(o("n").cast(pl.String)), {"n": "n:T"}),
    "lenient cast": (lambda f: f.select(o("who").cast(pl.Int64, strict=False)), {"who": "who:T"}),
    "selector": (lambda f: f.select(cs.integer()), {}),
    "regex": (lambda f: f.select(o("^(id|n)$").name.suffix("_x")), {"id_x": "id:I", "n_x": "n:I"}),
    "exclude": (lambda f: f.select(pl.all().exclude("tags", "day").name.prefix("x_")).select("x_id"), {"x_id": "id:I"}),
    "literal": (lambda f: f.select("id", layer=pl.lit("gold")), {"layer": ""}),
    "string functions": (lambda f: f.select(o("who").str.strip_chars().str.to_lowercase()), {"who": "who:T"}),
    "parse time": (lambda f: f.select(at=o("who").str.to_datetime("%Y", strict=False)), {"at": "who:T"}),
    "when then": (
        lambda f: f.select(x=pl.when(o("n") > 1).then(o("who")).otherwise(pl.lit("-"))),
        {"x": "n:C who:T"},
    ),
    "nested when": (
        lambda f: f.select(x=pl.when(o("n") > 1).then("price").when(o("id") > 2).then("n")),
        {"x": "id:C n:T n:C price:T"},
    ),
    "condition kept through a step": (
        lambda f: f.select(x=pl.when(o("n") > 1).then("price")).select(y=o("x") + 1),
        {"y": "n:C price:T"},
    ),
    "filter": (lambda f: f.filter(o("price") > 0, o("who").is_not_null()), {"rows": "price:F who:F"}),
    "filter on a derived column": (
        lambda f: f.with_columns(t=o("price") * o("n")).filter(o("t") > 0).select("id"),
        {"rows": "n:F price:F"},
    ),
    "drop_nulls": (lambda f: f.drop_nulls("who"), {"rows": "who:F"}),
    "sort": (lambda f: f.sort("day", "id", maintain_order=True), {"rows": "day:S id:S"}),
    "top_k": (lambda f: f.top_k(3, by="price"), {"rows": "price:S"}),
    "head": (lambda f: f.head(3), {}),
    "unique": (
        lambda f: f.unique("id", keep="first", maintain_order=True),
        {"rows": "id:G"},
    ),
    "group_by": (
        lambda f: f.group_by("who", maintain_order=True).agg(o("price").sum(), orders=pl.len()),
        {"price": "price:A", "orders": "", "rows": "who:G"},
    ),
    "group_by an expression": (
        lambda f: f.group_by(month=o("day").dt.truncate("1mo")).agg(o("n").mean()),
        {"month": "day:T", "n": "n:A", "rows": "day:G"},
    ),
    "filtered aggregate": (
        lambda f: f.group_by("who").agg(big=o("price").filter(o("n") > 9).sum()),
        {"big": "n:F price:A", "rows": "who:G"},
    ),
    "collected group": (lambda f: f.group_by("who").agg("id"), {"id": "id:A", "rows": "who:G"}),
    "group_by_dynamic": (
        lambda f: f.sort("day").group_by_dynamic("day", every="1mo", group_by="who").agg(o("n").sum()),
        {"day": "day:T", "n": "n:A", "rows": "day:G day:S who:G"},
    ),
    "rolling": (
        lambda f: f.sort("day").rolling("day", period="7d").agg(o("n").sum()),
        {"n": "n:A", "rows": "day:G day:S"},
    ),
    "aggregate of all rows": (lambda f: f.select(o("price").mean(), o("n").max()), {"price": "price:A", "n": "n:A"}),
    "aggregate of an expression": (lambda f: f.select(x=(o("price") * o("n")).sum()), {"x": "n:A price:A"}),
    "aggregate beside rows": (
        lambda f: f.select(share=o("price") / o("price").sum()),
        {"share": "price:A price:T"},
    ),
    "over": (
        lambda f: f.select(x=o("price").sum().over("who", order_by="day")),
        {"x": "day:W price:A who:W"},
    ),
    "rank over": (lambda f: f.select(r=o("price").rank().over("who")), {"r": "price:T who:W"}),
    "cum_sum": (lambda f: f.select(o("n").cum_sum()), {"n": "n:A"}),
    "rolling_mean": (lambda f: f.select(o("n").rolling_mean(3)), {"n": "n:A"}),
    "shift": (lambda f: f.select(o("n").shift(1)), {"n": "n:T"}),
    "sort_by": (lambda f: f.select(o("who").sort_by("day").first()), {"who": "day:S who:A"}),
    "concat_str": (lambda f: f.select(x=pl.concat_str("who", "id", separator="-")), {"x": "id:T who:T"}),
    "format": (lambda f: f.select(x=pl.format("{}/{}", "who", "id")), {"x": "id:T who:T"}),
    "coalesce": (lambda f: f.select(x=pl.coalesce("n", "id")), {"x": "id:T n:T"}),
    "horizontal maximum": (lambda f: f.select(x=pl.max_horizontal("n", "id")), {"x": "id:T n:T"}),
    "replace_strict": (lambda f: f.select(o("who").replace_strict({"a": "b"}, default=None)), {"who": "who:T"}),
    "is_in": (lambda f: f.select(x=o("id").is_in([1, 2])), {"x": "id:T"}),
    "hash masks": (lambda f: f.select(o("who").hash()), {"who": "who:T*"}),
    "hash masks for good": (lambda f: f.select(x=o("who").hash()).select(y=o("x") + 1), {"y": "who:T*"}),
    "struct and unnest": (
        lambda f: f.select(s=pl.struct("id", "who")).unnest("s"),
        {"id": "id:T who:T", "who": "id:T who:T"},
    ),
    "explode": (lambda f: f.explode("tags").select("id", "tags"), {"tags": "tags:T"}),
    "unpivot": (
        lambda f: f.unpivot(on=["price", "n"], index="id"),
        {"variable": "", "value": "n:T price:T"},
    ),
    "pivot": (
        lambda f: f.pivot("who", on_columns=["a", "b"], index="id", values="n", aggregate_function="sum"),
        {"a": "n:A who:F", "b": "n:A who:F", "rows": "id:G"},
    ),
    "row_index": (lambda f: f.with_row_index("i").select("i", "id"), {"i": ""}),
    "row_index after a filter": (
        lambda f: f.filter(o("n") > 0).with_row_index("i").select("i", "id"),
        {"i": "", "rows": "n:F"},
    ),
    "concat with itself": (lambda f: pl.concat([f.filter(o("n") > 0), f]).select("id"), {"rows": "n:F"}),
    "diagonal concat": (
        lambda f: pl.concat([f.select("id"), f.select("id", x=pl.lit(1))], how="diagonal"),
        {"x": ""},
    ),
    "horizontal concat": (
        lambda f: pl.concat([f.select("id"), f.select(key=o("who"))], how="horizontal"),
        {"key": "who:I"},
    ),
    "match_to_schema": (
        lambda f: f.match_to_schema({"id": pl.Int64, "who": pl.String}, extra_columns="ignore"),
        {},
    ),
    "sql": (
        lambda f: pl.SQLContext(t=f).execute("SELECT who, MAX(price) AS top FROM t WHERE n > 1 GROUP BY who"),
        {"top": "price:A", "rows": "n:F who:G"},
    ),
    "constant frame": (
        lambda f: f.select("id", "who").join(
            pl.LazyFrame({"who": ["a"], "area": ["x"]}), on="who", how="left", maintain_order="left"
        ),
        {"area": "", "rows": "who:J"},
    ),
}  # fmt: skip

TWO: dict[str, tuple[Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame], dict[str, str]]] = {
    "left join with a suffix": (
        lambda f, c: f.select("id", "who", "n").join(c, on="who", how="left", maintain_order="left"),
        {"name": "c.name:I", "n_right": "c.n:I", "day": "c.day:I", "rows": "c.who:J who:J"},
    ),
    "inner join on other names": (
        lambda f, c: f.select("id", "who").join(c.select("name", "n"), left_on="who", right_on="name"),
        {"n": "c.n:I", "rows": "c.name:J who:J"},
    ),
    "join on an expression": (
        lambda f, c: f.select("id", "who").join(
            c.select("name"), left_on=o("who").str.to_lowercase(), right_on="name"
        ),
        {"name": "c.name:I", "rows": "c.name:J who:J"},
    ),
    "full join": (
        lambda f, c: f.select("id", "who").join(c.select("who", "name"), on="who", how="full", coalesce=True),
        {"who": "c.who:T who:T", "name": "c.name:I", "rows": "c.who:J who:J"},
    ),
    "right join": (
        lambda f, c: f.select("id", "who").join(c.select("who", "name"), on="who", how="right"),
        {"who": "c.who:I", "name": "c.name:I", "rows": "c.who:J who:J"},
    ),
    "semi join": (lambda f, c: f.join(c, on="who", how="semi"), {"rows": "c.who:J who:J"}),
    "anti join": (lambda f, c: f.join(c, on="who", how="anti"), {"rows": "c.who:J who:J"}),
    "cross join": (
        lambda f, c: f.select("id").join(c.select("name"), how="cross"),
        {"name": "c.name:I"},
    ),
    "asof join": (
        lambda f, c: f.select("id", "who", "day").sort("day").join_asof(
            c.select("day", "who", "name").sort("day"), on="day", by="who"
        ),
        {"name": "c.name:I", "rows": "c.day:J c.day:S c.who:J day:J day:S who:J"},
    ),
    "join where": (
        lambda f, c: f.select("id").join_where(c.select("name", m="n"), o("id") > o("m")),
        {"name": "c.name:I", "m": "c.n:I", "rows": "c.n:F id:F"},
    ),
    "concat of two": (
        lambda f, c: pl.concat([f.select("who"), c.select("who")]),
        {"who": "c.who:I who:I"},
    ),
    "update": (
        lambda f, c: f.select("who", "n").update(c.select("who", "n"), on="who"),
        {"n": "c.n:T n:T", "rows": "c.who:J who:J"},
    ),
    "join, group, join back": (
        lambda f, c: f.select("id", "who").join(
            c.group_by("who", maintain_order=True).agg(total=o("n").sum()), on="who", how="left"
        ),
        {"total": "c.n:A", "rows": "c.who:G c.who:J who:J"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", ONE)
def test_lineage_of_a_plan_over_one_input(shape: str) -> None:
    transform, expected = ONE[shape]
    found = derive(transform, {"o": ORDERS})
    assert found.warnings == ()
    assert notation(found) == expected
    assert list(found.columns) == list(_columns(transform, ORDERS))


@pytest.mark.filterwarnings("ignore:Sortedness of columns:UserWarning")
@pytest.mark.parametrize("shape", TWO)
def test_lineage_of_a_plan_over_two_inputs(shape: str) -> None:
    transform, expected = TWO[shape]
    found = derive(transform, {"o": ORDERS, "c": CUSTOMERS})
    assert found.warnings == ()
    assert notation(found) == expected
    assert list(found.columns) == list(_columns(transform, ORDERS, CUSTOMERS))


def _columns(transform: Callable[..., pl.LazyFrame], *schemas: dict[str, pl.DataType]) -> list[str]:
    """Return the columns that the transform really gives, by running it on empty frames."""
    return transform(*(pl.LazyFrame(schema=schema) for schema in schemas)).collect().columns


OPAQUE: dict[str, tuple[Callable[[pl.LazyFrame], pl.LazyFrame], str]] = {
    "python function on values": (
        lambda f: f.select(o("n").map_elements(lambda n: n + 1, return_dtype=pl.Int64)),
        "anonymousfunction",
    ),
    "python function on frames": (lambda f: f.map_batches(lambda frame: frame), "python mapfunction"),
    "python function on groups": (lambda f: f.group_by("who").map_groups(lambda g: g, schema=None), "apply"),
    "fold": (lambda f: f.select(pl.fold(pl.lit(0), lambda a, b: a + b, [o("n")])), "fold"),
    "list.eval": (lambda f: f.select(o("tags").list.eval(pl.element().str.len_chars())), "list.eval"),
    "another file": (
        lambda f: pl.concat(
            [f.select("id"), pl.scan_csv(__file__, schema={"x": pl.String})], how="horizontal"
        ),
        "no declared input",
    ),
}


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
@pytest.mark.parametrize("shape", OPAQUE)
def test_an_opaque_part_gives_datasets_and_a_warning_and_no_guess(shape: str) -> None:
    transform, why = OPAQUE[shape]
    found = derive(transform, {"o": ORDERS})
    assert not found.exact
    assert found.datasets == ("o",)
    assert dict(found.columns) == {}
    assert found.facet("ns") is None
    assert why in found.warnings[0]


def test_a_lazily_resolved_python_source_is_refused_unvisited() -> None:
    from polars.io.plugins import register_io_source

    source = register_io_source(lambda *_: iter(()), schema={"x": pl.Int64})
    found = derive(lambda f: f.join(source, how="cross"), {"o": ORDERS})
    assert "python scan" in found.warnings[0]
