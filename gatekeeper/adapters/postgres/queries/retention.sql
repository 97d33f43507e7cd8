-- name: first_due_part
-- The first personal part that is due, from an entry on, and the body of its entry.
SELECT personal.seq, entry.body
FROM personal
JOIN entry USING (site_id, seq, at)
WHERE personal.site_id = $1 AND personal.seq >= $2 AND personal.at < $3
    AND personal.person <> ALL ($4::text[])
    AND ($5::bytea IS NULL OR position($5::bytea IN entry.body) > 0)
    AND NOT EXISTS (SELECT FROM unnest($6::bytea[]) AS spared WHERE position(spared IN entry.body) > 0)
ORDER BY personal.seq
LIMIT 1;

-- name: parts_of_tenant
-- What is personal of entries that name a tenant, or of those that name none, from an entry on; null where it is gone.
SELECT entry.seq, entry.at, entry.body, personal.person
FROM entry
LEFT JOIN personal USING (site_id, seq, at)
WHERE entry.site_id = $1 AND entry.seq >= $2 AND (position($3::bytea IN entry.body) > 0) = $4
    AND position('"personal":"'::bytea IN entry.body) > 0
ORDER BY entry.seq
LIMIT $5;

-- name: starts
-- Where the bodies of the trees begin.
SELECT tree, size, hashes FROM log_start WHERE site_id = $1;

-- name: first_part
-- The first entry that has its personal part still.
SELECT seq FROM personal WHERE site_id = $1 ORDER BY seq LIMIT 1;

-- name: first_bodies
-- The first bodies of a log that are there, with their places in tenants' trees.
SELECT seq, at, body, tenant, tenant_index, owner, owner_index
FROM entry
WHERE site_id = $1 AND seq >= $2
ORDER BY seq
LIMIT $3;

-- name: due_letters
-- Refused bytes that are due, oldest first.
SELECT letter AS number, at, payload
FROM dead_letter
WHERE site_id = $1 AND letter >= $2 AND at < $3
ORDER BY letter
LIMIT $4;

-- name: due_receipts
-- Receipts that are due and tell no news from repetition any more, oldest first.
SELECT seq AS number, issued AS at, digest
FROM receipt
WHERE site_id = $1 AND seq >= $2 AND issued < $3
    AND NOT EXISTS (
        SELECT
        FROM (
            SELECT boot
            FROM gate_boot
            WHERE gate_boot.site_id = receipt.site_id AND gate_boot.gate = receipt.gate
            ORDER BY first_seq DESC
            LIMIT $5
        ) AS live
        WHERE live.boot = receipt.boot AND receipt.sequence > (
            SELECT max(newest.sequence) - $6
            FROM receipt AS newest
            WHERE newest.site_id = receipt.site_id AND newest.gate = receipt.gate AND newest.boot = receipt.boot
        )
    )
ORDER BY seq
LIMIT $4;

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
