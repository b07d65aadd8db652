-- What devices fetch when they start: configurations and the channels in them; and a label for each device.
-- `folded` is a name with its case folded, for the search of any part of it; NULL where folding changes nothing. The migration
-- gives `casefold` to this file: SQLite itself folds ASCII alone.

ALTER TABLE device ADD COLUMN label TEXT;  -- NULL where it is empty
ALTER TABLE device ADD COLUMN folded TEXT;  -- of the label, or of the name where there is no label
UPDATE device SET folded = casefold(name) WHERE casefold(name) <> name;

CREATE TABLE channel (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name       TEXT NOT NULL,
    metadata   TEXT,  -- JSON object; NULL where it is empty
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    folded     TEXT
) STRICT, WITHOUT ROWID;

-- Ids come in their order behind a tenant: the key of the table ends every index of it.
CREATE INDEX channel_tenant ON channel (tenant);

CREATE TABLE config (
    id           TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant       TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    external_key BLOB NOT NULL,  -- sealed
    name         TEXT NOT NULL,
    unique_name  INTEGER NOT NULL,
    client_key   BLOB,  -- keyed digest
    active       INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    folded       TEXT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX config_external_id ON config (external_id);
CREATE INDEX config_tenant ON config (tenant, id, active);  -- pages count along it without a look at the rows
CREATE UNIQUE INDEX config_name ON config (tenant, name) WHERE unique_name = 1 AND name <> '';
CREATE INDEX config_client_key ON config (tenant, client_key) WHERE client_key IS NOT NULL;

-- The large part of a configuration, one row for each, apart from what is searched and counted: a channel that goes makes
-- the next version of every configuration that lists it, and this way rewrites a tenth of the bytes. It has a rowid because
-- a table without one keeps whole rows in the inner pages of its tree, which large rows make deep.
CREATE TABLE config_document (
    config       TEXT PRIMARY KEY NOT NULL REFERENCES config (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    content      BLOB,  -- sealed
    certificates BLOB  -- sealed
) STRICT;

-- The channels of a configuration in the order of `place`, which may have gaps.
CREATE TABLE config_channel (
    config  TEXT NOT NULL REFERENCES config (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    place   INTEGER NOT NULL,
    channel TEXT NOT NULL REFERENCES channel (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (config, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX config_channel_channel ON config_channel (channel);
