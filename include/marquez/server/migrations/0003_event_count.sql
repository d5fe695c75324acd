-- How many run events there are per day of event time: a total is asked with every page. Several rows a day, one per
-- connection more or less, so that events taken at once do not wait for each other.
CREATE TABLE event_count (
    day   date NOT NULL,
    shard smallint NOT NULL,
    n     bigint NOT NULL,
    PRIMARY KEY (day, shard)
) WITH (fillfactor = 50);
INSERT INTO event_count
SELECT (event_time AT TIME ZONE 'UTC')::date, 0, count(*) FROM event WHERE kind = 'R' GROUP BY 1;
