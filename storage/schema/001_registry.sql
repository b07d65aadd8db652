-- The registry: who may come in (tenant, profile), who did (device, credential), who operates it (token), what happened (event).
-- Ids are UUIDv7 texts, so rows of one table arrive in about the order of their keys. Times are milliseconds since the epoch.
-- Foreign keys are the last line behind the store's own guards. They are checked at the commit, not with each statement, so
-- that an insertion of many rows needs no journal of its own to be undone from.

CREATE TABLE tenant (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    device_limit INTEGER,
    devices      INTEGER NOT NULL,  -- how many it has; kept by the transactions that add and remove devices
    created_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profile (
    id               TEXT PRIMARY KEY,
    tenant           TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name             TEXT NOT NULL,
    strategy         TEXT NOT NULL,
    reprovision      TEXT NOT NULL,
    provision_key    TEXT NOT NULL,
    provision_secret BLOB NOT NULL,  -- sealed
    options          TEXT NOT NULL,  -- JSON array of names
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX profile_tenant ON profile (tenant, id);
CREATE UNIQUE INDEX profile_name ON profile (tenant, name);
CREATE UNIQUE INDEX profile_key ON profile (provision_key);

CREATE TABLE device (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    profile    TEXT NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    enabled    INTEGER NOT NULL,
    metadata   TEXT,  -- JSON object; NULL where it is empty
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    FOREIGN KEY (tenant, profile) REFERENCES profile (tenant, id) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX device_name ON device (tenant, name);
-- The key of the table ends every index of it, so these two also give the order of the pages.
CREATE INDEX device_state ON device (tenant, state);
CREATE INDEX device_profile ON device (tenant, profile);

CREATE TABLE credential (
    id         TEXT PRIMARY KEY,
    device     TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    kind       TEXT NOT NULL,
    lookup     BLOB NOT NULL,  -- keyed digest
    verifier   BLOB NOT NULL,
    sealed     BLOB,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX credential_lookup ON credential (lookup);
CREATE INDEX credential_device ON credential (device);

CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    lookup     BLOB NOT NULL,  -- keyed digest
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX token_tenant ON token (tenant, id);
CREATE UNIQUE INDEX token_name ON token (tenant, name);
CREATE UNIQUE INDEX token_lookup ON token (lookup);

-- What happened stays when what it happened to is gone: no foreign keys. `seq` counts the rows without counting them:
-- it grows by one with each event, and events leave at the low end alone.
CREATE TABLE event (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    correlation TEXT NOT NULL,
    protocol    TEXT NOT NULL,
    dialect     TEXT NOT NULL,
    source      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    profile     TEXT,
    device      TEXT,
    device_name TEXT NOT NULL,
    "check"     TEXT NOT NULL,
    detail      TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX event_tenant ON event (tenant, id);
CREATE INDEX event_correlation ON event (tenant, correlation, id);
CREATE INDEX event_device ON event (device, id) WHERE device IS NOT NULL;
CREATE INDEX event_profile ON event (profile, id) WHERE profile IS NOT NULL;
-- All kinds but the common one, which a walk along event_tenant meets soon enough; so a provision does not pay for this index.
CREATE INDEX event_kind ON event (tenant, kind, id) WHERE kind <> 'provision.succeeded';

-- One row, rewritten to prove that the file can be written.
CREATE TABLE probe (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;

INSERT INTO probe VALUES (1, 0);
