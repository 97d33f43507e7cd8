-- What a witness remembers: the keys of the logs it watches, the latest checkpoint of each that it cosigned, and disputes.

CREATE TABLE IF NOT EXISTS log_key (
    origin       text NOT NULL,
    key          text NOT NULL,
    admitted_at  text NOT NULL,
    PRIMARY KEY (origin, key)
) STRICT;

CREATE TABLE IF NOT EXISTS latest (
    origin  text NOT NULL PRIMARY KEY,
    size    integer NOT NULL CHECK (size >= 0),
    root    blob NOT NULL CHECK (length(root) = 32),
    note    blob NOT NULL,
    at      text NOT NULL
) STRICT;

-- INVARIANT: whatever asks for it, a log never shrinks here, is never another of the same size, and is never forgotten.
CREATE TRIGGER IF NOT EXISTS latest_goes_on BEFORE UPDATE ON latest
WHEN new.origin <> old.origin OR new.size < old.size OR (new.size = old.size AND new.root <> old.root)
BEGIN
    SELECT raise(ABORT, 'a witness goes back on nothing that it cosigned');
END;
CREATE TRIGGER IF NOT EXISTS latest_stays BEFORE DELETE ON latest
BEGIN
    SELECT raise(ABORT, 'a witness forgets nothing that it cosigned');
END;

-- Checkpoints that a log signed and that were not shown to go on from the latest one, beside the latest of then.
-- Two of one size with different roots prove that the log has shown two trees; of others the log owes the proof.
CREATE TABLE IF NOT EXISTS dispute (
    origin       text NOT NULL,
    at           text NOT NULL,
    code         text NOT NULL,
    size         integer NOT NULL,
    note         blob NOT NULL,
    latest_note  blob,
    PRIMARY KEY (origin, note)
) STRICT;
