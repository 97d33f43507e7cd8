-- What witnesses have cosigned: the lines that are read with a checkpoint's note, one of each key. Of every hour the last of
-- each key stays: a newer checkpoint says all that an older one did, but for when, and ML-DSA-44 takes 2.5 KB.

SET LOCAL lock_timeout = '5s';

CREATE TABLE cosignature (
    site_id    text NOT NULL,
    tree       text NOT NULL,
    size       bigint NOT NULL,
    name       text NOT NULL,
    key_id     bytea NOT NULL CHECK (length(key_id) = 4),
    signature  bytea NOT NULL CHECK (length(signature) BETWEEN 1 AND 8192),
    at         timestamptz NOT NULL,
    PRIMARY KEY (site_id, tree, size, name, key_id),
    FOREIGN KEY (site_id, tree, size) REFERENCES checkpoint ON DELETE CASCADE
);
CREATE INDEX cosignature_by_time ON cosignature (site_id, tree, at);
