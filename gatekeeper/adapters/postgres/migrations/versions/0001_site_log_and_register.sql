-- The site, its log, its register and its live state. Every key begins with site_id: the unit of order and of sharding.

SET LOCAL lock_timeout = '5s';

-- One row a site: who owns it, under which epoch, and what is the case now.
CREATE TABLE site (
    site_id        text PRIMARY KEY CHECK (site_id ~ '^[a-z0-9-]{1,32}$'),
    founded_at     timestamptz NOT NULL DEFAULT now(),
    epoch          bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    leased_by      text,
    leased_until   timestamptz,
    lease_backend  integer,
    lease_started  timestamptz,
    alert          smallint NOT NULL DEFAULT 0 CHECK (alert >= 0),
    lockdowns      text[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- The head of each tree: the site's own ("site") and one for each tenant it concerns.
CREATE TABLE tree_head (
    site_id  text NOT NULL REFERENCES site,
    tree     text NOT NULL,
    size     bigint NOT NULL CHECK (size >= 0),
    root     bytea NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (site_id, tree)
) WITH (fillfactor = 50);

-- Entries in commit order. `body` is the leaf, byte for byte; the other columns are for finding it.
CREATE TABLE entry (
    site_id       text NOT NULL,
    seq           bigint NOT NULL CHECK (seq >= 0),
    at            timestamptz NOT NULL,
    kind          text NOT NULL,
    body          bytea NOT NULL,
    tenant        text,
    tenant_index  bigint,
    owner         text,
    owner_index   bigint,
    PRIMARY KEY (site_id, seq, at),
    CHECK ((tenant IS NULL) = (tenant_index IS NULL)),
    CHECK ((owner IS NULL) = (owner_index IS NULL))
) PARTITION BY RANGE (at);
CREATE TABLE entry_rest PARTITION OF entry DEFAULT;
CREATE INDEX entry_by_tenant ON entry (site_id, tenant, tenant_index) WHERE tenant IS NOT NULL;
CREATE INDEX entry_by_owner ON entry (site_id, owner, owner_index) WHERE owner IS NOT NULL;

-- What of an entry is personal, under the person's key (which is in another database).
CREATE TABLE personal (
    site_id  text NOT NULL,
    seq      bigint NOT NULL,
    at       timestamptz NOT NULL,
    person   text NOT NULL,
    sealed   bytea NOT NULL,
    PRIMARY KEY (site_id, seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE personal_rest PARTITION OF personal DEFAULT;
CREATE INDEX personal_by_person ON personal (site_id, person, seq);

-- Full tiles of every tree (C2SP tlog-tiles, height 8); the incomplete ones follow from the entries.
CREATE TABLE tile (
    site_id  text NOT NULL,
    tree     text NOT NULL,
    level    smallint NOT NULL CHECK (level >= 0),
    index    bigint NOT NULL CHECK (index >= 0),
    hashes   bytea NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (site_id, tree, level, index)
);
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE checkpoint (
    site_id  text NOT NULL,
    tree     text NOT NULL,
    size     bigint NOT NULL,
    root     bytea NOT NULL CHECK (length(root) = 32),
    note     bytea NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (site_id, tree, size)
);

-- What was answered to which message: a message handled twice changes nothing.
CREATE TABLE receipt (
    site_id   text NOT NULL,
    gate      text NOT NULL,
    boot      bytea NOT NULL CHECK (length(boot) = 8),
    sequence  bigint NOT NULL CHECK (sequence > 0),
    digest    bytea NOT NULL CHECK (length(digest) = 32),
    seq       bigint NOT NULL,
    verdict   smallint NOT NULL CHECK (verdict BETWEEN 0 AND 2),
    issued    timestamptz NOT NULL,
    holder    text,
    answer    bytea NOT NULL,
    PRIMARY KEY (site_id, gate, boot, sequence)
);

-- Every boot of every gate that was ever heard; bytes of a former boot are never taken for news.
CREATE TABLE gate_boot (
    site_id    text NOT NULL,
    gate       text NOT NULL,
    boot       bytea NOT NULL CHECK (length(boot) = 8),
    first_seq  bigint NOT NULL,
    PRIMARY KEY (site_id, gate, boot)
);

CREATE TABLE presence (
    site_id       text NOT NULL,
    holder        text NOT NULL,
    zone          text NOT NULL,
    since         timestamptz NOT NULL,
    quality       text NOT NULL CHECK (quality IN ('granted', 'taken', 'forced', 'operator')),
    access_point  text,
    came_from     text,
    seq           bigint NOT NULL,
    PRIMARY KEY (site_id, holder)
) WITH (fillfactor = 70);
CREATE INDEX presence_by_zone ON presence (site_id, zone);

CREATE TABLE holder (
    site_id   text NOT NULL REFERENCES site,
    holder    text NOT NULL,
    tenant    text NOT NULL,
    name      text NOT NULL,
    document  bytea NOT NULL,
    badges    text[] NOT NULL,
    PRIMARY KEY (site_id, holder)
);

CREATE TABLE badge (
    site_id          text NOT NULL REFERENCES site,
    badge            text NOT NULL CHECK (badge ~ '^[0-9a-f]{32}$'),
    tenant           text NOT NULL,
    holder           text NOT NULL,
    token            bytea NOT NULL CHECK (length(token) <= 1024),
    state            text NOT NULL CHECK (state IN ('active', 'suspended', 'lost', 'stolen', 'revoked')),
    card_technology  smallint,
    card_number      bytea,
    PRIMARY KEY (site_id, badge),
    CHECK ((card_technology IS NULL) = (card_number IS NULL))
);
CREATE UNIQUE INDEX badge_by_card ON badge (site_id, card_technology, card_number) WHERE card_number IS NOT NULL;

-- Signed documents in all their versions: trust lists and policies. The newest of a kind is in force.
CREATE TABLE document (
    site_id  text NOT NULL REFERENCES site,
    kind     text NOT NULL CHECK (kind IN ('trust', 'policy')),
    seq      bigint NOT NULL,
    content  bytea NOT NULL,
    PRIMARY KEY (site_id, kind, seq)
);

-- Changes on their way to the engine, and what became of them.
CREATE TABLE change (
    site_id       text NOT NULL REFERENCES site,
    change        bytea NOT NULL CHECK (length(change) = 16),
    submitted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    arrival       bigint GENERATED ALWAYS AS IDENTITY,
    document      bytea NOT NULL,
    name          text,
    outcome       text,
    detail        text,
    seq           bigint,
    PRIMARY KEY (site_id, change)
);
CREATE INDEX change_waiting ON change (site_id, arrival) WHERE outcome IS NULL;

CREATE TABLE dead_letter (
    site_id  text NOT NULL,
    letter   bigint GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    topic    text NOT NULL,
    gate     text,
    code     text NOT NULL,
    detail   text NOT NULL,
    payload  bytea NOT NULL,
    PRIMARY KEY (site_id, letter)
);

-- Make the partitions of entries and personal parts that hold one month.
CREATE FUNCTION make_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month);
    until date := first + interval '1 month';
    suffix text := to_char(first, 'YYYY_MM');
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['entry', 'personal'] LOOP
        IF to_regclass(format('%I', parent || '_' || suffix)) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                parent || '_' || suffix, parent, first::timestamptz, until::timestamptz
            );
        END IF;
    END LOOP;
END
$$;

-- Move a site's heads from where the engine left them to where a batch puts them, or raise.
-- INVARIANT: an engine whose epoch has passed, or whose head is not the head, commits nothing.
CREATE FUNCTION advance_heads(
    of_site text, under_epoch bigint, of_trees text[], from_sizes bigint[], to_sizes bigint[], to_roots bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM 1 FROM site WHERE site_id = of_site AND epoch = under_epoch FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the site % is owned under another epoch', of_site USING ERRCODE = 'GK001';
    END IF;
    UPDATE tree_head AS head
    SET size = step.to_size, root = step.to_root
    FROM unnest(of_trees, from_sizes, to_sizes, to_roots) AS step (tree, from_size, to_size, to_root)
    WHERE head.site_id = of_site AND head.tree = step.tree AND head.size = step.from_size;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(of_trees) THEN
        RAISE EXCEPTION 'a head of the site % is not where the engine left it', of_site USING ERRCODE = 'GK002';
    END IF;
    RETURN moved;
END
$$;

-- Wake the engine when a change arrives.
CREATE FUNCTION announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatekeeper_change', NEW.site_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER change_arrived AFTER INSERT ON change FOR EACH ROW EXECUTE FUNCTION announce_change();
