-- In the order in which readings look for the version that was current.
DROP INDEX dataset_version_current;
CREATE INDEX dataset_version_current ON dataset_version (dataset_id, current_at DESC, id DESC) WHERE current_at IS NOT NULL;
