-- name: heads
-- Where all trees of a site stand.
SELECT tree, size, root FROM tree_head WHERE site_id = $1 ORDER BY tree;

-- name: starts
-- Where the bodies of the trees begin.
SELECT tree, size, hashes FROM log_start WHERE site_id = $1;

-- name: tiles
-- The full tiles of one level of a tree, from an index to another.
SELECT index, hashes FROM tile WHERE site_id = $1 AND tree = $2 AND level = $3 AND index >= $4 AND index < $5;

-- name: site_bodies
-- The bodies filed under some places of the site's tree.
SELECT seq AS place, body FROM entry WHERE site_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq;

-- name: tenant_bodies
-- The bodies filed under some places of a tenant's tree.
SELECT place, body
FROM (
    SELECT tenant_index AS place, body
    FROM entry
    WHERE site_id = $1 AND tenant = $2 AND tenant_index >= $3 AND tenant_index < $4
    UNION ALL
    SELECT owner_index, body
    FROM entry
    WHERE site_id = $1 AND owner = $2 AND owner_index >= $3 AND owner_index < $4
) AS leaf
ORDER BY place;

-- name: newest_checkpoint
-- The last signed checkpoint of a tree.
SELECT size, root, note, at FROM checkpoint WHERE site_id = $1 AND tree = $2 ORDER BY size DESC LIMIT 1;

-- name: cosigned_checkpoint
-- The last checkpoint of a tree that a witness has cosigned.
SELECT size, root, note, at
FROM checkpoint
WHERE site_id = $1 AND tree = $2
    AND size = (SELECT max(size) FROM cosignature WHERE site_id = $1 AND tree = $2);

-- name: cosignatures
-- What witnesses said of a checkpoint.
SELECT name, key_id, signature
FROM cosignature
WHERE site_id = $1 AND tree = $2 AND size = $3
ORDER BY name, key_id;

-- name: checkpoints
-- The signed checkpoints of a tree above a size and up to another, smallest first.
SELECT size, root, note, at
FROM checkpoint
WHERE site_id = $1 AND tree = $2 AND size > $3 AND size <= $4
ORDER BY size;
