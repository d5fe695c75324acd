"""Facts: the one JSON document on a stage run, from which every event of the run can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.stage.work import Input, Pending, Work

FACET_FACTS = ("rows", "schema", "column_lineage", "quality", "assertions", "owner", "partition", "uri")


def document(
    work: Work, *, attempt: int, status: str, result: dict[str, Any], made: bool = True
) -> dict[str, Any]:
    """Return the facts of an attempt: what it read and, when `made`, what it made.

    Keys: version, job_id, family, stage, key, attempt, status, recipe, code_digest, declared, inputs, outputs, result.
    An input or output has namespace, name (its dataset), artifact_id, sha256, kind, key, media_type, size_bytes, and
    whichever of rows, schema, column_lineage, quality, assertions, owner, partition, uri are known; an output also has
    lifecycle (CREATE, OVERWRITE) where it changed what was there. The facts of a failed attempt have error, scrubbed.
    """
    outputs = [_of_pending(item, work) for item in work.pending if item.kind != "source"] if made else []
    return {
        "version": 1,
        "job_id": str(work.job_id),
        "family": work.declared.family,
        "stage": work.stage,
        "key": work.key,
        "attempt": attempt,
        "status": status,
        "recipe": work.recipe,
        "code_digest": work.code_digest,
        "declared": {"inputs": list(work.declared.inputs), "outputs": list(work.declared.outputs)},
        "inputs": [_of_input(item, work) for item in work.read.values()],
        "outputs": outputs,
        "result": result,
    }


def _of_input(item: Input, work: Work) -> dict[str, Any]:
    known = {
        name: item.facts[name] for name in FACET_FACTS if name in item.facts and name != "column_lineage"
    }
    return {
        "namespace": item.namespace,
        "name": item.dataset,
        "artifact_id": str(item.artifact_id),
        "sha256": item.sha256,
        "kind": item.kind,
        "key": item.key,
        "media_type": item.media_type,
        "size_bytes": item.size_bytes,
        "uri": _uri(item.path.relative_to(work.store.root).as_posix()),
        **known,
    }


def _of_pending(item: Pending, work: Work) -> dict[str, Any]:
    known = {name: item.facts[name] for name in FACET_FACTS if name in item.facts}
    return {
        "namespace": item.namespace,
        "name": item.dataset,
        "artifact_id": str(item.artifact_id),
        "sha256": item.blob.sha256,
        "kind": item.kind,
        "key": item.key,
        "media_type": item.blob.media_type,
        "size_bytes": item.blob.size_bytes,
        "uri": _uri(item.blob.path),
        **known,
    }


def _uri(path: str) -> str:
    """Return the portable address of a blob: relative to the store, the same on two machines."""
    return f"throughline://store/{path}"
