-- A repair, so that it can be resumed after any end, and undone later.
CREATE TABLE repairs (
    run     TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    plan    BLOB NOT NULL,              -- JSON, zlib
    worked  BLOB NOT NULL,              -- JSON, zlib: the legs that were verified before
    closed  INTEGER NOT NULL DEFAULT 0  -- whether every node has its end
) STRICT;

-- Intent before each effect, outcome after it.
CREATE TABLE repair_records (
    run     TEXT NOT NULL REFERENCES repairs (run) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    at      TEXT NOT NULL,
    record  TEXT NOT NULL,              -- JSON
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
