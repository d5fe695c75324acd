"""The ledger's first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_blob_sha256")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )
    op.create_table(
        "job",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("theme", sa.Text(), nullable=True),
        sa.Column(
            "params", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("rehearsal", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('announced', 'running', 'completed', 'rejected', 'failed')",
            name=op.f("ck_job_status"),
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job")),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("job_namespace", sa.Text(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_event_job_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
        sa.UniqueConstraint("event_id", name=op.f("uq_event_event_id")),
    )
    op.create_index(op.f("ix_event_job_id"), "event", ["job_id"], unique=False)
    op.create_index(
        "ix_event_pending",
        "event",
        ["job_name", "seq"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )
    op.create_index("ix_event_run_id", "event", ["run_id", "seq"], unique=False)
    op.create_table(
        "job_run",
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_job_run_job_id")),
        sa.PrimaryKeyConstraint("dag_id", "run_id", name=op.f("pk_job_run")),
    )
    op.create_index(op.f("ix_job_run_job_id"), "job_run", ["job_id"], unique=False)
    op.create_table(
        "lead",
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_lead_job_id")),
        sa.PrimaryKeyConstraint("lead_id", name=op.f("pk_lead")),
    )
    op.create_index(op.f("ix_lead_job_id"), "lead", ["job_id"], unique=False)
    op.create_table(
        "stage_claim",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_stage_claim_job_id")),
        sa.PrimaryKeyConstraint("scope", "stage", "key", name=op.f("pk_stage_claim")),
    )
    op.create_index(op.f("ix_stage_claim_job_id"), "stage_claim", ["job_id"], unique=False)
    op.create_table(
        "stage_run",
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("claim_token", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=True),
        sa.Column("code_digest", sa.Text(), nullable=False),
        sa.Column("ol_run_id", sa.Uuid(), nullable=True),
        sa.Column("ol_job_name", sa.Text(), nullable=False),
        sa.Column("dag_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("map_index", sa.BigInteger(), nullable=False),
        sa.Column("try_number", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'reused', 'skipped', 'failed', 'stale')",
            name=op.f("ck_stage_run_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('succeeded', 'reused') OR facts IS NOT NULL", name=op.f("ck_stage_run_facts")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_stage_run_job_id")),
        sa.PrimaryKeyConstraint("stage_run_id", name=op.f("pk_stage_run")),
    )
    op.create_index(op.f("ix_stage_run_job_id"), "stage_run", ["job_id"], unique=False)
    op.create_index("ix_stage_run_ol_run_id", "stage_run", ["ol_run_id"], unique=False)
    op.create_index(
        "ix_stage_run_recipe",
        "stage_run",
        ["recipe"],
        unique=False,
        postgresql_where=sa.text("status = 'succeeded'"),
    )
    op.create_table(
        "template_version",
        sa.Column("template_version_id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_template_version_job_id")),
        sa.PrimaryKeyConstraint("template_version_id", name=op.f("pk_template_version")),
        sa.UniqueConstraint("template", "sha256", name=op.f("uq_template_version_template_sha256")),
    )
    op.create_index(op.f("ix_template_version_job_id"), "template_version", ["job_id"], unique=False)
    op.create_table(
        "trend",
        sa.Column("trend_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_trend_job_id")),
        sa.PrimaryKeyConstraint("trend_id", name=op.f("pk_trend")),
        sa.UniqueConstraint("platform", "external_id", name=op.f("uq_trend_platform_external_id")),
    )
    op.create_index(op.f("ix_trend_job_id"), "trend", ["job_id"], unique=False)
    op.create_table(
        "artifact",
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "facts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("reused_from", sa.Uuid(), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_artifact_job_id")),
        sa.ForeignKeyConstraint(
            ["reused_from"], ["artifact.artifact_id"], name=op.f("fk_artifact_reused_from")
        ),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_artifact_sha256")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_artifact_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("artifact_id", name=op.f("pk_artifact")),
    )
    op.create_index(op.f("ix_artifact_job_id"), "artifact", ["job_id"], unique=False)
    op.create_index("ix_artifact_job_id_kind_key", "artifact", ["job_id", "kind", "key"], unique=False)
    op.create_index("ix_artifact_sha256", "artifact", ["sha256"], unique=False)
    op.create_index(op.f("ix_artifact_stage_run_id"), "artifact", ["stage_run_id"], unique=False)
    op.create_index(
        "uq_artifact_current",
        "artifact",
        ["job_id", "kind", "key"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "cost",
        sa.Column("cost_id", sa.Uuid(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("amount_usd", sa.Numeric(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("amount_usd >= 0", name=op.f("ck_cost_amount")),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_cost_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_cost_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("cost_id", name=op.f("pk_cost")),
    )
    op.create_index(op.f("ix_cost_job_id"), "cost", ["job_id"], unique=False)
    op.create_index(op.f("ix_cost_stage_run_id"), "cost", ["stage_run_id"], unique=False)
    op.create_table(
        "layer_transition",
        sa.Column("layer_transition_id", sa.Uuid(), nullable=False),
        sa.Column("transition_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("source_layer", sa.Text(), nullable=False),
        sa.Column("target_layer", sa.Text(), nullable=False),
        sa.Column("source_files", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("target_file", sa.Text(), nullable=True),
        sa.Column("row_count_in", sa.BigInteger(), nullable=False),
        sa.Column("row_count_out", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("deduplicated", sa.BigInteger(), nullable=False),
        sa.Column("filtered", sa.BigInteger(), nullable=False),
        sa.Column("transforms_applied", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("errors", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("column_lineage", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "completed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status = 'failed' OR row_count_in = row_count_out + rejected + deduplicated + filtered",
            name=op.f("ck_layer_transition_balance"),
        ),
        sa.CheckConstraint(
            "status IN ('success', 'partial', 'failed')", name=op.f("ck_layer_transition_status")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_layer_transition_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_layer_transition_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("layer_transition_id", name=op.f("pk_layer_transition")),
        sa.UniqueConstraint("stage_run_id", name=op.f("uq_layer_transition_stage_run_id")),
    )
    op.create_index(op.f("ix_layer_transition_job_id"), "layer_transition", ["job_id"], unique=False)
    op.create_index(
        op.f("ix_layer_transition_transition_id"), "layer_transition", ["transition_id"], unique=False
    )
    op.create_table(
        "artifact_input",
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("input_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_artifact_input_artifact_id")
        ),
        sa.ForeignKeyConstraint(
            ["input_id"], ["artifact.artifact_id"], name=op.f("fk_artifact_input_input_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_artifact_input_job_id")),
        sa.PrimaryKeyConstraint("artifact_id", "input_id", name=op.f("pk_artifact_input")),
    )
    op.create_index(op.f("ix_artifact_input_input_id"), "artifact_input", ["input_id"], unique=False)
    op.create_index(op.f("ix_artifact_input_job_id"), "artifact_input", ["job_id"], unique=False)
    op.create_table(
        "generation_log",
        sa.Column("generation_log_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("prompt_sha256", sa.Text(), nullable=False),
        sa.Column("output_sha256", sa.Text(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("amount_usd", sa.Numeric(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_generation_log_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_generation_log_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_generation_log_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("generation_log_id", name=op.f("pk_generation_log")),
    )
    op.create_index(op.f("ix_generation_log_artifact_id"), "generation_log", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_generation_log_job_id"), "generation_log", ["job_id"], unique=False)
    op.create_table(
        "report_generation",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=True),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_report_generation_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_report_generation_job_id")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.lead_id"], name=op.f("fk_report_generation_lead_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_report_generation_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report_generation")),
    )
    op.create_index(
        op.f("ix_report_generation_artifact_id"), "report_generation", ["artifact_id"], unique=False
    )
    op.create_index(op.f("ix_report_generation_job_id"), "report_generation", ["job_id"], unique=False)
    op.create_index(op.f("ix_report_generation_lead_id"), "report_generation", ["lead_id"], unique=False)
    op.create_table(
        "report_lineage",
        sa.Column("report_lineage_id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("pipeline_run_id", sa.Uuid(), nullable=False),
        sa.Column("template_version_id", sa.Uuid(), nullable=False),
        sa.Column("inputs_artifact_id", sa.Uuid(), nullable=False),
        sa.Column("inputs_sha256", sa.Text(), nullable=False),
        sa.Column("inputs_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("compressed_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("capture_status", sa.Text(), nullable=False),
        sa.Column("capture_reason", sa.Text(), nullable=True),
        sa.Column("logs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "capture_status = 'full' OR capture_reason IS NOT NULL",
            name=op.f("ck_report_lineage_capture_reason"),
        ),
        sa.CheckConstraint(
            "capture_status IN ('full', 'truncated', 'degraded', 'disabled')",
            name=op.f("ck_report_lineage_capture"),
        ),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_report_lineage_artifact_id")
        ),
        sa.ForeignKeyConstraint(
            ["inputs_artifact_id"],
            ["artifact.artifact_id"],
            name=op.f("fk_report_lineage_inputs_artifact_id"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_report_lineage_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_report_lineage_stage_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_version.template_version_id"],
            name=op.f("fk_report_lineage_template_version_id"),
        ),
        sa.PrimaryKeyConstraint("report_lineage_id", name=op.f("pk_report_lineage")),
        sa.UniqueConstraint("artifact_id", name=op.f("uq_report_lineage_artifact_id")),
    )
    op.create_index(op.f("ix_report_lineage_artifact_id"), "report_lineage", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_report_lineage_job_id"), "report_lineage", ["job_id"], unique=False)
    op.create_index("ix_report_lineage_lead", "report_lineage", ["lead_id", "created_at"], unique=False)
    op.create_index(
        op.f("ix_report_lineage_pipeline_run_id"), "report_lineage", ["pipeline_run_id"], unique=False
    )
    op.create_table(
        "review_decision",
        sa.Column("review_decision_id", sa.Uuid(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("unattended", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("video_sha256", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_review_decision_decision")),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_review_decision_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_review_decision_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_review_decision_stage_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["video_sha256"], ["blob.sha256"], name=op.f("fk_review_decision_video_sha256")
        ),
        sa.PrimaryKeyConstraint("review_decision_id", name=op.f("pk_review_decision")),
    )
    op.create_index(op.f("ix_review_decision_artifact_id"), "review_decision", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_review_decision_job_id"), "review_decision", ["job_id"], unique=False)
    op.create_table(
        "scene",
        sa.Column("scene_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("visual", sa.Text(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_scene_artifact_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_scene_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_scene_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("scene_id", name=op.f("pk_scene")),
        sa.UniqueConstraint("artifact_id", "number", name=op.f("uq_scene_artifact_id_number")),
    )
    op.create_index(op.f("ix_scene_artifact_id"), "scene", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_scene_job_id"), "scene", ["job_id"], unique=False)
    op.create_table(
        "script",
        sa.Column("script_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("theme", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("target_s", sa.Double(), nullable=False),
        sa.Column("narration", sa.Text(), nullable=False),
        sa.Column("hashtags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_script_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_script_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_script_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("script_id", name=op.f("pk_script")),
    )
    op.create_index(op.f("ix_script_artifact_id"), "script", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_script_job_id"), "script", ["job_id"], unique=False)
    op.create_table(
        "table_version",
        sa.Column("table_version_id", sa.Uuid(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("transition_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_table_version_artifact_id")
        ),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_table_version_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("table_version_id", name=op.f("pk_table_version")),
        sa.UniqueConstraint(
            "layer",
            "table_name",
            "partition",
            "version",
            name=op.f("uq_table_version_layer_table_name_partition_version"),
        ),
    )
    op.create_index(op.f("ix_table_version_artifact_id"), "table_version", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_table_version_stage_run_id"), "table_version", ["stage_run_id"], unique=False)
    op.create_index(
        "uq_table_version_current",
        "table_version",
        ["layer", "table_name", "partition"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "trend_report",
        sa.Column("trend_report_id", sa.Uuid(), nullable=False),
        sa.Column("trend_count", sa.BigInteger(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_trend_report_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_trend_report_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_trend_report_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("trend_report_id", name=op.f("pk_trend_report")),
    )
    op.create_index(op.f("ix_trend_report_artifact_id"), "trend_report", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_trend_report_job_id"), "trend_report", ["job_id"], unique=False)
    op.create_table(
        "trend_snapshot",
        sa.Column("trend_snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("trend_id", sa.Uuid(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("components", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_trend_snapshot_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_trend_snapshot_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_trend_snapshot_stage_run_id")
        ),
        sa.ForeignKeyConstraint(["trend_id"], ["trend.trend_id"], name=op.f("fk_trend_snapshot_trend_id")),
        sa.PrimaryKeyConstraint("trend_snapshot_id", name=op.f("pk_trend_snapshot")),
        sa.UniqueConstraint("artifact_id", "trend_id", name=op.f("uq_trend_snapshot_artifact_id_trend_id")),
    )
    op.create_index(op.f("ix_trend_snapshot_artifact_id"), "trend_snapshot", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_trend_snapshot_job_id"), "trend_snapshot", ["job_id"], unique=False)
    op.create_index(op.f("ix_trend_snapshot_trend_id"), "trend_snapshot", ["trend_id"], unique=False)
    op.create_table(
        "video",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("fps", sa.Double(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_video_artifact_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_video_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_video_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video")),
    )
    op.create_index(op.f("ix_video_artifact_id"), "video", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_video_job_id"), "video", ["job_id"], unique=False)
    op.create_table(
        "voiceover",
        sa.Column("voiceover_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("voice", sa.Text(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("stage_run_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifact.artifact_id"], name=op.f("fk_voiceover_artifact_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name=op.f("fk_voiceover_job_id")),
        sa.ForeignKeyConstraint(
            ["stage_run_id"], ["stage_run.stage_run_id"], name=op.f("fk_voiceover_stage_run_id")
        ),
        sa.PrimaryKeyConstraint("voiceover_id", name=op.f("pk_voiceover")),
    )
    op.create_index(op.f("ix_voiceover_artifact_id"), "voiceover", ["artifact_id"], unique=False)
    op.create_index(op.f("ix_voiceover_job_id"), "voiceover", ["job_id"], unique=False)


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("ix_voiceover_job_id"), table_name="voiceover")
    op.drop_index(op.f("ix_voiceover_artifact_id"), table_name="voiceover")
    op.drop_table("voiceover")
    op.drop_index(op.f("ix_video_job_id"), table_name="video")
    op.drop_index(op.f("ix_video_artifact_id"), table_name="video")
    op.drop_table("video")
    op.drop_index(op.f("ix_trend_snapshot_trend_id"), table_name="trend_snapshot")
    op.drop_index(op.f("ix_trend_snapshot_job_id"), table_name="trend_snapshot")
    op.drop_index(op.f("ix_trend_snapshot_artifact_id"), table_name="trend_snapshot")
    op.drop_table("trend_snapshot")
    op.drop_index(op.f("ix_trend_report_job_id"), table_name="trend_report")
    op.drop_index(op.f("ix_trend_report_artifact_id"), table_name="trend_report")
    op.drop_table("trend_report")
    op.drop_index(
        "uq_table_version_current",
        table_name="table_version",
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_index(op.f("ix_table_version_stage_run_id"), table_name="table_version")
    op.drop_index(op.f("ix_table_version_artifact_id"), table_name="table_version")
    op.drop_table("table_version")
    op.drop_index(op.f("ix_script_job_id"), table_name="script")
    op.drop_index(op.f("ix_script_artifact_id"), table_name="script")
    op.drop_table("script")
    op.drop_index(op.f("ix_scene_job_id"), table_name="scene")
    op.drop_index(op.f("ix_scene_artifact_id"), table_name="scene")
    op.drop_table("scene")
    op.drop_index(op.f("ix_review_decision_job_id"), table_name="review_decision")
    op.drop_index(op.f("ix_review_decision_artifact_id"), table_name="review_decision")
    op.drop_table("review_decision")
    op.drop_index(op.f("ix_report_lineage_pipeline_run_id"), table_name="report_lineage")
    op.drop_index("ix_report_lineage_lead", table_name="report_lineage")
    op.drop_index(op.f("ix_report_lineage_job_id"), table_name="report_lineage")
    op.drop_index(op.f("ix_report_lineage_artifact_id"), table_name="report_lineage")
    op.drop_table("report_lineage")
    op.drop_index(op.f("ix_report_generation_lead_id"), table_name="report_generation")
    op.drop_index(op.f("ix_report_generation_job_id"), table_name="report_generation")
    op.drop_index(op.f("ix_report_generation_artifact_id"), table_name="report_generation")
    op.drop_table("report_generation")
    op.drop_index(op.f("ix_generation_log_job_id"), table_name="generation_log")
    op.drop_index(op.f("ix_generation_log_artifact_id"), table_name="generation_log")
    op.drop_table("generation_log")
    op.drop_index(op.f("ix_artifact_input_job_id"), table_name="artifact_input")
    op.drop_index(op.f("ix_artifact_input_input_id"), table_name="artifact_input")
    op.drop_table("artifact_input")
    op.drop_index(op.f("ix_layer_transition_transition_id"), table_name="layer_transition")
    op.drop_index(op.f("ix_layer_transition_job_id"), table_name="layer_transition")
    op.drop_table("layer_transition")
    op.drop_index(op.f("ix_cost_stage_run_id"), table_name="cost")
    op.drop_index(op.f("ix_cost_job_id"), table_name="cost")
    op.drop_table("cost")
    op.drop_index(
        "uq_artifact_current", table_name="artifact", postgresql_where=sa.text("superseded_at IS NULL")
    )
    op.drop_index(op.f("ix_artifact_stage_run_id"), table_name="artifact")
    op.drop_index("ix_artifact_sha256", table_name="artifact")
    op.drop_index("ix_artifact_job_id_kind_key", table_name="artifact")
    op.drop_index(op.f("ix_artifact_job_id"), table_name="artifact")
    op.drop_table("artifact")
    op.drop_index(op.f("ix_trend_job_id"), table_name="trend")
    op.drop_table("trend")
    op.drop_index(op.f("ix_template_version_job_id"), table_name="template_version")
    op.drop_table("template_version")
    op.drop_index(
        "ix_stage_run_recipe", table_name="stage_run", postgresql_where=sa.text("status = 'succeeded'")
    )
    op.drop_index("ix_stage_run_ol_run_id", table_name="stage_run")
    op.drop_index(op.f("ix_stage_run_job_id"), table_name="stage_run")
    op.drop_table("stage_run")
    op.drop_index(op.f("ix_stage_claim_job_id"), table_name="stage_claim")
    op.drop_table("stage_claim")
    op.drop_index(op.f("ix_lead_job_id"), table_name="lead")
    op.drop_table("lead")
    op.drop_index(op.f("ix_job_run_job_id"), table_name="job_run")
    op.drop_table("job_run")
    op.drop_index("ix_event_run_id", table_name="event")
    op.drop_index(
        "ix_event_pending",
        table_name="event",
        postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    )
    op.drop_index(op.f("ix_event_job_id"), table_name="event")
    op.drop_table("event")
    op.drop_table("job")
    op.drop_table("blob")
