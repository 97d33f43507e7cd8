-- What exports need: finding a span of time in a long log, and knowing what auditors have seen.

SET LOCAL lock_timeout = '5s';

-- Entries lie in the order of their time, or nearly so: some kilobytes tell where a span begins and ends.
CREATE INDEX entry_by_time ON entry USING brin (at);

-- At which sizes a tree was exported: later exports prove that it grew from there. Who deletes a row makes no proof of it.
CREATE TABLE handed_out (
    site_id  text NOT NULL REFERENCES site,
    tree     text NOT NULL,
    size     bigint NOT NULL CHECK (size > 0),
    at       timestamptz NOT NULL,
    PRIMARY KEY (site_id, tree, size)
);
