-- When the latest run of a job sorts, so that ingest keeps the latest run by comparing and not by asking.
ALTER TABLE job ADD COLUMN latest_at timestamptz;
UPDATE job SET latest_at = (SELECT sort_at FROM run WHERE run.id = job.latest_run) WHERE latest_run IS NOT NULL;
