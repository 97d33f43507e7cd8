-- What a site remembers for its rules: who brought a visitor in, how badges were used, which zones were opened.

SET LOCAL lock_timeout = '5s';

ALTER TABLE site ADD COLUMN suspended text[] NOT NULL DEFAULT '{}';
-- Who brought a visitor in, and who had brought them to where a grant took them from.
ALTER TABLE presence ADD COLUMN host text;
ALTER TABLE presence ADD COLUMN came_with text;
-- Who turns back is before the door at which they badged: nobody asks any more where they were before.
ALTER TABLE presence DROP COLUMN came_from;

-- What became of a badge so far; `failures` are the instants of its late refusals, in ISO 8601, apart by spaces.
CREATE TABLE badge_use (
    site_id       text NOT NULL,
    badge         text NOT NULL CHECK (badge ~ '^[0-9a-f]{32}$'),
    uses          bigint NOT NULL CHECK (uses >= 0),
    last_at       timestamptz,
    last_point    text,
    failures      text NOT NULL,
    locked_until  timestamptz,
    pin_tries     smallint NOT NULL DEFAULT 0 CHECK (pin_tries >= 0),
    pin_blocked_until  timestamptz,
    PRIMARY KEY (site_id, badge),
    CHECK ((last_at IS NULL) = (last_point IS NULL))
) WITH (fillfactor = 70);

-- When a first person came into a zone that waits for one, and on which grant (the seq of its entry).
CREATE TABLE zone_opened (
    site_id    text NOT NULL,
    zone       text NOT NULL,
    grant_seq  bigint NOT NULL CHECK (grant_seq >= 0),
    opened_at  timestamptz NOT NULL,
    PRIMARY KEY (site_id, zone, grant_seq)
);

-- A scan may wait for a guard (verdict 3) before it is decided.
ALTER TABLE receipt DROP CONSTRAINT receipt_verdict_check;
ALTER TABLE receipt ADD CONSTRAINT receipt_verdict_check CHECK (verdict BETWEEN 0 AND 3);
