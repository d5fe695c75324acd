"""Whether events are valid: by the specification's schemas, and by what a Marquez 0.51.1 refuses or silently drops."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT.parent / "shared" / "openlineage-spec"
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"

NAMESPACE = re.compile(r"^[A-Za-z0-9:;=/_\-.@+]{1,1024}$")
DATASET = re.compile(r"^[A-Za-z][^#:]*$")
# What Marquez demands of the facets that it reads, as paths; [] goes through a list, {} through every value.
DEMANDED = {
    "jobType": ("processingType", "integration", "jobType"),
    "sql": ("query",),
    "documentation": ("description",),
    "nominalTime": ("nominalStartTime",),
    "parent": ("run.runId", "job.namespace", "job.name"),
    "schema": ("fields.[].name",),
    "symlinks": ("identifiers.[].namespace", "identifiers.[].name"),
    "columnLineage": tuple(f"fields.{{}}.inputFields.[].{name}" for name in ("namespace", "name", "field")),
}


def missing(value: Any, path: str) -> bool:
    """Whether a value lacks what a path leads to, anywhere.

    >>> missing({"fields": [{"name": "a"}, {}]}, "fields.[].name"), missing({}, "query"), missing({"a": 1}, "a")
    (True, True, False)
    """
    word, _, rest = path.partition(".")
    if word in {"[]", "{}"}:
        return any(missing(one, rest) for one in (value if word == "[]" else value.values()))
    found = value.get(word) if isinstance(value, dict) else None
    return found is None or (bool(rest) and missing(found, rest))


@dataclass
class Validity:
    """Checks events one by one; `facets` counts those that had a schema to be held against."""

    facets: int = 0
    _validators: dict[str, Draft202012Validator] = field(default_factory=dict)

    @cached_property
    def documents(self) -> dict[str, Any]:
        own = ROOT / "include" / "lineage" / "schemas"
        files = [SPEC / "OpenLineage.json", *(SPEC / "facets").glob("*.json"), *own.glob("*.json")]
        schemas = (json.loads(path.read_text()) for path in files)
        return {schema["$id"]: schema for schema in schemas}

    @cached_property
    def _registry(self) -> Registry[Any]:
        return Registry().with_resources(
            [(name, Resource.from_contents(schema)) for name, schema in self.documents.items()]
        )

    def problems(self, events: Iterable[dict[str, Any]], kind: str) -> list[str]:
        """Everything that is wrong with events of a kind: RunEvent, JobEvent or DatasetEvent."""
        return [
            f"{event['job']['name']} {event.get('eventType', kind)}: {problem}"
            for event in events
            for problem in (*self._by_schema(event, f"{CORE}{kind}"), *self._by_marquez(event))
        ]

    def _by_schema(self, event: dict[str, Any], schema: str) -> Iterator[str]:
        if not SPEC.is_dir():
            return
        yield from self._violations(schema, event)
        for name, facet in facets_of(event):
            document = facet["_schemaURL"].split("#")[0]
            if document not in self.documents:
                continue  # Airflow's own facets have schemas of their own
            self.facets += 1
            yield from self._violations(facet["_schemaURL"], facet)
            names = self.documents[document].get("properties", {name: None})  # one document names none
            if name not in names:
                yield f"{name} is not the name of {document}"

    def _violations(self, schema: str, value: Any) -> Iterator[str]:
        if schema not in self._validators:
            self._validators[schema] = Draft202012Validator(
                {"$ref": schema}, registry=self._registry, format_checker=FormatChecker()
            )
        for one in self._validators[schema].iter_errors(value):
            yield f"{schema}: {one.json_path}: {one.message}"

    def _by_marquez(self, event: dict[str, Any]) -> Iterator[str]:
        places = [event["job"], *(event.get("inputs") or []), *(event.get("outputs") or [])]
        for place in places:
            if not NAMESPACE.match(place["namespace"]):
                yield f"namespace {place['namespace']!r} is refused"
        for dataset in places[1:]:
            if not DATASET.match(dataset["name"]):
                yield f"dataset {dataset['name']!r} cannot be named in a node id"
        for name, facet in facets_of(event):
            for needed in ("_producer", "_schemaURL", *DEMANDED.get(name, ())):
                if missing(facet, needed):
                    yield f"facet {name} lacks {needed}"
        yield from self._dropped_columns(event)

    def _dropped_columns(self, event: dict[str, Any]) -> Iterator[str]:
        """Column lineage to a column that the schema lacks, or from what is no input, is dropped without a word."""
        read = {(one["namespace"], one["name"]) for one in event.get("inputs") or []}
        for output in event.get("outputs") or []:
            facets = output.get("facets") or {}
            made = {column["name"] for column in facets.get("schema", {}).get("fields", [])}
            for column, told in facets.get("columnLineage", {}).get("fields", {}).items():
                if column not in made:
                    yield f"{output['name']}.{column} has column lineage and is not in the schema"
                for source in told["inputFields"]:
                    if (source["namespace"], source["name"]) not in read:
                        yield f"{output['name']}.{column} comes from {source['name']}, which is no input"


def facets_of(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every facet of an event, with its name."""
    holders = [event.get("run", {}).get("facets"), event["job"].get("facets")]
    for item in [*(event.get("inputs") or []), *(event.get("outputs") or [])]:
        holders += [item.get("facets"), item.get("inputFacets"), item.get("outputFacets")]
    for facets in holders:
        yield from (facets or {}).items()
