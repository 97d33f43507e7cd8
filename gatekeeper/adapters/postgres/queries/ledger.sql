-- name: claim
-- Own a site under a new epoch, when nobody alive owns it.
UPDATE site
SET epoch = epoch + 1, leased_by = $2, leased_until = clock_timestamp() + $3::interval,
    lease_backend = pg_backend_pid(),
    lease_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
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

-- name: renew
-- Go on owning a site, from whichever connection.
UPDATE site
SET leased_until = clock_timestamp() + $3::interval, lease_backend = pg_backend_pid(),
    lease_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE site_id = $1 AND epoch = $2
RETURNING epoch;

-- name: log_size
-- How many entries the log of a site holds.
SELECT coalesce(max(size), 0) FROM tree_head WHERE site_id = $1 AND tree = 'site';

-- name: make_months
-- Make the partitions of this month and the next, before the first entry needs them.
SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * interval '1 month')::date)
FROM generate_series(0, 1) AS ahead;

-- name: commit_entries
-- Commit a batch whole: heads, entries (numbered from $7 on; the last of the instants $8 is also that of all after it),
-- personal parts and tiles.
WITH advanced AS (
    SELECT advance_heads($1, $2, $3::text[], $4::bigint[], $5::bigint[], $6::bytea[]) AS moved
), entries AS (
    INSERT INTO entry (site_id, seq, at, kind, body, tenant, tenant_index, owner, owner_index)
    SELECT $1, $7 + nth - 1, ($8::timestamptz[])[least(nth, cardinality($8::timestamptz[]))], kind, body,
        tenant, tenant_index, owner, owner_index
    FROM unnest($9::text[], $10::bytea[], $11::text[], $12::bigint[], $13::text[], $14::bigint[])
        WITH ORDINALITY AS said (kind, body, tenant, tenant_index, owner, owner_index, nth)
), personals AS (
    INSERT INTO personal (site_id, seq, at, person, sealed)
    SELECT $1, $7 + nth - 1, ($8::timestamptz[])[least(nth, cardinality($8::timestamptz[]))], person, sealed
    FROM unnest($15::text[], $16::bytea[]) WITH ORDINALITY AS said (person, sealed, nth)
    WHERE sealed IS NOT NULL
), tiles AS (
    INSERT INTO tile (site_id, tree, level, index, hashes)
    SELECT $1, * FROM unnest($17::text[], $18::smallint[], $19::bigint[], $20::bytea[])
)
SELECT moved FROM advanced;

-- name: commit_batch
-- continues: commit_entries
-- Commit with a batch what scans leave besides: whereabouts, receipts, boots, uses and opened zones.
presences AS (
    INSERT INTO presence (site_id, holder, zone, since, quality, access_point, seq, host, came_with)
    SELECT $1, *
    FROM unnest(
        $21::text[], $22::text[], $23::timestamptz[], $24::text[], $25::text[], $26::bigint[], $27::text[], $28::text[]
    )
    ON CONFLICT (site_id, holder) DO UPDATE
    SET zone = excluded.zone, since = excluded.since, quality = excluded.quality, access_point = excluded.access_point,
        seq = excluded.seq, host = excluded.host, came_with = excluded.came_with
), receipts AS (
    INSERT INTO receipt (site_id, gate, boot, sequence, digest, seq, verdict, issued, holder, answer)
    SELECT $1, *
    FROM unnest(
        $29::text[], $30::bytea[], $31::bigint[], $32::bytea[], $33::bigint[], $34::smallint[], $35::timestamptz[],
        $36::text[], $37::bytea[]
    )
), boots AS (
    INSERT INTO gate_boot (site_id, gate, boot, first_seq, journal)
    SELECT $1, * FROM unnest($38::text[], $39::bytea[], $40::bigint[], $52::boolean[])
), uses AS (
    INSERT INTO badge_use (
        site_id, badge, uses, last_at, last_point, failures, locked_until, pin_tries, pin_blocked_until
    )
    SELECT $1, *
    FROM unnest(
        $41::text[], $42::bigint[], $43::timestamptz[], $44::text[], $45::text[], $46::timestamptz[], $47::smallint[],
        $48::timestamptz[]
    )
    ON CONFLICT (site_id, badge) DO UPDATE
    SET uses = excluded.uses, last_at = excluded.last_at, last_point = excluded.last_point, failures = excluded.failures,
        locked_until = excluded.locked_until, pin_tries = excluded.pin_tries,
        pin_blocked_until = excluded.pin_blocked_until
), opened AS (
    INSERT INTO zone_opened (site_id, zone, grant_seq, opened_at)
    SELECT $1, said.*
    FROM unnest($49::text[], $50::bigint[], $51::timestamptz[]) AS said (zone, grant_seq, opened_at)
    WHERE said.opened_at IS NOT NULL
), opened_no_more AS (
    DELETE FROM zone_opened AS known
    USING unnest($49::text[], $50::bigint[], $51::timestamptz[]) AS said (zone, grant_seq, opened_at)
    WHERE known.site_id = $1 AND known.zone = said.zone AND known.grant_seq = said.grant_seq
        AND said.opened_at IS NULL
)
SELECT moved FROM advanced;

-- name: head
-- Where a tree of a site stands.
SELECT size, root FROM tree_head WHERE site_id = $1 AND tree = $2;

-- name: heads
-- Where all trees of a site stand.
SELECT tree, size, root FROM tree_head WHERE site_id = $1;

-- name: open_heads
-- Give every tree that has none its empty head.
INSERT INTO tree_head (site_id, tree, size, root)
SELECT $1, tree, 0, $3 FROM unnest($2::text[]) AS tree
ON CONFLICT DO NOTHING;

-- name: epoch
-- Under which epoch a site is owned.
SELECT epoch FROM site WHERE site_id = $1;

-- name: site_tail
-- The bodies of the last entries of the site's tree.
SELECT body FROM entry WHERE site_id = $1 AND seq >= $2 ORDER BY seq;

-- name: tenant_tail
-- The bodies of the last entries of a tenant's tree.
SELECT body
FROM (
    SELECT tenant_index AS place, body FROM entry WHERE site_id = $1 AND tenant = $2 AND tenant_index >= $3
    UNION ALL
    SELECT owner_index, body FROM entry WHERE site_id = $1 AND owner = $2 AND owner_index >= $3
) AS leaf
ORDER BY place;

-- name: tiles_from
-- The full tiles of one level of a tree, from an index on.
SELECT index, hashes FROM tile WHERE site_id = $1 AND tree = $2 AND level = $3 AND index >= $4 ORDER BY index;

-- name: site_state
-- What is the case on a site.
SELECT alert, lockdowns, suspended FROM site WHERE site_id = $1 AND epoch = $2;

-- name: newest_document
-- The trust list or policy in force.
SELECT content FROM document WHERE site_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1;

-- name: holders
-- All holders of a site.
SELECT holder, tenant, name, document, badges FROM holder WHERE site_id = $1;

-- name: badges
-- All badges of a site.
SELECT badge, tenant, holder, token, state, card_technology, card_number, stopped_by, stopped_at
FROM badge WHERE site_id = $1;

-- name: presences
-- Where everybody is.
SELECT holder, zone, since, quality, access_point, seq, host, came_with FROM presence WHERE site_id = $1;

-- name: badge_uses
-- What became of every badge that was used.
SELECT badge, uses, last_at, last_point, failures, locked_until, pin_tries, pin_blocked_until
FROM badge_use
WHERE site_id = $1;

-- name: zones_opened
-- When the first person came into zones that wait for one.
SELECT zone, grant_seq, opened_at FROM zone_opened WHERE site_id = $1;

-- name: boots
-- Every boot and every journal of every gate, oldest first.
SELECT gate, boot, journal FROM gate_boot WHERE site_id = $1 ORDER BY first_seq;

-- name: recent_receipts
-- The newest receipts of some boots and journals, oldest first.
SELECT kept.*, live.journal
FROM unnest($2::text[], $3::bytea[], $5::boolean[]) AS live (gate, boot, journal)
CROSS JOIN LATERAL (
    SELECT gate, boot, sequence, digest, seq, verdict, issued, holder, answer
    FROM receipt
    WHERE receipt.site_id = $1 AND receipt.gate = live.gate AND receipt.boot = live.boot
    ORDER BY sequence DESC
    LIMIT $4
) AS kept
ORDER BY kept.seq;

-- name: settle_receipt
-- Say what became of a scan that waited.
UPDATE receipt SET seq = $5, verdict = $6, issued = $7, holder = $8, answer = $9
WHERE site_id = $1 AND gate = $2 AND boot = $3 AND sequence = $4;

-- name: set_state
-- Alter what is the case on a site.
UPDATE site
SET alert = coalesce($2, alert), lockdowns = coalesce($3, lockdowns), suspended = coalesce($4, suspended)
WHERE site_id = $1;

-- name: forget_presence
-- Forget where somebody is.
DELETE FROM presence WHERE site_id = $1 AND holder = $2;

-- name: put_document
-- Put a document in force.
INSERT INTO document (site_id, kind, seq, content) VALUES ($1, $2, $3, $4);

-- name: put_holder
-- Enter or replace a holder.
INSERT INTO holder (site_id, holder, tenant, name, document, badges) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (site_id, holder) DO UPDATE
SET name = CASE excluded.name WHEN ''::bytea THEN holder.name ELSE excluded.name END, document = excluded.document, badges = excluded.badges;

-- name: put_badge
-- Enter or replace a badge.
INSERT INTO badge (site_id, badge, tenant, holder, token, state, card_technology, card_number, stopped_by, stopped_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (site_id, badge) DO UPDATE
SET token = excluded.token, state = excluded.state, card_technology = excluded.card_technology,
    card_number = excluded.card_number, stopped_by = excluded.stopped_by, stopped_at = excluded.stopped_at;

-- name: set_badge_state
-- Say what has become of a badge, who has stopped it, and since when.
UPDATE badge SET state = $3, stopped_by = $4, stopped_at = $5 WHERE site_id = $1 AND badge = $2;

-- name: operators
-- All operators of a site.
SELECT operator, tenant, document FROM operator WHERE site_id = $1;

-- name: put_operator
-- Enter or replace an operator.
INSERT INTO operator (site_id, operator, tenant, document) VALUES ($1, $2, $3, $4)
ON CONFLICT (site_id, operator) DO UPDATE SET document = excluded.document;

-- name: waiting_proposals
-- The proposals that wait, oldest first.
SELECT digest, document, change, tenant, author, kind, subject, gives, base, seq, expires, person
FROM proposal
WHERE site_id = $1 AND ending IS NULL
ORDER BY seq;

-- name: put_proposal
-- Let a proposal wait.
INSERT INTO proposal (site_id, digest, document, change, tenant, author, kind, subject, gives, base, seq, expires, person)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: end_proposal
-- Write down how a proposal ended.
UPDATE proposal SET ending = $3, ended = $4 WHERE site_id = $1 AND digest = $2;

-- name: conclude_change
-- Write down what became of a change, and let go of the name that came beside it; also of its bytes, where they say more.
UPDATE change
SET outcome = $3, detail = $4, seq = $5, name = NULL, document = CASE WHEN $6::boolean THEN '' ELSE document END
WHERE site_id = $1 AND change = $2;

-- name: legal_holds
-- What must be kept.
SELECT scope FROM legal_hold WHERE site_id = $1;

-- name: put_hold
-- Place a legal hold; one that was placed already stays as it is.
INSERT INTO legal_hold (site_id, scope, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: lift_hold
-- Lift a legal hold.
DELETE FROM legal_hold WHERE site_id = $1 AND scope = $2;

-- name: erased_persons
-- Who was forgotten.
SELECT holder FROM erased_person WHERE site_id = $1;

-- name: plain_names
-- Names that a former version kept as they are, so many at most.
SELECT holder, plain_name FROM holder WHERE site_id = $1 AND plain_name IS NOT NULL ORDER BY holder LIMIT $2;

-- name: seal_name
-- Keep a name sealed that was kept as it is; one that was said anew since stays.
UPDATE holder SET name = CASE name WHEN ''::bytea THEN $3 ELSE name END, plain_name = NULL
WHERE site_id = $1 AND holder = $2;

-- name: unforgotten
-- Who is being forgotten.
SELECT holder FROM erased_person WHERE site_id = $1 AND NOT done ORDER BY holder;

-- name: erasure
-- The entry by which somebody was forgotten, with its sealed part.
SELECT entry.seq, entry.at, entry.kind, entry.body, personal.person, personal.sealed
FROM erased_person
JOIN entry USING (site_id, seq)
LEFT JOIN personal USING (site_id, seq)
WHERE erased_person.site_id = $1 AND erased_person.holder = $2
LIMIT 1;

-- name: let_go_receipts
-- Let receipts name somebody no more, so many at most.
UPDATE receipt SET holder = NULL
WHERE ctid = ANY (ARRAY(SELECT ctid FROM receipt WHERE site_id = $1 AND holder = $2 LIMIT $3));

-- name: let_go_personal
-- File sealed parts under nobody's name any more, so many at most; the bytes stay, for no key opens them.
UPDATE personal SET person = $4
WHERE site_id = $1
    AND (seq, at) IN (SELECT seq, at FROM personal WHERE site_id = $1 AND person = $2 ORDER BY seq LIMIT $3);

-- name: forgotten
-- Somebody is forgotten, also in the vault.
UPDATE erased_person SET done = true WHERE site_id = $1 AND holder = $2;

-- name: erase_person
-- Forget a person: their rows, where they brought others, what is proposed of them; receipts and sealed parts come after.
WITH badges AS (
    DELETE FROM badge WHERE site_id = $1 AND holder = $2 RETURNING badge
), uses AS (
    DELETE FROM badge_use WHERE site_id = $1 AND badge IN (SELECT badge FROM badges)
), registration AS (
    DELETE FROM holder WHERE site_id = $1 AND holder = $2
), whereabouts AS (
    DELETE FROM presence WHERE site_id = $1 AND holder = $2
), guests AS (
    UPDATE presence SET host = nullif(host, $2), came_with = nullif(came_with, $2)
    WHERE site_id = $1 AND holder <> $2 AND $2 IN (host, came_with)
), photos AS (
    DELETE FROM holder_photo WHERE site_id = $1 AND holder = $2
), proposals AS (
    DELETE FROM proposal WHERE site_id = $1 AND person = $2
)
INSERT INTO erased_person (site_id, holder, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: waiting_changes
-- The changes that wait, oldest first; so many at most, or all (null).
SELECT change, document, name FROM change WHERE site_id = $1 AND outcome IS NULL ORDER BY arrival LIMIT $2;

-- name: bury
-- Keep refused bytes.
INSERT INTO dead_letter (site_id, at, topic, gate, code, detail, payload)
SELECT $1, * FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[]);

-- name: put_checkpoint
-- Keep a signed checkpoint.
INSERT INTO checkpoint (site_id, tree, size, root, note, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING;

-- name: newest_checkpoints
-- The last signed checkpoint of every tree.
SELECT head.tree, newest.size, newest.root, newest.note
FROM tree_head AS head
CROSS JOIN LATERAL (
    SELECT size, root, note
    FROM checkpoint
    WHERE checkpoint.site_id = head.site_id AND checkpoint.tree = head.tree
    ORDER BY size DESC
    LIMIT 1
) AS newest
WHERE head.site_id = $1;

-- name: full_tiles
-- Some full tiles of a tree.
SELECT tile.level, tile.index, tile.hashes
FROM unnest($3::smallint[], $4::bigint[]) AS wanted (level, index)
JOIN tile ON tile.site_id = $1 AND tile.tree = $2 AND tile.level = wanted.level AND tile.index = wanted.index;

-- name: put_cosignatures
-- Keep what witnesses have cosigned, in the place of what the same keys did before in the same hour.
WITH before AS (
    DELETE FROM cosignature AS older
    USING unnest($5::text[], $6::bytea[]) AS line (name, key_id)
    WHERE older.site_id = $1 AND older.tree = $2 AND older.at >= date_trunc('hour', $4::timestamptz)
        AND older.size < $3 AND older.name = line.name AND older.key_id = line.key_id
)
INSERT INTO cosignature (site_id, tree, size, name, key_id, signature, at)
SELECT $1, $2, $3, line.name, line.key_id, line.signature, $4
FROM unnest($5::text[], $6::bytea[], $7::bytea[]) AS line (name, key_id, signature)
ON CONFLICT DO NOTHING;

-- name: put_timestamp
-- Keep what a time-stamping authority said of a checkpoint.
INSERT INTO timestamp_token (site_id, tree, size, reply, at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: last_timestamps
-- Which size of each tree was stamped last, and when.
SELECT DISTINCT ON (tree) tree, size, at FROM timestamp_token WHERE site_id = $1 ORDER BY tree, size DESC;

-- name: announce
-- Tell those who watch that the log has grown.
SELECT pg_notify('gatekeeper_entry', $1::text || ':' || $2::bigint::text);

-- name: found_site
-- Make the row of a new site.
INSERT INTO site (site_id) VALUES ($1) ON CONFLICT DO NOTHING;

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

-- name: given_up
-- What gates said lately, from an entry on, of scans on which nobody passed and which were not granted before, in order.
SELECT seq, at, body
FROM entry
WHERE site_id = $1
    AND seq >= $2
    AND kind = 'passage.not-taken'
    AND at >= (SELECT at FROM entry WHERE site_id = $1 ORDER BY seq DESC LIMIT 1) - $3::interval
    AND position('"grant":'::bytea IN body) = 0
ORDER BY seq;

-- name: links
-- What the last engine knew of the gates' links.
SELECT gate, state, since, heard_at, snapshot, made FROM gate_link WHERE site_id = $1;

-- name: keep_links
-- Keep what is known of all gates' links, and of no other gate, as long as the site is owned under this epoch.
WITH ours AS (
    SELECT FROM site WHERE site_id = $1 AND epoch = $2
), gone AS (
    DELETE FROM gate_link WHERE site_id = $1 AND gate <> ALL ($3::text[]) AND EXISTS (SELECT FROM ours)
)
INSERT INTO gate_link AS known (site_id, gate, state, since, heard_at, snapshot, made)
SELECT $1, said.*
FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bytea[], $8::bytea[])
    AS said (gate, state, since, heard_at, snapshot, made)
WHERE EXISTS (SELECT FROM ours)
ON CONFLICT (site_id, gate) DO UPDATE
SET state = excluded.state, since = excluded.since, heard_at = excluded.heard_at, snapshot = excluded.snapshot,
    made = excluded.made
WHERE (known.state, known.since, known.heard_at, known.snapshot, known.made)
    IS DISTINCT FROM (excluded.state, excluded.since, excluded.heard_at, excluded.snapshot, excluded.made);

-- name: silence_entries
-- Which gates fell silent and were heard again, in order.
SELECT seq, at, body FROM entry WHERE site_id = $1 AND kind IN ('gate.silent', 'gate.heard') ORDER BY seq;
