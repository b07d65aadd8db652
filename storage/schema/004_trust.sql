-- What stands behind a protected wire: how chains of certificates let devices in, how far OSCORE contexts have come, and which
-- certificates were made here. All new columns are NULL where there is nothing.

ALTER TABLE profile ADD COLUMN chain TEXT;  -- JSON object
ALTER TABLE profile ADD COLUMN issuing TEXT;  -- JSON object
ALTER TABLE profile ADD COLUMN plain TEXT;
ALTER TABLE profile ADD COLUMN anchor TEXT;  -- of the chain: profiles are found by it
ALTER TABLE profile ADD COLUMN anchor_name TEXT;  -- of the chain, too

CREATE INDEX profile_anchor ON profile (anchor) WHERE anchor IS NOT NULL;
CREATE INDEX profile_anchor_name ON profile (anchor_name) WHERE anchor_name IS NOT NULL;

CREATE TABLE oscore_state (
    id       TEXT PRIMARY KEY REFERENCES credential (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sequence INTEGER NOT NULL,
    received TEXT,  -- replay window: its lowest number, a space, and the bits above that in hex; a window may be of any width
    version  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A certificate stays until its time is over, whoever goes before: no foreign keys.
CREATE TABLE issued (
    id         TEXT PRIMARY KEY,  -- serial number in hex
    tenant     TEXT NOT NULL,
    device     TEXT NOT NULL,
    name       TEXT NOT NULL,
    lookup     BLOB NOT NULL,  -- keyed digest
    not_after  INTEGER NOT NULL,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX issued_not_after ON issued (not_after);
