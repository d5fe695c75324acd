"""Expressions that read values out of text; a text that says no such value gives null."""

from __future__ import annotations

import polars as pl

FLAGS = dict.fromkeys(("t", "true", "yes", "y", "1"), True) | dict.fromkeys(
    ("f", "false", "no", "n", "0"), False
)


def text(column: str) -> pl.Expr:
    """Return a text without surrounding space; blank is null.

    >>> pl.DataFrame({"a": [" x ", "  "]}).select(text("a")).to_series().to_list()
    ['x', None]
    """
    return pl.col(column).str.strip_chars().replace("", None)


def one_line(column: str) -> pl.Expr:
    r"""Return a text in Unicode's composed form, on one line, runs of space as one; blank is null.

    >>> pl.DataFrame({"a": ["a\n b ", " "]}).select(one_line("a")).to_series().to_list()
    ['a b', None]
    """
    tidy = pl.col(column).str.normalize("NFC").str.replace_all(r"[\s\p{Cc}]+", " ")
    return tidy.str.strip_chars().replace("", None)


def whole(column: str) -> pl.Expr:
    """Return a whole number, also one written as ``3.0``; ``3.5`` is none.

    >>> pl.DataFrame({"a": ["7", "3.0", "3.5", "x"]}).select(whole("a")).to_series().to_list()
    [7, 3, None, None]
    """
    stripped = pl.col(column).str.strip_chars().str.replace(r"\.0+$", "")
    return stripped.cast(pl.Int64, strict=False)


def number(column: str) -> pl.Expr:
    """Return a finite number.

    >>> pl.DataFrame({"a": ["0.5", "nan", "1e400", "-"]}).select(number("a")).to_series().to_list()
    [0.5, None, None, None]
    """
    value = pl.col(column).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def percent(column: str) -> pl.Expr:
    """Return a share from a percentage, with or without its sign: ``87%`` is 0.87.

    >>> pl.DataFrame({"a": ["87%", "100", "many"]}).select(percent("a")).to_series().to_list()
    [0.87, 1.0, None]
    """
    value = (
        pl.col(column)
        .str.strip_chars()
        .str.strip_suffix("%")
        .str.strip_chars()
        .cast(pl.Float64, strict=False)
    )
    return pl.when(value.is_finite()).then(value / 100)


def flag(column: str) -> pl.Expr:
    """Return true for t, true, yes, y, 1 and false for f, false, no, n, 0, in any case.

    >>> pl.DataFrame({"a": ["t", "No", "maybe"]}).select(flag("a")).to_series().to_list()
    [True, False, None]
    """
    word = pl.col(column).str.strip_chars().str.to_lowercase()
    return word.replace_strict(FLAGS, default=None, return_dtype=pl.Boolean)


def moment(column: str) -> pl.Expr:
    """Return a time in UTC from ISO 8601; without a zone it is UTC.

    >>> pl.DataFrame({"a": ["2018-10-31T10:00:03.000Z", "2018-10-31T12:00:03+02:00"]}).select(
    ...     moment("a").dt.to_string("iso:strict")
    ... ).to_series().to_list()
    ['2018-10-31T10:00:03.000000+00:00', '2018-10-31T10:00:03.000000+00:00']
    """
    stripped = pl.col(column).str.strip_chars()
    zoned = stripped.str.replace(r"[zZ]$", "+00:00").str.replace(" ", "T", literal=True)
    has_zone = zoned.str.contains(r"[+-]\d{2}:?\d{2}$")
    complete = pl.when(has_zone).then(zoned).otherwise(zoned + "+00:00")
    return complete.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False
    ).dt.convert_time_zone("UTC")


def trending_day(column: str) -> pl.Expr:
    """Return a day from YY.DD.MM, the form of the public trending data sets, or from an ISO date.

    >>> pl.DataFrame({"a": ["18.01.11", "2018-11-01", "18.32.11"]}).select(
    ...     trending_day("a").dt.to_string()
    ... ).to_series().to_list()
    ['2018-11-01', '2018-11-01', None]
    """
    stripped = pl.col(column).str.strip_chars()
    short = stripped.str.to_date("%y.%d.%m", strict=False, exact=True)
    return pl.coalesce(short, stripped.str.to_date("%Y-%m-%d", strict=False, exact=True))
