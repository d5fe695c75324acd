-- How often it was settled anew what runs had read of a dataset: a late event, an altered or a removed version.
ALTER TABLE dataset ADD COLUMN settled bigint NOT NULL DEFAULT 0;
