"""Column lineage from a Polars plan: which input columns each output column is made from, and how."""

from include.lineage.columns.edges import Edge, Operation, PlanLineage
from include.lineage.columns.stubs import derive

__all__ = ["Edge", "Operation", "PlanLineage", "derive"]
