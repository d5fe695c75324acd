"""Every table of the ledger, one module per family."""

from include.ledger.models.core import (
    Artifact,
    ArtifactInput,
    Blob,
    BlobCheck,
    Cost,
    DatasetDeclaration,
    Event,
    Job,
    JobDeclaration,
    JobRun,
    StageClaim,
    StageRun,
)
from include.ledger.models.declarative import Base, Made, OfJob
from include.ledger.models.medallion import LayerTransition, TableVersion
from include.ledger.models.reports import Lead, ReportGeneration, ReportLineage, TemplateVersion
from include.ledger.models.video import (
    GenerationLog,
    ReviewDecision,
    Scene,
    Script,
    Trend,
    TrendReport,
    TrendSnapshot,
    Video,
    Voiceover,
)

__all__ = [
    "Artifact",
    "ArtifactInput",
    "Base",
    "Blob",
    "BlobCheck",
    "Cost",
    "DatasetDeclaration",
    "Event",
    "GenerationLog",
    "Job",
    "JobDeclaration",
    "JobRun",
    "LayerTransition",
    "Lead",
    "Made",
    "OfJob",
    "ReportGeneration",
    "ReportLineage",
    "ReviewDecision",
    "Scene",
    "Script",
    "StageClaim",
    "StageRun",
    "TableVersion",
    "TemplateVersion",
    "Trend",
    "TrendReport",
    "TrendSnapshot",
    "Video",
    "Voiceover",
]
