-- name: keys
-- All keys of a site.
SELECT person, key FROM person_key WHERE site_id = $1 AND key IS NOT NULL;

-- name: ensure
-- Make the keys that are missing; of who was forgotten there is a row already.
INSERT INTO person_key (site_id, person, key)
SELECT $1, * FROM unnest($2::text[], $3::bytea[])
ON CONFLICT DO NOTHING;

-- name: keys_of
-- The keys of some persons.
SELECT person, key FROM person_key WHERE site_id = $1 AND person = ANY ($2) AND key IS NOT NULL;

-- name: destroy
-- Destroy the keys of some persons, and leave the word that they were.
INSERT INTO person_key (site_id, person, key, destroyed_at)
SELECT $1, person, NULL, now() FROM unnest($2::text[]) AS person
ON CONFLICT (site_id, person) DO UPDATE
SET key = NULL, destroyed_at = coalesce(person_key.destroyed_at, excluded.destroyed_at);

-- name: destroyed
-- Whose keys were destroyed.
SELECT person FROM person_key WHERE site_id = $1 AND destroyed_at IS NOT NULL;
