"""Find the newest end of a job at once."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_event_job", "event", ["job_name", "event_type", "seq"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_event_job", "event")
