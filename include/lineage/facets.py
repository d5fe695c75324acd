"""From facts to OpenLineage datasets and facets: one function serves operators and synthesised events.

Facts are the JSON document on a stage run (`include.stage.facts`). Facet names and fields follow the OpenLineage
specification 2-0-2 (https://openlineage.io/docs/spec/facets); our own facet's schema lies in `schemas/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState
from openlineage.client.generated.base import RunFacet
from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
    Transformation,
)
from openlineage.client.generated.data_quality_assertions_dataset import (
    Assertion,
    DataQualityAssertionsDatasetFacet,
)
from openlineage.client.generated.data_quality_metrics_dataset import (
    ColumnMetrics,
    DataQualityMetricsDatasetFacet,
)
from openlineage.client.generated.dataset_type_dataset import DatasetTypeDatasetFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.datasource_dataset import DatasourceDatasetFacet
from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.ownership_dataset import Owner, OwnershipDatasetFacet
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields
from openlineage.client.generated.storage_dataset import StorageDatasetFacet

from include.lineage.naming import check_name
from include.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

PRODUCER = "https://throughline.example/throughline/0.1.0"
JOB_FACET = "throughline_job"
JOB_FACET_SCHEMA = (
    "https://throughline.example/spec/facets/1-0-0/ThroughlineJobRunFacet.json#/$defs/ThroughlineJobRunFacet"
)
METRICS = {"nullCount", "distinctCount", "sum", "count", "min", "max"}
TERMINAL = {RunState.COMPLETE.value, RunState.FAIL.value, RunState.ABORT.value}


@attrs.define(kw_only=True)
class ThroughlineJobRunFacet(RunFacet):
    """Which job a run works for, and the digests of what it read and made."""

    job_id: str
    dag_id: str
    run_id: str
    stage: str | None = None
    key: str | None = None
    attempt: int | None = None
    status: str | None = None
    reconciled: bool | None = None
    triggered_by: dict[str, str] | None = None
    inputs: list[dict[str, Any]] | None = None
    artifacts: list[dict[str, Any]] | None = None

    @staticmethod
    def _get_schema() -> str:
        return JOB_FACET_SCHEMA


def job_facet(facts: Mapping[str, Any], *, dag_id: str, run_id: str) -> ThroughlineJobRunFacet:
    """Return the facet that says which job, stage and digests a run stands for."""

    def named(item: Mapping[str, Any]) -> dict[str, Any]:
        kept = {
            "dataset": item["name"],
            "kind": item["kind"],
            "key": item.get("key", ""),
            "sha256": item["sha256"],
            "artifact_id": item["artifact_id"],
        }
        return {**kept, "reused": True} if item.get("reused_from") else kept

    return ThroughlineJobRunFacet(
        producer=PRODUCER,
        job_id=str(facts["job_id"]),
        dag_id=dag_id,
        run_id=run_id,
        stage=facts["stage"],
        key=facts.get("key") or None,
        attempt=facts.get("attempt"),
        status=facts.get("status"),
        inputs=[named(item) for item in facts.get("inputs", [])],
        artifacts=[named(item) for item in facts.get("outputs", [])],
    )


def declared(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (namespace, name) of declared datasets; ``https://host|path`` names a live source.

    >>> declared(("https://hn.example|v0/topstories.json",))
    [('https://hn.example', 'v0/topstories.json')]
    """
    found = []
    for name in names:
        namespace, bar, path = name.rpartition("|")
        found.append((namespace, path) if bar else (settings().namespace, check_name(name)))
    return found


def inputs_of(facts: Mapping[str, Any], declared_names: tuple[str, ...]) -> list[InputDataset]:
    """Return what a run read: the declared datasets and, where facts name them, their actual bytes."""
    return [
        InputDataset(
            namespace=namespace,
            name=name,
            facets=_dataset_facets(items),
            inputFacets=_input_facets(items) if items else {},
        )
        for namespace, name, items in _by_dataset(facts.get("inputs", []), declared_names)
    ]


def outputs_of(facts: Mapping[str, Any], declared_names: tuple[str, ...]) -> list[OutputDataset]:
    """Return what a run made, declared plus actual."""
    return [
        OutputDataset(
            namespace=namespace,
            name=name,
            facets=_dataset_facets(items),
            outputFacets=_output_facets(items) if items else {},
        )
        for namespace, name, items in _by_dataset(facts.get("outputs", []), declared_names)
    ]


def _by_dataset(
    items: list[Mapping[str, Any]], declared_names: tuple[str, ...]
) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Group items by dataset; declared ones first and always there, so that no event loses an edge."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {
        place: [] for place in declared(declared_names)
    }
    for item in items:
        grouped.setdefault((item["namespace"], item["name"]), []).append(item)
    return [(namespace, name, found) for (namespace, name), found in grouped.items()]


def _dataset_facets(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    last = items[-1] if items else {}
    facets: dict[str, Any] = {
        # Every dataset has one: a single output without it makes a real Marquez fail /sources for everybody.
        "dataSource": DatasourceDatasetFacet(
            producer=PRODUCER,
            name=settings().namespace if not last.get("uri", "").startswith("http") else "live",
            uri=last.get("uri") or "throughline://store",
        )
    }
    if not items:
        return facets
    digests = sorted({str(item["sha256"]) for item in items})
    facets["version"] = DatasetVersionDatasetFacet(
        producer=PRODUCER, datasetVersion=digests[0] if len(digests) == 1 else ",".join(digests)
    )
    facets["storage"] = StorageDatasetFacet(
        producer=PRODUCER, storageLayer="file", fileFormat=str(last.get("media_type", "")).rpartition("/")[2]
    )
    kind = "TABLE" if last["kind"] == "table" else "FILE"
    facets["datasetType"] = DatasetTypeDatasetFacet(producer=PRODUCER, datasetType=kind, subType=last["kind"])
    if owner := last.get("owner"):
        facets["ownership"] = OwnershipDatasetFacet(
            producer=PRODUCER, owners=[Owner(name=owner, type="OWNER")]
        )
    if schema := last.get("schema"):
        facets["schema"] = SchemaDatasetFacet(
            producer=PRODUCER,
            fields=[
                SchemaDatasetFacetFields(
                    name=field["name"], type=field.get("type"), description=field.get("description")
                )
                for field in schema
            ],
        )
    if lineage := last.get("column_lineage"):
        facets["columnLineage"] = _column_lineage(lineage)
    if quality := last.get("quality"):
        facets["dataQualityMetrics"] = DataQualityMetricsDatasetFacet(
            producer=PRODUCER,
            rowCount=quality.get("rowCount"),
            columnMetrics={
                column: ColumnMetrics(**{k: v for k, v in found.items() if k in METRICS})
                for column, found in quality.get("columnMetrics", {}).items()
            },
        )
    if assertions := last.get("assertions"):
        facets["dataQualityAssertions"] = DataQualityAssertionsDatasetFacet(
            producer=PRODUCER,
            assertions=[
                Assertion(assertion=a["assertion"], success=bool(a["success"]), column=a.get("column"))
                for a in assertions
            ],
        )
    return facets


def _column_lineage(body: Mapping[str, Any]) -> ColumnLineageDatasetFacet:
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


def _input_facets(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "inputStatistics": InputStatisticsInputDatasetFacet(
            producer=PRODUCER,
            rowCount=_total(items, "rows"),
            size=_total(items, "size_bytes"),
            fileCount=len(items),
        )
    }


def _output_facets(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "outputStatistics": OutputStatisticsOutputDatasetFacet(
            producer=PRODUCER,
            rowCount=_total(items, "rows"),
            size=_total(items, "size_bytes"),
            fileCount=len(items),
        )
    }


def _total(items: list[Mapping[str, Any]], field: str) -> int | None:
    values = [item[field] for item in items if item.get(field) is not None]
    return sum(values) if values else None
