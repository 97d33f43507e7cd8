-- name: take
-- Hold a site that no engine owns, so that none can own it or commit to it until this transaction ends.
UPDATE site
SET epoch = epoch + 1, leased_by = 'fsck', leased_until = NULL
WHERE site_id = $1
  AND (
      leased_until IS NULL
      OR leased_until < clock_timestamp()
      OR NOT EXISTS (
          SELECT FROM pg_stat_activity AS holder
          WHERE holder.pid = site.lease_backend AND holder.backend_start = site.lease_started
      )
  )
RETURNING epoch;

-- name: put_tile
-- Write a tile as it must be.
INSERT INTO tile (site_id, tree, level, index, hashes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (site_id, tree, level, index) DO UPDATE SET hashes = excluded.hashes;

-- name: drop_tile
-- Remove a tile that belongs to no tree.
DELETE FROM tile WHERE site_id = $1 AND tree = $2 AND level = $3 AND index = $4;

-- name: put_head
-- Write a head as it must be.
INSERT INTO tree_head (site_id, tree, size, root) VALUES ($1, $2, $3, $4)
ON CONFLICT (site_id, tree) DO UPDATE SET size = excluded.size, root = excluded.root;

-- name: drop_head
-- Remove a head that belongs to no tree.
DELETE FROM tree_head WHERE site_id = $1 AND tree = $2;
