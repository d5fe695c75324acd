-- Current state is kept beside history, so that a list or a graph reads what it answers and nothing more.
-- Facets and other JSON are text: they are folded in the server and copied into answers byte for byte.

CREATE TABLE namespace (
    name        text COLLATE "C" PRIMARY KEY,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    owner       text NOT NULL DEFAULT 'anonymous',
    description text,
    stated      boolean NOT NULL DEFAULT false,     -- by a client's PUT, whose clock stands; else by events
    hidden      boolean NOT NULL DEFAULT false
);

INSERT INTO namespace (name, created_at, updated_at, stated, description)
VALUES ('default', now(), now(), true,
        'The default global namespace for dataset, job, and run metadata not belonging to a user-specified namespace.');

-- What a client said with PUT; sources that only events name are read off the datasets.
CREATE TABLE source (
    name           text COLLATE "C" PRIMARY KEY,
    type           text NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    connection_url text,
    description    text
);

CREATE TABLE tag (
    name        text COLLATE "C" PRIMARY KEY,
    description text
);

INSERT INTO tag VALUES
    ('PII', 'Personally identifiable information'),
    ('SENSITIVE', 'Contains sensitive information');

-- Every accepted event once; digest of its canonical JSON is its identity.
CREATE TABLE event (
    digest        bytea PRIMARY KEY,
    kind          "char" NOT NULL,          -- R run, J job, D dataset, L made from a request that is no event
    event_time    timestamptz NOT NULL,
    event_type    text,
    run_id        uuid,
    job_namespace text COLLATE "C",
    job_name      text COLLATE "C",
    body          text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_by_time ON event (event_time, digest) WHERE kind = 'R';
CREATE INDEX event_by_run ON event (run_id, event_time) WHERE run_id IS NOT NULL;
CREATE INDEX event_by_job ON event (job_namespace, md5(job_name), event_time) WHERE kind = 'R';
CREATE INDEX event_by_arrival ON event (received_at);

CREATE TABLE job (
    id              uuid PRIMARY KEY,       -- from namespace and name, so names of any length are unique
    namespace       text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL,
    parent_id       uuid,
    type            text NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    location        text,
    description     text,
    labels          text NOT NULL,          -- JSON list
    attributes      text NOT NULL,          -- JSON: attribute -> [order of the event that said it, value]
    facets          text NOT NULL,          -- JSON: job facets of the latest event without a run
    current_version uuid,
    version_at      timestamptz,            -- event time of what made the current version
    version_by      uuid,                   -- the run that made it; null: an event without a run
    version_strong  boolean,                -- whether that run knew the edges
    latest_run      uuid,
    latest_state    text,
    hidden          boolean NOT NULL DEFAULT false
);
CREATE INDEX job_by_update ON job (updated_at DESC, id);
CREATE INDEX job_by_namespace ON job (namespace, updated_at DESC, id);

CREATE TABLE job_version (
    id         uuid PRIMARY KEY,
    job_id     uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    version    uuid NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    location   text,
    inputs     uuid[] NOT NULL,
    outputs    uuid[] NOT NULL
);
CREATE INDEX job_version_by_job ON job_version (job_id, created_at DESC, id);

CREATE TABLE run (
    id          uuid PRIMARY KEY,
    job_id      uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    nominal_start timestamptz,
    nominal_end   timestamptz,
    state       text NOT NULL,
    started_at  timestamptz,
    ended_at    timestamptz,
    sort_at     timestamptz NOT NULL,       -- started_at, else created_at
    child_at    timestamptz,                -- earliest event of a run that names this one its parent
    args        text NOT NULL,              -- JSON object
    facets      text NOT NULL,              -- JSON object, merged by event order
    job_facets  text NOT NULL,              -- JSON object, merged by event order
    fold        text,                       -- JSON: what the next event in order needs to know; null: no event of its own
    job_version uuid
);
CREATE INDEX run_by_job ON run (job_id, sort_at DESC, id);
CREATE INDEX run_by_version ON run (job_version, sort_at DESC, id) WHERE job_version IS NOT NULL;

CREATE TABLE dataset (
    id              uuid PRIMARY KEY,
    namespace       text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL,
    physical_name   text NOT NULL,
    source_name     text COLLATE "C" NOT NULL,
    source_uri      text,
    source_at       timestamptz,
    description     text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    attributes      text NOT NULL,
    read_until      timestamptz,            -- latest time at which a run began to read it
    current_version uuid,
    current_at      timestamptz,
    hidden          boolean NOT NULL DEFAULT false
);
CREATE INDEX dataset_by_source ON dataset (source_name);

-- Every name of a dataset: its own, and those that symlinks gave it.
CREATE TABLE dataset_name (
    id         uuid PRIMARY KEY,
    namespace  text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE
);
CREATE INDEX dataset_name_in_order ON dataset_name (namespace, left(name, 300), id);
CREATE INDEX dataset_name_by_dataset ON dataset_name (dataset_id);

CREATE TABLE dataset_version (
    id             uuid PRIMARY KEY,
    dataset_id     uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    version        uuid NOT NULL,
    schema_version uuid NOT NULL,
    run_id         uuid,                    -- the run that wrote it; null: seen as an input or told by an event without a run
    created_at     timestamptz NOT NULL,
    current_at     timestamptz,             -- when it became current; null: never
    fields         text NOT NULL,           -- JSON, as the API shows them: [{"name","type","tags","description"}]
    lifecycle      text NOT NULL,
    description    text,
    source_name    text NOT NULL,
    facets         text NOT NULL,           -- JSON: said by the writer
    output_facets  text NOT NULL,           -- JSON: said by the writer about this write only
    read_facets    text NOT NULL,           -- JSON: facet -> [when, which run, what]: of the runs that read it, the last to say
    columns        text NOT NULL,           -- JSON: [[field, input dataset id, input field, description, type]]
    inferred       boolean NOT NULL DEFAULT false   -- known only from a run that read it
);
CREATE INDEX dataset_version_in_order ON dataset_version (dataset_id, created_at DESC, id);
CREATE INDEX dataset_version_current ON dataset_version (dataset_id, current_at DESC, id) WHERE current_at IS NOT NULL;

CREATE TABLE run_io (
    run_id     uuid NOT NULL REFERENCES run ON DELETE CASCADE,
    dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    is_input   boolean NOT NULL,
    seen_at    timestamptz NOT NULL,        -- first event of the run that names it
    told_at    timestamptz NOT NULL,        -- last one
    facets     text NOT NULL,               -- JSON: facets of the dataset as this run tells them
    io_facets  text NOT NULL,               -- JSON: inputFacets or outputFacets
    PRIMARY KEY (run_id, is_input, dataset_id)
);
CREATE INDEX run_io_readers ON run_io (dataset_id, seen_at, run_id) WHERE is_input;

-- The graph as it is now.
CREATE TABLE job_edge (
    job_id     uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    is_input   boolean NOT NULL,
    PRIMARY KEY (job_id, is_input, dataset_id)
);
CREATE INDEX job_edge_by_dataset ON job_edge (dataset_id, job_id);

CREATE TABLE column_edge (
    dataset_id       uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    field            text NOT NULL,
    input_dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    input_field      text NOT NULL,
    description      text,
    type             text
);
CREATE INDEX column_edge_up ON column_edge (dataset_id);
CREATE INDEX column_edge_down ON column_edge (input_dataset_id);

CREATE TABLE dataset_tag (
    dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    tag        text NOT NULL,
    PRIMARY KEY (dataset_id, tag)
);
CREATE TABLE field_tag (
    dataset_id uuid NOT NULL REFERENCES dataset ON DELETE CASCADE,
    field      text NOT NULL,
    tag        text NOT NULL
);
CREATE INDEX field_tag_by_dataset ON field_tag (dataset_id);
CREATE TABLE job_tag (
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    tag    text NOT NULL,
    PRIMARY KEY (job_id, tag)
);

-- Jobs within so many hops of the first ones, through the datasets they share; every job and dataset is visited once.
CREATE FUNCTION jobs_around(first uuid[], hops integer) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    seen_jobs uuid[] := first;
    seen_datasets uuid[] := '{}';
    edge_of uuid[] := first;
    found uuid[];
BEGIN
    FOR hop IN 1..hops LOOP
        SELECT array_agg(DISTINCT e.dataset_id) INTO found FROM job_edge e
        WHERE e.job_id = ANY (edge_of)
        AND NOT EXISTS (SELECT FROM unnest(seen_datasets) s(id) WHERE s.id = e.dataset_id);
        EXIT WHEN found IS NULL;
        seen_datasets := seen_datasets || found;
        SELECT array_agg(DISTINCT e.job_id) INTO edge_of FROM job_edge e JOIN job j ON j.id = e.job_id AND NOT j.hidden
        WHERE e.dataset_id = ANY (found)
        AND NOT EXISTS (SELECT FROM unnest(seen_jobs) s(id) WHERE s.id = e.job_id);
        EXIT WHEN edge_of IS NULL;
        seen_jobs := seen_jobs || edge_of;
    END LOOP;
    RETURN seen_jobs;
END
$$;
