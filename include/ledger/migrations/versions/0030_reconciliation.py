"""Withdrawn ends of runs, and when each file of the store was last read back."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_writer') THEN
        GRANT SELECT ON blob_check TO throughline_writer, throughline_reader, throughline_relay,
            throughline_retention;
        GRANT INSERT, UPDATE ON blob_check TO throughline_writer;
        GRANT UPDATE (withdrawn_at) ON event TO throughline_relay;
    END IF;
END $$
"""


def upgrade() -> None:
    """Add the column and the table; a withdrawn event waits for no delivery."""
    op.add_column("event", sa.Column("withdrawn_at", sa.DateTime(timezone=True)))
    op.create_check_constraint(
        op.f("ck_event_withdrawn"), "event", "withdrawn_at IS NULL OR delivered_at IS NOT NULL"
    )
    op.create_table(
        "blob_check",
        sa.Column("sha256", sa.Text(), sa.ForeignKey("blob.sha256", name=op.f("fk_blob_check_sha256"))),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob_check")),
    )
    op.create_index(op.f("ix_blob_check_checked_at"), "blob_check", ["checked_at"])
    op.execute(GRANTS)


def downgrade() -> None:
    """Remove both; the grant goes with the column."""
    op.drop_table("blob_check")
    op.drop_constraint(op.f("ck_event_withdrawn"), "event", type_="check")
    op.drop_column("event", "withdrawn_at")
