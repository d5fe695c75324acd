"""Make a report again from what was captured of it; the proof is that the bytes are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.errors import InvalidInput
from include.reports import dossier, lead_audit
from include.reports.capture import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.reports.render import Typeset


def reproduce(
    inputs: bytes, *, pictures: Mapping[str, bytes] | None = None, sha256: str | None = None
) -> Typeset:
    """Return the report that follows from a captured document of inputs.

    In    inputs: the bytes of a `report_inputs` or `dossier_inputs` artifact; `pictures`: sha256 -> PNG bytes, for a
          dossier; `sha256`: the recorded digest of the inputs, when known
    Out   the PDF; equal to the stored one when template and typesetter are the versions its ``lineage.json`` names

    Raises ArtifactCorrupt for altered inputs, InvalidInput for what no gather stage made, and what rendering raises.
    """
    document = parse(inputs, sha256)
    if document["schema"] == lead_audit.SCHEMA:
        return lead_audit.make(document)
    if document["schema"] == dossier.SCHEMA:
        return dossier.make(document, pictures or {})
    raise InvalidInput(f"captured inputs of schema {document['schema']!r}: no report is made from that")
