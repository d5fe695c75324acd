"""Trigger forms: Airflow Params made from a family's pydantic model, and conf checked against the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Param
from pydantic import BaseModel, ValidationError

from include.errors import InvalidInput, UnknownParameter
from include.lineage.secrets import hide_sure

if TYPE_CHECKING:
    from collections.abc import Mapping

AIRFLOWS_OWN = frozenset({"openlineage"})  # TriggerDagRunOperator adds its parent information to conf


def form(model: type[BaseModel]) -> dict[str, Param]:
    """Return one Param per field of the model, with its title, description, default and limits."""
    schema = model.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    return {
        name: _param(_resolved(field, definitions), _default(model, name))
        for name, field in schema.get("properties", {}).items()
    }


def _holds_secret(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_secret(item) for item in value)
    return isinstance(value, str) and hide_sure(value) != value


def _default(model: type[BaseModel], name: str) -> Any:
    """Return a field's default as plain JSON."""
    default = model.model_fields[name].get_default(call_default_factory=True)
    if isinstance(default, list | tuple):
        return list(default)
    return default if default is None or isinstance(default, bool | int | float) else str(default)


def _resolved(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema without references and with nullable unions as one list of types."""
    if "$ref" in field:
        field = {
            **definitions[field["$ref"].rpartition("/")[2]],
            **{k: v for k, v in field.items() if k != "$ref"},
        }
    choices = field.get("anyOf")
    if choices:
        merged: dict[str, Any] = {"type": []}
        for choice in choices:
            merged |= {key: value for key, value in choice.items() if key != "type"}
            merged["type"].append(choice.get("type", "string"))
        field = {**merged, **{k: v for k, v in field.items() if k != "anyOf"}}
    return field


def _param(field: dict[str, Any], default: Any) -> Param:
    rest = {key: value for key, value in field.items() if key not in {"default", "description", "const"}}
    return Param(default, description=field.get("description"), **rest)


def read_conf(
    model: type[BaseModel], params: Mapping[str, Any], conf: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the validated parameters of a run, as plain JSON values.

    Raises UnknownParameter for a conf key that the form lacks, InvalidInput for a value that the model refuses or that
    holds a secret; both name the key.
    """
    known = set(model.model_fields)
    unknown = sorted(set(conf or {}) - known - AIRFLOWS_OWN)
    if unknown:
        raise UnknownParameter(
            f"conf: unknown key {', '.join(map(repr, unknown))}; known: {', '.join(sorted(known))}"
        )
    for name, value in (conf or {}).items():
        if name in known and _holds_secret(value):
            raise InvalidInput(
                f"conf: {name}: holds a login, key or token; name a connection or a setting instead"
            )
    given = {name: value for name, value in {**params, **(conf or {})}.items() if name in known}
    try:
        return model.model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "conf"
        raise InvalidInput(f"conf: {where}: {first['msg']} (given: {first.get('input')!r})") from error
