-- name: site_bodies
-- The bodies of leaves [$2, $3) of the site's tree, joined by newlines, and how many there are.
SELECT count(*) AS leaves, string_agg(body, '\x0a'::bytea) AS bodies
FROM (SELECT body FROM entry WHERE site_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq) AS leaf;

-- name: tenant_bodies
-- The bodies of leaves [$3, $4) of a tenant's tree, joined by newlines, and how many there are.
SELECT count(*) AS leaves, string_agg(body, '\x0a'::bytea) AS bodies
FROM (
    SELECT tenant_index AS place, body FROM entry
    WHERE site_id = $1 AND tenant = $2 AND tenant_index >= $3 AND tenant_index < $4
    UNION ALL
    SELECT owner_index, body FROM entry
    WHERE site_id = $1 AND owner = $2 AND owner_index >= $3 AND owner_index < $4
    ORDER BY place
) AS leaf;

-- name: site_parts
-- The sealed personal parts of leaves [$2, $3) of the site's tree.
SELECT seq AS place, seq, person, sealed
FROM personal
WHERE site_id = $1 AND seq >= $2 AND seq < $3
ORDER BY place;

-- name: tenant_parts
-- The sealed personal parts of leaves [$3, $4) of a tenant's tree.
SELECT leaf.place, leaf.seq, personal.person, personal.sealed
FROM (
    SELECT tenant_index AS place, seq, at FROM entry
    WHERE site_id = $1 AND tenant = $2 AND tenant_index >= $3 AND tenant_index < $4
    UNION ALL
    SELECT owner_index, seq, at FROM entry
    WHERE site_id = $1 AND owner = $2 AND owner_index >= $3 AND owner_index < $4
) AS leaf
JOIN personal ON personal.site_id = $1 AND personal.seq = leaf.seq AND personal.at = leaf.at
ORDER BY leaf.place;

-- name: site_bounds
-- The first and last leaf below $2 of the site's tree that was committed from $3 on and before $4, and the last before $3.
SELECT
    min(seq) FILTER (WHERE at >= $3) AS first,
    max(seq) FILTER (WHERE at >= $3) AS last,
    max(seq) FILTER (WHERE at < $3) AS before
FROM entry
WHERE site_id = $1 AND seq < $2 AND at < $4;

-- name: tenant_bounds
-- The first and last leaf below $3 of a tenant's tree that was committed from $4 on and before $5, and the last before $4.
SELECT
    min(place) FILTER (WHERE at >= $4) AS first,
    max(place) FILTER (WHERE at >= $4) AS last,
    max(place) FILTER (WHERE at < $4) AS before
FROM (
    SELECT tenant_index AS place, at FROM entry
    WHERE site_id = $1 AND tenant = $2 AND tenant_index < $3 AND at < $5
    UNION ALL
    SELECT owner_index, at FROM entry
    WHERE site_id = $1 AND owner = $2 AND owner_index < $3 AND at < $5
) AS leaf;

-- name: deletions
-- The entries that tell of bodies that were let go, oldest first.
SELECT seq, body
FROM entry
WHERE site_id = $1 AND kind = 'data.expired' AND position('"what":"entries"'::bytea IN body) > 0
ORDER BY seq;

-- name: tenant_lacks
-- How many entries of the site are not there from $4 on and before the one that is leaf $3 of a tenant's tree.
SELECT leaf.seq - $4 - (SELECT count(*) FROM entry WHERE site_id = $1 AND seq >= $4 AND seq < leaf.seq) AS lacking
FROM entry AS leaf
WHERE site_id = $1 AND ((tenant = $2 AND tenant_index = $3) OR (owner = $2 AND owner_index = $3));

-- name: one_large_block
-- Take one block of memory and give it back.
SELECT length(repeat(' ', $1::int));
