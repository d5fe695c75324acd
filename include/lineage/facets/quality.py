"""Facets of how much and how good: statistics, column metrics, assertions, partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openlineage.client.generated.base_subset_dataset import (
    InputSubsetInputDatasetFacet,
    OutputSubsetOutputDatasetFacet,
    Partition,
    PartitionSubsetCondition,
)
from openlineage.client.generated.data_quality_assertions_dataset import (
    Assertion,
    DataQualityAssertionsDatasetFacet,
)
from openlineage.client.generated.data_quality_metrics_dataset import (
    ColumnMetrics,
    DataQualityMetricsDatasetFacet,
)
from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

from include.lineage.producer import PRODUCER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Items = Sequence[Mapping[str, Any]]

METRICS = {"nullCount", "distinctCount", "sum", "count", "min", "max"}


def quality_facets(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return dataQualityMetrics and dataQualityAssertions of one table file, where its facts have them."""
    facets: dict[str, Any] = {}
    if quality := item.get("quality"):
        facets["dataQualityMetrics"] = DataQualityMetricsDatasetFacet(
            producer=PRODUCER,
            rowCount=quality.get("rowCount"),
            columnMetrics={
                column: ColumnMetrics(quantiles=None, **{k: v for k, v in found.items() if k in METRICS})
                for column, found in quality.get("columnMetrics", {}).items()
            },
        )
    if assertions := item.get("assertions"):
        facets["dataQualityAssertions"] = DataQualityAssertionsDatasetFacet(
            producer=PRODUCER,
            assertions=[
                Assertion(assertion=a["assertion"], success=bool(a["success"]), column=a.get("column"))
                for a in assertions
            ],
        )
    return facets


def read_facets(items: Items) -> dict[str, Any]:
    """Return inputStatistics (rows, bytes, files) and the partitions that were read."""
    facets: dict[str, Any] = {
        "inputStatistics": InputStatisticsInputDatasetFacet(
            producer=PRODUCER,
            rowCount=_total(items, "rows"),
            size=_total(items, "size_bytes"),
            fileCount=len(items),
        )
    }
    if found := _partitions(items):
        facets["subset"] = InputSubsetInputDatasetFacet(producer=PRODUCER, inputCondition=found)
    return facets


def written_facets(items: Items) -> dict[str, Any]:
    """Return outputStatistics (rows, bytes, files) and the partitions that were written."""
    facets: dict[str, Any] = {
        "outputStatistics": OutputStatisticsOutputDatasetFacet(
            producer=PRODUCER,
            rowCount=_total(items, "rows"),
            size=_total(items, "size_bytes"),
            fileCount=len(items),
        )
    }
    if found := _partitions(items):
        facets["subset"] = OutputSubsetOutputDatasetFacet(producer=PRODUCER, outputCondition=found)
    return facets


def _partitions(items: Items) -> Any:
    names = sorted({str(item["partition"]) for item in items if item.get("partition")})
    if not names:
        return None
    return PartitionSubsetCondition(
        partitions=[Partition(identifier=name, dimensions={"partition": name}) for name in names]
    )


def _total(items: Items, field: str) -> int | None:
    values = [item[field] for item in items if item.get(field) is not None]
    return sum(values) if values else None
