-- When the latest run of a job sorts, so that ingest keeps the latest run by comparing and not by asking.
ALTER TABLE job ADD COLUMN latest_at timestamptz;
UPDATE job SET latest_at = (SELECT sort_at FROM run WHERE run.id = job.latest_run) WHERE latest_run IS NOT NULL;

-- What retention looks for.
CREATE INDEX run_by_update ON run (updated_at, id);
CREATE INDEX dataset_version_by_run ON dataset_version (run_id) WHERE run_id IS NOT NULL;

-- Names of sources have any length, which an ordered index cannot hold.
DROP INDEX dataset_by_source;
CREATE INDEX dataset_by_source ON dataset USING hash (source_name);
