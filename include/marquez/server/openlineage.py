"""OpenLineage events as Marquez reads them: what it refuses, what it types, and how it writes an event out again.

A typed facet keeps its declared fields and every other property; a property that is null is as good as absent.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import orjson

from include.marquez.server import exact_json
from include.marquez.server.identity import run_uuid
from include.marquez.server.times import finite_time, parse_time, told_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID

Json = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name of a job or dataset."""

MAX_DEPTH = 200
"""Nesting of JSON beyond which an event is refused; deeper documents exhaust the parser's stack."""
MAX_NAMESPACE = 1024
"""Bytes of UTF-8; ordered indexes hold no more of it beside a name."""


REQUESTED = "urn:marquez:request"
"""Producer of the facets that the server itself makes from a request that is no event; they are never shown."""
REQUESTED_RUN = "requestedRun"
"""Run facet that holds what such a request says of a run: its arguments and nominal times."""
REQUESTED_NAME = "requestedName"
"""Dataset facet that holds the physical name that such a request gives a dataset, where it is not its name."""


def requested(facet: Any) -> bool:
    """Return whether the server made this facet itself."""
    return isinstance(facet, dict) and facet.get("_producer") == REQUESTED


def requested_run(run_facets: Json) -> Json:
    """Return what a request says of a run it opened; nothing for a run that only events tell of."""
    facet = run_facets.get(REQUESTED_RUN)
    return (
        facet if isinstance(facet, dict) and requested(facet) and isinstance(facet.get("args"), dict) else {}
    )


def requested_name(facets: Json) -> str | None:
    """Return the physical name that a request gives a dataset of these facets; None for one that it does not name."""
    facet = facets.get(REQUESTED_NAME)
    name = facet.get("name") if isinstance(facet, dict) and requested(facet) else None
    return name if isinstance(name, str) else None


class Refused(Exception):
    """An event that is not taken; `status` and `body` are the answer to its sender."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def malformed(message: str) -> NoReturn:
    """Refuse text that is not an event at all."""
    raise Refused(400, {"code": 400, "message": message})


@dataclass(frozen=True)
class Dataset:
    """A dataset as one event tells it; facets are plain JSON without nulls."""

    name: Name
    facets: Json
    io_facets: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One accepted event.

    `order` sorts the events of a run or job by what happened, not by arrival: event time, then type, then digest. An event
    that is not `listed` was made from a request that was no event.
    """

    kind: Literal["R", "J", "D"]
    digest: bytes
    time: datetime
    type: str | None
    body: str
    run: UUID | None = None
    job: Name | None = None
    run_facets: Json = field(default_factory=dict)
    job_facets: Json = field(default_factory=dict)
    parent: tuple[Name, UUID, str] | None = None
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    dataset: Dataset | None = None
    listed: bool = True

    @cached_property
    def order(self) -> tuple[str, int, str]:
        if requested_run(self.run_facets):  # opens the run, at whatever time it is said to have started
            return ("", 0, self.digest.hex())
        return (self.time.isoformat(timespec="microseconds"), RANK.get(self.type or "", 2), self.digest.hex())


RANK = {"START": 0, "RUNNING": 1, "OTHER": 2, "COMPLETE": 4, "ABORT": 5, "FAIL": 6}
"""Which of two events of one instant comes later."""


# --- reading ---------------------------------------------------------------------------------------------------------


def parse_json(raw: bytes) -> Any:
    """Return the JSON document, refusing what is not one. Lone surrogates become U+FFFD; NUL is refused.

    How deep a document nests is asked by `digest_of`, once per event.
    """
    if b"\\u0000" not in raw and not exact_json.long_numbers(raw):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # read again below, where what is wrong gets its name and what is merely odd is mended
    return _parse_slowly(raw)


def _parse_slowly(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        # Lone surrogates that a careless client wrote as bytes are readable; anything else is not UTF-8.
        try:
            text = raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            malformed(f"The request body is not UTF-8: {error.reason} at byte {error.start}")
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        malformed(f"The request body nests deeper than {MAX_DEPTH} levels")
    except ValueError as error:
        malformed(f"The request body is not JSON: {error}")
    return _clean(value, 0) if SUSPICIOUS.search(text) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number {text[:40]} is out of range")
    return value


SURROGATE = re.compile("[\ud800-\udfff]")
SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|[\ud800-\udfff]")


def _depth(value: Any, level: int) -> None:
    if level > MAX_DEPTH:
        malformed(f"The request body nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for item in value.values():
            if isinstance(item, dict | list):
                _depth(item, level + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                _depth(item, level + 1)


def _clean(value: Any, level: int) -> Any:
    if level > MAX_DEPTH:
        malformed(f"The request body nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if "\x00" in value:
            malformed("The request body holds the character NUL, which cannot be stored")
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_clean(key, level + 1): _clean(item, level + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, level + 1) for item in value]
    return value


SPARE_LEVELS = 254 - MAX_DEPTH
"""orjson writes 254 levels; the rest stays free for what an answer puts around an event."""


def digest_of(value: Any) -> tuple[bytes, str]:
    """Return the identity of an event (SHA-256 of its canonical JSON) and that JSON; refuse what nests too deep."""
    nested = value
    for _ in range(SPARE_LEVELS):
        nested = [nested]
    try:
        raw = orjson.dumps(nested, option=orjson.OPT_SORT_KEYS)[SPARE_LEVELS:-SPARE_LEVELS]
    except TypeError:  # too deep, or an integer beyond 64 bits
        _depth(value, 0)
        raw = exact_json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(raw).digest(), raw.decode()


def read_event(value: Any) -> Event:
    """Return the event that a JSON document tells; the document is used up: the event keeps and changes parts of it.

    Raises
    ------
    Refused
        400 for a document of the wrong shape, 422 naming every missing field; nothing may be stored then.
    """
    if value is None:
        raise Refused(422, {"errors": ["The request body must not be null"]})
    if not isinstance(value, dict):
        malformed(f"An event is a JSON object, not {_kind(value)}")
    digest, body = digest_of(value)
    if "null" in body:
        value = without_nulls(value)
    schema_url = value.get("schemaURL")
    if schema_url is not None:
        schema_url = scalar(schema_url, "schemaURL").strip()
        _uri(schema_url, "schemaURL")
    kind: Literal["R", "J", "D"] = "R"
    if isinstance(schema_url, str):
        last = schema_url.rsplit("/", 1)[-1]
        kind = "D" if last == "DatasetEvent" else "J" if last == "JobEvent" else "R"
    errors: list[str] = []
    time = _time(value.get("eventTime"), "eventTime", errors)
    if value.get("producer") is None:
        errors.append("producer must not be null")
    else:
        scalar(value["producer"], "producer")
    known: Json = {"kind": kind, "digest": digest, "type": None, "body": body}
    if kind == "D":
        known["dataset"] = _dataset(value.get("dataset"), "dataset", errors)
    else:
        known |= _job(value.get("job"), errors)
        if kind == "R":
            known |= _run(value.get("run"), errors)
            event_type = value.get("eventType")
            known["type"] = None if event_type in (None, "") else scalar(event_type, "eventType").upper()
        for side in ("inputs", "outputs"):
            datasets = (
                _dataset(item, f"{side}[{i}]", errors) for i, item in enumerate(_list(value.get(side), side))
            )
            known[side] = tuple(dataset for dataset in datasets if dataset is not None)
    if errors:
        raise Refused(422, {"errors": errors})
    return Event(time=time or datetime.max.replace(tzinfo=UTC), **known)


def _job(job: Any, errors: list[str]) -> Json:
    if job is None:
        errors.append("job must not be null")
        return {}
    _object(job, "job")
    namespace, name = _text(job, "namespace", "job", errors), _text(job, "name", "job", errors)
    facets = _facets(job.get("facets"), "job.facets", JOB_FACETS, errors)
    return {"job": (safe_namespace(namespace, "job.namespace", errors), name), "job_facets": facets}


def _run(run: Any, errors: list[str]) -> Json:
    if run is None:
        errors.append("run must not be null")
        return {}
    _object(run, "run")
    given = run.get("runId")
    if given is None:
        errors.append("run.runId must not be null")
        return {}
    facets = _facets(run.get("facets"), "run.facets", RUN_FACETS, errors)
    known: Json = {"run": run_uuid(scalar(given, "run.runId")), "run_facets": facets}
    parent = facets.get("parent")
    if parent and not errors:
        job, parent_run = parent["job"], str(parent["run"]["runId"])
        namespace = safe_namespace(str(job["namespace"]), "run.facets.parent.job.namespace", errors)
        known["parent"] = ((namespace, str(job["name"])), run_uuid(parent_run), parent_run)
    return known


def _dataset(dataset: Any, path: str, errors: list[str]) -> Dataset | None:
    if dataset is None:
        errors.append(f"{path} must not be null")
        return None
    _object(dataset, path)
    namespace, name = _text(dataset, "namespace", path, errors), _text(dataset, "name", path, errors)
    _check_length(namespace, f"{path}.namespace", errors)
    facets = _facets(dataset.get("facets"), f"{path}.facets", DATASET_FACETS, errors)
    side = "inputFacets" if path.startswith("inputs") else "outputFacets"
    io_facets = _facets(dataset.get(side), f"{path}.{side}", {}, errors)
    return Dataset((namespace, name), facets, io_facets)


NOT_NAMESPACE = re.compile(r"[^A-Za-z0-9:;=/_\-.@+]")
"""What a namespace that a request names may not hold."""
REWRITTEN = re.compile(r"[^A-Za-z0-9:/_\-.@+]")


def safe_namespace(text: str, path: str, errors: list[str]) -> str:
    """Return a job namespace with the characters that Marquez does not keep replaced by ``_``.

    >>> safe_namespace("name space;x", "job.namespace", [])
    'name_space_x'
    """
    _check_length(text, path, errors)
    return REWRITTEN.sub("_", text)


# --- facets ----------------------------------------------------------------------------------------------------------


def _check_nominal_time(facet: Json, path: str, errors: list[str]) -> None:
    for key, missing in (("nominalStartTime", errors), ("nominalEndTime", [])):  # an end may be left out
        told = facet.pop(key, None)
        if _time(told, f"{path}.{key}", missing):
            facet[key] = told_time(told)


def _check_parent(facet: Json, path: str, errors: list[str]) -> None:
    for part, required in (("run", ("runId",)), ("job", ("namespace", "name"))):
        value = facet.get(part)
        if value is None:
            errors.append(f"{path}.{part} must not be null")
            continue
        if part == "run" and isinstance(value, str):  # a run that is no object is named by its id alone
            value = {"runId": value}
        _object(value, f"{path}.{part}")
        for key in required:
            _text(value, key, f"{path}.{part}", errors, blank=part == "run")
        facet[part] = {
            key: scalar(value[key], f"{path}.{part}.{key}") for key in required if value.get(key) is not None
        }


def _check_schema(facet: Json, path: str, errors: list[str]) -> None:
    for i, item in enumerate(_list(facet.get("fields"), f"{path}.fields")):
        if item is None:
            errors.append(f"{path}.fields[{i}] must not be null")
            continue
        _object(item, f"{path}.fields[{i}]")
        if item.get("name") is None:
            errors.append(f"{path}.fields[{i}].name must not be null")
        elif not scalar(item["name"], f"{path}.fields[{i}].name").strip():
            malformed(f"{path}.fields[{i}].name must not be blank")
        for key in ("name", "type", "description"):
            if item.get(key) is not None:
                item[key] = scalar(item[key], f"{path}.fields[{i}].{key}")


def _check_symlinks(facet: Json, path: str, errors: list[str]) -> None:
    for i, item in enumerate(_list(facet.get("identifiers"), f"{path}.identifiers")):
        _object(item, f"{path}.identifiers[{i}]")
        for key in ("namespace", "name"):
            item[key] = _text(item, key, f"{path}.identifiers[{i}]", errors)
        _scalars("type")(item, f"{path}.identifiers[{i}]", errors)
        _check_length(item["namespace"], f"{path}.identifiers[{i}].namespace", errors)


def _check_column_lineage(facet: Json, path: str, errors: list[str]) -> None:
    fields = facet.get("fields")
    if fields is None:
        return
    _object(fields, f"{path}.fields")
    for name, output in fields.items():
        if output is None:
            continue
        _object(output, f"{path}.fields.{name}")
        _scalars("transformationDescription", "transformationType")(output, f"{path}.fields.{name}", errors)
        for i, item in enumerate(_list(output.get("inputFields"), f"{path}.fields.{name}.inputFields")):
            if item is not None:
                _object(item, f"{path}.fields.{name}.inputFields[{i}]")
                _scalars("namespace", "name", "field")(item, f"{path}.fields.{name}.inputFields[{i}]", errors)


def columns_told(facets: Json) -> Iterator[tuple[str, Json, Json]]:
    """Yield each column of a column lineage facet, how it is made, and a field that it is made from.

    A field that is not named whole says nothing, and is left out.
    """
    for name, output in (facets.get("columnLineage", {}).get("fields") or {}).items():
        for item in output.get("inputFields") or ():
            if item and all(item.get(key, "").strip() for key in ("namespace", "name", "field")):
                yield name, output, item


def _needs(*keys: str) -> Callable[[Json, str, list[str]], None]:
    def check(facet: Json, path: str, errors: list[str]) -> None:
        for key in keys:
            if facet.get(key) is None:
                errors.append(f"{path}.{key} must not be null")
            else:
                facet[key] = scalar(facet[key], f"{path}.{key}")

    return check


def _scalars(*keys: str) -> Callable[[Json, str, list[str]], None]:
    def check(facet: Json, path: str, errors: list[str]) -> None:
        for key in keys:
            if facet.get(key) is not None:
                facet[key] = scalar(facet[key], f"{path}.{key}")

    return check


@dataclass(frozen=True)
class Typed:
    """A facet that Marquez knows: its declared fields, in the order it writes them, and what it demands of them."""

    fields: tuple[str, ...]
    check: Callable[[Json, str, list[str]], None]


RUN_FACETS: Mapping[str, Typed] = {
    "nominalTime": Typed(("nominalStartTime", "nominalEndTime"), _check_nominal_time),
    "parent": Typed(("run", "job"), _check_parent),
}
JOB_FACETS: Mapping[str, Typed] = {
    "documentation": Typed(("description",), _needs("description")),
    "sourceCodeLocation": Typed(("type", "url"), _scalars("type", "url")),
    "sql": Typed(("query",), _needs("query")),
    "jobType": Typed(
        ("processingType", "integration", "jobType"), _needs("processingType", "integration", "jobType")
    ),
}
DATASET_FACETS: Mapping[str, Typed] = {
    "documentation": Typed(("description",), _needs("description")),
    "schema": Typed(("fields",), _check_schema),
    "dataSource": Typed(("name", "uri"), _scalars("name", "uri")),
    "lifecycleStateChange": Typed(("lifecycleStateChange",), _scalars("lifecycleStateChange")),
    "columnLineage": Typed(("fields",), _check_column_lineage),
    "symlinks": Typed(("identifiers",), _check_symlinks),
}


def _facets(value: Any, path: str, typed: Mapping[str, Typed], errors: list[str]) -> Json:
    if value is None:
        return {}
    _object(value, path)
    facets: Json = {}
    for name, facet in value.items():
        key = "parent" if name == "parentRun" and typed is RUN_FACETS else name
        facets[key] = facet
        known = typed.get(key)
        if known is None:
            continue
        _object(facet, f"{path}.{key}")
        for required in ("_producer", "_schemaURL"):
            if facet.get(required) is None:
                errors.append(f"{path}.{key}.{required} must not be null")
            else:
                facet[required] = scalar(facet[required], f"{path}.{key}.{required}")
                _uri(facet[required].strip(), f"{path}.{key}.{required}")
        known.check(facet, f"{path}.{key}", errors)
    return facets


def without_nulls(value: Any) -> Any:
    """Return the JSON value without the properties that are null, at any depth.

    >>> without_nulls({"a": None, "b": [{"c": None, "d": 1}]})
    {'b': [{'d': 1}]}
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


# --- values ----------------------------------------------------------------------------------------------------------


def _time(value: Any, path: str, errors: list[str]) -> datetime | None:
    moment = read_time(value, path)
    if moment is None:
        errors.append(f"{path} must not be null")
    return moment


def read_time(value: Any, path: str) -> datetime | None:
    """Return the instant of ISO text or of a number of seconds; None for null and for no text."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return None
    if isinstance(text, int | float) and not isinstance(text, bool):
        try:
            return finite_time(datetime.fromtimestamp(text, UTC))
        except (ValueError, OverflowError, OSError):
            malformed(f"{path}: {value} is not an instant")
    moment = parse_time(text) if isinstance(text, str) else None
    if moment is None:
        malformed(f"{path}: {str(value)[:60]!r} is not an ISO date-time such as 2026-11-15T01:00:00Z")
    return moment


def _text(value: Json, key: str, path: str, errors: list[str], *, blank: bool = False) -> str:
    found = value.get(key)
    if found is None:
        errors.append(f"{path}.{key} must not be null")
        return ""
    text = scalar(found, f"{path}.{key}")
    if not blank and not text.strip():
        errors.append(f"{path}.{key} must not be blank")
    return text


def _check_length(namespace: str, path: str, errors: list[str]) -> None:
    if len(namespace) > MAX_NAMESPACE // 4 and len(namespace.encode()) > MAX_NAMESPACE:
        errors.append(f"{path} must not be longer than {MAX_NAMESPACE} bytes")


def scalar(value: Any, path: str) -> str:
    """Return the text of a string, number or boolean; refuse anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    malformed(f"{path}: a string is expected, not {_kind(value)}")


def _object(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        malformed(f"{path}: an object is expected, not {_kind(value)}")


def _list(value: Any, path: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        malformed(f"{path}: an array is expected, not {_kind(value)}")
    return value


SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
PATH_BEGINS = re.compile(r"[/?#]")
NOT_URI = re.compile(r"[\s<>\"{}|\\^`\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})")


def _uri(value: Any, path: str) -> None:
    if not is_uri(value):
        malformed(f"{path}: {str(value)[:60]!r} is not a URI")


def is_uri(value: Any) -> bool:
    """Return whether a value is text that may stand as a URI."""
    # Producers repeat a few short URIs in every facet; long ones are not worth remembering.
    return isinstance(value, str) and (_is_uri if len(value) <= 300 else _is_uri.__wrapped__)(value)


@lru_cache(maxsize=2048)
def _is_uri(text: str) -> bool:
    if NOT_URI.search(text):
        return False
    scheme, colon, rest = text.partition(":")
    if not colon or PATH_BEGINS.search(scheme):
        return text != "//"
    return bool(SCHEME.fullmatch(scheme)) and rest not in ("", "//") and rest[0] != "#"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "something else")


# --- writing an event out again -------------------------------------------------------------------------------------


def rendered(body: str) -> Json:
    """Return a stored run event as Marquez answers it: typed facets with every declared field, times in UTC."""
    event: Json = exact_json.loads(body)
    answer: Json = {
        "eventType": _rendered_text(event.get("eventType")),
        "eventTime": told_time(event["eventTime"]),
    }
    run = event["run"]
    answer["run"] = {
        "runId": _rendered_text(run["runId"]),
        "facets": _rendered_facets(run.get("facets"), RUN_FACETS),
    }
    answer["run"] |= {key: item for key, item in run.items() if key not in ("runId", "facets")}
    job = event["job"]
    answer["job"] = {
        "namespace": _rendered_text(job["namespace"]),
        "name": _rendered_text(job["name"]),
        "facets": _rendered_facets(job.get("facets"), JOB_FACETS),
    }
    answer["job"] |= {key: item for key, item in job.items() if key not in ("namespace", "name", "facets")}
    for side in ("inputs", "outputs"):
        given = event.get(side)
        answer[side] = None if given is None else [_rendered_dataset(item) for item in given]
    answer |= {key: _rendered_text(event.get(key)) for key in ("producer", "schemaURL")}
    done = {*answer, "run", "job", "inputs", "outputs"}
    return answer | {key: item for key, item in event.items() if key not in done}


def _rendered_dataset(dataset: Json) -> Json:
    answer: Json = {
        "namespace": _rendered_text(dataset["namespace"]),
        "name": _rendered_text(dataset["name"]),
        "facets": _rendered_facets(dataset.get("facets"), DATASET_FACETS),
        "inputFacets": dataset.get("inputFacets"),
        "outputFacets": dataset.get("outputFacets"),
    }
    for side in ("inputFacets", "outputFacets"):
        if answer[side] is not None:
            answer[side] = without_nulls(answer[side])
    return answer | {key: item for key, item in dataset.items() if key not in answer}


def _rendered_facets(facets: Json | None, typed: Mapping[str, Typed]) -> Json | None:
    if facets is None:
        return None
    answer: Json = dict.fromkeys(typed)
    if typed is DATASET_FACETS:
        answer["description"] = None
    for name, facet in facets.items():
        key = "parent" if name == "parentRun" and typed is RUN_FACETS else name
        known = typed.get(key)
        if facet is None:
            continue
        if known is None or not isinstance(facet, dict):
            answer[key] = without_nulls(facet)
            continue
        whole: Json = {item: _rendered_text(facet.get(item)) for item in ("_producer", "_schemaURL")}
        whole |= {item: facet.get(item) for item in known.fields}
        if key not in _RENDER:
            whole = {item: _rendered_text(value) for item, value in whole.items()}
        whole |= {
            item: without_nulls(other)
            for item, other in facet.items()
            if item not in whole and other is not None
        }
        answer[key] = _RENDER[key](whole) if key in _RENDER else whole
    return answer


def _render_nominal(facet: Json) -> Json:
    for key in ("nominalStartTime", "nominalEndTime"):
        if facet[key] is not None:
            facet[key] = told_time(facet[key])
    return facet


def _render_parent(facet: Json) -> Json:
    run, job = facet["run"], facet["job"]
    facet["run"] = {"runId": _rendered_text(run.get("runId") if isinstance(run, dict) else run)}
    facet["job"] = {key: _rendered_text(job.get(key)) for key in ("namespace", "name")}
    return facet


def _render_schema(facet: Json) -> Json:
    if facet["fields"] is not None:
        facet["fields"] = [
            {key: _rendered_text(item.get(key)) for key in ("name", "type", "description")}
            | {
                key: without_nulls(other)
                for key, other in item.items()
                if key not in ("name", "type", "description")
            }
            for item in facet["fields"]
        ]
    return facet


def _render_column_lineage(facet: Json) -> Json:
    if facet["fields"] is not None:
        facet["fields"] = {
            name: None
            if output is None
            else {
                "inputFields": output.get("inputFields"),
                "transformationDescription": output.get("transformationDescription"),
                "transformationType": output.get("transformationType"),
            }
            for name, output in facet["fields"].items()
        }
    return facet


_RENDER: Mapping[str, Callable[[Json], Json]] = {
    "nominalTime": _render_nominal,
    "parent": _render_parent,
    "schema": _render_schema,
    "columnLineage": _render_column_lineage,
}


def _rendered_text(value: Any) -> Any:
    """Return the text that a number or boolean stands for where text is declared; anything else as it is."""
    return scalar(value, "") if isinstance(value, bool | int | float) else value


def walk_datasets(event: Event) -> Iterator[Dataset]:
    """Yield every dataset of an event: inputs, outputs, the dataset itself."""
    yield from event.inputs
    yield from event.outputs
    if event.dataset is not None:
        yield event.dataset
