-- What time-stamping authorities have said of checkpoints (RFC 3161).

SET LOCAL lock_timeout = '5s';

-- A reply, whole (a .tsr file): its token is over the SHA-256 of the text of the tree's checkpoint of this size. `at` is when it was asked
-- for; the authority's own time stands in the token. Nothing here is believed: the token is signed by the authority.
CREATE TABLE timestamp_token (
    site_id  text NOT NULL REFERENCES site,
    tree     text NOT NULL,
    size     bigint NOT NULL CHECK (size >= 0),
    reply    bytea NOT NULL CHECK (length(reply) <= 65536),
    at       timestamptz NOT NULL,
    PRIMARY KEY (site_id, tree, size)
);
