-- Re-provisioning: credentials on trial, and devices that wait for an operator's approval.

ALTER TABLE credential ADD COLUMN trial INTEGER;  -- 1 or NULL

CREATE TABLE approval (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    profile    TEXT NOT NULL REFERENCES profile (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name       TEXT NOT NULL,
    device     TEXT,  -- as it was when it asked, it may be gone: no foreign key
    verdict    TEXT NOT NULL,
    source     TEXT NOT NULL,
    stranger   TEXT NOT NULL,
    protocol   TEXT NOT NULL,
    dialect    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX approval_name ON approval (profile, name);
-- The key of the table ends every index of it, so these also give the order of the pages.
CREATE INDEX approval_tenant ON approval (tenant);
CREATE INDEX approval_asked ON approval (tenant, name);
CREATE INDEX approval_stranger ON approval (stranger);
CREATE INDEX approval_expires ON approval (expires_at);

-- Claim keys that can leak: how far they reach, what they have made, and who is not to come back by them.

ALTER TABLE profile ADD COLUMN claims TEXT;  -- JSON object
ALTER TABLE profile ADD COLUMN budget INTEGER;  -- of the claims: how many devices the key may make in all
ALTER TABLE profile ADD COLUMN made INTEGER;  -- counted as tenant.devices is; NULL: nobody counts

CREATE TABLE tombstone (
    id          TEXT PRIMARY KEY,
    tenant      TEXT NOT NULL REFERENCES tenant (id) DEFERRABLE INITIALLY DEFERRED,
    profile     TEXT NOT NULL REFERENCES profile (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    device      TEXT NOT NULL,  -- it may be gone: no foreign key
    name        TEXT NOT NULL,
    serial      TEXT,  -- NULL where it is not the device's own
    departure   TEXT NOT NULL,
    leave_until INTEGER,
    created_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX tombstone_name ON tombstone (tenant, name);
CREATE UNIQUE INDEX tombstone_serial ON tombstone (profile, serial) WHERE serial IS NOT NULL;
CREATE INDEX tombstone_tenant ON tombstone (tenant);
CREATE INDEX tombstone_profile ON tombstone (profile);
CREATE INDEX tombstone_created ON tombstone (created_at);

-- Hooks: who is asked before a device is let in.

ALTER TABLE profile ADD COLUMN hook TEXT;  -- JSON object, its secret sealed

-- Secure bootstrap, inherited: tenants that are there keep it, others have it where they ask for it.

ALTER TABLE tenant ADD COLUMN secure_bootstrap INTEGER;  -- 1 or NULL
UPDATE tenant SET secure_bootstrap = 1;
