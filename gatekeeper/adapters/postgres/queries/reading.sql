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

-- name: entries_of_person
-- Entries that are about somebody, in order, from a place on.
SELECT entry.seq, entry.at, entry.kind, entry.body, personal.person, personal.sealed
FROM personal
JOIN entry USING (site_id, seq, at)
WHERE personal.site_id = $1 AND personal.person = $2 AND personal.seq >= $3
ORDER BY personal.seq
LIMIT $4;

-- name: public_entries
-- The bodies of entries [$2, $3), in order and without what is personal: of all, or of those in one tenant's tree.
SELECT seq, at, body
FROM entry
WHERE site_id = $1 AND seq >= $2 AND seq < $3 AND ($4::text IS NULL OR tenant = $4 OR owner = $4)
ORDER BY seq;

-- name: size
-- How many entries the log of a site holds.
SELECT size FROM tree_head WHERE site_id = $1 AND tree = 'site';

-- name: presence_list
-- Who is where, with sealed names, optionally within some zones.
SELECT presence.holder, holder.name, holder.tenant, presence.zone, presence.since, presence.quality, presence.seq
FROM presence
LEFT JOIN holder USING (site_id, holder)
WHERE presence.site_id = $1 AND ($2::text[] IS NULL OR presence.zone = ANY ($2))
ORDER BY presence.zone, presence.holder;

-- name: names
-- The sealed names of some holders.
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

-- name: erasure_done
-- Whether somebody who was forgotten by an entry is forgotten everywhere.
SELECT done FROM erased_person WHERE site_id = $1 AND seq = $2;

-- name: badge_owner
-- Whose badge it is.
SELECT tenant, holder, state FROM badge WHERE site_id = $1 AND badge = $2;

-- name: holder_badges
-- The badges of a holder.
SELECT badge, state FROM badge WHERE site_id = $1 AND holder = $2 ORDER BY badge;

-- name: newest_checkpoint
-- The last signed checkpoint of a tree, up to a size (null: of all).
SELECT size, root, note, at
FROM checkpoint
WHERE site_id = $1 AND tree = $2 AND ($3::bigint IS NULL OR size <= $3)
ORDER BY size DESC
LIMIT 1;

-- name: cosignatures
-- What witnesses said of a checkpoint.
SELECT name, key_id, signature
FROM cosignature
WHERE site_id = $1 AND tree = $2 AND size = $3
ORDER BY name, key_id;

-- name: newest_cosigned_size
-- The size of the last checkpoint of a tree that a witness has cosigned, up to a size (null: of all).
SELECT max(size) FROM cosignature WHERE site_id = $1 AND tree = $2 AND ($3::bigint IS NULL OR size <= $3);

-- name: timestamp_at
-- The newest time stamp of a tree at a size or below it, with the checkpoint that it is over.
SELECT tree, size, stamped.reply, stamped.at, checkpoint.note
FROM timestamp_token AS stamped
LEFT JOIN checkpoint USING (site_id, tree, size)
WHERE site_id = $1 AND tree = $2 AND size <= $3
ORDER BY size DESC
LIMIT 1;

-- name: all_timestamps
-- Every time stamp of a site, with the checkpoint that it is over.
SELECT tree, size, stamped.reply, stamped.at, checkpoint.note
FROM timestamp_token AS stamped
LEFT JOIN checkpoint USING (site_id, tree, size)
WHERE site_id = $1
ORDER BY tree, size;

-- name: dead_letter_counts
-- How many bytes were refused, by code.
SELECT code, count(*) AS letters FROM dead_letter WHERE site_id = $1 GROUP BY code ORDER BY code;

-- name: document_in_force
-- The trust list or policy in force.
SELECT content FROM document WHERE site_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1;

-- name: all_documents
-- Every policy and trust list that ever was in force.
SELECT kind, seq, content FROM document WHERE site_id = $1 ORDER BY seq, kind;

-- name: policy_before
-- The last policy that came into force before an entry (null: the one in force), and with which.
SELECT seq, content
FROM document
WHERE site_id = $1 AND kind = 'policy' AND ($2::bigint IS NULL OR seq < $2)
ORDER BY seq DESC
LIMIT 1;

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

-- name: all_cosignatures
-- What witnesses said of all checkpoints of a site.
SELECT tree, size, name, key_id, signature
FROM cosignature
WHERE site_id = $1
ORDER BY tree, size, name, key_id;

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

-- name: all_starts
-- Where the bodies of all trees of a site begin.
SELECT tree, size, hashes FROM log_start WHERE site_id = $1;

-- name: all_expiries
-- The entries that tell of deletions.
SELECT seq, body FROM entry WHERE site_id = $1 AND kind = 'data.expired' ORDER BY seq;

-- name: newest_expiry
-- The last entry that tells of a deletion.
SELECT seq FROM entry WHERE site_id = $1 AND kind = 'data.expired' ORDER BY seq DESC LIMIT 1;

-- name: placed_holds
-- The legal holds that are placed, with the entries that say so.
SELECT legal_hold.scope, legal_hold.seq, entry.at, entry.body
FROM legal_hold
LEFT JOIN entry USING (site_id, seq)
WHERE legal_hold.site_id = $1
ORDER BY legal_hold.seq, legal_hold.scope;

-- name: oldest_kept
-- How old the oldest of each kind is that is kept.
SELECT
    (SELECT at FROM entry WHERE site_id = $1 ORDER BY seq LIMIT 1) AS entries,
    (SELECT at FROM personal WHERE site_id = $1 ORDER BY seq LIMIT 1) AS personal,
    (SELECT min(at) FROM dead_letter WHERE site_id = $1) AS refused,
    (SELECT min(issued) FROM receipt WHERE site_id = $1) AS receipts;

-- name: oldest_part
-- How old the oldest personal part is whose entry names a tenant.
SELECT personal.at
FROM personal
JOIN entry USING (site_id, seq, at)
WHERE personal.site_id = $1 AND position($2::bytea IN entry.body) > 0
ORDER BY personal.seq
LIMIT 1;

-- name: all_registrations
-- Everybody who is registered.
SELECT holder, tenant, document FROM holder WHERE site_id = $1;

-- name: standing_lockdowns
-- The scopes that are locked down.
SELECT lockdowns FROM site WHERE site_id = $1;

-- name: lockdown_entries
-- What was ordered of lockdowns, and what the gates said of it, in order.
SELECT seq, at, body
FROM entry
WHERE site_id = $1
    AND kind IN ('lockdown.changed', 'gate.hello', 'gate.status')
    AND (
        kind <> 'gate.status'
        OR position('"status":"locked_down"'::bytea IN body) > 0
        OR position('"status":"released"'::bytea IN body) > 0
    )
ORDER BY seq;

-- name: gate_links
-- What the engine knows of the gates' links.
SELECT gate, state, since, heard_at, snapshot, made FROM gate_link WHERE site_id = $1 ORDER BY gate;

-- name: is_served
-- Whether somebody alive owns a site (see `claim` of the ledger).
SELECT coalesce(leased_until > clock_timestamp(), false) AND EXISTS (
    SELECT FROM pg_stat_activity AS holder
    WHERE holder.pid = site.lease_backend AND holder.backend_start = site.lease_started
)
FROM site
WHERE site_id = $1;
