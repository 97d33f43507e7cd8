-- What must be kept, who was forgotten, and what a change leaves behind of a person.

SET LOCAL lock_timeout = '5s';

-- Legal holds: what is in a scope (site, tenant:<tenant>, holder:<holder>) is kept. `seq` is the entry that placed it.
CREATE TABLE legal_hold (
    site_id  text NOT NULL REFERENCES site,
    scope    text NOT NULL CHECK (scope ~ '^(site|(tenant|holder):[a-z0-9-]{1,32})$'),
    seq      bigint NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (site_id, scope)
);

-- Who was forgotten, by which entry; no row but this one names them. `done`: also where it takes long, and in the vault.
CREATE TABLE erased_person (
    site_id    text NOT NULL REFERENCES site,
    holder     text NOT NULL,
    seq        bigint NOT NULL CHECK (seq >= 0),
    erased_at  timestamptz NOT NULL DEFAULT now(),
    done       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (site_id, holder)
);
CREATE INDEX erased_person_undone ON erased_person (site_id) WHERE NOT done;

-- Who a proposal is about, when it is a person.
ALTER TABLE proposal ADD COLUMN person text;
CREATE INDEX proposal_about ON proposal (site_id, person) WHERE person IS NOT NULL;

-- A name is sealed under its person's key. What a former version kept as it is, the next engine of the site seals.
ALTER TABLE holder RENAME COLUMN name TO plain_name;
ALTER TABLE holder ALTER COLUMN plain_name DROP NOT NULL;
ALTER TABLE holder ADD COLUMN name bytea NOT NULL DEFAULT '';
UPDATE holder SET plain_name = NULL WHERE plain_name = '';
CREATE INDEX holder_plain ON holder (site_id) WHERE plain_name IS NOT NULL;
ALTER TABLE change DROP COLUMN name;
ALTER TABLE change ADD COLUMN name bytea;

-- The signed bytes of a change about a person are let go when it is dealt with: what it said stands in the log, sealed.
-- Its kind stands in it as CBOR: key 3, and a text ("holder", "badge-state", "forgiveness").
UPDATE change SET document = ''
WHERE outcome IS NOT NULL
    AND (
        position('\x0366686f6c646572'::bytea IN document) > 0
        OR position('\x036b62616467652d7374617465'::bytea IN document) > 0
        OR position('\x036b666f72676976656e657373'::bytea IN document) > 0
    );
