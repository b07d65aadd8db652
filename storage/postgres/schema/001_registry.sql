-- The registry: who may come in (tenant, profile), who did (device, credential), who operates it (token), what happened (event).
-- Tables, columns and what they mean are those of the SQLite schema. Texts sort by their bytes ("C"), numbers that mean yes or no
-- are 1 and 0 or NULL, times are milliseconds since the epoch, ids are UUIDv7 texts. A text never holds U+0000: see
-- storage/postgres/texts.py. Indexes that give the order of pages end with the id.
-- Foreign keys are the last line behind the store's own guards. They are checked at the commit, not with each statement.

CREATE TABLE tenant (
    id               text COLLATE "C" PRIMARY KEY,
    name             text COLLATE "C" NOT NULL,
    device_limit     bigint,
    devices          bigint NOT NULL,  -- how many it has; kept by the transactions that add and remove devices
    created_at       bigint NOT NULL,
    version          bigint NOT NULL,
    secure_bootstrap smallint  -- 1 or NULL
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000);  -- a few rows that are written again and again: room for that

CREATE TABLE profile (
    id               text COLLATE "C" PRIMARY KEY,
    tenant           text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name             text COLLATE "C" NOT NULL,
    strategy         text COLLATE "C" NOT NULL,
    reprovision      text COLLATE "C" NOT NULL,
    provision_key    text COLLATE "C" NOT NULL,
    provision_secret bytea NOT NULL,  -- sealed
    options          text COLLATE "C" NOT NULL,  -- JSON array of names
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    version          bigint NOT NULL,
    previous_secret  bytea,  -- sealed
    previous_until   bigint,
    signed           text COLLATE "C",  -- JSON object
    credential_kind  text COLLATE "C",
    firmware         text COLLATE "C",  -- JSON object
    metadata         text COLLATE "C",  -- JSON object
    chain            text COLLATE "C",  -- JSON object
    issuing          text COLLATE "C",  -- JSON object
    plain            text COLLATE "C",
    anchor           text COLLATE "C",  -- of the chain: profiles are found by it
    anchor_name      text COLLATE "C",  -- of the chain, too
    claims           text COLLATE "C",  -- JSON object
    budget           bigint,  -- of the claims: how many devices the key may make in all
    made             bigint,  -- counted as tenant.devices is; NULL: nobody counts
    hook             text COLLATE "C"  -- JSON object, its secret sealed
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX profile_tenant ON profile (tenant, id);
CREATE UNIQUE INDEX profile_name ON profile (tenant, name);
CREATE UNIQUE INDEX profile_key ON profile (provision_key);
CREATE INDEX profile_anchor ON profile (anchor, id) WHERE anchor IS NOT NULL;
CREATE INDEX profile_anchor_name ON profile (anchor_name, id) WHERE anchor_name IS NOT NULL;

CREATE TABLE device (
    id             text COLLATE "C" PRIMARY KEY,
    tenant         text COLLATE "C" NOT NULL,
    profile        text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    state          text COLLATE "C" NOT NULL,
    enabled        smallint NOT NULL,
    metadata       text COLLATE "C",  -- JSON object; NULL where it is empty
    created_at     bigint NOT NULL,
    updated_at     bigint NOT NULL,
    version        bigint NOT NULL,
    label          text COLLATE "C",  -- NULL where it is empty
    folded         text COLLATE "C",  -- of the label, or of the name where there is no label; NULL where folding changes nothing
    firmware       text COLLATE "C",  -- JSON object
    provisioned_at bigint,
    connected_at   bigint,
    associated_at  bigint,
    discarded_at   bigint,
    serial         text COLLATE "C",
    unique_serial  smallint,  -- 1 or NULL
    owner          text COLLATE "C",
    runs           text COLLATE "C",
    FOREIGN KEY (tenant, profile) REFERENCES profile (tenant, id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX device_state ON device (tenant, state, id COLLATE "POSIX");
CREATE INDEX device_profile ON device (tenant, profile, id COLLATE "POSIX");
CREATE INDEX device_signed_name ON device (name, id) WHERE unique_serial IS NOT NULL;
CREATE INDEX device_serial ON device (tenant, serial, id COLLATE "POSIX") WHERE serial IS NOT NULL;
CREATE INDEX device_owner ON device (tenant, owner, id COLLATE "POSIX") WHERE owner IS NOT NULL;
CREATE INDEX device_runs ON device (tenant, runs, profile, id) WHERE runs IS NOT NULL;
-- The serial first: it is sought with a profile and without.
CREATE UNIQUE INDEX device_unique_serial ON device (serial, profile) WHERE unique_serial IS NOT NULL;
-- Of indexes that seem to cost the same, as all do of an empty table, the last one is taken: so keys come last.
CREATE UNIQUE INDEX device_name ON device (tenant, name);

CREATE TABLE credential (
    id         text COLLATE "C" PRIMARY KEY,
    device     text COLLATE "C" NOT NULL REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    kind       text COLLATE "C" NOT NULL,
    lookup     bytea NOT NULL,  -- keyed digest
    verifier   bytea NOT NULL,
    sealed     bytea,
    created_at bigint NOT NULL,
    version    bigint NOT NULL,
    expires_at bigint,
    trial      smallint  -- 1 or NULL
);

CREATE UNIQUE INDEX credential_lookup ON credential (lookup);
CREATE INDEX credential_device ON credential (device, id);

CREATE TABLE oscore_state (
    id       text COLLATE "C" PRIMARY KEY REFERENCES credential (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    sequence bigint NOT NULL,
    received text COLLATE "C",  -- replay window: its lowest number, a space, and the bits above that in hex
    version  bigint NOT NULL
) WITH (fillfactor = 70);

-- A certificate stays until its time is over, whoever goes before: no foreign keys.
CREATE TABLE issued (
    id         text COLLATE "C" PRIMARY KEY,  -- serial number in hex
    tenant     text COLLATE "C" NOT NULL,
    device     text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    lookup     bytea NOT NULL,  -- keyed digest
    not_after  bigint NOT NULL,
    revoked_at bigint,
    created_at bigint NOT NULL,
    version    bigint NOT NULL
);

CREATE INDEX issued_not_after ON issued (not_after, id);

CREATE TABLE pending_claim (
    id         text COLLATE "C" PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant     text COLLATE "C" NOT NULL,
    lookup     bytea NOT NULL,  -- keyed digest
    announced  smallint NOT NULL,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    version    bigint NOT NULL
);

CREATE UNIQUE INDEX pending_claim_lookup ON pending_claim (lookup);

CREATE TABLE approval (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    profile    text COLLATE "C" NOT NULL REFERENCES profile (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name       text COLLATE "C" NOT NULL,
    device     text COLLATE "C",  -- as it was when it asked, it may be gone: no foreign key
    verdict    text COLLATE "C" NOT NULL,
    source     text COLLATE "C" NOT NULL,
    stranger   text COLLATE "C" NOT NULL,
    protocol   text COLLATE "C" NOT NULL,
    dialect    text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version    bigint NOT NULL
);

CREATE INDEX approval_tenant ON approval (tenant, id COLLATE "POSIX");
CREATE INDEX approval_asked ON approval (tenant, name, id);
CREATE INDEX approval_stranger ON approval (stranger, id);
CREATE INDEX approval_expires ON approval (expires_at, id);
CREATE UNIQUE INDEX approval_name ON approval (profile, name);

CREATE TABLE tombstone (
    id          text COLLATE "C" PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    profile     text COLLATE "C" NOT NULL REFERENCES profile (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    device      text COLLATE "C" NOT NULL,  -- it may be gone: no foreign key
    name        text COLLATE "C" NOT NULL,
    serial      text COLLATE "C",  -- NULL where it is not the device's own
    departure   text COLLATE "C" NOT NULL,
    leave_until bigint,
    created_at  bigint NOT NULL,
    version     bigint NOT NULL
);

CREATE INDEX tombstone_tenant ON tombstone (tenant, id COLLATE "POSIX");
CREATE INDEX tombstone_profile ON tombstone (profile, id);
CREATE INDEX tombstone_created ON tombstone (created_at, id);
CREATE UNIQUE INDEX tombstone_serial ON tombstone (profile, serial) WHERE serial IS NOT NULL;
CREATE UNIQUE INDEX tombstone_name ON tombstone (tenant, name);

CREATE TABLE channel (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name       text COLLATE "C" NOT NULL,
    metadata   text COLLATE "C",  -- JSON object; NULL where it is empty
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version    bigint NOT NULL,
    folded     text COLLATE "C"
);

CREATE INDEX channel_tenant ON channel (tenant, id COLLATE "POSIX");

CREATE TABLE config (
    id           text COLLATE "C" PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant       text COLLATE "C" NOT NULL,
    external_id  text COLLATE "C" NOT NULL,
    external_key bytea NOT NULL,  -- sealed
    name         text COLLATE "C" NOT NULL,
    unique_name  smallint NOT NULL,
    client_key   bytea,  -- keyed digest
    active       smallint NOT NULL,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    version      bigint NOT NULL,
    folded       text COLLATE "C",
    firmware     text COLLATE "C"  -- JSON object
);

CREATE UNIQUE INDEX config_external_id ON config (external_id);
CREATE INDEX config_tenant ON config (tenant, id COLLATE "POSIX", active);  -- pages count along it
CREATE UNIQUE INDEX config_name ON config (tenant, name) WHERE unique_name = 1 AND name <> '';
CREATE INDEX config_client_key ON config (tenant, client_key, id COLLATE "POSIX") WHERE client_key IS NOT NULL;

-- The large part of a configuration, apart from what is searched and counted.
CREATE TABLE config_document (
    config       text COLLATE "C" PRIMARY KEY REFERENCES config (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    content      bytea,  -- sealed
    certificates bytea  -- sealed
);

-- The channels of a configuration in the order of `place`, which may have gaps.
CREATE TABLE config_channel (
    config  text COLLATE "C" NOT NULL REFERENCES config (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    place   bigint NOT NULL,
    channel text COLLATE "C" NOT NULL REFERENCES channel (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (config, place)
);

CREATE INDEX config_channel_channel ON config_channel (channel, config, place);

-- `parent` and `template` name entries, profiles or nothing that is still there: no foreign keys. That the organisation which
-- a `parent` or a device's `owner` names is there is seen to before anything is written.
CREATE TABLE entry (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    kind       text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    parent     text COLLATE "C" NOT NULL,
    template   text COLLATE "C" NOT NULL,
    login      text COLLATE "C" NOT NULL,
    role       text COLLATE "C",
    verifier   bytea NOT NULL,
    lookup     bytea,  -- keyed digest
    attributes text COLLATE "C",  -- JSON object; NULL where it is empty
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version    bigint NOT NULL
);

CREATE UNIQUE INDEX entry_login ON entry (tenant, login) WHERE login <> '';
CREATE UNIQUE INDEX entry_own_name ON entry (tenant, kind, parent, name) WHERE kind IN ('device_field', 'channel_template');
CREATE UNIQUE INDEX entry_lookup ON entry (lookup) WHERE lookup IS NOT NULL;
CREATE INDEX entry_kind ON entry (tenant, kind, id COLLATE "POSIX");
CREATE INDEX entry_name ON entry (tenant, kind, name, id COLLATE "POSIX");
CREATE INDEX entry_parent ON entry (tenant, kind, parent, id COLLATE "POSIX");

CREATE TABLE token (
    id         text COLLATE "C" PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    name       text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    lookup     bytea NOT NULL,  -- keyed digest
    created_at bigint NOT NULL,
    version    bigint NOT NULL
);

CREATE UNIQUE INDEX token_tenant ON token (tenant, id);
CREATE UNIQUE INDEX token_name ON token (tenant, name);
CREATE UNIQUE INDEX token_lookup ON token (lookup);

-- What happened stays when what it happened to is gone: no foreign keys. `seq` grows with each event, but has gaps where a
-- transaction was undone, and a lower one may come to light after a higher one.
CREATE TABLE event (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL,
    tenant      text COLLATE "C" NOT NULL,
    at          bigint NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    correlation text COLLATE "C" NOT NULL,
    protocol    text COLLATE "C" NOT NULL,
    dialect     text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    profile     text COLLATE "C",
    device      text COLLATE "C",
    device_name text COLLATE "C" NOT NULL,
    "check"     text COLLATE "C" NOT NULL,
    detail      text COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX event_tenant ON event (tenant, id);
CREATE INDEX event_correlation ON event (tenant, correlation, id);
CREATE INDEX event_device ON event (device, id) WHERE device IS NOT NULL;
CREATE INDEX event_profile ON event (profile, id) WHERE profile IS NOT NULL;
-- All kinds but the common one, which a walk along event_tenant meets soon enough; so a provision does not pay for this index.
CREATE INDEX event_kind ON event (tenant, kind, id) WHERE kind <> 'provision.succeeded';

-- One row, rewritten to prove that the database can be written.
CREATE TABLE probe (
    id    bigint PRIMARY KEY CHECK (id = 1),
    count bigint NOT NULL
) WITH (fillfactor = 20);

INSERT INTO probe VALUES (1, 0);
