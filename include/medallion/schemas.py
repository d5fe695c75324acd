"""A silver contract as a dataframely schema: the same rules split good rows from bad and say which rule broke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dataframely as dy
import polars as pl

from include.errors import ConfigurationError
from include.medallion.contract import PROVENANCE, Column, Rule, Table

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES: dict[pl.DataType, Callable[[bool], Any]] = {
    pl.String(): lambda nullable: dy.String(nullable=nullable),
    pl.Int64(): lambda nullable: dy.Int64(nullable=nullable),
    pl.Float64(): lambda nullable: dy.Float64(nullable=nullable),
    pl.Boolean(): lambda nullable: dy.Bool(nullable=nullable),
    pl.Date(): lambda nullable: dy.Date(nullable=nullable),
    pl.Datetime("us", "UTC"): lambda nullable: dy.Datetime(
        time_unit="us", time_zone="UTC", nullable=nullable
    ),
}


def dataframely_schema(table: Table) -> Any:
    """Return the schema class of a table's silver layer, provenance included.

    Raises ConfigurationError for a column of a type that silver does not hold.
    """
    members: dict[str, Any] = {column.name: _column(table, column) for column in _columns(table)}
    for rule in table.rules:
        # a null value is judged by the column's nullability alone
        members[rule.name] = dy.rule()(_check(rule))
    return type(f"{table.name.title()}Silver", (dy.Schema,), members)


def _check(rule: Rule) -> Callable[[Any], pl.Expr]:
    def check(_schema: Any) -> pl.Expr:
        return rule.holds().fill_null(value=True)

    return check


def rule_ids(table: Table) -> dict[str, str]:
    """Return dataframely's name of each check -> the rule id that quarantine uses.

    A rule keeps its own name; the checks of a column ``x`` are ``x:not_null``, ``x:not_nan``, ``x:not_infinite``.
    """
    ids = {rule.name: rule.name for rule in table.rules}
    for column in _columns(table):
        if not column.nullable:
            ids[f"{column.name}|nullability"] = f"{column.name}:not_null"
        if column.dtype == pl.Float64():
            ids[f"{column.name}|nan"] = f"{column.name}:not_nan"
            ids[f"{column.name}|inf"] = f"{column.name}:not_infinite"
    return ids


def holds_all(table: Table) -> pl.Expr:
    """Return one expression that is true where a row breaks nothing, for the plan's lineage."""
    columns = _columns(table)
    checks = [pl.col(column.name).is_not_null() for column in columns if not column.nullable]
    checks += [pl.col(column.name).is_finite() for column in columns if column.dtype == pl.Float64()]
    return pl.all_horizontal(*checks, *(rule.holds().fill_null(value=True) for rule in table.rules))


def _columns(table: Table) -> tuple[Column, ...]:
    return (*table.silver.columns, *PROVENANCE)


def _column(table: Table, column: Column) -> Any:
    if column.dtype not in TYPES:
        known = ", ".join(map(str, TYPES))
        raise ConfigurationError(
            f"{table.name}: silver column {column.name} is {column.dtype}; known: {known}"
        )
    return TYPES[column.dtype](column.nullable)
