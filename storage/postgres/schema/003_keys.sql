-- serves: 2
-- Master keys that are rotated: under which of them anything may be sealed, and what has to stay when they go.

CREATE TABLE key_ring (
    id         text COLLATE "C" NOT NULL,  -- of a master key, in hex
    purpose    text COLLATE "C" NOT NULL,
    sealed     bytea NOT NULL,  -- a key for this purpose
    created_at bigint NOT NULL,
    PRIMARY KEY (id, purpose)
);
