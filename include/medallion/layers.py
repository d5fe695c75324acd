"""What each layer may do, read from the plan of its transform; a table that does more is refused before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.errors import QualityGateFailed
from include.medallion.contract import CARRIED, Layer

if TYPE_CHECKING:
    from include.lineage.columns import PlanLineage

PERMITTED: dict[str, frozenset[str]] = {
    "bronze": frozenset(),
    "silver": frozenset({"filter", "join", "sort", "unique"}),
    "gold": frozenset(
        {
            "aggregate",
            "explode",
            "filter",
            "group_by",
            "join",
            "reshape",
            "slice",
            "sort",
            "union",
            "unique",
            "unnest",
            "unpivot",
        }
    ),
}
PURPOSE = {
    "bronze": "bronze renames and casts, row for row",
    "silver": "silver cleans and chooses rows; aggregation belongs to gold",
    "gold": "gold derives what readers use",
}


def check(table: str, name: str, layer: Layer, plan: PlanLineage) -> None:
    """Raise QualityGateFailed when a transform breaks a rule of its layer; the message names table, layer and step.

    Rules: no step that the layer does not permit; every step gives the same rows in the same order each time; the
    provenance columns are handed on unchanged; the columns are those of the contract. A plan that cannot be read in full
    passes in gold only, where the result itself is checked.
    """
    where = f"{table}: the {name} transform"
    if not plan.exact:
        if name == "gold":
            return
        raise QualityGateFailed(f"{where} cannot be checked against the layer's rules: {plan.warnings[0]}")
    refused = sorted({step.name for step in plan.operations} - PERMITTED[name])
    if refused:
        raise QualityGateFailed(f"{where} does {', '.join(refused)}; {PURPOSE[name]}")
    loose = sorted(step.name for step in plan.operations if not step.ordered)
    if loose:
        raise QualityGateFailed(
            f"{where} does {', '.join(loose)} without a fixed order, so that the same rows give other bytes each time: "
            "use maintain_order, and keep='first' for unique"
        )
    lost = [column for column in CARRIED if not plan.carried(column)]
    if lost:
        raise QualityGateFailed(f"{where} drops or changes the provenance column {', '.join(lost)}")
    names = [column.name for column in layer.columns]
    found = [column for column in plan.columns if not column.startswith("_")]
    if sorted(names) != sorted(found):
        missing, extra = sorted(set(names) - set(found)), sorted(set(found) - set(names))
        raise QualityGateFailed(f"{where} differs from its contract: missing {missing}, not declared {extra}")
