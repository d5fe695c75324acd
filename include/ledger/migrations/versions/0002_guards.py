"""What the database itself refuses, and what each role may do."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ARTIFACT_GUARD = """
CREATE FUNCTION artifact_has_its_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE run stage_run%ROWTYPE;
        mention jsonb := jsonb_build_array(jsonb_build_object(
            'artifact_id', NEW.artifact_id::text, 'sha256', NEW.sha256));
BEGIN
    SELECT * INTO run FROM stage_run WHERE stage_run_id = NEW.stage_run_id;
    IF run.job_id IS DISTINCT FROM NEW.job_id THEN
        RAISE EXCEPTION 'artifact % names job %, its stage run works for job %',
            NEW.artifact_id, NEW.job_id, run.job_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF run.status NOT IN ('succeeded', 'reused') OR run.facts IS NULL THEN
        RAISE EXCEPTION 'artifact % comes from stage run % without facts (status %)',
            NEW.artifact_id, NEW.stage_run_id, run.status USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.kind = 'source' THEN
        IF NOT run.facts @> jsonb_build_object('inputs', mention) THEN
            RAISE EXCEPTION 'the facts of stage run % do not name source %', NEW.stage_run_id,
                NEW.artifact_id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSE
        IF NOT run.facts @> jsonb_build_object('outputs', mention) THEN
            RAISE EXCEPTION 'the facts of stage run % do not name artifact %', NEW.stage_run_id,
                NEW.artifact_id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF NOT EXISTS (SELECT 1 FROM artifact_input WHERE artifact_id = NEW.artifact_id) THEN
            RAISE EXCEPTION 'artifact % (%) has no exact input', NEW.artifact_id, NEW.kind
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NULL;
END $$
"""

APPEND_ONLY = """
CREATE FUNCTION row_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""

WAKE_RELAY = """
CREATE FUNCTION event_wakes_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('throughline_event', '');
    RETURN NULL;
END $$
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_writer') THEN
        GRANT USAGE ON SCHEMA public TO throughline_writer, throughline_reader, throughline_relay,
            throughline_retention;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO throughline_writer, throughline_reader,
            throughline_relay, throughline_retention;
        GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO throughline_writer;
        REVOKE UPDATE ON event, artifact_input, blob, cost, alembic_version FROM throughline_writer;
        REVOKE INSERT ON alembic_version FROM throughline_writer;
        GRANT UPDATE (attempts, next_at, delivered_at, dead_at, last_error) ON event
            TO throughline_relay, throughline_retention;
        GRANT INSERT ON event, job TO throughline_relay;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO throughline_writer, throughline_relay;
    END IF;
END $$
"""


def upgrade() -> None:
    """Add guards, wake-up and grants."""
    op.execute(ARTIFACT_GUARD)
    op.execute(
        "CREATE CONSTRAINT TRIGGER artifact_has_its_line AFTER INSERT ON artifact"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION artifact_has_its_line()"
    )
    op.execute(APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER row_is_final BEFORE UPDATE OR DELETE ON artifact_input"
        " FOR EACH ROW EXECUTE FUNCTION row_is_final()"
    )
    op.execute(WAKE_RELAY)
    op.execute(
        "CREATE TRIGGER event_wakes_relay AFTER INSERT ON event"
        " FOR EACH STATEMENT EXECUTE FUNCTION event_wakes_relay()"
    )
    op.execute(GRANTS)


def downgrade() -> None:
    """Remove them; grants go with the tables."""
    op.execute("DROP TRIGGER event_wakes_relay ON event")
    op.execute("DROP TRIGGER row_is_final ON artifact_input")
    op.execute("DROP TRIGGER artifact_has_its_line ON artifact")
    op.execute("DROP FUNCTION event_wakes_relay, row_is_final, artifact_has_its_line")
