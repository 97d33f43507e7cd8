-- A key that was destroyed leaves the word that it was, so that none is ever made for the same person again.

SET LOCAL lock_timeout = '5s';

ALTER TABLE person_key ALTER COLUMN key DROP NOT NULL;
ALTER TABLE person_key ADD COLUMN destroyed_at timestamptz;
ALTER TABLE person_key ADD CONSTRAINT key_or_tombstone CHECK ((key IS NULL) = (destroyed_at IS NOT NULL));
CREATE INDEX person_key_destroyed ON person_key (site_id) WHERE destroyed_at IS NOT NULL;
