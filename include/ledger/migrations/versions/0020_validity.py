"""A moment once written stays, and what was made from what is found at once in both directions."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None

# Lineage as of a time is derived from created_at and superseded_at: neither may be rewritten. Clocks that were set
# back, or a transaction that began earlier and committed later, must not end an interval before it began.
VALIDITY = """
CREATE FUNCTION superseded_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.superseded_at IS NOT NULL OR NEW.superseded_at IS NULL THEN
        RAISE EXCEPTION '% was superseded at %: that moment is final', TG_TABLE_NAME, OLD.superseded_at
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.superseded_at := greatest(NEW.superseded_at, OLD.created_at);
    RETURN NEW;
END $$
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_writer') THEN
        REVOKE UPDATE ON artifact, table_version FROM throughline_writer;
        GRANT UPDATE (superseded_at) ON artifact, table_version TO throughline_writer;
    END IF;
END $$
"""

UNGRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_writer') THEN
        GRANT UPDATE ON artifact, table_version TO throughline_writer;
    END IF;
END $$
"""


def upgrade() -> None:
    """Guard the moments; index the way from an artifact to those that took its bytes over, and from a dataset."""
    op.execute(VALIDITY)
    for table in ("artifact", "table_version"):
        op.execute(
            f"CREATE TRIGGER superseded_once BEFORE UPDATE OF superseded_at ON {table}"
            " FOR EACH ROW WHEN (NEW.superseded_at IS DISTINCT FROM OLD.superseded_at)"
            " EXECUTE FUNCTION superseded_once()"
        )
    op.execute(GRANTS)
    taken_over = sa.text("reused_from IS NOT NULL")
    op.create_index("ix_artifact_reused_from", "artifact", ["reused_from"], postgresql_where=taken_over)
    op.create_index("ix_artifact_dataset", "artifact", ["dataset"])


def downgrade() -> None:
    """Remove both."""
    op.drop_index("ix_artifact_dataset", "artifact")
    op.drop_index("ix_artifact_reused_from", "artifact")
    op.execute(UNGRANT)
    for table in ("artifact", "table_version"):
        op.execute(f"DROP TRIGGER superseded_once ON {table}")
    op.execute("DROP FUNCTION superseded_once")
