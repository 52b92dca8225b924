-- Moves of servers: what a run is about, every record of every move, what it disabled, and who works on what.

CREATE TABLE moves_runs (
    run         TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cloud       TEXT NOT NULL,          -- the Compute API's address: what locks belong to
    options     TEXT NOT NULL           -- JSON: what was asked for
) STRICT;

CREATE TABLE moves_servers (
    run         TEXT NOT NULL REFERENCES moves_runs (run) ON DELETE CASCADE,
    server      TEXT NOT NULL,
    place       INTEGER NOT NULL,       -- in the plan's order
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    source      TEXT NOT NULL,          -- service host name
    portrait    TEXT NOT NULL,          -- JSON: what the server was before
    planned     TEXT NOT NULL,
    PRIMARY KEY (run, server)
) STRICT, WITHOUT ROWID;

-- An intent is here before its effect, an outcome after it.
CREATE TABLE moves_records (
    run         TEXT NOT NULL,
    server      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    at          TEXT NOT NULL,
    record      TEXT NOT NULL,          -- JSON
    PRIMARY KEY (run, server, seq),
    FOREIGN KEY (run, server) REFERENCES moves_servers (run, server) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Compute services that a run takes out of scheduling, as they were before.
CREATE TABLE moves_services (
    run         TEXT NOT NULL REFERENCES moves_runs (run) ON DELETE CASCADE,
    host        TEXT NOT NULL,
    reason      TEXT NOT NULL,          -- what the run wrote there: it puts back only what still says this
    was_enabled INTEGER NOT NULL,
    was_reason  TEXT,
    restored    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, host)
) STRICT, WITHOUT ROWID;

CREATE TABLE moves_locks (
    name        TEXT PRIMARY KEY NOT NULL,
    run         TEXT NOT NULL,
    boot        TEXT,                   -- as in runs
    pid         INTEGER,
    pid_started INTEGER,
    expires     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;
