-- name: keys
-- All keys of a site.
SELECT person, key FROM person_key WHERE site_id = $1;

-- name: ensure
-- Make the keys that are missing.
INSERT INTO person_key (site_id, person, key)
SELECT $1, * FROM unnest($2::text[], $3::bytea[])
ON CONFLICT DO NOTHING;

-- name: keys_of
-- The keys of some persons.
SELECT person, key FROM person_key WHERE site_id = $1 AND person = ANY ($2);
