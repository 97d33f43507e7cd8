-- name: next_part
-- The first entry from one on that has its personal part still.
SELECT seq FROM personal WHERE site_id = $1 AND seq >= $2 ORDER BY seq LIMIT 1;

-- name: parts_between
-- Whose the personal parts of some entries are.
SELECT seq, at, person FROM personal WHERE site_id = $1 AND seq >= $2 AND seq < $3;

-- name: bodies_with_parts
-- The bodies of some entries that have or had a personal part, only those that name a tenant if one is given.
SELECT seq, body
FROM entry
WHERE site_id = $1 AND seq >= $2 AND seq < $3
    AND position('"personal":"'::bytea IN body) > 0
    AND ($4::bytea IS NULL OR position($4::bytea IN body) > 0)
ORDER BY seq;

-- name: starts
-- Where the bodies of the trees begin.
SELECT tree, size, hashes FROM log_start WHERE site_id = $1;

-- name: first_bodies
-- The first bodies of a log that are there, with their places in tenants' trees.
SELECT seq, at, body, tenant, tenant_index, owner, owner_index
FROM entry
WHERE site_id = $1 AND seq >= $2 AND seq < $3
ORDER BY seq;

-- name: due_letters
-- Refused bytes that are due, oldest first.
SELECT letter AS number, at, payload
FROM dead_letter
WHERE site_id = $1 AND letter >= $2 AND at < $3
ORDER BY letter
LIMIT $4;

-- name: due_receipts
-- Receipts that are due and tell no news from repetition any more, so many at most.
SELECT seq AS number, issued AS at, digest
FROM (
    SELECT seq, issued, digest
    FROM receipt
    WHERE site_id = $1 AND issued < $2
        AND NOT EXISTS (
            SELECT
            FROM (
                SELECT boot, row_number() OVER (PARTITION BY journal ORDER BY first_seq DESC) AS age
                FROM gate_boot
                WHERE gate_boot.site_id = receipt.site_id AND gate_boot.gate = receipt.gate
            ) AS live
            WHERE live.age <= $4 AND live.boot = receipt.boot AND receipt.sequence > (
                SELECT max(newest.sequence) - $5
                FROM receipt AS newest
                WHERE newest.site_id = receipt.site_id AND newest.gate = receipt.gate AND newest.boot = receipt.boot
            )
        )
    LIMIT $3
) AS due
ORDER BY seq;

-- name: delete_parts
-- Let personal parts go.
DELETE FROM personal WHERE site_id = $1 AND seq = ANY ($2::bigint[]) AND at BETWEEN $3 AND $4;

-- name: delete_bodies
-- Let the bodies of entries go.
DELETE FROM entry WHERE site_id = $1 AND seq = ANY ($2::bigint[]) AND at BETWEEN $3 AND $4;

-- name: delete_letters
-- Let refused bytes go.
DELETE FROM dead_letter WHERE site_id = $1 AND letter = ANY ($2::bigint[]) AND at BETWEEN $3 AND $4;

-- name: delete_receipts
-- Let receipts go.
DELETE FROM receipt WHERE site_id = $1 AND seq = ANY ($2::bigint[]) AND issued BETWEEN $3 AND $4;

-- name: delete_registrations
-- Let registrations go with all that hangs on them; whoever they were may be registered anew.
WITH badges AS (
    DELETE FROM badge WHERE site_id = $1 AND holder = ANY ($2::text[]) RETURNING badge
), uses AS (
    DELETE FROM badge_use WHERE site_id = $1 AND badge IN (SELECT badge FROM badges)
), whereabouts AS (
    DELETE FROM presence WHERE site_id = $1 AND holder = ANY ($2)
), guests AS (
    UPDATE presence
    SET host = CASE WHEN host = ANY ($2) THEN NULL ELSE host END,
        came_with = CASE WHEN came_with = ANY ($2) THEN NULL ELSE came_with END
    WHERE site_id = $1 AND holder <> ALL ($2) AND (host = ANY ($2) OR came_with = ANY ($2))
), photos AS (
    DELETE FROM holder_photo WHERE site_id = $1 AND holder = ANY ($2)
), proposals AS (
    DELETE FROM proposal WHERE site_id = $1 AND person = ANY ($2) AND ending IS NOT NULL
)
DELETE FROM holder WHERE site_id = $1 AND holder = ANY ($2);

-- name: put_start
-- Say where the bodies of a tree begin.
INSERT INTO log_start (site_id, tree, size, hashes) VALUES ($1, $2, $3, $4)
ON CONFLICT (site_id, tree) DO UPDATE SET size = excluded.size, hashes = excluded.hashes;

-- name: drop_month
-- Drop the oldest month of a table that holds nothing any more.
SELECT drop_month($1, $2);
