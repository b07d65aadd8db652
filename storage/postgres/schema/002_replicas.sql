-- serves: 2
-- What several replicas of a gateway have in common beside the registry. Nothing here has to outlive the moment.
-- What is UNLOGGED is empty after a crash of the server, and at a standby that took its place: so it is said where that forgives.

-- The names of what was committed, a row for each transaction, written by it. Kept for some minutes.
CREATE TABLE notice (
    seq    bigint GENERATED ALWAYS AS IDENTITY,
    xact   xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- rows become visible out of the order of seq, and not of this one's
    at     timestamptz NOT NULL DEFAULT now(),
    origin text COLLATE "C" NOT NULL,  -- the replica that knows it already
    names  text COLLATE "C" NOT NULL,  -- see core/notices.py
    PRIMARY KEY (xact, seq)
) WITH (autovacuum_vacuum_threshold = 5000);

-- What was used and may not be used again. Without the row of `epoch` for which they were made nothing of it is good any more,
-- so that to lose both tables at once forgets nothing.
CREATE UNLOGGED TABLE spent (
    identity bytea PRIMARY KEY,
    until    timestamptz NOT NULL
);

CREATE INDEX spent_until ON spent (until);

CREATE UNLOGGED TABLE epoch (
    lone  smallint PRIMARY KEY CHECK (lone = 1),
    value bytea NOT NULL
);

-- Answers that may be asked for again, and the places of those that are being made. A request whose answer is lost is done again.
CREATE UNLOGGED TABLE kept_answer (
    scope  bytea PRIMARY KEY,
    name   bytea NOT NULL,  -- a digest, of the request's key
    print  bytea NOT NULL,  -- a digest, of all that was asked
    answer bytea,  -- sealed; NULL: it is being made
    until  timestamptz NOT NULL
);

CREATE INDEX kept_answer_name ON kept_answer (name);

CREATE INDEX kept_answer_until ON kept_answer (until);

-- Who does what must not be done twice. Who may begin holds a lock of its session, and waits until the time of the last one is over.
CREATE TABLE office (
    name   text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    until  timestamptz NOT NULL
) WITH (fillfactor = 20);
