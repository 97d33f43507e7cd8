-- What is over its period goes: where the bodies of each tree begin then, and months that are dropped when they are empty.

SET LOCAL lock_timeout = '5s';

-- How many of a tree's first bodies are gone, and their leaf hashes that lie in no full tile.
CREATE TABLE log_start (
    site_id  text NOT NULL REFERENCES site,
    tree     text NOT NULL,
    size     bigint NOT NULL CHECK (size >= 0),
    hashes   bytea NOT NULL CHECK (length(hashes) = size % 256 * 32),
    PRIMARY KEY (site_id, tree)
);

CREATE INDEX dead_letter_by_age ON dead_letter (site_id, at);
CREATE INDEX receipt_by_age ON receipt USING brin (issued) WITH (autosummarize = on);

-- Drop the oldest month of a table before an instant, when it holds nothing; its name, or null when there is none to drop.
-- INVARIANT: nobody waits for this longer than a moment: a month that is in use is left for the next time (55P03 is raised).
CREATE FUNCTION drop_month(parent text, before timestamptz) RETURNS text LANGUAGE plpgsql
SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
DECLARE
    child text;
    is_empty boolean;
BEGIN
    -- One at a time, and never while a month is made.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('gatekeeper make_month', 0)) THEN
        RETURN NULL;
    END IF;
    FOR child IN
        SELECT part.relname
        FROM pg_inherits
        JOIN pg_class AS part ON part.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = parent::regclass AND part.relname ~ '_[0-9]{4}_[0-9]{2}$'
            AND to_date(right(part.relname, 7), 'YYYY_MM') + interval '1 month' <= before AT TIME ZONE 'UTC'
        ORDER BY part.relname
    LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', child) INTO is_empty;
        CONTINUE WHEN NOT is_empty;
        EXECUTE format('LOCK TABLE ONLY %I, ONLY %I IN ACCESS EXCLUSIVE MODE', parent, child);
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', child) INTO is_empty;
        IF is_empty THEN
            EXECUTE format('DROP TABLE %I', child);
            RETURN child;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
