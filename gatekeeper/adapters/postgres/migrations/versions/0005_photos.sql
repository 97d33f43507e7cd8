-- The photos that guards compare faces with, each sealed under its person's own key: without the key nobody sees it again.

SET LOCAL lock_timeout = '5s';

-- By the SHA-256 of the picture, which stands in the signed registration: a row that says another is no photo of theirs.
CREATE TABLE holder_photo (
    site_id  text NOT NULL REFERENCES site,
    holder   text NOT NULL,
    digest   bytea NOT NULL CHECK (length(digest) = 32),
    sealed   bytea NOT NULL CHECK (length(sealed) <= 300000),
    PRIMARY KEY (site_id, holder, digest)
);
