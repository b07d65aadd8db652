-- Devices that sign with the secret of their group, what they run and should run, who they belong to and wait for: columns of
-- what was there, pending claims, and a directory. All new columns are NULL where there is nothing: a device without them is
-- in none of the new indexes.

ALTER TABLE profile ADD COLUMN previous_secret BLOB;  -- sealed
ALTER TABLE profile ADD COLUMN previous_until INTEGER;
ALTER TABLE profile ADD COLUMN signed TEXT;  -- JSON object
ALTER TABLE profile ADD COLUMN credential_kind TEXT;
ALTER TABLE profile ADD COLUMN firmware TEXT;  -- JSON object
ALTER TABLE profile ADD COLUMN metadata TEXT;  -- JSON object

ALTER TABLE device ADD COLUMN firmware TEXT;  -- JSON object
ALTER TABLE device ADD COLUMN provisioned_at INTEGER;
ALTER TABLE device ADD COLUMN connected_at INTEGER;
ALTER TABLE device ADD COLUMN associated_at INTEGER;
ALTER TABLE device ADD COLUMN discarded_at INTEGER;
ALTER TABLE device ADD COLUMN serial TEXT;
ALTER TABLE device ADD COLUMN unique_serial INTEGER;  -- 1 or NULL
ALTER TABLE device ADD COLUMN owner TEXT;
ALTER TABLE device ADD COLUMN runs TEXT;

-- The serial first: it is sought with a profile and without.
CREATE UNIQUE INDEX device_unique_serial ON device (serial, profile) WHERE unique_serial IS NOT NULL;
CREATE INDEX device_signed_name ON device (name) WHERE unique_serial IS NOT NULL;
CREATE INDEX device_serial ON device (tenant, serial) WHERE serial IS NOT NULL;
CREATE INDEX device_owner ON device (tenant, owner) WHERE owner IS NOT NULL;
CREATE INDEX device_runs ON device (tenant, runs, profile) WHERE runs IS NOT NULL;

ALTER TABLE credential ADD COLUMN expires_at INTEGER;

ALTER TABLE config ADD COLUMN firmware TEXT;  -- JSON object

CREATE TABLE pending_claim (
    id         TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant     TEXT NOT NULL,
    lookup     BLOB NOT NULL,  -- keyed digest
    announced  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX pending_claim_lookup ON pending_claim (lookup);

-- `parent` and `template` name entries, profiles or nothing that is still there: no foreign keys. That the organisation which
-- a `parent` or a device's `owner` names is there is seen to before anything is written.
CREATE TABLE entry (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    parent     TEXT NOT NULL,
    template   TEXT NOT NULL,
    login      TEXT NOT NULL,
    role       TEXT,
    verifier   BLOB NOT NULL,
    lookup     BLOB,  -- keyed digest
    attributes TEXT,  -- JSON object; NULL where it is empty
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX entry_login ON entry (tenant, login) WHERE login <> '';
CREATE UNIQUE INDEX entry_own_name ON entry (tenant, kind, parent, name) WHERE kind IN ('device_field', 'channel_template');
CREATE UNIQUE INDEX entry_lookup ON entry (lookup) WHERE lookup IS NOT NULL;
-- The key of the table ends every index of it, so these also give the order of the pages.
CREATE INDEX entry_kind ON entry (tenant, kind);
CREATE INDEX entry_name ON entry (tenant, kind, name);
CREATE INDEX entry_parent ON entry (tenant, kind, parent);
