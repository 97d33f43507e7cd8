-- name: sites
-- The sites of this database.
SELECT site_id FROM site ORDER BY site_id;

-- name: submit_change
-- Hand a signed change to the engine.
INSERT INTO change (site_id, change, document, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: change_outcome
-- What became of a change.
SELECT outcome, detail, seq FROM change WHERE site_id = $1 AND change = $2;

-- name: entries_after
-- Entries in order, with the places they are filed under and what is personal of them.
SELECT
    entry.seq, entry.at, entry.kind, entry.body, entry.tenant, entry.tenant_index, entry.owner, entry.owner_index,
    personal.person, personal.sealed
FROM entry
LEFT JOIN personal USING (site_id, seq, at)
WHERE entry.site_id = $1 AND entry.seq >= $2
ORDER BY entry.seq
LIMIT $3;

-- name: public_entries
-- The bodies of entries [$2, $3) in order, of all or of those in one tenant's tree, without anything personal.
SELECT seq, at, body
FROM entry
WHERE site_id = $1 AND seq >= $2 AND seq < $3 AND ($4::text IS NULL OR tenant = $4 OR owner = $4)
ORDER BY seq;

-- name: size
-- How many entries the log of a site holds.
SELECT size FROM tree_head WHERE site_id = $1 AND tree = 'site';

-- name: presence_list
-- Who is where, with names, optionally within some zones.
SELECT presence.holder, holder.name, holder.tenant, presence.zone, presence.since, presence.quality, presence.seq
FROM presence
LEFT JOIN holder USING (site_id, holder)
WHERE presence.site_id = $1 AND ($2::text[] IS NULL OR presence.zone = ANY ($2))
ORDER BY presence.zone, holder.name;

-- name: names
-- The names of some holders.
SELECT holder, name FROM holder WHERE site_id = $1 AND holder = ANY ($2);

-- name: put_photo
-- Keep a sealed photo of a holder.
INSERT INTO holder_photo (site_id, holder, digest, sealed) VALUES ($1, $2, $3, $4)
ON CONFLICT (site_id, holder, digest) DO UPDATE SET sealed = excluded.sealed;

-- name: sealed_photo
-- The photo of a holder with this digest.
SELECT sealed FROM holder_photo WHERE site_id = $1 AND holder = $2 AND digest = $3;

-- name: drop_photos
-- Forget the photos of a holder but the one with this digest (null: all).
DELETE FROM holder_photo WHERE site_id = $1 AND holder = $2 AND digest IS DISTINCT FROM $3;

-- name: waiting_scans
-- Scans that wait for a guard's word since an instant, longest first.
SELECT receipt.seq, receipt.gate, receipt.issued, receipt.holder, entry.body, personal.sealed AS personal
FROM receipt
JOIN entry USING (site_id, seq)
LEFT JOIN personal ON personal.site_id = receipt.site_id AND personal.seq = receipt.seq
WHERE receipt.site_id = $1 AND receipt.verdict = 3 AND receipt.issued > $2
ORDER BY receipt.seq;

-- name: registrations
-- What is registered of some holders.
SELECT holder, tenant, name, document FROM holder WHERE site_id = $1 AND holder = ANY ($2);

-- name: badge_owner
-- Whose badge it is.
SELECT tenant, holder, state FROM badge WHERE site_id = $1 AND badge = $2;

-- name: holder_badges
-- The badges of a holder.
SELECT badge, state FROM badge WHERE site_id = $1 AND holder = $2 ORDER BY badge;

-- name: newest_checkpoint
-- The last signed checkpoint of a tree.
SELECT size, root, note, at FROM checkpoint WHERE site_id = $1 AND tree = $2 ORDER BY size DESC LIMIT 1;

-- name: dead_letter_counts
-- How many bytes were refused, by code.
SELECT code, count(*) AS letters FROM dead_letter WHERE site_id = $1 GROUP BY code ORDER BY code;

-- name: document_in_force
-- The trust list or policy in force.
SELECT content FROM document WHERE site_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1;

-- name: all_documents
-- Every policy and trust list that ever was in force.
SELECT kind, seq, content FROM document WHERE site_id = $1 ORDER BY seq, kind;

-- name: known_operators
-- The operators of a site.
SELECT operator, tenant, document FROM operator WHERE site_id = $1 ORDER BY operator;

-- name: open_proposals
-- The proposals that wait, oldest first.
SELECT digest, document, change, tenant, author, kind, subject, gives, base, seq, expires, person
FROM proposal
WHERE site_id = $1 AND ending IS NULL
ORDER BY seq;

-- name: site_epoch
-- Under which epoch a site is owned.
SELECT epoch FROM site WHERE site_id = $1;

-- name: all_heads
-- Where all trees of a site stand.
SELECT tree, size, root FROM tree_head WHERE site_id = $1;

-- name: all_tiles
-- The full tiles of all trees of a site.
SELECT tree, level, index, hashes FROM tile WHERE site_id = $1;

-- name: all_checkpoints
-- All signed checkpoints of a site.
SELECT tree, size, root, note FROM checkpoint WHERE site_id = $1 ORDER BY tree, size;

-- name: entry_count
-- How many rows of entries a site has, wherever they stand.
SELECT count(*) FROM entry WHERE site_id = $1;

-- name: personal_count
-- How many rows of personal parts a site has.
SELECT count(*) FROM personal WHERE site_id = $1;

-- name: hand_out
-- Remember at which size a tree was exported.
INSERT INTO handed_out (site_id, tree, size, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: handed_out
-- At which sizes a tree was exported, the newest ones.
SELECT size FROM handed_out WHERE site_id = $1 AND tree = $2 ORDER BY size DESC LIMIT $3;
