CREATE TABLE IF NOT EXISTS queue (
    name       TEXT PRIMARY KEY,
    attributes TEXT NOT NULL,
    tags       TEXT NOT NULL DEFAULT '{}',
    created    INTEGER NOT NULL,
    modified   INTEGER NOT NULL
) WITHOUT ROWID;

-- `place` orders a queue and is the sequence number of FIFO messages, so it
-- must never be used twice: AUTOINCREMENT.
CREATE TABLE IF NOT EXISTS message (
    place             INTEGER PRIMARY KEY AUTOINCREMENT,
    queue             TEXT NOT NULL,
    id                TEXT NOT NULL,
    body              TEXT NOT NULL,
    attributes        TEXT,
    system_attributes TEXT,
    message_group     TEXT,
    deduplication     TEXT,
    sent              INTEGER NOT NULL,
    visible           INTEGER NOT NULL,
    receives          INTEGER NOT NULL DEFAULT 0,
    first_received    INTEGER,
    receipt           TEXT,
    origin            TEXT
);
CREATE INDEX IF NOT EXISTS message_by_visibility ON message (queue, visible, place);
CREATE INDEX IF NOT EXISTS message_by_place ON message (queue, place);
CREATE INDEX IF NOT EXISTS message_by_group ON message (queue, message_group, visible)
    WHERE message_group IS NOT NULL;

CREATE TABLE IF NOT EXISTS deduplication (
    queue   TEXT NOT NULL,
    id      TEXT NOT NULL,
    message TEXT NOT NULL,
    place   INTEGER NOT NULL,
    sent    INTEGER NOT NULL,
    PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deduplication_by_age ON deduplication (sent);

CREATE TABLE IF NOT EXISTS move_task (
    handle      TEXT PRIMARY KEY,
    source      TEXT NOT NULL,
    destination TEXT,
    moved       INTEGER NOT NULL,
    to_move     INTEGER NOT NULL,
    failure     TEXT,
    started     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS move_task_by_source ON move_task (source, started);
