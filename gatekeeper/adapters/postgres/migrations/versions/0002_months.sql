-- Months are UTC's, made once whoever asks, and made also for entries that came before them.

SET LOCAL lock_timeout = '5s';

-- Make the partitions of entries and personal parts that hold one month of UTC. What lies in the rest already moves in.
CREATE OR REPLACE FUNCTION make_month(month date) RETURNS void LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    first date := date_trunc('month', month::timestamp);
    until date := first + interval '1 month';
    suffix text := to_char(first, 'YYYY_MM');
    parent text;
    child text;
BEGIN
    IF to_regclass('entry_' || suffix) IS NOT NULL AND to_regclass('personal_' || suffix) IS NOT NULL THEN
        RETURN;
    END IF;
    -- One at a time: two engines may find a month missing at the same instant.
    PERFORM pg_advisory_xact_lock(hashtextextended('gatekeeper make_month', 0));
    FOREACH parent IN ARRAY ARRAY['entry', 'personal'] LOOP
        child := parent || '_' || suffix;
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE at >= %L AND at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
            parent || '_rest', first::timestamptz, until::timestamptz, child
        );
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, child, first::timestamptz, until::timestamptz
        );
    END LOOP;
END
$$;
