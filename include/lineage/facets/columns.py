"""Facets of a table's columns: what they are, and which columns they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
    Transformation,
)
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

from include.lineage.producer import PRODUCER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def schema_facet(columns: Iterable[Mapping[str, Any]]) -> SchemaDatasetFacet:
    """Return the schema facet of columns: each has name, and perhaps type and description."""
    return SchemaDatasetFacet(
        producer=PRODUCER,
        fields=[
            SchemaDatasetFacetFields(
                name=column["name"], type=column.get("type"), description=column.get("description")
            )
            for column in columns
        ],
    )


def column_lineage_facet(body: Mapping[str, Any]) -> ColumnLineageDatasetFacet:
    """Return the columnLineage facet of what `include.lineage.columns` found, as plain JSON."""

    def field(entry: Mapping[str, Any]) -> InputField:
        return InputField(
            namespace=entry["namespace"],
            name=entry["name"],
            field=entry["field"],
            transformations=[
                Transformation(
                    type=t["type"],
                    subtype=t.get("subtype"),
                    description=t.get("description"),
                    masking=t.get("masking"),
                )
                for t in entry.get("transformations", [])
            ],
        )

    return ColumnLineageDatasetFacet(
        producer=PRODUCER,
        fields={
            name: Fields(inputFields=[field(entry) for entry in column["inputFields"]])
            for name, column in body["fields"].items()
        },
        dataset=[field(entry) for entry in body.get("dataset", [])],
    )
