"""The unit of work: the only code path that can create an artifact."""

from include.stage.declared import Stage
from include.stage.unit import Outcome, run_stage
from include.stage.work import Coordinates, Input, SkipStage, Work

__all__ = ["Coordinates", "Input", "Outcome", "SkipStage", "Stage", "Work", "run_stage"]
