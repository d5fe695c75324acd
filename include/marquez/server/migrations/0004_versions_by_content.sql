-- Versions are named as Marquez names them: by the parts of their content joined by colons, which names that hold colons
-- may share. They are looked up within their job.
ALTER TABLE job_version DROP CONSTRAINT job_version_version_key;

-- Which version of a dataset was last to tell how its columns are made.
CREATE INDEX dataset_version_telling ON dataset_version (dataset_id, created_at DESC, id DESC) WHERE columns <> '[]';

-- Null where a request described the dataset; an event that tells no state tells an empty one.
ALTER TABLE dataset_version ALTER COLUMN lifecycle DROP NOT NULL;
