-- A page of jobs is skipped to, and the jobs of a namespace are counted, in the index alone.
DROP INDEX job_by_update;
DROP INDEX job_by_namespace;
CREATE INDEX job_by_update ON job (updated_at DESC, id) WHERE NOT hidden;
CREATE INDEX job_by_namespace ON job (namespace, updated_at DESC, id) WHERE NOT hidden;
