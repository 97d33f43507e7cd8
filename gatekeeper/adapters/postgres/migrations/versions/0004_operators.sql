-- Who may change a site, and the changes that wait for a second person.

SET LOCAL lock_timeout = '5s';

-- Operators as their tenants signed them, in their newest version. A row gives no right: the signature does.
CREATE TABLE operator (
    site_id   text NOT NULL REFERENCES site,
    operator  text NOT NULL CHECK (operator ~ '^[a-z0-9-]{1,32}$'),
    tenant    text NOT NULL,
    document  bytea NOT NULL CHECK (length(document) <= 1024),
    PRIMARY KEY (site_id, operator)
);

-- Whose operators have stopped a badge: its tenant's, the host's. Each lets go of their own word.
ALTER TABLE badge ADD COLUMN stopped_by text[] NOT NULL DEFAULT '{}';

-- Proposals, by the SHA-256 of the signed change that they are; `ended` is the entry that says how one ended.
CREATE TABLE proposal (
    site_id   text NOT NULL REFERENCES site,
    digest    bytea NOT NULL CHECK (length(digest) = 32),
    document  bytea NOT NULL,
    change    bytea NOT NULL CHECK (length(change) = 16),
    tenant    text NOT NULL,
    author    text NOT NULL,
    kind      text NOT NULL,
    subject   text NOT NULL,
    gives     text[] NOT NULL,
    base      bytea NOT NULL,
    seq       bigint NOT NULL,
    expires   timestamptz NOT NULL,
    ending    text CHECK (ending IN ('applied', 'withdrawn', 'expired')),
    ended     bigint,
    PRIMARY KEY (site_id, digest),
    CHECK ((ending IS NULL) = (ended IS NULL))
);
CREATE INDEX proposal_waiting ON proposal (site_id, seq) WHERE ending IS NULL;
