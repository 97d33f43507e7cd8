-- One key a person. This database has backups of its own, which end when a person's right to be forgotten begins.

SET LOCAL lock_timeout = '5s';

CREATE TABLE person_key (
    site_id  text NOT NULL,
    person   text NOT NULL,
    key      bytea NOT NULL CHECK (length(key) = 32),
    made_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, person)
);
