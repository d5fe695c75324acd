"""What the datasets of the lake are, from the tables' own declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.lineage.facets import Declaration
from include.medallion.contract import dtype_name
from include.medallion.declared import TABLES
from include.medallion.facts import columns_of
from include.medallion.tables import table_named

if TYPE_CHECKING:
    from include.medallion.contract import Table

LAYER_DOCS = {
    "staged": "As in the source file, all text, with provenance.",
    "bronze": "Columns named and typed.",
    "silver": "Cleaned, validated and deduplicated.",
    "gold": "With derived columns, under contract.",
    "quarantine": "Rows that a layer refused, with the reason.",
}

LAYERS = {"source", *LAYER_DOCS}


def names() -> list[str]:
    """Return the name of every dataset of the lake and of its sources."""
    return [
        name
        for table in TABLES
        for name in (f"sources/{table}", *(f"lake/{layer}/{table}" for layer in LAYER_DOCS))
    ]


def declaration(namespace: str, name: str) -> Declaration | None:
    """Return what is declared of ``lake/<layer>/<table>`` or ``sources/<table>``."""
    place, _, rest = name.partition("/")
    layer, _, table_name = rest.partition("/") if place == "lake" else ("source", "", rest)
    if table_name not in TABLES or place not in {"lake", "sources"} or layer not in LAYERS:
        return None
    table = table_named(table_name)
    return of_source(table) if place == "sources" else of_layer(table, layer)


def of_source(table: Table) -> Declaration:
    """Return what is declared of the file that a table is read from."""
    return Declaration(
        f"The file that {table.name} are read from. {table.description}",
        "source",
        "csv",
        table.owner,
        table.classification,
        {"layer": "source", "table": table.name},
    )


def of_layer(table: Table, layer: str) -> Declaration:
    """Return what is declared of a table's layer, or of its quarantine."""
    columns = () if layer == "quarantine" else columns_of(table, layer)
    personal = {column.name for column in columns if column.classification == "personal"}
    if layer == "staged":  # its columns have the source's names
        personal |= {c.source for c in table.bronze.columns if c.classification == "personal" and c.source}
    return Declaration(
        f"{table.description} {LAYER_DOCS[layer]}",
        "table",
        "parquet",
        table.owner,
        table.classification,
        {
            "layer": layer,
            "table": table.name,
            "family": "medallion",
            "retention_days": str(table.retention_days),
        },
        # a staged file may bring columns of its own
        ()
        if layer in {"staged", "quarantine"}
        else tuple(
            {"name": c.name, "type": dtype_name(c.dtype), "description": c.description} for c in columns
        ),
        tuple(c.name for c in columns if c.name in personal),
    )
