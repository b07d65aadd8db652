-- Master keys that are rotated: under which of them anything may be sealed, and what has to stay when they go.

CREATE TABLE key_ring (
    id         TEXT NOT NULL,  -- of a master key, in hex
    purpose    TEXT NOT NULL,
    sealed     BLOB NOT NULL,  -- a key for this purpose
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id, purpose)
) STRICT, WITHOUT ROWID;
