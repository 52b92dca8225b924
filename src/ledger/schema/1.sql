-- Times are RFC 3339 in UTC with microseconds, so that they sort as text.

CREATE TABLE runs (
    id              TEXT PRIMARY KEY NOT NULL,
    command         TEXT NOT NULL,
    clearway        TEXT NOT NULL,
    inventory       TEXT NOT NULL,      -- as given
    inventory_path  TEXT NOT NULL,      -- absolute: what proofs belong to
    settings        TEXT NOT NULL,      -- JSON
    started         TEXT NOT NULL,
    -- Who works on it: tells a run that is going on from one that was killed.
    boot            TEXT,               -- and the pid namespace: where the next one counts
    pid             INTEGER,
    pid_started     INTEGER,
    -- NULL until the end.
    finished        TEXT,
    state           TEXT CHECK (state IN ('finished', 'interrupted', 'failed')),
    exit_code       INTEGER,
    summary         TEXT,               -- JSON
    failure         TEXT
) STRICT;

CREATE INDEX runs_by_start ON runs (started);

CREATE TABLE reports (
    run     TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    report  BLOB NOT NULL               -- JSON of docs/report.schema.json, zlib
) STRICT;

CREATE TABLE events (
    run     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    at      TEXT NOT NULL,
    event   TEXT NOT NULL,              -- JSON
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- The legs that worked when they were last tried. One that fails is taken out.
CREATE TABLE proofs (
    inventory_path  TEXT NOT NULL,
    lane            TEXT NOT NULL,
    client          TEXT NOT NULL,
    server          TEXT NOT NULL,
    dialled         TEXT NOT NULL,
    rungs           INTEGER NOT NULL,   -- how far: 1 connect, 2 login, 3 copy
    client_digest   TEXT NOT NULL,
    server_digest   TEXT NOT NULL,
    run             TEXT NOT NULL,
    at              TEXT NOT NULL,
    PRIMARY KEY (inventory_path, lane, client, server)
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 0x636c7279;     -- "clry"
PRAGMA user_version = 1;
