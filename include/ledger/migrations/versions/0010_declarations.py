"""What a deployment declares of its jobs and datasets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_writer') THEN
        GRANT SELECT ON job_declaration, dataset_declaration TO throughline_writer, throughline_reader, throughline_relay,
            throughline_retention;
        GRANT INSERT ON job_declaration TO throughline_writer;
        GRANT INSERT, UPDATE ON dataset_declaration TO throughline_writer;
        GRANT UPDATE (attempts, next_at, delivered_at, dead_at, last_error) ON job_declaration
            TO throughline_relay, throughline_retention;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO throughline_writer;
    END IF;
END $$
"""


def upgrade() -> None:
    """Add the tables; a new job declaration wakes the relay."""
    op.create_table(
        "job_declaration",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_namespace", sa.Text(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_job_declaration")),
    )
    op.create_table(
        "dataset_declaration",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("facets", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", name=op.f("pk_dataset_declaration")),
    )
    op.create_index("ix_job_declaration_name", "job_declaration", ["job_namespace", "job_name", "seq"])
    op.execute(
        "CREATE TRIGGER event_wakes_relay AFTER INSERT ON job_declaration"
        " FOR EACH STATEMENT EXECUTE FUNCTION event_wakes_relay()"
    )
    op.execute(GRANTS)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("dataset_declaration")
    op.drop_table("job_declaration")
