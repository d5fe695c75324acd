"""From facts to OpenLineage datasets and facets: one function each serves operators, declarations and made-up ends.

Facts are the JSON document on a stage run (`include.stage.facts`). Facet names and fields follow the OpenLineage
specification 2-0-2 (https://openlineage.io/docs/spec/facets); our own facet's schema lies in `../schemas`.
"""

from include.lineage.facets.dataset import (
    Declaration,
    Declare,
    declared,
    declared_facets,
    inputs_of,
    outputs_of,
)
from include.lineage.facets.run import (
    JOB_FACET,
    TERMINAL,
    ThroughlineJobRunFacet,
    error_of,
    job_facet,
)
from include.lineage.producer import PRODUCER

__all__ = [
    "JOB_FACET",
    "PRODUCER",
    "TERMINAL",
    "Declaration",
    "Declare",
    "ThroughlineJobRunFacet",
    "declared",
    "declared_facets",
    "error_of",
    "inputs_of",
    "job_facet",
    "outputs_of",
]
