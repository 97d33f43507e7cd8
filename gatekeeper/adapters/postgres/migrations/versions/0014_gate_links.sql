-- Who is there: what the engine knows of each gate's link, for those who look and for the next engine.

SET LOCAL lock_timeout = '5s';

-- Nothing here is believed for a decision. `snapshot` is what the gate said it holds, `made` the newest that was made for it: SHA-256 of
-- the messages. What was told of silences stands in the log, and is asked there.
CREATE TABLE gate_link (
    site_id   text NOT NULL REFERENCES site,
    gate      text NOT NULL,
    state     text NOT NULL CHECK (state IN ('never', 'up', 'awaited', 'silent')),
    since     timestamptz,
    heard_at  timestamptz,
    snapshot  bytea CHECK (length(snapshot) = 32),
    made      bytea CHECK (length(made) = 32),
    PRIMARY KEY (site_id, gate)
);

-- Few entries in a log of many.
CREATE INDEX entry_of_silences ON entry (site_id, seq) WHERE kind IN ('gate.silent', 'gate.heard');
