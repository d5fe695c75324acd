"""The datasets that a run reads and makes: what is declared of them, and what their facts say.

A task asks for no declaration: importing a table's takes seconds on a busy machine, and the provider waits for an event
only so long. What a deployment declared is laid under a task's events when they are stored (`include.lineage.events`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.generated.dataset_type_dataset import DatasetTypeDatasetFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.datasource_dataset import DatasourceDatasetFacet
from openlineage.client.generated.documentation_dataset import DocumentationDatasetFacet
from openlineage.client.generated.lifecycle_state_change_dataset import (
    LifecycleStateChange,
    LifecycleStateChangeDatasetFacet,
)
from openlineage.client.generated.ownership_dataset import Owner, OwnershipDatasetFacet
from openlineage.client.generated.storage_dataset import StorageDatasetFacet
from openlineage.client.generated.tags_dataset import TagsDatasetFacet, TagsDatasetFacetFields

from include.lineage.facets.columns import column_lineage_facet, schema_facet
from include.lineage.facets.quality import quality_facets, read_facets, written_facets
from include.lineage.naming import check_name
from include.lineage.producer import PRODUCER, TAG_SOURCE
from include.settings import settings

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Declaration:
    """What is known of a dataset before anything is read or made.

    `kind` is its artifacts' kind (``table``, ``video``, ``source``), `form` the format of its files. `columns` have name,
    and perhaps type and description, and are left empty where a file may bring others; `personal` names the columns that
    hold personal data. A dataset without such columns says `classification` of itself.
    """

    description: str
    kind: str
    form: str = ""
    owner: str = ""
    classification: str = "internal"
    tags: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Mapping[str, str], ...] = ()
    personal: tuple[str, ...] = ()


Declare = Callable[[str, str], Declaration | None]
"""(namespace, name) -> what is declared of the dataset, None for an unknown one."""


def unknown(namespace: str, name: str) -> Declaration | None:
    """Declare nothing."""
    return None


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


def inputs_of(facts: Facts, names: tuple[str, ...], declare: Declare = unknown) -> list[InputDataset]:
    """Return what a run read: the declared datasets and, where facts name them, their actual bytes.

    Where neither tells the columns, as of a file that is read for the first time, they are those that outputs are made
    from: a Marquez keeps no column lineage from a field that it has not heard of.
    """
    columns = _columns_read(facts)
    return [
        InputDataset(
            namespace=namespace,
            name=name,
            facets=_facets(declare(namespace, name), items, columns.get((namespace, name), ())),
            inputFacets=read_facets(items) if items else {},
        )
        for namespace, name, items in _by_dataset(facts.get("inputs", []), names)
    ]


def outputs_of(facts: Facts, names: tuple[str, ...], declare: Declare = unknown) -> list[OutputDataset]:
    """Return what a run made, declared plus actual."""
    return [
        OutputDataset(
            namespace=namespace,
            name=name,
            facets={**_facets(declare(namespace, name), items), **_lifecycle(items)},
            outputFacets=written_facets(items) if items else {},
        )
        for namespace, name, items in _by_dataset(facts.get("outputs", []), names)
    ]


def _by_dataset(items: list[Facts], names: tuple[str, ...]) -> list[tuple[str, str, list[Facts]]]:
    """Group items by dataset; declared ones first and always there, so that no event loses an edge."""
    grouped: dict[tuple[str, str], list[Facts]] = {place: [] for place in declared(names)}
    for item in items:
        grouped.setdefault((item["namespace"], item["name"]), []).append(item)
    return [(namespace, name, found) for (namespace, name), found in grouped.items()]


def _columns_read(facts: Facts) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return, by dataset, the columns that the column lineage of what was made names."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for item in facts.get("outputs", []):
        lineage = item.get("column_lineage") or {"fields": {}}
        entries = [entry for column in lineage["fields"].values() for entry in column["inputFields"]]
        for entry in [*entries, *lineage.get("dataset", [])]:
            found.setdefault((entry["namespace"], entry["name"]), {})[entry["field"]] = None
    return {dataset: tuple(columns) for dataset, columns in found.items()}


def _facets(said: Declaration | None, items: list[Facts], columns: tuple[str, ...] = ()) -> dict[str, Any]:
    last = items[-1] if items else {}
    facets = {"dataSource": _source(last), **(declared_facets(said) if said else {})}
    if not items:
        return facets
    digests = sorted({str(item["sha256"]) for item in items})
    facets["version"] = DatasetVersionDatasetFacet(producer=PRODUCER, datasetVersion=",".join(digests))
    facets["storage"] = StorageDatasetFacet(
        producer=PRODUCER, storageLayer="file", fileFormat=_form(last) or None
    )
    facets["datasetType"] = _type(last["kind"])
    if owner := last.get("owner"):
        facets["ownership"] = _ownership(owner)
    if schema := last.get("schema"):
        facets["schema"] = schema_facet(schema)
    elif columns and "schema" not in facets:
        facets["schema"] = schema_facet({"name": column} for column in columns)
    if lineage := last.get("column_lineage"):
        facets["columnLineage"] = column_lineage_facet(lineage)
    return {**facets, **quality_facets(last)}


def declared_facets(said: Declaration) -> dict[str, Any]:
    """Return the facets of a declaration: documentation, type, storage, tags, and owner and schema where it has them."""
    facets: dict[str, Any] = {
        "documentation": DocumentationDatasetFacet(
            producer=PRODUCER, description=said.description, contentType="text/plain"
        ),
        "datasetType": _type(said.kind),
        "storage": StorageDatasetFacet(producer=PRODUCER, storageLayer="file", fileFormat=said.form or None),
        "tags": _tags(said),
    }
    if said.owner:
        facets["ownership"] = _ownership(said.owner)
    if said.columns:
        facets["schema"] = schema_facet(said.columns)
    return facets


def _source(last: Facts) -> DatasourceDatasetFacet:
    # Every dataset has one: a single output without it makes a real Marquez fail /sources for everybody.
    uri = str(last.get("uri") or "throughline://store")
    name = "live" if uri.startswith("http") else settings().namespace
    return DatasourceDatasetFacet(producer=PRODUCER, name=name, uri=uri)


def _type(kind: str) -> DatasetTypeDatasetFacet:
    return DatasetTypeDatasetFacet(
        producer=PRODUCER, datasetType="TABLE" if kind == "table" else "FILE", subType=kind
    )


def _ownership(owner: str) -> OwnershipDatasetFacet:
    return OwnershipDatasetFacet(producer=PRODUCER, owners=[Owner(name=owner, type="OWNER")])


def _tags(said: Declaration) -> TagsDatasetFacet:
    whole = {**said.tags, "classification": said.classification}
    tags = [TagsDatasetFacetFields(key=key, value=value, source=TAG_SOURCE) for key, value in whole.items()]
    tags += [
        TagsDatasetFacetFields(key="classification", value="personal", source=TAG_SOURCE, field=column)
        for column in said.personal
    ]
    return TagsDatasetFacet(producer=PRODUCER, tags=tags)


def _lifecycle(items: list[Facts]) -> dict[str, Any]:
    """Say CREATE, or OVERWRITE when one of the files took another's place; nothing when nothing changed."""
    changes = {item["lifecycle"] for item in items if item.get("lifecycle")}
    if not changes:
        return {}
    change = LifecycleStateChange.OVERWRITE if "OVERWRITE" in changes else LifecycleStateChange.CREATE
    return {
        "lifecycleStateChange": LifecycleStateChangeDatasetFacet(
            producer=PRODUCER, lifecycleStateChange=change
        )
    }


def _form(item: Facts) -> str:
    """Return the format of a file by its address: ``throughline://store/blobs/ab/ab12.parquet`` is parquet."""
    suffix = PurePosixPath(str(item.get("uri", ""))).suffix.removeprefix(".")
    return suffix or str(item.get("media_type", "")).rpartition("/")[2]
