-- name: log_keys
-- The keys of the logs that are watched.
SELECT origin, key FROM log_key ORDER BY origin, admitted_at, key;

-- name: admit
-- Watch what a key signs.
INSERT INTO log_key (origin, key, admitted_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING;

-- name: dismiss
-- Believe a key no more.
DELETE FROM log_key WHERE origin = ?1 AND key = ?2;

-- name: latest
-- The latest checkpoint of a log that was cosigned.
SELECT size, root FROM latest WHERE origin = ?1;

-- name: begin
-- Keep the first checkpoint of a log, unless there is one.
INSERT INTO latest (origin, size, root, note, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING;

-- name: advance
-- Keep the next checkpoint of a log in the place of the one it was weighed against, if that is still there.
UPDATE latest SET size = ?2, root = ?3, note = ?4, at = ?5 WHERE origin = ?1 AND size = ?6 AND root = ?7;

-- name: keep_dispute
-- Keep a checkpoint that was not shown to go on from the latest, up to a number of them for each log.
INSERT INTO dispute (origin, at, code, size, note, latest_note)
SELECT ?1, ?2, ?3, ?4, ?5, (SELECT note FROM latest WHERE origin = ?1)
WHERE (SELECT count(*) FROM dispute WHERE origin = ?1) < ?6
ON CONFLICT DO NOTHING;

-- name: watched
-- What is known of every log that is watched, or was.
SELECT
    known.origin,
    latest.size,
    latest.root,
    latest.note,
    latest.at,
    (SELECT count(*) FROM log_key WHERE log_key.origin = known.origin) AS keys,
    (SELECT count(*) FROM dispute WHERE dispute.origin = known.origin) AS disputes
FROM (SELECT origin FROM log_key UNION SELECT origin FROM latest) AS known
LEFT JOIN latest USING (origin)
ORDER BY known.origin;

-- name: disputes
-- The checkpoints of a log that were not shown to go on from the latest of then, oldest first.
SELECT at, code, size, note, latest_note FROM dispute WHERE origin = ?1 ORDER BY at, size;
