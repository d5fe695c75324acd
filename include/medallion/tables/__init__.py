"""The declared tables; each module holds one `TABLE`."""

from importlib import import_module

from include.errors import InvalidInput
from include.medallion.contract import Table
from include.medallion.declared import TABLES


def table_named(name: str) -> Table:
    """Return a table's declaration; InvalidInput for a name that is not declared."""
    if name not in TABLES:
        raise InvalidInput(f"table {name!r}: not declared; known: {', '.join(TABLES)}")
    table = import_module(f"include.medallion.tables.{name}").TABLE
    if not isinstance(table, Table):
        raise InvalidInput(f"include.medallion.tables.{name}.TABLE is no Table")
    return table
